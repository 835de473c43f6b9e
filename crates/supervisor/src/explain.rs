//! Why a row or a key is in silver as it is, or why it is not.
//!
//! Plain functions over a store that only read, and no more than they need: the jobs, the ledger entries that lead to a
//! shard, the shards of the rows that are named, and one silver document. Rows are judged again by what workers judge
//! them with.

mod error;
mod find;
mod history;
mod key;
mod row;

use bytes::Bytes;
use ensemble_contract::Keep;
use ensemble_store::JobId;
use ensemble_validation::Place;
use serde_json::{Map, Value};

pub use self::{error::ExplainError, key::explain_key, row::explain_row};

/// Which row is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowQuery {
    /// The job that read it.
    pub job: JobId,
    /// The file, by its name or as `#N` for the job's Nth; may be left out where the job has one.
    pub file: Option<String>,
    /// A line or a byte of the record.
    pub at: Place,
}

/// A row, judged again, and what has become of it.
#[derive(Debug, Clone, PartialEq)]
pub struct RowExplanation {
    /// Where it stands.
    pub row: SourceRow,
    /// The silver collection that its job fills.
    pub silver: String,
    /// Which row of a key is live there.
    pub keep: Keep,
    /// The contract's columns in their order.
    pub columns: Vec<ExplainedColumn>,
    /// The key, where it was accepted.
    pub key: Option<String>,
    /// What has become of it.
    pub outcome: RowOutcome,
}

/// A record of a job's source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRow {
    /// The job.
    pub job: JobId,
    /// The file's name.
    pub file: String,
    /// The shard's number in the job.
    pub shard: u32,
    /// The record's first line, counted from 1. It is 0, and what follows is empty, where nothing is known of the
    /// record: its shard was set aside without its bytes.
    pub line: u64,
    /// The record's first byte in the file.
    pub offset: u64,
    /// The record without its line end; at most the first 64 KiB.
    pub raw: Bytes,
    /// The record's bytes in the file without its line end.
    pub length: u64,
}

/// What one column made of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainedColumn {
    /// The contract's name for it.
    pub column: String,
    /// The header's name for the field that it was taken from; `None` where the header lacks the column.
    pub header: Option<String>,
    /// The field as it came, without quotes; `None` where the record has no such field.
    pub raw: Option<Bytes>,
    /// The standardised value: null, or a plain one. Null as well where there is none.
    pub value: Value,
    /// The rule that the field breaks.
    pub rule: Option<String>,
    /// Whether the field was judged: it is not where the record breaks a rule on the whole row, or was set aside.
    pub judged: bool,
}

/// What has become of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowOutcome {
    /// It breaks these rules; the first one counts.
    Rejected {
        /// The first of each column, in column order, or one on the whole row.
        rules: Vec<String>,
    },
    /// It is live in silver.
    Live,
    /// It was live, and a row that goes before it has taken its key.
    Displaced {
        /// The row that took it; `None` where that is no longer recorded.
        by: Option<SourceRow>,
        /// The row that is live.
        live: SourceRow,
    },
    /// Another row that goes before it had its key already, or has it in the same shard.
    Duplicate {
        /// That row.
        of: SourceRow,
        /// The row that is live.
        live: SourceRow,
    },
    /// A row that goes before it is live. Whether this one was live for a time is no longer recorded.
    Superseded {
        /// The row that is live.
        live: SourceRow,
    },
    /// Its shard was set aside: none of its rows counts.
    Aside {
        /// Why.
        reason: String,
    },
}

/// A key of silver, and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyExplanation {
    /// The silver collection.
    pub silver: String,
    /// The key.
    pub key: String,
    /// Which row of a key is live there.
    pub keep: Keep,
    /// The live row.
    pub live: ClaimedRow,
    /// The rows that it and others have displaced and that are still recorded, the last one first.
    pub displaced: Vec<ClaimedRow>,
}

/// A row that has, or had, a key.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedRow {
    /// Where it comes from.
    pub row: SourceRow,
    /// Its standardised values by column, in the contract's order, as silver has them.
    pub values: Map<String, Value>,
    /// The texts of columns that the contract does not know and keeps.
    pub extra: Vec<(String, String)>,
}

#[cfg(test)]
mod tests;
