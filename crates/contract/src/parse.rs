//! A contract's text to a checked [`Contract`].

mod column;
mod gold;
mod hooks;
mod range;
mod source;

use ring::digest;
use toml::de::DeTable;

pub use self::hooks::TestHooks;
use self::source::{Field, Source, Table};
use crate::error::{ContractError, Hint, Problem};
use crate::model::{Column, ColumnType, Contract, Keep, Limits, UnknownColumns, View};

const KEYS: [&str; 9] =
    ["name", "key", "keep", "silver", "bronze", "unknown_columns", "null_tokens", "limits", "columns"];
const GOLD: &str = "gold";
/// Every store keeps this collection ready.
const BUILTIN_BRONZE: &str = "spotify_raw";
const KEEP: [(&str, Keep); 2] = [("first", Keep::First), ("last", Keep::Last)];
const UNKNOWN: [(&str, UnknownColumns); 3] =
    [("ignore", UnknownColumns::Ignore), ("keep", UnknownColumns::Keep), ("reject", UnknownColumns::Reject)];

impl Contract {
    /// Reads a contract from TOML. `origin` names the text in errors, usually the file's path.
    ///
    /// `name`, `key` and `[columns]` are needed. Left out, `keep` is `first`, `silver` the contract's name, `bronze`
    /// that name with `_raw`, `unknown_columns` `ignore`, `null_tokens` `[""]`, and `[limits]` a reject ratio of 0.05
    /// judged after 10,000 rows. Columns and views keep the file's order.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place in the file and the nearest valid name.
    pub fn parse(text: &str, origin: &str) -> Result<Self, ContractError> {
        let source = Source { origin, text };
        let document = DeTable::parse(text).map_err(|e| source.syntax(&e))?;
        let root = Table::new(&source, "the contract".to_owned(), document.get_ref(), 0..0);
        root.allow(KEYS.into_iter().chain(hooks::KEYS.iter().copied()).chain([GOLD]))?;

        let name = contract_name(&root)?;
        let null_tokens = match root.get("null_tokens") {
            Some(field) => field.strings()?.into_iter().map(|(token, _)| token).collect(),
            None => vec![String::new()],
        };
        let mut columns = column::columns(&root.needed("columns")?, &null_tokens)?;
        let key = key(&root.needed("key")?, &columns)?;
        let (silver, bronze) = collections(&root, &name)?;
        let views: Vec<View> = match root.get(GOLD) {
            Some(field) => gold::views(&field, &columns, &[&silver, &bronze, BUILTIN_BRONZE])?,
            None => Vec::new(),
        };
        bound_key_texts(&mut columns, key, &views);
        Ok(Self {
            key,
            keep: root.word("keep", "keep", &KEEP)?.unwrap_or(Keep::First),
            silver,
            bronze,
            unknown_columns: root.word("unknown_columns", "treatment", &UNKNOWN)?.unwrap_or(UnknownColumns::Ignore),
            limits: limits(&root)?,
            columns,
            views,
            hooks: TestHooks::parse(&root)?,
            text: text.to_owned(),
            hash: sha256(text),
            name,
        })
    }
}

fn contract_name(root: &Table<'_>) -> Result<String, ContractError> {
    let field = root.needed("name")?;
    let name = field.string()?;
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    if name.is_empty() || !name.bytes().all(fits) {
        let rule = "only a-z, 0-9, _ and - are allowed, and at least one";
        return Err(field.error(Problem::BadName { name: name.to_owned(), what: "a contract", rule }));
    }
    Ok(name.to_owned())
}

/// The names of the silver and the bronze collection.
fn collections(root: &Table<'_>, name: &str) -> Result<(String, String), ContractError> {
    let silver = match root.get("silver") {
        Some(field) => collection(&field)?,
        None => name.to_owned(),
    };
    match root.get("bronze") {
        Some(field) => {
            let bronze = collection(&field)?;
            if bronze == silver {
                return Err(field.error(Problem::NameTaken { name: bronze, by: "silver" }));
            }
            Ok((silver, bronze))
        }
        None => Ok((silver, format!("{name}_raw"))),
    }
}

fn collection(field: &Field<'_>) -> Result<String, ContractError> {
    let name = field.string()?;
    match collection_rule(name) {
        Some(rule) => Err(field.error(Problem::BadName { name: name.to_owned(), what: "a collection", rule })),
        None => Ok(name.to_owned()),
    }
}

/// The rule that a collection's name breaks.
fn collection_rule(name: &str) -> Option<&'static str> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if name.is_empty() || name.len() > 100 || !name.bytes().all(fits) {
        return Some("only letters, digits, _ and - are allowed, 1 to 100 of them");
    }
    if name == "rejected_rows" {
        return Some("the dead letters of all contracts are there");
    }
    name.starts_with("ensemble_").then_some("names that begin with ensemble_ are kept for the program itself")
}

fn key(field: &Field<'_>, columns: &[Column]) -> Result<usize, ContractError> {
    let name = field.string()?;
    let Some(key) = columns.iter().position(|c| c.name == name) else {
        let hint = Hint::near(name, columns.iter().map(|c| c.name.as_str()));
        let place = field.place().to_owned();
        return Err(field.error(Problem::UnknownColumn { name: name.to_owned(), key: "key", place, hint }));
    };
    match columns.get(key) {
        Some(column) if !column.required => Err(field.error(Problem::KeyNotRequired { column: column.name.clone() })),
        _ => Ok(key),
    }
}

/// The most characters of a text that becomes a key, of silver or of a gold view: stores keep keys in their indexes, and
/// none takes keys of any length. A contract may ask for fewer, not for more.
const MAX_KEY_LENGTH: usize = 4096;

fn bound_key_texts(columns: &mut [Column], key: usize, views: &[View]) {
    let grouped = views.iter().flat_map(|v| &v.by).map(|by| by.column);
    for index in grouped.chain([key]) {
        if let Some(column) = columns.get_mut(index).filter(|c| c.ty == ColumnType::String) {
            column.max_length = Some(column.max_length.map_or(MAX_KEY_LENGTH, |n| n.min(MAX_KEY_LENGTH)));
        }
    }
}

fn limits(root: &Table<'_>) -> Result<Limits, ContractError> {
    let mut limits = Limits { max_reject_ratio: 0.05, after_rows: 10_000 };
    let Some(field) = root.get("limits") else { return Ok(limits) };
    let table = field.table("[limits]".to_owned())?;
    table.allow(["max_reject_ratio", "after_rows"].into_iter())?;
    if let Some(field) = table.get("max_reject_ratio") {
        let ratio = field.number()?;
        if !(0.0..=1.0).contains(&ratio) {
            return Err(field.out_of_bounds("max_reject_ratio", "from 0 to 1"));
        }
        limits.max_reject_ratio = ratio;
    }
    if let Some(field) = table.get("after_rows") {
        limits.after_rows =
            u64::try_from(field.integer()?).map_err(|_| field.out_of_bounds("after_rows", "0 or more"))?;
    }
    Ok(limits)
}

/// Lower-case hex SHA-256.
fn sha256(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
