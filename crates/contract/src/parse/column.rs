//! `[columns]`.

use regex::Regex;

use super::range;
use super::source::{Field, Table};
use crate::decimal::parse_int;
use crate::error::{ContractError, Problem};
use crate::model::{Column, ColumnType, Normalise, Range};

const KEYS: [&str; 9] =
    ["type", "required", "range", "pattern", "one_of", "max_length", "from", "normalise", "null_tokens"];

const NORMALISERS: [(&str, Normalise); 6] = [
    ("trim", Normalise::Trim),
    ("title_case", Normalise::TitleCase),
    ("lower", Normalise::Lower),
    ("upper", Normalise::Upper),
    ("collapse_spaces", Normalise::CollapseSpaces),
    ("spotify_id", Normalise::SpotifyId),
];

/// Names that silver's documents and the row rules use themselves.
const RESERVED: [&str; 6] = ["_id", "claim", "displaced", "extra", "row", "shard"];

/// The columns in the file's order. `null_tokens` holds for columns that give none.
pub(super) fn columns(field: &Field<'_>, null_tokens: &[String]) -> Result<Vec<Column>, ContractError> {
    let table = field.table("[columns]".to_owned())?;
    let mut columns: Vec<Column> = Vec::new();
    for field in table.fields() {
        let column = column(&field, null_tokens)?;
        refuse_shared_alias(&field, &columns, &column)?;
        columns.push(column);
    }
    if columns.is_empty() {
        return Err(table.error(Problem::NoColumns));
    }
    Ok(columns)
}

fn column(field: &Field<'_>, null_tokens: &[String]) -> Result<Column, ContractError> {
    let name = field.key;
    check_name(field)?;
    let table = field.table(format!("column {name}"))?;
    table.allow(KEYS.into_iter())?;
    let Some(ty) = table.word("type", "type", &ColumnType::NAMED)? else {
        return Err(field.key_error(Problem::MissingKey { key: "type", place: format!("column {name}") }));
    };
    Ok(Column {
        name: name.to_owned(),
        ty,
        required: table.get("required").map_or(Ok(false), |f| f.boolean())?,
        range: table.get("range").map(|f| column_range(&f, ty)).transpose()?,
        pattern: table.get("pattern").map(|f| pattern(&f, ty)).transpose()?,
        one_of: table.get("one_of").map(|f| one_of(&f, ty)).transpose()?,
        max_length: table.get("max_length").map(|f| max_length(&f, ty)).transpose()?,
        from: from(&table, name)?,
        normalise: table.get("normalise").map_or(Ok(Vec::new()), |f| normalise(&f))?,
        null_tokens: match table.get("null_tokens") {
            Some(field) => field.strings()?.into_iter().map(|(token, _)| token).collect(),
            None => null_tokens.to_vec(),
        },
    })
}

fn check_name(field: &Field<'_>) -> Result<(), ContractError> {
    let name = field.key;
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let rule = if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.bytes().all(fits) {
        "only letters, digits and _ are allowed, and no digit first"
    } else if RESERVED.contains(&name) {
        "silver's documents or the row rules use it themselves"
    } else {
        return Ok(());
    };
    Err(field.key_error(Problem::BadName { name: name.to_owned(), what: "a column", rule }))
}

fn column_range(field: &Field<'_>, ty: ColumnType) -> Result<Range, ContractError> {
    if !ty.is_numeric() {
        return Err(misplaced(field, "range", ty, "int, float and year"));
    }
    let text = field.string()?;
    range::parse(text).map_err(|reason| {
        field.error(Problem::BadRange { text: text.to_owned(), place: field.place().to_owned(), reason })
    })
}

fn pattern(field: &Field<'_>, ty: ColumnType) -> Result<Regex, ContractError> {
    if !matches!(ty, ColumnType::String | ColumnType::Date | ColumnType::Timestamp) {
        return Err(misplaced(field, "pattern", ty, "string, date and timestamp"));
    }
    let text = field.string()?;
    // Alone first: the anchors would lend `a)|(b` the brackets that it lacks.
    Regex::new(text).and_then(|_| Regex::new(&format!(r"\A(?:{text})\z"))).map_err(|error| {
        let reason = match error {
            // The first lines draw the pattern; the last one says what is wrong with it.
            regex::Error::Syntax(drawing) => {
                drawing.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
            }
            other => other.to_string(),
        };
        field.error(Problem::BadPattern { place: field.place().to_owned(), reason })
    })
}

/// The choices; of an int or a year in the form in which integers print.
fn one_of(field: &Field<'_>, ty: ColumnType) -> Result<Vec<String>, ContractError> {
    let numeric = match ty {
        ColumnType::Int | ColumnType::Year => true,
        ColumnType::String | ColumnType::Date | ColumnType::Timestamp => false,
        ColumnType::Float | ColumnType::Bool => {
            return Err(misplaced(field, "one_of", ty, "string, int, year, date and timestamp"));
        }
    };
    let choices = if numeric { field.choices()? } else { field.strings()? };
    if choices.is_empty() {
        return Err(field.error(Problem::Empty { key: "one_of", place: field.place().to_owned() }));
    }
    let choice = |(text, at): (String, usize)| {
        if !numeric {
            return Ok(text);
        }
        parse_int(text.as_bytes())
            .map(|v| v.to_string())
            .ok_or_else(|| field.error_at(at, Problem::BadChoice { value: text, place: field.place().to_owned(), ty }))
    };
    choices.into_iter().map(choice).collect()
}

fn max_length(field: &Field<'_>, ty: ColumnType) -> Result<usize, ContractError> {
    if ty != ColumnType::String {
        return Err(misplaced(field, "max_length", ty, "string"));
    }
    match usize::try_from(field.integer()?) {
        Ok(length @ 1..) => Ok(length),
        _ => Err(field.out_of_bounds("max_length", "1 or more")),
    }
}

fn misplaced(field: &Field<'_>, rule: &'static str, ty: ColumnType, takes: &'static str) -> ContractError {
    field.key_error(Problem::Misplaced { rule, place: field.place().to_owned(), ty, takes })
}

fn normalise(field: &Field<'_>) -> Result<Vec<Normalise>, ContractError> {
    field.strings()?.iter().map(|(word, at)| field.meaning("normaliser", word, *at, &NORMALISERS)).collect()
}

fn from(table: &Table<'_>, name: &str) -> Result<Vec<String>, ContractError> {
    let Some(field) = table.get("from") else { return Ok(vec![name.to_owned()]) };
    let place = || field.place().to_owned();
    let mut aliases: Vec<String> = Vec::new();
    for (alias, at) in field.strings()? {
        if alias.is_empty() || alias.trim() != alias {
            return Err(field.error_at(at, Problem::BadAlias { alias, place: place() }));
        }
        if aliases.contains(&alias) {
            return Err(field.error_at(at, Problem::Repeated { value: alias, key: "from", place: place() }));
        }
        aliases.push(alias);
    }
    if aliases.is_empty() {
        return Err(field.error(Problem::Empty { key: "from", place: place() }));
    }
    Ok(aliases)
}

fn refuse_shared_alias(field: &Field<'_>, earlier: &[Column], column: &Column) -> Result<(), ContractError> {
    for alias in &column.from {
        if let Some(other) = earlier.iter().find(|c| c.from.contains(alias)) {
            let (first, second) = (other.name.clone(), column.name.clone());
            return Err(field.key_error(Problem::SharedAlias { alias: alias.clone(), first, second }));
        }
    }
    Ok(())
}
