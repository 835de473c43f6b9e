//! Handles on a supervisor and on its jobs: what the rest of the program speaks to.

use std::{io::Read, sync::Arc, time::Duration};

use ensemble_events::EventLog;
use ensemble_gold::GoldRow;
use ensemble_protocol::SupervisorEnd;
use ensemble_store::{Clock, DocumentKind, JobId, JobNumber, Patience, PatientStore, Stamp, Store};
use ractor::{Actor, ActorRef, RpcReplyPort, rpc::CallResult};
use tokio::sync::watch;

use crate::{
    AggregatorHandle, Ending, JobRecord, JobState, JobStatus, Office, Submission, SupervisorError,
    job::{JobMsg, JobRef},
    supervisor::{StartJob, Supervisor, SupervisorArgs, SupervisorMsg},
};

/// How long a call to the supervisor may take: it may be reading the ledger of a large job.
const CALL_TIMEOUT: Duration = Duration::from_secs(600);

/// How long the end of a supervisor waits for gold to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(120);

/// The bounds of a supervisor.
#[derive(Debug, Clone)]
pub struct SupervisorOptions {
    /// How long a lease holds without a heartbeat.
    pub lease: Duration,
    /// How many bytes of a job are read ahead.
    pub read_ahead_bytes: u64,
    /// Gold is written at most this often.
    pub gold_flush_interval: Duration,
}

impl Default for SupervisorOptions {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            read_ahead_bytes: 16 << 20,
            gold_flush_interval: Duration::from_millis(250),
        }
    }
}

/// Speaks to the supervisor of this process.
#[derive(Clone)]
pub struct SupervisorHandle {
    actor: ActorRef<SupervisorMsg>,
    office: Office,
    clock: Arc<dyn Clock>,
    aggregator: AggregatorHandle,
    patience: Arc<Patience>,
    lease: Duration,
}

/// Speaks to a job and watches it.
#[derive(Debug, Clone)]
pub struct JobHandle {
    pub(crate) job: JobRef,
    pub(crate) status: watch::Receiver<JobStatus>,
    /// As the job was when this process began with it.
    pub(crate) record: Arc<JobRecord>,
}

impl JobHandle {
    /// The job as it is now; call `changed` on it to wait for news.
    pub fn status(&self) -> watch::Receiver<JobStatus> {
        self.status.clone()
    }

    /// Waits until this process does nothing more for the job, and returns its last status.
    pub async fn over(&self) -> JobStatus {
        let mut status = self.status.clone();
        // A job that is gone without a word has left its last status behind.
        let _ = status.wait_for(|s| s.over).await;
        status.borrow().clone()
    }

    /// Whether this and the other speak to the same actor: a job that is resumed has a new one.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.status.same_channel(&other.status)
    }

    /// Settles what was leased and ends the job.
    pub fn stop(&self, ending: Ending) {
        self.job.cast(JobMsg::Stop(ending));
    }

    /// Leases nothing more and marks the job as paused; once what workers hold is settled it is over here.
    pub fn pause(&self) {
        self.job.cast(JobMsg::Pause);
    }

    /// Leases nothing more; once what workers hold is settled the job is over here, and can be resumed.
    pub fn interrupt(&self) {
        self.job.cast(JobMsg::Interrupt);
    }
}

impl SupervisorHandle {
    /// Takes office over a store, whoever was in it. From then on a store that is away is waited for, and
    /// [`JobStatus::stalled`] says so.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn start(
        store: Arc<dyn Store>,
        events: Arc<dyn EventLog>,
        clock: Arc<dyn Clock>,
        options: SupervisorOptions,
    ) -> Result<Self, SupervisorError> {
        let patience = Arc::new(Patience::new(Arc::clone(&clock)));
        let office = Office::take(Arc::new(PatientStore::new(store, Arc::clone(&patience)))).await?;
        Self::begin(office, patience, events, clock, options).await
    }

    /// [`SupervisorHandle::start`] in an office that has been taken.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn in_office(
        office: &Office,
        events: Arc<dyn EventLog>,
        clock: Arc<dyn Clock>,
        options: SupervisorOptions,
    ) -> Result<Self, SupervisorError> {
        let patience = Arc::new(Patience::new(Arc::clone(&clock)));
        let office = office.over(Arc::new(PatientStore::new(Arc::clone(office.store()), Arc::clone(&patience))));
        Self::begin(office, patience, events, clock, options).await
    }

    async fn begin(
        office: Office,
        patience: Arc<Patience>,
        events: Arc<dyn EventLog>,
        clock: Arc<dyn Clock>,
        options: SupervisorOptions,
    ) -> Result<Self, SupervisorError> {
        let lease = options.lease;
        let aggregator = AggregatorHandle::spawn(office.clone(), options.gold_flush_interval).await?;
        let args = SupervisorArgs {
            office: office.clone(),
            events,
            clock: Arc::clone(&clock),
            options,
            aggregator: aggregator.clone(),
            patience: Arc::clone(&patience),
        };
        let (actor, _) = Actor::spawn(None, Supervisor, args).await?;
        Ok(Self { actor, office, clock, aggregator, patience, lease })
    }

    /// Takes a worker on.
    ///
    /// # Errors
    /// Where the supervisor is gone.
    pub async fn attach(&self, link: SupervisorEnd) -> Result<(), SupervisorError> {
        self.call(|reply| SupervisorMsg::Attach(link, reply)).await?
    }

    /// Starts a new job. One whose header does not fit its contract fails at once. For one caller at a time: of two, one
    /// would take the other's number for a successor's.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn submit(&self, submission: Submission) -> Result<(JobHandle, JobRecord), SupervisorError> {
        let number = self.next_number().await?;
        self.submit_as(number, submission).await
    }

    /// The next job's number, and when its source counts as observed. A number that is not used is passed over.
    pub(crate) async fn next_number(&self) -> Result<(JobNumber, i64), SupervisorError> {
        self.office.next_job(self.clock.now_us()).await
    }

    /// [`SupervisorHandle::submit`] under a number that was given out for it.
    pub(crate) async fn submit_as(
        &self,
        (number, observed_at_us): (JobNumber, i64),
        mut submission: Submission,
    ) -> Result<(JobHandle, JobRecord), SupervisorError> {
        let stream = submission.stream.take();
        let misfit = submission.misfit.take();
        let record = JobRecord {
            id: submission.id.unwrap_or_else(|| JobId(uuid::Uuid::now_v7())),
            number,
            state: if misfit.is_some() { JobState::Stopping } else { JobState::Queued },
            ending: misfit.map(|reason| Ending::Failed { reason }),
            contract: submission.contract,
            source: submission.source,
            shard_bytes: submission.shard_bytes,
            weight: submission.weight.max(1),
            record_limit_bytes: submission.record_limit_bytes,
            observed_at_us,
            created_at_us: self.clock.now_us(),
            ended_at_us: None,
            active_us: 0,
            leased_below: 0,
            totals: None,
        };
        self.office.store().declare_bronze(number, &record.compile()?.bronze).await?;
        let stamp = self.office.write(DocumentKind::Job, &record.id.to_string(), None, &record).await?;
        self.office.confirm().await?;
        Ok((self.start_job(stamp, record.clone(), stream, None).await?, record))
    }

    /// Goes on with a job that is not over, or, where `ending` is given, settles it and ends it so.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn resume(
        &self,
        stamp: Stamp,
        record: JobRecord,
        ending: Option<Ending>,
    ) -> Result<JobHandle, SupervisorError> {
        self.start_job(stamp, record, None, ending).await
    }

    async fn start_job(
        &self,
        stamp: Stamp,
        record: JobRecord,
        stream: Option<Box<dyn Read + Send>>,
        ending: Option<Ending>,
    ) -> Result<JobHandle, SupervisorError> {
        self.aggregator.register(&record).await?;
        let start = Box::new(StartJob { stamp, record, stream, ending });
        self.call(|reply| SupervisorMsg::StartJob(start, reply)).await?
    }

    /// The rows of a gold view, all that is settled; `None` where no job of this term fills its collection.
    ///
    /// # Errors
    /// [`SupervisorError::NoAnswer`] where the supervisor has ended.
    pub async fn gold(&self, silver: &str, view: &str) -> Result<Option<Vec<GoldRow>>, SupervisorError> {
        self.aggregator.rows(silver, view).await
    }

    /// The office that this supervisor is in.
    pub fn office(&self) -> &Office {
        &self.office
    }

    /// What the supervisor waits for: the store, where it is away.
    pub fn stalled(&self) -> Option<String> {
        self.patience.stalled().borrow().clone()
    }

    /// Waits for a store that is away one lease longer at the most: the process is to end.
    pub fn hurry(&self) {
        self.patience.end_within(self.lease);
    }

    /// Writes gold out and stops. Workers drain; jobs that are not over can be resumed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn shutdown(self) -> Result<(), SupervisorError> {
        let _ = self.actor.cast(SupervisorMsg::Drain);
        // What the store does not take now is in the ledger.
        let late = |_| Err(SupervisorError::NoAnswer("aggregator"));
        let flushed = tokio::time::timeout(FLUSH_TIMEOUT, self.aggregator.flush()).await.unwrap_or_else(late);
        self.aggregator.stop();
        self.actor.stop(None);
        flushed
    }

    /// Ends at once: another supervisor is in office. Workers lose their links, and find it.
    pub fn abandon(&self) {
        self.aggregator.stop();
        self.actor.kill();
    }

    async fn call<T: Send + 'static>(
        &self,
        message: impl FnOnce(RpcReplyPort<T>) -> SupervisorMsg,
    ) -> Result<T, SupervisorError> {
        match self.actor.call(message, Some(CALL_TIMEOUT)).await {
            Ok(CallResult::Success(reply)) => Ok(reply),
            _ => Err(SupervisorError::NoAnswer("supervisor")),
        }
    }
}
