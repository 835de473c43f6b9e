//! From a shard's bytes to verdicts: pure, without input or output.
//!
//! A [`JobContext`] is a job's specification, compiled once; [`validate`] judges the rows of one shard under it. Workers
//! run it before they commit, verification runs it again over bronze, and [`examine`] asks it about one record.

mod context;
mod error;
mod examine;
mod validate;

pub use context::{FileContext, JobContext};
pub use error::{SpecError, ValidateError};
pub use examine::{Examined, ExaminedColumn, ExaminedRecord, Found, Judged, Place, RecordPlace, examine, find};
pub use validate::{Fold, ValidatedShard, validate};
