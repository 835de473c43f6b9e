//! Wiring: a supervisor and its workers in one process, and what every command starts with.

use std::{num::NonZeroUsize, path::Path, sync::Arc, time::Duration};

use ensemble_contract::{Contract, builtin, builtin_names, did_you_mean};
use ensemble_protocol::in_process;
use ensemble_sources::Location;
use ensemble_store::{Clock, SystemClock};
use ensemble_supervisor::{SupervisorHandle, SupervisorOptions};
use ensemble_telemetry::{Telemetry, TelemetryOptions, install_measures};
use ensemble_worker::{Committer, WorkerArgs, WorkerHandle};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    exit::{self, Failure},
    settings::Settings,
    stores::Stores,
};

/// How long workers may take to finish once they drain.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// A supervisor and its workers, running.
pub(crate) struct Node {
    pub(crate) supervisor: SupervisorHandle,
    workers: Vec<WorkerHandle>,
}

impl Node {
    pub(crate) async fn start(settings: &Settings, stores: &Stores) -> Result<Self, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (store, events) = (Arc::clone(&stores.store), Arc::clone(&stores.events));
        let supervisor = SupervisorHandle::start(store, events, clock, supervisor_options(settings))
            .await
            .map_err(Failure::could_not_start)?;
        let workers = spawn_workers(settings, stores, &supervisor, settings.worker_count().get()).await?;
        Ok(Self { supervisor, workers })
    }

    /// Lets the workers finish, writes gold out and stops.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        let flushed = self.supervisor.shutdown().await.map_err(Failure::failed);
        end_workers(self.workers).await;
        flushed
    }
}

/// Waits for workers that have been told to finish.
pub(crate) async fn end_workers(workers: Vec<WorkerHandle>) {
    for mut worker in workers {
        // A worker that does not end holds nothing that counts: what is settled is settled.
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, worker.ended()).await;
    }
}

/// The bounds of a supervisor.
pub(crate) fn supervisor_options(settings: &Settings) -> SupervisorOptions {
    SupervisorOptions {
        lease: settings.lease(),
        read_ahead_bytes: settings.job.read_ahead_bytes,
        gold_flush_interval: Duration::from_millis(settings.gold.flush_interval_ms),
    }
}

/// What commits a worker's shards.
pub(crate) fn committer(stores: &Stores) -> Committer {
    Committer::new(Arc::clone(&stores.store), Arc::clone(&stores.events), Arc::new(SystemClock))
}

/// The places that the setting `name` lists: folders, by their real paths, and buckets.
pub(crate) fn roots(name: &str, setting: &str) -> Result<Vec<Location>, Failure> {
    let root = |text: &str| {
        let wrong = |e: &dyn std::fmt::Display| anyhow::anyhow!("the setting {name} names {text:?}: {e}");
        match Location::root(text).map_err(|e| wrong(&e))? {
            Location::File(path) => match path.canonicalize() {
                Ok(path) => Ok(Location::File(path)),
                Err(e) => Err(wrong(&format_args!("it cannot be opened: {e}"))),
            },
            object => Ok(object),
        }
    };
    let listed = setting.split(',').map(str::trim).filter(|text| !text.is_empty());
    listed.map(root).collect::<anyhow::Result<_>>().map_err(Failure::could_not_start)
}

/// Starts workers of this process, and has the supervisor take them on.
pub(crate) async fn spawn_workers(
    settings: &Settings,
    stores: &Stores,
    supervisor: &SupervisorHandle,
    count: usize,
) -> Result<Vec<WorkerHandle>, Failure> {
    let committer = committer(stores);
    let credit_bytes = settings.credit_bytes().map_err(Failure::could_not_start)?;
    let mut workers = Vec::with_capacity(count);
    for i in 1..=count {
        let (theirs, ours) = in_process();
        let args = WorkerArgs {
            id: format!("local-{i}"),
            credit_bytes: credit_bytes / count as u64,
            validators: NonZeroUsize::new(settings.workers.validators).unwrap_or(NonZeroUsize::MIN),
            check_hashes: false,
            source_roots: Vec::new(),
            committer: committer.clone(),
            link: ours,
        };
        workers.push(WorkerHandle::spawn(args).await.map_err(Failure::could_not_start)?);
        supervisor.attach(theirs).await.map_err(Failure::could_not_start)?;
    }
    Ok(workers)
}

/// Reads a contract: a built-in one by its name, or a file.
pub(crate) fn load_contract(name: &str) -> Result<Contract, Failure> {
    if let Some(text) = builtin(name) {
        return Contract::parse(text, name).map_err(Failure::could_not_start);
    }
    let path = Path::new(name);
    if !path.exists() && !name.contains(['/', '.']) {
        let names: Vec<&str> = builtin_names().collect();
        let meant = did_you_mean(name, names.iter().copied());
        let error = anyhow::anyhow!(
            "there is no contract {name:?}{meant} Built-in: {}. A file's name has a dot or a slash",
            names.join(", ")
        );
        return Err(Failure::could_not_start(error));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::could_not_start(anyhow::anyhow!("cannot read the contract {name}: {e}")))?;
    Contract::parse(&text, name).map_err(Failure::could_not_start)
}

/// Runs a future on a runtime of its own.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(64)
        .build()
        .map_err(Failure::could_not_start)?;
    let result = runtime.block_on(future);
    // A thread that waits for standard input never ends by itself.
    runtime.shutdown_background();
    result
}

/// Runs a future that a signal ends, so that what it holds on disk goes with it.
pub(crate) async fn interruptible<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        result = future => result,
        number = signals.next() => Err(Failure::interrupted(number)),
    }
}

/// Starts logging to stderr.
pub(crate) fn init_logging(settings: &Settings) -> Result<(), Failure> {
    let options =
        TelemetryOptions { filter: &settings.log.filter, otlp_endpoint: "", service: "ensemble", instance: "" };
    Telemetry::start(&options).map(drop).map_err(Failure::could_not_start)
}

/// Starts all that a process that serves tells of itself. Inside a runtime.
pub(crate) fn init_telemetry(settings: &Settings, service: &'static str, instance: &str) -> Result<Telemetry, Failure> {
    install_measures().map_err(Failure::could_not_start)?;
    let otlp_endpoint = &settings.telemetry.otlp_endpoint;
    let options = TelemetryOptions { filter: &settings.log.filter, otlp_endpoint, service, instance };
    Telemetry::start(&options).map_err(Failure::could_not_start)
}

/// Sends what has not been sent, off the runtime's threads.
pub(crate) async fn end_telemetry(telemetry: Telemetry) {
    // It says itself what goes wrong.
    let _ = tokio::task::spawn_blocking(|| telemetry.stop()).await;
}

/// The signals that ask a process to end.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::could_not_start);
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// The next one's number.
    pub(crate) async fn next(&mut self) -> u8 {
        let kind = tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
        };
        u8::try_from(kind.as_raw_value()).unwrap_or_default()
    }

    /// Ends the process at the next one.
    pub(crate) async fn exit_at_next(&mut self) -> ! {
        std::process::exit(i32::from(exit::SIGNAL_BASE + self.next().await))
    }
}
