//! The jobs of a store, and the rows that claims stand for.

use std::sync::Arc;

use bytes::Bytes;
use ensemble_contract::{RowError, RowRef, Value as RowValue};
use ensemble_store::{Claim, Decision, DecisionRecord, JobId, Position, ShardId, Store};
use ensemble_validation::{Found, JobContext, Place, RecordPlace, find};
use serde_json::{Map, Value};

use super::{ClaimedRow, ExplainError, SourceRow, find::name};
use crate::{JobRecord, list_jobs};

/// A store and its jobs.
pub(super) struct History<'a> {
    pub(super) store: &'a dyn Store,
    jobs: Vec<JobRecord>,
}

impl<'a> History<'a> {
    pub(super) async fn read(store: &'a dyn Store) -> Result<Self, ExplainError> {
        Ok(Self { store, jobs: list_jobs(store).await?.into_iter().map(|(_, job)| job).collect() })
    }

    pub(super) fn job(&self, id: JobId) -> Result<&JobRecord, ExplainError> {
        self.jobs.iter().find(|job| job.id == id).ok_or(ExplainError::UnknownJob(id))
    }

    /// The names of the silver collections, that of the latest job first.
    pub(super) fn collections(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for job in self.jobs.iter().rev() {
            if !names.contains(&job.contract.silver.as_str()) {
                names.push(&job.contract.silver);
            }
        }
        names
    }

    /// A shard's bronze document.
    pub(super) async fn bronze(&self, shard: ShardId) -> Result<DecisionRecord, ExplainError> {
        let lost = || ExplainError::Inconsistent(format!("shard {shard} is settled, and bronze does not have it"));
        self.store.decision(shard).await?.ok_or_else(lost)
    }

    /// The row of a claim, and its values.
    pub(super) async fn claimed(&self, silver: &str, key: &str, claim: &Claim) -> Result<ClaimedRow, ExplainError> {
        let (job, context) = self.job_of(claim.shard)?;
        let unreadable = |source| ExplainError::Fields { silver: silver.to_owned(), key: key.to_owned(), source };
        let row = self.row_of(job, Arc::clone(&context), claim).await?;
        decoded(row, &context, &claim.fields).map_err(unreadable)
    }

    /// The row that made a claim.
    pub(super) async fn claimer(&self, claim: &Claim) -> Result<SourceRow, ExplainError> {
        let (job, context) = self.job_of(claim.shard)?;
        self.row_of(job, context, claim).await
    }

    /// The row of a shard at this position.
    pub(super) async fn row(&self, shard: ShardId, position: Position) -> Result<SourceRow, ExplainError> {
        let (job, context) = self.job_of(shard)?;
        self.row_at(job, context, shard, position).await
    }

    fn job_of(&self, shard: ShardId) -> Result<(&JobRecord, Arc<JobContext>), ExplainError> {
        let lost = || ExplainError::Inconsistent(format!("silver names shard {shard}, and there is no such job"));
        let job = self.jobs.iter().find(|job| job.number == shard.job).ok_or_else(lost)?;
        Ok((job, context(job)?))
    }

    async fn row_of(
        &self,
        job: &JobRecord,
        context: Arc<JobContext>,
        claim: &Claim,
    ) -> Result<SourceRow, ExplainError> {
        let position = context.position(claim.rank);
        if context.rank(position) != claim.rank {
            let what = format!("silver has rank {:?} for a row of shard {}", claim.rank.0, claim.shard);
            return Err(ExplainError::Inconsistent(format!("{what}, which is none of its job's")));
        }
        self.row_at(job, context, claim.shard, position).await
    }

    async fn row_at(
        &self,
        job: &JobRecord,
        context: Arc<JobContext>,
        shard: ShardId,
        position: Position,
    ) -> Result<SourceRow, ExplainError> {
        let DecisionRecord { plan, decision } = self.bronze(shard).await?;
        let (offset, file) = (position.offset(), position.file());
        let lost = || {
            let what = format!("silver names a row at byte {offset} of {}", name(job, file));
            ExplainError::Inconsistent(format!("{what}, and bronze has no row there"))
        };
        let Decision::Process { bytes, .. } = decision else { return Err(lost()) };
        if plan.file != file {
            return Err(lost());
        }
        match blocking(move || find(&context, &plan, &bytes, Place::Offset(offset))).await?? {
            Found::Record((place, _)) if place.offset == offset => Ok(source_row(job, file, shard, place)),
            _ => Err(lost()),
        }
    }
}

/// What judges a job's rows.
pub(super) fn context(job: &JobRecord) -> Result<Arc<JobContext>, ExplainError> {
    JobContext::new(&job.spec()).map(Arc::new).map_err(|source| ExplainError::Spec { job: job.id, source })
}

pub(super) fn source_row(job: &JobRecord, file: u32, shard: ShardId, place: RecordPlace) -> SourceRow {
    let RecordPlace { offset, line, raw, length } = place;
    SourceRow { job: job.id, file: name(job, file).to_owned(), shard: shard.number, line, offset, raw, length }
}

/// Runs what takes some milliseconds a MiB off the runtime's threads.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ExplainError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| ExplainError::Panicked(e.to_string()))
}

/// A row with its values, as silver has them.
fn decoded(row: SourceRow, context: &JobContext, fields: &Bytes) -> Result<ClaimedRow, RowError> {
    let mut encoded = RowRef::new(fields);
    let mut values = Map::new();
    for column in &context.contract.columns {
        let Some(value) = encoded.next_value()? else { break };
        values.insert(column.name.clone(), plain(value));
    }
    let extra = encoded.extra()?.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    Ok(ClaimedRow { row, values, extra })
}

/// A value as JSON has it.
pub(super) fn plain(value: RowValue<'_>) -> Value {
    match value {
        RowValue::Null => Value::Null,
        RowValue::Bool(v) => v.into(),
        RowValue::Int(v) => v.into(),
        RowValue::Float(v) => v.to_f64().into(),
        RowValue::Str(v) => v.into(),
    }
}
