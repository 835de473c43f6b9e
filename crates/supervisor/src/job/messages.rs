//! What a job is spawned with, and what it is told.

use std::{io::Read, sync::Arc};

use bytes::Bytes;
use ensemble_events::EventLog;
use ensemble_protocol::v1;
use ensemble_store::{Clock, LedgerEntry, Patience, Stamp, StoreError};
use ractor::{ActorId, ActorRef, ActorRuntime, SpawnErr, concurrency::JoinHandle};
use tokio::sync::watch;

use super::{Job, start};
use crate::{
    AggregatorHandle, Aside, Ending, JobRecord, JobStatus, Office, SupervisorError, SupervisorOptions,
    planner::Planned, session::Offer, supervisor::SupervisorMsg, table::SessionId,
};

/// Speaks to a job.
#[derive(Debug, Clone)]
pub(crate) struct JobRef(pub(super) ActorRef<JobMsg>);

/// Whether a job has begun.
pub(crate) struct Started(JoinHandle<Result<JoinHandle<()>, SpawnErr>>);

impl Started {
    /// Waits until the job has begun.
    pub(crate) async fn wait(self) -> Result<(), SupervisorError> {
        match self.0.await {
            Ok(started) => Ok(started.map(drop)?),
            Err(_) => Err(SupervisorError::NoAnswer("job")),
        }
    }
}

impl JobRef {
    /// Starts a job. It can be spoken to at once, and has begun once `Started` says so: it reads its ledger first, which
    /// others should not wait for.
    pub(crate) fn spawn(args: JobArgs) -> Result<(Self, watch::Receiver<JobStatus>, Started), SpawnErr> {
        let (status, watcher) = watch::channel(start::first_status(&args.record));
        tell_of_stalls(args.patience.stalled(), status.clone());
        let supervisor = args.supervisor.get_cell();
        let (actor, started) = ActorRuntime::spawn_linked_instant(None, Job, (args, status), supervisor)?;
        Ok((Self(actor), watcher, Started(started)))
    }

    pub(crate) fn is(&self, actor: ActorId) -> bool {
        self.0.get_id() == actor
    }

    /// A job that is over needs no messages any more.
    pub(crate) fn cast(&self, message: JobMsg) {
        let _ = self.0.cast(message);
    }
}

/// Tells the watchers of a job when the store is waited for: the job itself may be what waits.
fn tell_of_stalls(mut stalled: watch::Receiver<Option<String>>, status: watch::Sender<JobStatus>) {
    tokio::spawn(async move {
        loop {
            tokio::select! {
                changed = stalled.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let reason = stalled.borrow_and_update().clone();
                    status.send_modify(|s| s.stalled = reason);
                }
                () = status.closed() => return,
            }
        }
    });
}

pub(crate) struct JobArgs {
    pub(crate) record: JobRecord,
    pub(crate) stamp: Stamp,
    /// Standard input, where this process reads it.
    pub(crate) stream: Option<Box<dyn Read + Send>>,
    /// How the job is to be ended instead of resumed.
    pub(crate) ending: Option<Ending>,
    pub(crate) office: Office,
    pub(crate) patience: Arc<Patience>,
    pub(crate) events: Arc<dyn EventLog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) aggregator: AggregatorHandle,
    pub(crate) options: SupervisorOptions,
    pub(crate) supervisor: ActorRef<SupervisorMsg>,
}

/// What a job is told.
pub(crate) enum JobMsg {
    /// From the planner.
    Planned(Planned),
    /// From a fetch: the shard's bytes are here (and durable, where the source cannot be read twice).
    Fetched(u32, Result<Bytes, SupervisorError>),
    /// From the job's own timer: the shard's source could not be read, and may by now.
    FetchAgain(u32),
    /// From the supervisor: a session's credit. Answered once, by `assign` or by `Dry`.
    Take(Offer),
    /// From a session or an aside: this entry is in the ledger. Harmless when repeated.
    Settled(Arc<LedgerEntry>),
    /// From giving a shard up.
    GivenUp(u32, Result<Aside, StoreError>),
    /// From a session: the worker has these no more, and did not finish them.
    Released { session: SessionId, numbers: Vec<u32> },
    /// From a session: the worker could not finish this one.
    Failed { session: SessionId, number: u32, class: v1::FailureClass, reason: String },
    /// From a session: the worker still works on these.
    Beat { session: SessionId, numbers: Vec<u32> },
    /// From the supervisor: the session is gone.
    SessionGone(SessionId),
    /// From a person: settle what was leased and end so. The first one counts.
    Stop(Ending),
    /// From a person: lease nothing more until the job is resumed.
    Pause,
    /// From the process, which is to end: lease nothing more.
    Interrupt,
    /// From the job's own timer.
    Tick,
}

impl std::fmt::Debug for JobMsg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JobMsg")
    }
}
