//! TOML with places: every value knows where it stands, so that every error can say so.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{ContractError, Hint, Problem};

/// The text that is being read.
pub(super) struct Source<'a> {
    pub(super) origin: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
    pub(super) fn error(&self, at: usize, problem: Problem) -> ContractError {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        ContractError {
            origin: self.origin.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            problem: Box::new(problem),
        }
    }

    pub(super) fn syntax(&self, error: &toml::de::Error) -> ContractError {
        self.error(error.span().map_or(0, |s| s.start), Problem::Syntax(error.message().to_owned()))
    }
}

/// A table and what part of the contract it is.
pub(super) struct Table<'a> {
    source: &'a Source<'a>,
    place: String,
    at: usize,
    table: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    pub(super) fn new(source: &'a Source<'a>, place: String, table: &'a DeTable<'a>, span: Range<usize>) -> Self {
        Self { source, place, at: span.start, table }
    }

    /// Refuses keys that are not among these.
    pub(super) fn allow(&self, known: impl Iterator<Item = &'static str> + Clone) -> Result<(), ContractError> {
        for field in self.fields() {
            if !known.clone().any(|k| k == field.key) {
                let hint = Hint::near_or_all(field.key, known);
                let problem = Problem::UnknownKey { key: field.key.to_owned(), place: self.place.clone(), hint };
                return Err(self.source.error(field.key_at, problem));
            }
        }
        Ok(())
    }

    /// The entries in the order in which they stand in the file; the parser's own map is sorted by key.
    pub(super) fn fields(&self) -> Vec<Field<'_>> {
        let mut fields: Vec<_> = self.table.iter().map(|(key, value)| self.field(key, value)).collect();
        fields.sort_by_key(|f| f.key_at);
        fields
    }

    pub(super) fn get(&self, key: &str) -> Option<Field<'_>> {
        self.table.get_key_value(key).map(|(key, value)| self.field(key, value))
    }

    pub(super) fn needed(&self, key: &'static str) -> Result<Field<'_>, ContractError> {
        self.get(key).ok_or_else(|| self.error(Problem::MissingKey { key, place: self.place.clone() }))
    }

    /// The meaning of the word under `key`, where there is one.
    pub(super) fn word<T: Copy>(
        &self,
        key: &str,
        what: &'static str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, ContractError> {
        let Some(field) = self.get(key) else { return Ok(None) };
        field.meaning(what, field.string()?, field.at, words).map(Some)
    }

    pub(super) fn error(&self, problem: Problem) -> ContractError {
        self.source.error(self.at, problem)
    }

    fn field<'b>(&'b self, key: &'b Spanned<std::borrow::Cow<'a, str>>, value: &'b Spanned<DeValue<'a>>) -> Field<'b> {
        Field {
            source: self.source,
            place: &self.place,
            key: key.get_ref(),
            key_at: key.span().start,
            at: value.span().start,
            value: value.get_ref(),
        }
    }
}

/// A key and its value.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    source: &'a Source<'a>,
    place: &'a str,
    /// The key.
    pub(super) key: &'a str,
    key_at: usize,
    at: usize,
    value: &'a DeValue<'a>,
}

impl<'a> Field<'a> {
    /// The part of the contract that the field belongs to.
    pub(super) fn place(&self) -> &'a str {
        self.place
    }

    pub(super) fn string(&self) -> Result<&'a str, ContractError> {
        self.value.as_str().ok_or_else(|| self.wrong_kind("a string"))
    }

    pub(super) fn boolean(&self) -> Result<bool, ContractError> {
        self.value.as_bool().ok_or_else(|| self.wrong_kind("true or false"))
    }

    pub(super) fn integer(&self) -> Result<i64, ContractError> {
        let integer = self.value.as_integer().and_then(|i| i64::from_str_radix(i.as_str(), i.radix()).ok());
        integer.ok_or_else(|| self.wrong_kind("an integer of 64 bits"))
    }

    pub(super) fn number(&self) -> Result<f64, ContractError> {
        match self.value {
            DeValue::Float(float) => float.as_str().parse().map_err(|_| self.wrong_kind("a number")),
            DeValue::Integer(_) => self.integer().map(|i| i as f64),
            _ => Err(self.wrong_kind("a number")),
        }
    }

    /// The strings of a list, each with its place in the text.
    pub(super) fn strings(&self) -> Result<Vec<(String, usize)>, ContractError> {
        let wanted = "a list of strings";
        let array = self.value.as_array().ok_or_else(|| self.wrong_kind(wanted))?;
        let string = |item: &Spanned<DeValue<'_>>| {
            let text = item.get_ref().as_str().ok_or_else(|| self.wrong_kind(wanted))?;
            Ok((text.to_owned(), item.span().start))
        };
        array.iter().map(string).collect()
    }

    /// As [`Field::strings`], where integers may stand for their decimal texts.
    pub(super) fn choices(&self) -> Result<Vec<(String, usize)>, ContractError> {
        let wanted = "a list of strings or integers";
        let array = self.value.as_array().ok_or_else(|| self.wrong_kind(wanted))?;
        let choice = |item: &Spanned<DeValue<'_>>| {
            let text = match item.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                    .map_err(|_| self.wrong_kind(wanted))?
                    .to_string(),
                _ => return Err(self.wrong_kind(wanted)),
            };
            Ok((text, item.span().start))
        };
        array.iter().map(choice).collect()
    }

    pub(super) fn table(&self, place: String) -> Result<Table<'a>, ContractError> {
        let table = self.value.as_table().ok_or_else(|| self.wrong_kind("a table"))?;
        // A table under its own [heading] begins where its name stands.
        let at = if self.at < self.key_at { self.key_at } else { self.at };
        Ok(Table { source: self.source, place, at, table })
    }

    /// What `word`, which stands at `at`, means.
    pub(super) fn meaning<T: Copy>(
        &self,
        what: &'static str,
        word: &str,
        at: usize,
        words: &[(&str, T)],
    ) -> Result<T, ContractError> {
        words.iter().find(|(w, _)| *w == word).map(|(_, meaning)| *meaning).ok_or_else(|| {
            let hint = Hint::near_or_all(word, words.iter().map(|(w, _)| *w));
            let place = self.place.to_owned();
            self.source.error(at, Problem::UnknownWord { what, word: word.to_owned(), place, hint })
        })
    }

    /// An error at the value.
    pub(super) fn error(&self, problem: Problem) -> ContractError {
        self.source.error(self.at, problem)
    }

    /// An error at the key.
    pub(super) fn key_error(&self, problem: Problem) -> ContractError {
        self.source.error(self.key_at, problem)
    }

    /// An error elsewhere, such as inside a list.
    pub(super) fn error_at(&self, at: usize, problem: Problem) -> ContractError {
        self.source.error(at, problem)
    }

    pub(super) fn out_of_bounds(&self, key: &'static str, wanted: &'static str) -> ContractError {
        self.error(Problem::OutOfBounds { key, place: self.place.to_owned(), wanted })
    }

    fn wrong_kind(&self, wanted: &'static str) -> ContractError {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let (key, place) = (self.key.to_owned(), self.place.to_owned());
        self.error(Problem::WrongKind { key, place, found, wanted })
    }
}
