//! Contracts: what a valid row is, how it is standardised, and the verdict on each row.
//!
//! Pure: no input or output, no async. A [`Contract`] is read from TOML, bound to the header of one file
//! ([`Binding`]), and then a [`Judge`] judges records, one [`Verdict`] a record. An accepted record becomes a
//! [`row`]: the standardised values in the contract's column order, in a compact encoding that every layer stores
//! and reads.
//!
//! A value goes this way: trim (Unicode `White_Space`) → `normalise` in order → null if it is one of `null_tokens` →
//! `required` → type → range → `one_of` → `pattern` → `max_length`. The first failure ends that column; the other
//! columns are still judged, so that a rejection names everything that is wrong with a row.

mod bind;
mod builtin;
mod calendar;
mod decimal;
mod error;
mod judge;
mod model;
mod number;
mod parse;
pub mod row;
mod suggest;
mod text;

pub use bind::{BindError, Binding, MissingColumn};
pub use builtin::{builtin, builtin_names};
pub use error::{ContractError, Hint, Problem, RangeProblem};
pub use judge::{AcceptedSpan, ColumnVerdict, FieldVerdict, Judge, Record, Rejection, Rule, Span, Verdict};
pub use model::{Bound, Column, ColumnType, Contract, GroupBy, Keep, Limits, Normalise, Range, UnknownColumns, View};
pub use number::Decimal9;
pub use parse::TestHooks;
pub use row::{Float, RowError, RowRef, RowWriter, Value};
pub use suggest::{did_you_mean, nearest};
pub use text::{title_case, trim};

/// The version of what the rules mean. It goes up with every change after which some contract would give some row
/// another verdict or another standardised value; a job pins it together with its contract's text.
pub const ENGINE_VERSION: u32 = 1;
