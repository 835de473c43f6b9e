//! What a watcher sees of a job.

use ensemble_store::{JobId, JobNumber};
use serde::Serialize;

use crate::{JobState, Totals};

/// A job as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct JobStatus {
    /// The public name.
    pub id: JobId,
    /// The number.
    pub number: JobNumber,
    /// The state.
    pub state: JobState,
    /// What is settled.
    pub totals: Totals,
    /// All bytes of the source, where it is known.
    pub source_bytes: Option<u64>,
    /// How long processes have worked on it, in microseconds.
    pub active_us: u64,
    /// Why it ended, or why it does not go on.
    pub reason: Option<String>,
    /// What it waits for: the store or the event log is away, and the job goes on by itself once it is back.
    pub stalled: Option<String>,
    /// Whether this process does nothing more for it: it has ended, was interrupted, or cannot go on. In the last two
    /// cases `state` is not terminal, and the job can be resumed.
    pub over: bool,
    /// Whether it is over because it could not go on.
    pub aborted: bool,
}

/// A job's report, as scripts read it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobReport {
    /// The public name.
    pub job: JobId,
    /// The state in lower case; `failed` where the job could not go on.
    pub state: &'static str,
    /// Rows in all.
    pub rows: u64,
    /// Rows that are live in silver by this job alone.
    pub accepted: u64,
    /// Rows whose key another row holds.
    pub duplicates: u64,
    /// Rows that took over a key from an earlier job.
    pub updated: u64,
    /// Rejected rows.
    pub rejected: u64,
    /// Rejected rows by the first rule that failed.
    pub rejected_by_rule: std::collections::BTreeMap<String, u64>,
    /// Header names that no column of the contract takes.
    pub ignored_columns: Vec<String>,
    /// Bytes of the settled shards.
    pub bytes: u64,
    /// Settled shards.
    pub shards: u64,
    /// How long processes have worked on it.
    pub seconds: f64,
    /// The store.
    pub store: String,
    /// Why it ended early, or why it does not go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it waits for, where the store or the event log is away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stalled: Option<String>,
}

impl JobReport {
    /// The report of a job in this state.
    pub fn new(status: &JobStatus, ignored_columns: Vec<String>, store: String) -> Self {
        let totals = &status.totals;
        Self {
            job: status.id,
            state: if status.aborted { "failed" } else { status.state.as_str() },
            rows: totals.rows,
            accepted: totals.accepted(),
            duplicates: totals.all_duplicates(),
            updated: totals.updated,
            rejected: totals.rejected(),
            rejected_by_rule: totals.rejected_by_rule.clone(),
            ignored_columns,
            bytes: totals.bytes,
            shards: totals.shards,
            seconds: (status.active_us / 1000) as f64 / 1000.0,
            store,
            reason: status.reason.clone(),
            stalled: status.stalled.clone(),
        }
    }
}
