//! Rows of typed fields, and where they can be written: the one form in which layers leave a store.

mod csv;
mod parquet;

use std::io;

use ensemble_contract::{ColumnType, Contract, RowError, RowRef, Value};
use ensemble_gold::{GoldColumnKind, GoldRow, GoldValue};

pub(crate) use self::{csv::CsvSink, parquet::ParquetSink};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    Float,
    Bool,
    Text,
}

/// A column's name and kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// One value of a row: null, or of its column's kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Field<'a> {
    Null,
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(&'a str),
}

/// Where rows go. Every row has the fields of the columns that the sink was made for, in their order.
pub(crate) trait RowSink {
    /// Writes one row.
    fn row(&mut self, fields: &[Field<'_>]) -> io::Result<()>;

    /// Writes out what is held back. To be called once, after the last row.
    fn finish(&mut self) -> io::Result<()>;
}

impl Column {
    pub(crate) fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), kind }
    }

    /// The columns of a contract's silver.
    pub(crate) fn of_silver(contract: &Contract) -> Vec<Self> {
        let kind = |ty| match ty {
            ColumnType::String | ColumnType::Date | ColumnType::Timestamp => Kind::Text,
            ColumnType::Int | ColumnType::Year => Kind::Int,
            ColumnType::Float => Kind::Float,
            ColumnType::Bool => Kind::Bool,
        };
        contract.columns.iter().map(|c| Self::new(c.name.as_str(), kind(c.ty))).collect()
    }

    /// The columns of a gold view.
    pub(crate) fn of_gold(columns: &[(String, GoldColumnKind)]) -> Vec<Self> {
        let kind = |kind| match kind {
            GoldColumnKind::Int => Kind::Int,
            GoldColumnKind::Float => Kind::Float,
            GoldColumnKind::Bool => Kind::Bool,
            GoldColumnKind::Text => Kind::Text,
        };
        columns.iter().map(|(name, k)| Self::new(name.as_str(), kind(*k))).collect()
    }
}

/// The fields of an encoded row of silver; `fields` is reused from row to row.
pub(crate) fn silver_fields<'a>(encoded: &'a [u8], fields: &mut Vec<Field<'a>>) -> Result<(), RowError> {
    let mut row = RowRef::new(encoded);
    while let Some(value) = row.next_value()? {
        fields.push(match value {
            Value::Null => Field::Null,
            Value::Bool(v) => Field::Bool(v),
            Value::Int(v) => Field::Int(v),
            Value::Float(v) => Field::Float(v.to_f64()),
            Value::Str(v) => Field::Text(v),
        });
    }
    Ok(())
}

/// The fields of a row of gold.
pub(crate) fn gold_fields(row: &GoldRow) -> Vec<Field<'_>> {
    let field = |value| match value {
        &GoldValue::Null => Field::Null,
        &GoldValue::Int(v) => Field::Int(v),
        &GoldValue::Float(v) => Field::Float(v),
        &GoldValue::Bool(v) => Field::Bool(v),
        GoldValue::Text(v) => Field::Text(v),
    };
    row.values().iter().map(field).collect()
}

#[cfg(test)]
mod tests;
