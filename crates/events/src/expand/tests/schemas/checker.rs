//! JSON Schema, draft 2020-12, as far as the published schemas use it. A keyword that it does not know is a panic, so no
//! schema says more than is checked.

use serde_json::{Map, Value as Json};

/// A schema.
pub(super) struct Schema {
    root: Json,
}

type Result = std::result::Result<(), String>;

impl Schema {
    pub(super) fn new(text: &str) -> Self {
        let root: Json = serde_json::from_str(text).unwrap();
        assert_eq!(root["$schema"], "https://json-schema.org/draft/2020-12/schema");
        Self { root }
    }

    pub(super) fn check(&self, value: &Json) -> Result {
        self.apply(&self.root, value)
    }

    fn apply(&self, schema: &Json, value: &Json) -> Result {
        let keywords = match schema {
            Json::Bool(true) => return Ok(()),
            Json::Bool(false) => return Err(format!("nothing may stand where {value} does")),
            schema => schema.as_object().unwrap(),
        };
        keywords.iter().try_for_each(|(keyword, wanted)| self.keyword(keywords, keyword, wanted, value))
    }

    fn keyword(&self, all: &Map<String, Json>, keyword: &str, wanted: &Json, value: &Json) -> Result {
        let each = |schemas: &Json| schemas.as_array().unwrap().clone();
        match keyword {
            // `then` and `else` go with `if`.
            "$schema" | "$id" | "$defs" | "title" | "description" | "then" | "else" => Ok(()),
            "$ref" => {
                self.apply(self.root.pointer(wanted.as_str().unwrap().strip_prefix('#').unwrap()).unwrap(), value)
            }
            "type" => holds(types(wanted).any(|t| is_of(value, t)), value, keyword, wanted),
            "const" => holds(value == wanted, value, keyword, wanted),
            "enum" => holds(each(wanted).contains(value), value, keyword, wanted),
            "minLength" => holds(
                value.as_str().is_none_or(|s| s.chars().count() as u64 >= wanted.as_u64().unwrap()),
                value,
                keyword,
                wanted,
            ),
            "minimum" => holds(value.as_f64().is_none_or(|v| v >= wanted.as_f64().unwrap()), value, keyword, wanted),
            "pattern" => {
                let pattern = regex::Regex::new(wanted.as_str().unwrap()).unwrap();
                holds(value.as_str().is_none_or(|s| pattern.is_match(s)), value, keyword, wanted)
            }
            "items" => value.as_array().into_iter().flatten().try_for_each(|item| self.apply(wanted, item)),
            "properties" | "additionalProperties" => self.members(all, keyword, wanted, value),
            "required" => {
                let is_there = |name: &Json| value.get(name.as_str().unwrap()).is_some();
                holds(!value.is_object() || each(wanted).iter().all(is_there), value, keyword, wanted)
            }
            "allOf" => each(wanted).iter().try_for_each(|schema| self.apply(schema, value)),
            "anyOf" => holds(each(wanted).iter().any(|s| self.apply(s, value).is_ok()), value, keyword, wanted),
            "not" => holds(self.apply(wanted, value).is_err(), value, keyword, wanted),
            "if" => {
                let branch = if self.apply(wanted, value).is_ok() { "then" } else { "else" };
                all.get(branch).map_or(Ok(()), |schema| self.apply(schema, value))
            }
            other => panic!("the schemas use {other}, which is not checked"),
        }
    }

    fn members(&self, all: &Map<String, Json>, keyword: &str, wanted: &Json, value: &Json) -> Result {
        let known = |name: &str| all.get("properties").and_then(|p| p.get(name));
        value.as_object().into_iter().flatten().try_for_each(|(name, member)| {
            let schema = if keyword == "properties" { known(name) } else { known(name).is_none().then_some(wanted) };
            schema.map_or(Ok(()), |schema| self.apply(schema, member)).map_err(|e| format!("{name}: {e}"))
        })
    }
}

fn types(wanted: &Json) -> impl Iterator<Item = &str> {
    let list = wanted.as_array().map_or(std::slice::from_ref(wanted), Vec::as_slice);
    list.iter().map(|name| name.as_str().unwrap())
}

fn is_of(value: &Json, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|v| v.fract() == 0.0),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    }
}

fn holds(yes: bool, value: &Json, keyword: &str, wanted: &Json) -> Result {
    if yes { Ok(()) } else { Err(format!("{value} breaks {keyword} {wanted}")) }
}
