//! What all parts of one seed's world share.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use ensemble_sources::csv::{Cursor, PlannedShard, SplitOptions, Splitter};
use ensemble_store::{Clock, ErrorClass, JobNumber, Retry, ShardId, Store, StoreError, micros};
use ensemble_supervisor::{Aside, JobRecord, SupervisorError};
use ensemble_testkit::sim_store::{Random, SimClock, SimEvents, SimStore, yield_now};
use ensemble_validation::JobContext;
use ensemble_worker::Committer;
use futures::future::LocalBoxFuture;

use crate::{Rule, Tally, attempt::Attempt, scenario::Scenario};

/// One step of the scheduler takes so long.
pub(crate) const STEP_US: i64 = 1_000;
/// How long a lease holds without a heartbeat: 300 steps.
pub(crate) const LEASE: Duration = Duration::from_millis(300);
/// How often a driver tries again.
const TRIES: usize = 6;

/// One seed's world.
pub(crate) struct Sim {
    pub(crate) store: Arc<SimStore>,
    pub(crate) events: Arc<SimEvents>,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) committer: Committer,
    pub(crate) scenario: Scenario,
    pub(crate) left_out: Option<Rule>,
    /// The weather has cleared: nothing fails any more.
    pub(crate) is_clear: Cell<bool>,
    /// Every shard that was ever given to a worker.
    pub(crate) leased: RefCell<BTreeSet<ShardId>>,
    /// Something went wrong that must never go wrong.
    pub(crate) failure: RefCell<Option<String>>,
    random: RefCell<Random>,
    tally: RefCell<Tally>,
    spawned: RefCell<Vec<Task>>,
    jobs: RefCell<BTreeMap<JobNumber, Rc<Source>>>,
    sessions: Cell<u64>,
}

/// A job's source, cut into shards, and its specification, compiled.
pub(crate) struct Source {
    pub(crate) context: Arc<JobContext>,
    pub(crate) shards: Vec<PlannedShard>,
}

/// Something that is polled until it is done, or dropped before.
pub(crate) struct Task {
    pub(crate) future: LocalBoxFuture<'static, ()>,
    pub(crate) owner: Owner,
}

/// Whom a task dies with.
#[derive(Clone)]
pub(crate) enum Owner {
    /// A supervisor's term of office.
    Term(u64),
    /// A worker's attempt at a shard.
    Attempt(Rc<Attempt>),
}

/// What a job is told. It may be gone, and so may its message.
#[derive(Debug)]
pub(crate) enum JobMsg {
    /// The worker says that the shard is settled.
    Finished { session: u64, number: u32 },
    /// The worker could not finish it now.
    Released { session: u64, number: u32 },
    /// The worker is known to be gone.
    Lost { session: u64, number: u32 },
    /// The shard brought the worker down.
    Crashed { session: u64, number: u32 },
    /// The worker still works on it.
    Beat { session: u64, number: u32 },
    /// What came of giving a shard up.
    GivenUp { number: u32, aside: Box<Result<Aside, StoreError>> },
}

/// Where a job's messages are put.
pub(crate) type Inbox = Rc<RefCell<VecDeque<JobMsg>>>;

impl Sim {
    pub(crate) fn new(
        scenario: Scenario,
        left_out: Option<Rule>,
        parts: (Arc<SimStore>, Arc<SimEvents>, Arc<SimClock>),
        random: Random,
    ) -> Self {
        let (store, events, clock) = parts;
        let committer = Committer::new(
            Arc::clone(&store) as Arc<dyn Store>,
            Arc::clone(&events) as Arc<dyn ensemble_events::EventLog>,
            Arc::clone(&clock) as Arc<dyn Clock>,
        );
        Self {
            store,
            events,
            clock,
            committer,
            scenario,
            left_out,
            is_clear: Cell::new(false),
            leased: RefCell::default(),
            failure: RefCell::default(),
            random: RefCell::new(random),
            tally: RefCell::default(),
            spawned: RefCell::default(),
            jobs: RefCell::default(),
            sessions: Cell::new(0),
        }
    }

    pub(crate) fn chance(&self, probability: f64) -> bool {
        self.random.borrow_mut().chance(probability)
    }

    /// As [`Sim::chance`], and never once the weather has cleared.
    pub(crate) fn misfortune(&self, probability: f64) -> bool {
        self.chance(probability) && !self.is_clear.get()
    }

    pub(crate) fn below(&self, n: usize) -> usize {
        self.random.borrow_mut().below(n)
    }

    pub(crate) fn count(&self, name: &'static str) {
        self.tally.borrow_mut().add(name, 1);
    }

    /// What has happened.
    pub(crate) fn tally(&self) -> Tally {
        let mut tally = self.tally.borrow().clone();
        tally.add_store(&self.store.counts());
        tally.add("lost replies of the event log", self.events.lost_replies());
        tally
    }

    pub(crate) fn fail(&self, reason: String) {
        self.failure.borrow_mut().get_or_insert(reason);
    }

    /// What step it is.
    pub(crate) fn step(&self) -> i64 {
        self.clock.monotonic_us() / STEP_US
    }

    /// When a lease that is given now ends.
    pub(crate) fn lease_end_us(&self) -> i64 {
        self.clock.monotonic_us() + micros(LEASE)
    }

    /// Repeats for some time longer than a lease holds.
    pub(crate) fn retry(&self) -> Retry<'_> {
        Retry::within(&*self.clock, 4 * LEASE)
    }

    /// Calls the store again as a driver does: some times, at once.
    ///
    /// # Errors
    /// Those of the call.
    pub(crate) async fn patiently<T>(
        &self,
        call: impl AsyncFn() -> Result<T, SupervisorError>,
    ) -> Result<T, SupervisorError> {
        for _ in 0..TRIES {
            match call().await {
                Err(SupervisorError::Store(e)) if e.class() == ErrorClass::Transient => yield_now().await,
                done => return done,
            }
        }
        call().await
    }

    pub(crate) fn spawn(&self, owner: Owner, future: impl Future<Output = ()> + 'static) {
        self.spawned.borrow_mut().push(Task { future: Box::pin(future), owner });
    }

    pub(crate) fn take_spawned(&self) -> Vec<Task> {
        std::mem::take(&mut self.spawned.borrow_mut())
    }

    pub(crate) fn next_session(&self) -> u64 {
        self.sessions.set(self.sessions.get() + 1);
        self.sessions.get()
    }

    /// A job's source, read and compiled once.
    ///
    /// # Errors
    /// Where the job is none of the scenario's.
    pub(crate) fn source(&self, job: &JobRecord) -> Result<Rc<Source>, SupervisorError> {
        if let Some(source) = self.jobs.borrow().get(&job.number) {
            return Ok(Rc::clone(source));
        }
        let unknown = |reason: String| SupervisorError::Document { what: format!("job {}", job.id), reason };
        let context = JobContext::new(&job.spec()).map_err(|e| unknown(e.to_string()))?;
        let submission = self.scenario.submission(job.id).ok_or_else(|| unknown("nobody submitted it".to_owned()))?;
        let options = SplitOptions {
            shard_bytes: submission.shard_bytes,
            header_bytes: job.files().first().map_or(0, |f| f.preamble.header_bytes),
            ..SplitOptions::new("numbers.csv", job.files().first().map(|f| f.preamble.dialect).unwrap_or_default())
        };
        let first = ShardId { job: job.number, number: 0 };
        let mut splitter = Splitter::new(&submission.text[..], options, Cursor::start_of(0, first));
        let mut shards = Vec::new();
        while let Some(shard) = splitter.next_shard()? {
            shards.push(shard);
        }
        let source = Rc::new(Source { context: Arc::new(context), shards });
        self.jobs.borrow_mut().insert(job.number, Rc::clone(&source));
        Ok(source)
    }

    /// The sources of all jobs that were ever worked on.
    pub(crate) fn sources(&self) -> BTreeMap<JobNumber, Rc<Source>> {
        self.jobs.borrow().clone()
    }
}

/// Whether it may pass.
pub(crate) fn is_transient(error: &SupervisorError) -> bool {
    match error {
        SupervisorError::Store(e) => e.class() == ErrorClass::Transient,
        SupervisorError::Deposed | SupervisorError::NoAnswer(_) => true,
        // A checkpoint's chunk may be gone because somebody has written the next checkpoint meanwhile.
        SupervisorError::Document { .. } => true,
        _ => false,
    }
}
