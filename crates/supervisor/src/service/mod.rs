//! The gRPC services of a supervisor's process. It may be in office or wait for it: what only a supervisor can do is
//! refused with `UNAVAILABLE` meanwhile, and reading works all the same.

mod contracts;
mod explain;
mod gold;
mod job;
mod jobs;
mod layers;
mod page;
mod receive;
mod replay;
mod requests;
mod sweep;
mod watching;
mod workers;

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ensemble_events::EventLog;
use ensemble_protocol::{
    FILE_DESCRIPTORS, MAX_MESSAGE_BYTES, Refusal,
    v1::{
        contract_service_server::ContractServiceServer, gold_service_server::GoldServiceServer,
        job_service_server::JobServiceServer, layer_service_server::LayerServiceServer,
        worker_service_server::WorkerServiceServer,
    },
};
use ensemble_sources::Location;
use ensemble_store::{JobId, Store, StoreError};
use tokio::sync::watch;
use tokio_stream::Stream;
use tonic::{
    Status,
    service::{Routes, RoutesBuilder},
};
use tonic_health::server::HealthReporter;

use self::gold::Collections;
use crate::{GoldState, JobHandle, JobState, SupervisorError, SupervisorHandle, list_jobs};

/// The largest message that a client may send.
const CLIENT_MESSAGE_BYTES: usize = 4 << 20;
/// How often it is looked whether something is stalled.
const READY_INTERVAL: Duration = Duration::from_millis(500);
/// How long a call waits for the store.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a call answers bit by bit.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What jobs of this process are like where their submitters do not say.
#[derive(Debug, Clone)]
pub struct DeskOptions {
    /// The size that shards aim at.
    pub shard_bytes: u64,
    /// A longer record is rejected.
    pub record_limit_bytes: u64,
    /// Jobs may name files and objects below these places; folders by their absolute paths without links.
    pub roots: Vec<Location>,
    /// An upload that no job has taken within this time is deleted.
    pub keep_uploads: Duration,
}

/// What all services of a process share; its clones are one desk.
#[derive(Clone)]
pub struct Desk {
    store: Arc<dyn Store>,
    events: Arc<dyn EventLog>,
    options: DeskOptions,
    term: watch::Sender<Option<Arc<InOffice>>>,
    /// The supervisor that has begun, also before the desk is open.
    begun: Arc<Mutex<Option<SupervisorHandle>>>,
}

/// The supervisor of this process while it is in office.
struct InOffice {
    supervisor: SupervisorHandle,
    /// The jobs that are being worked on.
    jobs: Mutex<HashMap<JobId, JobHandle>>,
    /// Those of the jobs in the store: nobody else submits any.
    collections: Mutex<Collections>,
    /// The gold of collections that no job of this term has filled, once somebody has asked for it.
    resting: tokio::sync::Mutex<HashMap<String, Arc<GoldState>>>,
    /// One job is submitted at a time.
    submitting: tokio::sync::Mutex<()>,
    /// Rejected rows are copied for one job at a time.
    replaying: tokio::sync::Mutex<()>,
}

impl Desk {
    /// A desk of a process that is not in office yet.
    pub fn new(store: Arc<dyn Store>, events: Arc<dyn EventLog>, options: DeskOptions) -> Arc<Self> {
        Arc::new(Self { store, events, options, term: watch::Sender::new(None), begun: Arc::default() })
    }

    /// Takes up the work: resumes every job that is neither ended nor paused, and opens the desk to clients and workers.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open(&self, supervisor: SupervisorHandle) -> Result<(), SupervisorError> {
        let term = Arc::new(InOffice {
            supervisor,
            jobs: Mutex::default(),
            collections: Mutex::default(),
            resting: tokio::sync::Mutex::default(),
            submitting: tokio::sync::Mutex::default(),
            replaying: tokio::sync::Mutex::default(),
        });
        // Known from here on, so that it can be abandoned; open to others once all jobs are resumed.
        *lock(&self.begun) = Some(term.supervisor.clone());
        for (stamp, record) in list_jobs(&*self.store).await? {
            lock(&term.collections).note(Arc::new(record.clone()));
            if record.state.is_terminal() || record.state == JobState::Paused {
                continue;
            }
            let id = record.id;
            tracing::info!(job = %id, "the job is resumed");
            match term.supervisor.resume(stamp, record, None).await {
                Ok(job) => self.follow(&term, id, job),
                Err(SupervisorError::Deposed) => return Err(SupervisorError::Deposed),
                // It must not keep the others from going on.
                Err(error) => {
                    tracing::error!(job = %id, %error, "the job cannot be resumed; try: ensemble jobs resume")
                }
            }
        }
        sweep::sweep_now_and_then(&term, Arc::clone(&self.store), self.options.keep_uploads);
        self.term.send_replace(Some(term));
        Ok(())
    }

    /// Closes the desk in order: lets workers finish what they hold, for `grace` at the most, and writes gold out. Jobs
    /// that are not over can be resumed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn close(&self, grace: Duration) -> Result<(), SupervisorError> {
        let Some(term) = self.term.send_replace(None) else { return Ok(()) };
        lock(&self.begun).take();
        let jobs: Vec<JobHandle> = lock(&term.jobs).values().cloned().collect();
        jobs.iter().for_each(JobHandle::interrupt);
        let over = futures::future::join_all(jobs.iter().map(JobHandle::over));
        if tokio::time::timeout(grace, over).await.is_err() {
            tracing::warn!("what workers hold is not finished in time; it is done again later");
        }
        term.supervisor.hurry();
        term.supervisor.clone().shutdown().await
    }

    /// Closes the desk of a supervisor that has been succeeded: it does nothing more.
    pub fn abandon(&self) {
        self.term.send_replace(None);
        if let Some(supervisor) = lock(&self.begun).take() {
            supervisor.abandon();
        }
    }

    /// Whether the process does what it is for: it is in office, and nothing that it works on is stalled.
    pub fn is_ready(&self) -> watch::Receiver<bool> {
        let desk = self.clone();
        let (sender, is_ready) = watch::channel(desk.looks_ready());
        tokio::spawn(async move {
            let mut term = desk.term.subscribe();
            while !sender.is_closed() {
                // A stall has no news of its own here; a change of office has.
                let _ = tokio::time::timeout(READY_INTERVAL, term.changed()).await;
                let ready = desk.looks_ready();
                sender.send_if_modified(|known| std::mem::replace(known, ready) != ready);
            }
        });
        is_ready
    }

    fn looks_ready(&self) -> bool {
        let term = self.term.borrow();
        let Some(term) = term.as_ref() else { return false };
        let is_stalled = lock(&term.jobs).values().any(|job| job.status().borrow().stalled.is_some());
        !is_stalled && term.supervisor.stalled().is_none()
    }

    fn term(&self) -> Result<Arc<InOffice>, Status> {
        let no_office = || Refusal::Unavailable.status("this supervisor waits for office: another one answers");
        self.term.borrow().clone().ok_or_else(no_office)
    }

    /// Keeps a job's handle as long as it is worked on, and what it uploaded until it has ended.
    fn follow(&self, term: &Arc<InOffice>, id: JobId, job: JobHandle) {
        lock(&term.jobs).insert(id, job.clone());
        lock(&term.collections).note(Arc::clone(&job.record));
        let (term, store) = (Arc::downgrade(term), Arc::clone(&self.store));
        tokio::spawn(async move {
            let last = job.over().await;
            // A job that could not go on says why to whoever asks.
            if let Some(term) = term.upgrade().filter(|_| !last.aborted) {
                let mut jobs = lock(&term.jobs);
                // It may have been resumed meanwhile.
                if jobs.get(&id).is_some_and(|known| known.is_same(&job)) {
                    jobs.remove(&id);
                }
            }
            if last.state.is_terminal()
                && let Err(error) = sweep::forget_uploads(&*store, id).await
            {
                tracing::warn!(job = %id, %error, "cannot delete what the job had uploaded");
            }
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused(error: SupervisorError) -> Status {
    if matches!(error, SupervisorError::Deposed) {
        return Refusal::Unavailable.status("another supervisor is in office now: ask it");
    }
    Refusal::from_class(error.class()).status(error)
}

fn store_refused(error: StoreError) -> Status {
    refused(error.into())
}

/// Waits as long as a caller should be kept waiting. The work itself comes to its end, also where the caller goes away:
/// what has been begun with a job's documents must not be left half done.
async fn patiently<T: Send + 'static>(
    work: impl Future<Output = Result<T, Status>> + Send + 'static,
) -> Result<T, Status> {
    let late = |_| Refusal::Unavailable.status("this takes long; look at it again, or send the same request again");
    let done = tokio::time::timeout(PATIENCE, tokio::spawn(work)).await.map_err(late)?;
    done.unwrap_or_else(|e| Err(Refusal::Internal.status(e)))
}

/// The public services: jobs, contracts, gold, the layers, health and reflection. Health is `SERVING` while [`Desk::is_ready`].
pub async fn routes(desk: &Arc<Desk>) -> Routes {
    let (health, health_service) = tonic_health::server::health_reporter();
    tokio::spawn(report_health(health, desk.is_ready()));
    let jobs = JobServiceServer::from_arc(Arc::clone(desk));
    let gold = GoldServiceServer::from_arc(Arc::clone(desk));
    let contracts = ContractServiceServer::from_arc(Arc::clone(desk));
    let layers = LayerServiceServer::from_arc(Arc::clone(desk));
    let mut routes = RoutesBuilder::default();
    routes
        .add_service(health_service)
        .add_service(jobs.max_decoding_message_size(CLIENT_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(
            contracts.max_decoding_message_size(CLIENT_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(gold.max_decoding_message_size(CLIENT_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(
            layers.max_decoding_message_size(CLIENT_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES),
        );
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1();
    match reflection {
        Ok(service) => drop(routes.add_service(service)),
        Err(error) => tracing::error!(%error, "there is no reflection"),
    }
    routes.routes()
}

/// The service for workers.
pub fn worker_routes(desk: &Arc<Desk>) -> Routes {
    let workers = WorkerServiceServer::from_arc(Arc::clone(desk));
    let workers = workers.max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES);
    Routes::new(workers)
}

async fn report_health(health: HealthReporter, mut is_ready: watch::Receiver<bool>) {
    loop {
        let status = if *is_ready.borrow_and_update() {
            tonic_health::ServingStatus::Serving
        } else {
            tonic_health::ServingStatus::NotServing
        };
        for service in ["", "ensemble.v1.JobService", "ensemble.v1.ContractService", "ensemble.v1.GoldService"] {
            health.set_service_status(service, status).await;
        }
        if is_ready.changed().await.is_err() {
            return;
        }
    }
}
