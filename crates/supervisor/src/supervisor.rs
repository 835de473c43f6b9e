//! The supervisor: takes office, starts jobs, and brings workers' credit and jobs' shards together.
//!
//! Owns the list of jobs and sessions. It never touches a shard. If it dies, its jobs stand in the store and the next
//! supervisor resumes them.

use std::{io::Read, sync::Arc, time::Duration};

use ensemble_events::EventLog;
use ensemble_gold::GoldRow;
use ensemble_protocol::SupervisorEnd;
use ensemble_store::{Clock, DocumentKind, JobId, JobNumber, Patience, PatientStore, Stamp, Store};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent, rpc::CallResult};
use tokio::sync::watch;

use crate::{
    AggregatorHandle, Ending, JobRecord, JobState, JobStatus, Office, Submission, SupervisorError,
    job::{JobArgs, JobMsg, JobRef},
    session::{Offer, SessionArgs, SessionRef},
    table::SessionId,
};

/// How long a call to the supervisor may take: it may be reading the ledger of a large job.
const CALL_TIMEOUT: Duration = Duration::from_secs(600);
/// The largest weight of a job.
pub(crate) const MAX_WEIGHT: u32 = 100;
/// What an offer costs a job of weight 1.
const STRIDE: u64 = 1 << 20;

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
    job: JobRef,
    status: watch::Receiver<JobStatus>,
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
    pub async fn submit(&self, mut submission: Submission) -> Result<(JobHandle, JobRecord), SupervisorError> {
        let now_us = self.clock.now_us();
        let (number, observed_at_us) = self.office.next_job(now_us).await?;
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
            created_at_us: now_us,
            ended_at_us: None,
            active_us: 0,
            leased_below: 0,
            totals: None,
        };
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
    /// [`SupervisorError::NoAnswer`] where gold is being written to a store that is away.
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
        let flushed = self.aggregator.flush().await;
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

pub(crate) struct StartJob {
    stamp: Stamp,
    record: JobRecord,
    stream: Option<Box<dyn Read + Send>>,
    ending: Option<Ending>,
}

impl std::fmt::Debug for StartJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StartJob").field("job", &self.record.id).finish_non_exhaustive()
    }
}

/// What the supervisor is told.
#[derive(Debug)]
pub(crate) enum SupervisorMsg {
    /// A worker's link is up.
    Attach(SupervisorEnd, RpcReplyPort<Result<(), SupervisorError>>),
    /// A job is to be worked on.
    StartJob(Box<StartJob>, RpcReplyPort<Result<JobHandle, SupervisorError>>),
    /// From a session: it has credit.
    Offer(Offer),
    /// From a job: it has shards to lease, after it was dry.
    HasWork(JobNumber),
    /// From a job: it has nothing to lease; the offer is to be made elsewhere.
    Dry(JobNumber, Offer),
    /// From a job: this process does nothing more for it.
    JobOver(JobNumber),
    /// No more leases.
    Drain,
}

struct Supervisor;

struct SupervisorArgs {
    office: Office,
    events: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    options: SupervisorOptions,
    aggregator: AggregatorHandle,
    patience: Arc<Patience>,
}

struct Entry {
    number: JobNumber,
    job: JobHandle,
    has_work: bool,
    /// What an offer adds to `passed`: the less, the more offers the job gets.
    stride: u64,
    /// The job that has the least of those with work gets the next offer (stride scheduling, Waldspurger 1995).
    passed: u64,
}

struct SupervisorState {
    args: SupervisorArgs,
    sessions: Vec<SessionRef>,
    next_session: SessionId,
    jobs: Vec<Entry>,
    /// The least that a job may have passed: one that had no work for a while does not make up for it.
    passed: u64,
    idle: Vec<Offer>,
}

impl Actor for Supervisor {
    type Msg = SupervisorMsg;
    type State = SupervisorState;
    type Arguments = SupervisorArgs;

    async fn pre_start(
        &self,
        _: ActorRef<SupervisorMsg>,
        args: SupervisorArgs,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        Ok(SupervisorState {
            args,
            sessions: Vec::new(),
            next_session: 1,
            jobs: Vec::new(),
            passed: 0,
            idle: Vec::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMsg>,
        message: SupervisorMsg,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SupervisorMsg::Attach(link, reply) => {
                let _ = reply.send(state.attach(myself, link).await);
            }
            SupervisorMsg::StartJob(start, reply) => {
                let _ = reply.send(state.start_job(myself, *start).await);
            }
            SupervisorMsg::Offer(offer) => state.place(offer),
            SupervisorMsg::HasWork(job) => state.has_work(job),
            SupervisorMsg::Dry(job, offer) => state.dry(job, offer),
            SupervisorMsg::JobOver(job) => state.job_over(job),
            SupervisorMsg::Drain => state.sessions.iter().for_each(SessionRef::drain),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<SupervisorMsg>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        let who = match &event {
            SupervisionEvent::ActorTerminated(who, _, _) => who.get_id(),
            SupervisionEvent::ActorFailed(who, reason) => {
                tracing::error!(actor = %who.get_id(), %reason, "an actor failed");
                who.get_id()
            }
            _ => return Ok(()),
        };
        state.session_gone(who);
        // A job that failed is resumed by whoever asks for it.
        state.jobs.retain(|entry| !entry.job.job.is(who));
        Ok(())
    }
}

impl SupervisorState {
    async fn attach(&mut self, myself: ActorRef<SupervisorMsg>, link: SupervisorEnd) -> Result<(), SupervisorError> {
        let args = SessionArgs {
            id: self.next_session,
            link,
            supervisor: myself,
            aggregator: self.args.aggregator.clone(),
            store: Arc::clone(self.args.office.store()),
            clock: Arc::clone(&self.args.clock),
        };
        self.next_session += 1;
        self.sessions.push(SessionRef::spawn(args).await?);
        Ok(())
    }

    async fn start_job(
        &mut self,
        myself: ActorRef<SupervisorMsg>,
        start: StartJob,
    ) -> Result<JobHandle, SupervisorError> {
        let number = start.record.number;
        // One that is being worked on is not begun a second time: the two would depose each other.
        self.jobs.retain(|e| e.number != number || !e.job.status.borrow().over);
        if let Some(entry) = self.jobs.iter().find(|e| e.number == number) {
            if let Some(ending) = start.ending {
                entry.job.stop(ending);
            }
            return Ok(entry.job.clone());
        }
        let stride = STRIDE / u64::from(start.record.weight.clamp(1, MAX_WEIGHT));
        let (job, status) = JobRef::spawn(JobArgs {
            record: start.record,
            stamp: start.stamp,
            stream: start.stream,
            ending: start.ending,
            office: self.args.office.clone(),
            patience: Arc::clone(&self.args.patience),
            events: Arc::clone(&self.args.events),
            clock: Arc::clone(&self.args.clock),
            aggregator: self.args.aggregator.clone(),
            options: self.args.options.clone(),
            supervisor: myself,
        })
        .await?;
        let job = JobHandle { job, status };
        self.jobs.push(Entry { number, job: job.clone(), has_work: false, stride, passed: self.passed });
        Ok(job)
    }

    /// Gives an offer to the next job that has work, or keeps it.
    fn place(&mut self, offer: Offer) {
        match self.jobs.iter_mut().filter(|e| e.has_work).min_by_key(|e| e.passed) {
            Some(entry) => {
                self.passed = entry.passed;
                entry.passed += entry.stride;
                entry.job.job.cast(JobMsg::Take(offer));
            }
            None => self.idle.push(offer),
        }
    }

    fn has_work(&mut self, job: JobNumber) {
        if let Some(entry) = self.jobs.iter_mut().find(|e| e.number == job) {
            entry.has_work = true;
            entry.passed = entry.passed.max(self.passed);
            std::mem::take(&mut self.idle).into_iter().for_each(|offer| self.place(offer));
        }
    }

    fn dry(&mut self, job: JobNumber, offer: Offer) {
        if let Some(entry) = self.jobs.iter_mut().find(|e| e.number == job) {
            entry.has_work = false;
        }
        self.place(offer);
    }

    fn job_over(&mut self, job: JobNumber) {
        self.jobs.retain(|e| e.number != job);
        self.sessions.iter().for_each(|s| s.job_ended(job));
    }

    fn session_gone(&mut self, who: ractor::ActorId) {
        let Some(at) = self.sessions.iter().position(|s| s.is(who)) else { return };
        let session = self.sessions.swap_remove(at);
        self.idle.retain(|offer| offer.session.id != session.id);
        for entry in &self.jobs {
            entry.job.job.cast(JobMsg::SessionGone(session.id));
        }
    }
}
