//! A job as clients see it.

use ensemble_protocol::{Refusal, v1};
use ensemble_store::{JobId, Store};
use prost_types::Timestamp;
use tonic::Status;

use crate::{Ending, JobRecord, JobStatus, Totals};

/// A job; `live` where this process works on it.
pub(super) fn message(record: &JobRecord, totals: &Totals, live: Option<&JobStatus>, store: &dyn Store) -> v1::Job {
    let active_us = live.map_or(record.active_us, |s| s.active_us);
    let ended = match &record.ending {
        Some(Ending::Failed { reason }) => Some(reason.clone()),
        _ => None,
    };
    v1::Job {
        job_id: record.id.to_string(),
        job_number: record.number.0,
        state: v1::JobState::from(live.map_or(record.state, |s| s.state)).into(),
        contract: record.contract.name.clone(),
        silver: record.contract.silver.clone(),
        files: record.files().iter().map(|file| file.name.clone()).collect(),
        source_bytes: record.source_bytes(),
        counts: Some(v1::Counts {
            rows: totals.rows,
            accepted: totals.accepted(),
            updated: totals.updated,
            duplicates: totals.all_duplicates(),
            rejected: totals.rejected(),
            rejected_by_rule: totals.rejected_by_rule.clone().into_iter().collect(),
            bytes: totals.bytes,
            shards: totals.shards,
        }),
        ignored_columns: record.ignored_columns(),
        active_seconds: active_us as f64 / 1e6,
        reason: live.map_or(ended, |s| s.reason.clone()),
        stalled: live.and_then(|s| s.stalled.clone()),
        created_at: Some(timestamp(record.created_at_us)),
        ended_at: record.ended_at_us.map(timestamp),
        weight: record.weight,
        store: store.describe(),
    }
}

fn timestamp(us: i64) -> Timestamp {
    Timestamp { seconds: us.div_euclid(1_000_000), nanos: (us.rem_euclid(1_000_000) * 1000) as i32 }
}

/// A job's name.
pub(super) fn id(text: &str) -> Result<JobId, Status> {
    text.parse().map_err(|_| Refusal::InvalidField("job_id").status(format!("{text:?} is no job's id: a UUID is")))
}
