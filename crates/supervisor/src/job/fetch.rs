//! What comes from the source, planned shards and a shard's bytes once more, and the giving up of shards. The work runs
//! beside the job and comes back as a message.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use ensemble_sources::{SourceError, csv::PlannedShard};
use ensemble_store::{Clock, Decision, DecisionRecord, ErrorClass, Retry, ShardId, ShardPlan, SpooledShard, Store};

use super::{JobActorState, JobMsg};
use crate::{
    PinnedFile, Source, SupervisorError,
    aside::{bytes_in_store, give_up},
    planner::{Planned, SOURCE_REST, read_again, read_upload_again},
};

/// How long the store may take.
const STORE_TIMEOUT: Duration = Duration::from_secs(60);

impl JobActorState {
    pub(super) async fn planned(&mut self, planned: Planned) -> Result<(), SupervisorError> {
        match planned {
            Planned::Shard(shard, permit) => {
                self.source_trouble = None;
                let number = shard.plan.shard.number;
                if self.table.plan(shard.plan.clone()) {
                    self.permits.insert(number, permit);
                    self.hold(shard);
                }
                Ok(())
            }
            Planned::Waits(reason) => {
                self.source_trouble = Some(reason);
                Ok(())
            }
            Planned::Ended(shards) => {
                self.source_trouble = None;
                self.table.source_ended(shards);
                Ok(())
            }
            // What was read before stands; the rest of the source is not what the job pinned.
            Planned::Failed(e @ SourceError::Changed { .. }) => self.fail(e.to_string()).await,
            Planned::Failed(e) if e.class() == ErrorClass::Fatal => self.fail(e.to_string()).await,
            Planned::Failed(e) => Err(e.into()),
        }
    }

    pub(super) async fn fetched(
        &mut self,
        number: u32,
        bytes: Result<Bytes, SupervisorError>,
    ) -> Result<(), SupervisorError> {
        match bytes {
            Ok(bytes) => {
                self.source_trouble = None;
                self.table.fetched(number, bytes);
            }
            Err(SupervisorError::Source(e)) if e.class() == ErrorClass::Transient => {
                self.source_trouble = Some(e.to_string());
                drop(self.myself.send_after(SOURCE_REST, move || JobMsg::FetchAgain(number)));
            }
            Err(SupervisorError::Source(e @ SourceError::Changed { .. })) => return self.fail(e.to_string()).await,
            Err(e) => return Err(e),
        }
        self.offer_work();
        Ok(())
    }

    /// Takes up a shard that was just read: it can be leased once its bytes can be had again.
    pub(super) fn hold(&mut self, shard: PlannedShard) {
        let number = shard.plan.shard.number;
        if matches!(self.record.source, Source::Files(_)) {
            self.table.fetched(number, shard.bytes);
            self.offer_work();
            return;
        }
        let (store, clock, job) = (Arc::clone(self.office.store()), Arc::clone(&self.clock), self.myself.clone());
        tokio::spawn(async move {
            let spooled = SpooledShard { plan: shard.plan, bytes: shard.bytes };
            let mut retry = retry(&*clock);
            let kept = retry.run(|| store.put_spooled(&spooled)).await;
            let _ = job.cast(JobMsg::Fetched(number, kept.map(|()| spooled.bytes).map_err(Into::into)));
        });
    }

    /// Reads a shard's bytes again, for another lease.
    pub(super) fn fetch(&mut self, number: u32) {
        let Some(plan) = self.table.plan_of(number).cloned() else { return };
        let file = self.record.files().get(plan.file as usize).cloned();
        let (store, clock, job) = (Arc::clone(self.office.store()), Arc::clone(&self.clock), self.myself.clone());
        tokio::spawn(async move {
            let bytes = match bytes_in_store(&*store, &mut retry(&*clock), plan.shard).await {
                Ok(Some((_, bytes))) => Ok(bytes),
                Ok(None) => read_source(Arc::clone(&store), file, plan).await,
                Err(e) => Err(e.into()),
            };
            let _ = job.cast(JobMsg::Fetched(number, bytes));
        });
    }

    /// Sets a shard aside, or finds that it must be finished.
    pub(super) fn give_up(&mut self, number: u32, reason: String) {
        let shard = self.table.shard(number);
        let plan = self.table.plan_of(number).cloned();
        let (store, clock, job) = (Arc::clone(self.office.store()), Arc::clone(&self.clock), self.myself.clone());
        tokio::spawn(async move {
            let given_up = give_up(&*store, &*clock, &mut retry(&*clock), shard, plan, reason).await;
            let _ = job.cast(JobMsg::GivenUp(number, given_up));
        });
    }

    /// A settled shard's spooled bytes are in bronze, or not wanted.
    pub(super) fn forget_spooled(&self, shard: ShardId) {
        if matches!(self.record.source, Source::StandardInput(_)) {
            let store = Arc::clone(self.office.store());
            tokio::spawn(async move {
                // What stays behind takes room and nothing else.
                if let Err(error) = store.delete_spooled(shard).await {
                    tracing::warn!(%shard, %error, "cannot delete a spooled shard");
                }
            });
        }
    }
}

/// The plan and bytes of a shard that was decided as `process`.
pub(super) fn decided_bytes(record: DecisionRecord) -> (ShardPlan, Bytes) {
    let bytes = match record.decision {
        Decision::Process { bytes, .. } => bytes,
        Decision::Aside { bytes, .. } => bytes.unwrap_or_default(),
    };
    (record.plan, bytes)
}

fn retry(clock: &dyn Clock) -> Retry<'_> {
    Retry::within(clock, STORE_TIMEOUT)
}

async fn read_source(
    store: Arc<dyn Store>,
    file: Option<PinnedFile>,
    plan: ShardPlan,
) -> Result<Bytes, SupervisorError> {
    let shard = plan.shard;
    let read = tokio::task::spawn_blocking(move || match file {
        Some(PinnedFile { file: Some(file), .. }) => Some(read_again(&file, &plan)),
        Some(PinnedFile { upload: Some(upload), .. }) => Some(read_upload_again(store, &upload, &plan)),
        _ => None,
    });
    match read.await {
        Ok(Some(bytes)) => Ok(bytes?),
        Ok(None) => Err(SupervisorError::Document {
            what: format!("shard {shard}"),
            reason: "it was read from standard input, and the spool does not have it".to_owned(),
        }),
        Err(_) => Err(SupervisorError::NoAnswer("reading thread")),
    }
}
