//! Contracts: what a valid row is, how it is standardised, and the verdict on each row.
//!
//! Pure: no input or output, no async. A [`Contract`] is read from TOML, bound to the header of one file
//! ([`Binding`]), and then judges records, one [`Verdict`] a record. An accepted record becomes a [`row`]: the
//! standardised values in the contract's column order, in a compact encoding that every layer stores and reads.

pub mod row;
mod model;
mod number;

pub use model::{
    Bound, Column, ColumnType, Contract, GroupBy, Keep, Limits, Normalise, Range, UnknownColumns, View,
};
pub use number::Decimal9;
pub use row::{Float, RowError, RowRef, RowWriter, Value};
