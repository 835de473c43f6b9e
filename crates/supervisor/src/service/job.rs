//! A job as clients see it.

use ensemble_protocol::{Refusal, v1};
use ensemble_store::{JobId, JobNumber, Store};
use prost_types::Timestamp;
use tonic::Status;

use crate::{Ending, JobRecord, JobState, JobStatus, SupervisorError, Totals};

/// How many ledger entries are read at once.
const PAGE: usize = 1024;

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
        state: state(live.map_or(record.state, |s| s.state)).into(),
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

pub(super) fn state(state: JobState) -> v1::JobState {
    match state {
        JobState::Queued => v1::JobState::Queued,
        JobState::Running => v1::JobState::Running,
        JobState::Paused => v1::JobState::Paused,
        JobState::Stopping => v1::JobState::Stopping,
        JobState::Succeeded => v1::JobState::Succeeded,
        JobState::Failed => v1::JobState::Failed,
        JobState::Cancelled => v1::JobState::Cancelled,
    }
}

/// A job's name.
pub(super) fn id(text: &str) -> Result<JobId, Status> {
    text.parse().map_err(|_| Refusal::InvalidField("job_id").status(format!("{text:?} is no job's id: a UUID is")))
}

/// What a job that nobody works on has settled.
pub(super) async fn settled(store: &dyn Store, record: &JobRecord) -> Result<Totals, SupervisorError> {
    match &record.totals {
        Some(totals) => Ok(totals.clone()),
        None => ledger_totals(store, record.number).await,
    }
}

/// What a job's ledger adds up to.
async fn ledger_totals(store: &dyn Store, job: JobNumber) -> Result<Totals, SupervisorError> {
    let (mut totals, mut from) = (Totals::default(), 0);
    loop {
        let page = store.scan_ledger(job, from, PAGE).await?;
        page.iter().for_each(|entry| totals.add(entry));
        match page.last() {
            Some(last) if page.len() == PAGE => from = last.plan.shard.number + 1,
            _ => return Ok(totals),
        }
    }
}
