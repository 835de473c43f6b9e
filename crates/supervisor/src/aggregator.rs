//! The aggregator: folds ledger entries into gold and writes gold out.
//!
//! It never waits for the store itself: whoever registers a job reads what is stored, here, on its own side; and what has
//! changed is written beside the [`actor`]. So gold is read and folded whatever the store does.

mod actor;

use std::{sync::Arc, time::Duration};

use ensemble_gold::GoldRow;
use ensemble_store::{JobNumber, LedgerEntry};
use ractor::{Actor, ActorRef, RpcReplyPort, rpc::CallResult};
use tokio::{sync::Mutex, task::JoinError};

use self::actor::{Aggregator, AggregatorArgs};
use crate::{Collection, CurrentHead, JobRecord, Office, SupervisorError, ledger::Pages, list_jobs};

/// How long a caller waits for what takes no time.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// Where the answer to a flush goes.
type Flushed = RpcReplyPort<Result<(), SupervisorError>>;
/// What became of the drafts of a write, by the collections' names.
type Outcomes = Vec<(String, Result<Result<Option<CurrentHead>, SupervisorError>, JoinError>)>;

/// What the aggregator is told.
#[derive(Debug)]
pub(crate) enum AggregatorMsg {
    /// From [`AggregatorHandle::register`]: into which silver collection a job's shards go. The answer is the first of
    /// the job's shards that need not be in its gold yet; `None` where the collection is to be opened first. Harmless
    /// when repeated.
    Register(JobNumber, String, RpcReplyPort<Option<u32>>),
    /// From [`AggregatorHandle::register`]: a collection's gold as it is stored. Once a collection.
    Adopt(Box<Collection>, RpcReplyPort<()>),
    /// From a session or a job: this entry is in the ledger. Harmless when repeated.
    Fold(Arc<LedgerEntry>),
    /// From [`AggregatorHandle::register`]: so are these. Harmless when repeated.
    FoldAll(Vec<LedgerEntry>, RpcReplyPort<Result<(), SupervisorError>>),
    /// From a job that ends, or at shutdown: write everything out, with a checkpoint. Harmless when repeated.
    Flush(Flushed),
    /// From a reader: the rows of a collection's view as they are now; `None` where the collection is not known here.
    Read { silver: String, view: String, reply: RpcReplyPort<Option<Vec<GoldRow>>> },
    /// From the aggregator's own timer. Harmless when repeated.
    Write,
    /// From the write that was under way, once.
    Written(Outcomes),
}

/// Speaks to the aggregator.
#[derive(Debug, Clone)]
pub struct AggregatorHandle {
    actor: ActorRef<AggregatorMsg>,
    office: Office,
    /// One collection is opened at a time: two that open the same one would take each other for a successor.
    opening: Arc<Mutex<()>>,
}

impl AggregatorHandle {
    pub(crate) async fn spawn(office: Office, flush_interval: Duration) -> Result<Self, SupervisorError> {
        let args = AggregatorArgs { office: office.clone(), flush_interval };
        let (actor, _) = Actor::spawn(None, Aggregator, args).await?;
        Ok(Self { actor, office, opening: Arc::default() })
    }

    /// Says which collection a job's shards belong to, and has what is in the job's ledger folded in. All that takes time
    /// is done here: the aggregator goes on folding meanwhile.
    ///
    /// # Errors
    /// Those of the store, or where something stored cannot be read; [`SupervisorError::NoAnswer`].
    pub(crate) async fn register(&self, job: &JobRecord) -> Result<(), SupervisorError> {
        let from = match self.registered(job).await? {
            Some(from) => from,
            None => self.open(job).await?,
        };
        let mut pages = Pages::from(&**self.office.store(), job.number, from);
        while let Some(page) = pages.next().await? {
            self.call(|reply| AggregatorMsg::FoldAll(page, reply)).await??;
        }
        Ok(())
    }

    async fn registered(&self, job: &JobRecord) -> Result<Option<u32>, SupervisorError> {
        self.call(|reply| AggregatorMsg::Register(job.number, job.contract.silver.clone(), reply)).await
    }

    /// Opens the collection of a job, unless another job has come first, and registers the job.
    async fn open(&self, job: &JobRecord) -> Result<u32, SupervisorError> {
        let _one_at_a_time = self.opening.lock().await;
        if let Some(from) = self.registered(job).await? {
            return Ok(from);
        }
        let jobs = list_jobs(&**self.office.store()).await?.into_iter().map(|(_, j)| j).collect::<Vec<_>>();
        let collection = Box::new(Collection::open(&self.office, job, &jobs).await?);
        // However long it takes: nobody may open the collection once more meanwhile.
        answer(self.actor.call(|reply| AggregatorMsg::Adopt(collection, reply), None).await)?;
        self.registered(job).await?.ok_or(SupervisorError::NoAnswer("aggregator"))
    }

    /// Hints at a ledger entry.
    pub(crate) fn fold(&self, entry: Arc<LedgerEntry>) {
        // A stopped aggregator loses nothing: its successor reads the ledger.
        let _ = self.actor.cast(AggregatorMsg::Fold(entry));
    }

    /// Waits until all that was folded before is written, with a checkpoint, for as long as the store takes.
    ///
    /// # Errors
    /// Those of the store; where an entry could not be folded; [`SupervisorError::NoAnswer`] where the aggregator is gone.
    pub async fn flush(&self) -> Result<(), SupervisorError> {
        answer(self.actor.call(AggregatorMsg::Flush, None).await)?
    }

    /// The rows of a view; `None` where nothing is known of the collection or the view.
    ///
    /// # Errors
    /// [`SupervisorError::NoAnswer`] where the aggregator is gone.
    pub(crate) async fn rows(&self, silver: &str, view: &str) -> Result<Option<Vec<GoldRow>>, SupervisorError> {
        let (silver, view) = (silver.to_owned(), view.to_owned());
        self.call(|reply| AggregatorMsg::Read { silver, view, reply }).await
    }

    pub(crate) fn stop(&self) {
        self.actor.stop(None);
    }

    /// For what the aggregator answers at once.
    async fn call<T: Send + 'static>(
        &self,
        message: impl FnOnce(RpcReplyPort<T>) -> AggregatorMsg,
    ) -> Result<T, SupervisorError> {
        answer(self.actor.call(message, Some(CALL_TIMEOUT)).await)
    }
}

fn answer<T, E>(reply: Result<CallResult<T>, E>) -> Result<T, SupervisorError> {
    match reply {
        Ok(CallResult::Success(reply)) => Ok(reply),
        _ => Err(SupervisorError::NoAnswer("aggregator")),
    }
}

#[cfg(test)]
mod tests;
