//! `[gold]`.

use super::collection_rule;
use super::source::Field;
use crate::decimal::Number;
use crate::error::{ContractError, Hint, Problem};
use crate::model::{Column, ColumnType, GroupBy, View};

/// Rows that the sums of one cell have to have room for.
const ROWS: i128 = 1_000_000_000_000;

/// The views in the file's order. `taken` are the names of the other collections.
pub(super) fn views(field: &Field<'_>, columns: &[Column], taken: &[&str]) -> Result<Vec<View>, ContractError> {
    let table = field.table("[gold]".to_owned())?;
    table.fields().iter().map(|field| view(field, columns, taken)).collect()
}

fn view(field: &Field<'_>, columns: &[Column], taken: &[&str]) -> Result<View, ContractError> {
    let name = field.key.to_owned();
    if let Some(rule) = collection_rule(&name) {
        return Err(field.key_error(Problem::BadName { name, what: "a view", rule }));
    }
    if taken.contains(&name.as_str()) {
        return Err(field.key_error(Problem::NameTaken { name, by: "silver or bronze" }));
    }
    let place = format!("view {name}");
    let table = field.table(place.clone())?;
    table.allow(["by", "measures", "correlate"].into_iter())?;
    if let (Some(_), Some(second)) = (table.get("measures"), table.get("correlate")) {
        return Err(second.key_error(Problem::MeasuresAndCorrelate { place }));
    }
    let view = View {
        name,
        by: table.get("by").map_or(Ok(Vec::new()), |f| group_by(&f, columns))?,
        measures: table.get("measures").map_or(Ok(Vec::new()), |f| summed(&f, "measures", columns))?,
        correlate: table.get("correlate").map_or(Ok(Vec::new()), |f| summed(&f, "correlate", columns))?,
    };
    match table.get("correlate") {
        Some(field) if view.correlate.len() < 2 => Err(field.error(Problem::LonelyCorrelate { place })),
        _ => Ok(view),
    }
}

fn group_by(field: &Field<'_>, columns: &[Column]) -> Result<Vec<GroupBy>, ContractError> {
    let mut parts = Vec::new();
    for (text, at) in field.strings()? {
        let part = part(field, &text, at, columns)?;
        if parts.contains(&part) {
            let place = field.place().to_owned();
            return Err(field.error_at(at, Problem::Repeated { value: text, key: "by", place }));
        }
        parts.push(part);
    }
    Ok(parts)
}

/// `field` or `field/width`.
fn part(field: &Field<'_>, text: &str, at: usize, columns: &[Column]) -> Result<GroupBy, ContractError> {
    let place = || field.place().to_owned();
    let Some((name, width)) = text.split_once('/') else {
        let (column, Column { ty, name, .. }) = find(field, "by", text, at, columns)?;
        if *ty == ColumnType::Float {
            return Err(field.error_at(at, Problem::UnbinnedFloat { column: name.clone(), place: place() }));
        }
        return Ok(GroupBy { column, bin_nano: None });
    };
    let (index, column) = find(field, "by", name, at, columns)?;
    if !column.ty.is_numeric() {
        let problem = Problem::BinOfText { column: column.name.clone(), ty: column.ty, place: place() };
        return Err(field.error_at(at, problem));
    }
    if column.ty == ColumnType::Float && largest(column).is_none() {
        // Without bounds a double may be too large to be counted in billionths.
        return Err(field.error_at(at, Problem::NoFiniteRange { column: column.name.clone(), place: place() }));
    }
    match Number::scan(width.as_bytes()).and_then(|n| n.scaled(9)) {
        Some(bin @ 1..) if !numbered(column, bin.unsigned_abs()) => {
            let problem = Problem::TooManyBins { text: text.to_owned(), column: column.name.clone(), place: place() };
            Err(field.error_at(at, problem))
        }
        Some(bin @ 1..) => Ok(GroupBy { column: index, bin_nano: Some(bin) }),
        _ => Err(field.error_at(at, Problem::BadBin { text: text.to_owned(), place: place() })),
    }
}

/// Columns whose values and squares are summed.
fn summed(field: &Field<'_>, key: &'static str, columns: &[Column]) -> Result<Vec<usize>, ContractError> {
    let place = || field.place().to_owned();
    let mut indexes = Vec::new();
    for (name, at) in field.strings()? {
        let (index, Column { ty, .. }) = find(field, key, &name, at, columns)?;
        let ty = *ty;
        let problem = if indexes.contains(&index) {
            Problem::Repeated { value: name, key, place: place() }
        } else if !ty.is_numeric() {
            Problem::NotNumeric { column: name, ty, key, place: place() }
        } else {
            match columns.get(index).and_then(largest) {
                None => Problem::NoFiniteRange { column: name, place: place() },
                // A product of two columns is at most the larger of their squares, so squares are enough to look at.
                Some(largest) if !fits(largest) => Problem::SumTooLarge { column: name, place: place() },
                Some(_) => {
                    indexes.push(index);
                    continue;
                }
            }
        };
        return Err(field.error_at(at, problem));
    }
    Ok(indexes)
}

/// The largest magnitude within a column's range, in gold's units: ints in 1, floats in billionths.
fn largest(column: &Column) -> Option<u128> {
    let range = column.range?;
    let nano = range.low?.nano.unsigned_abs().max(range.high?.nano.unsigned_abs());
    Some(if column.ty == ColumnType::Float { nano } else { nano.div_ceil(1_000_000_000) })
}

/// Whether every bin of this width, in billionths, has a number of 64 bits. A number without a range has 64 itself.
fn numbered(column: &Column, bin_nano: u128) -> bool {
    let nano = match (largest(column), column.ty) {
        (Some(largest), ColumnType::Float) => Some(largest),
        (Some(largest), _) => largest.checked_mul(1_000_000_000),
        (None, _) => Some(u128::from(i64::MIN.unsigned_abs()) * 1_000_000_000),
    };
    nano.is_some_and(|nano| nano / bin_nano <= u128::from(i64::MIN.unsigned_abs()))
}

fn fits(largest: u128) -> bool {
    let square = largest.checked_mul(largest).and_then(|s| i128::try_from(s).ok());
    square.and_then(|s| s.checked_mul(ROWS)).is_some()
}

fn find<'c>(
    field: &Field<'_>,
    key: &'static str,
    name: &str,
    at: usize,
    columns: &'c [Column],
) -> Result<(usize, &'c Column), ContractError> {
    columns.iter().enumerate().find(|(_, c)| c.name == name).ok_or_else(|| {
        let hint = Hint::near(name, columns.iter().map(|c| c.name.as_str()));
        let (name, place) = (name.to_owned(), field.place().to_owned());
        field.error_at(at, Problem::UnknownColumn { name, key, place, hint })
    })
}
