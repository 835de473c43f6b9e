//! The supervisor: takes office, starts jobs, and brings workers' credit and jobs' shards together.
//!
//! Owns the list of jobs and sessions. It never touches a shard. If it dies, its jobs stand in the store and the next
//! supervisor resumes them.

use std::{io::Read, sync::Arc};

use ensemble_events::EventLog;
use ensemble_protocol::SupervisorEnd;
use ensemble_store::{Clock, JobNumber, Patience, Stamp};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};

use crate::{
    AggregatorHandle, Ending, JobHandle, JobRecord, Office, SupervisorError, SupervisorOptions,
    job::{JobArgs, JobMsg, JobRef},
    session::{Offer, SessionArgs, SessionRef},
    table::SessionId,
};

/// The largest weight of a job.
pub(crate) const MAX_WEIGHT: u32 = 100;
/// What an offer costs a job of weight 1.
const STRIDE: u64 = 1 << 20;

/// A job to be worked on.
pub(crate) struct StartJob {
    pub(crate) stamp: Stamp,
    pub(crate) record: JobRecord,
    /// Standard input, where that is the source.
    pub(crate) stream: Option<Box<dyn Read + Send>>,
    /// How it is to be ended instead.
    pub(crate) ending: Option<Ending>,
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

pub(crate) struct Supervisor;

pub(crate) struct SupervisorArgs {
    pub(crate) office: Office,
    pub(crate) events: Arc<dyn EventLog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: SupervisorOptions,
    pub(crate) aggregator: AggregatorHandle,
    pub(crate) patience: Arc<Patience>,
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

pub(crate) struct SupervisorState {
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
                state.start_job(myself, *start, reply);
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

    /// Answers once the job has begun.
    fn start_job(
        &mut self,
        myself: ActorRef<SupervisorMsg>,
        start: StartJob,
        reply: RpcReplyPort<Result<JobHandle, SupervisorError>>,
    ) {
        let number = start.record.number;
        // One that is being worked on is not begun a second time: the two would depose each other.
        self.jobs.retain(|e| e.number != number || !e.job.status.borrow().over);
        if let Some(entry) = self.jobs.iter().find(|e| e.number == number) {
            if let Some(ending) = start.ending {
                entry.job.stop(ending);
            }
            let _ = reply.send(Ok(entry.job.clone()));
            return;
        }
        let stride = STRIDE / u64::from(start.record.weight.clamp(1, MAX_WEIGHT));
        let record = Arc::new(start.record.clone());
        let spawned = JobRef::spawn(JobArgs {
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
            supervisor: myself.clone(),
        });
        let (job, status, started) = match spawned {
            Ok(spawned) => spawned,
            Err(e) => {
                let _ = reply.send(Err(e.into()));
                return;
            }
        };
        let job = JobHandle { job, status, record };
        self.jobs.push(Entry { number, job: job.clone(), has_work: false, stride, passed: self.passed });
        tokio::spawn(async move {
            let begun = started.wait().await;
            if begun.is_err() {
                let _ = myself.cast(SupervisorMsg::JobOver(number));
            }
            let _ = reply.send(begun.map(|()| job));
        });
    }

    /// Gives an offer to the job that it is reserved for, or to the next one that has work, or keeps it.
    fn place(&mut self, offer: Offer) {
        let turn = |e: &&mut Entry| (offer.reserved != Some(e.number), e.passed);
        match self.jobs.iter_mut().filter(|e| e.has_work).min_by_key(turn) {
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

    fn dry(&mut self, job: JobNumber, mut offer: Offer) {
        offer.reserved = None;
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
