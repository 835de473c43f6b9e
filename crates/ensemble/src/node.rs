//! Wiring: a supervisor and its workers in one process, and what every command starts with.

use std::{io::IsTerminal, num::NonZeroUsize, sync::Arc, time::Duration};

use ensemble_contract::{Contract, builtin, builtin_names, nearest};
use ensemble_protocol::in_process;
use ensemble_store::{Clock, SystemClock};
use ensemble_supervisor::{SupervisorHandle, SupervisorOptions};
use ensemble_worker::{Committer, WorkerArgs, WorkerHandle};
use tokio::signal::unix::{SignalKind, signal};

use crate::{exit::Failure, settings::Settings, stores::Stores};

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
        let options = SupervisorOptions {
            lease: settings.lease(),
            read_ahead_bytes: settings.job.read_ahead_bytes,
            gold_flush_interval: Duration::from_millis(settings.gold.flush_interval_ms),
        };
        let (store, events) = (&stores.store, &stores.events);
        let supervisor = SupervisorHandle::start(Arc::clone(store), Arc::clone(events), Arc::clone(&clock), options)
            .await
            .map_err(Failure::could_not_start)?;
        let committer = Committer::new(Arc::clone(store), Arc::clone(events), clock);
        let count = settings.worker_count().get();
        let mut workers = Vec::with_capacity(count);
        for i in 1..=count {
            let (theirs, ours) = in_process();
            let args = WorkerArgs {
                id: format!("local-{i}"),
                credit_bytes: settings.workers.credit_bytes / count as u64,
                validators: NonZeroUsize::new(settings.workers.validators).unwrap_or(NonZeroUsize::MIN),
                check_hashes: false,
                committer: committer.clone(),
                link: ours,
            };
            workers.push(WorkerHandle::spawn(args).await.map_err(Failure::could_not_start)?);
            supervisor.attach(theirs).await.map_err(Failure::could_not_start)?;
        }
        Ok(Self { supervisor, workers })
    }

    /// Lets the workers finish, writes gold out and stops.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        let flushed = self.supervisor.shutdown().await.map_err(Failure::failed);
        for worker in self.workers {
            // A worker that does not end holds nothing that counts: what is settled is settled.
            let _ = tokio::time::timeout(DRAIN_TIMEOUT, worker.ended()).await;
        }
        flushed
    }
}

/// Reads a contract: a built-in one by its name, or a file.
pub(crate) fn load_contract(name: &str) -> Result<Contract, Failure> {
    if let Some(text) = builtin(name) {
        return Contract::parse(text, name).map_err(Failure::could_not_start);
    }
    let path = std::path::Path::new(name);
    if !path.exists() && !name.contains(['/', '.']) {
        let names: Vec<&str> = builtin_names().collect();
        let meant = nearest(name, names.iter().copied()).map(|n| format!("; did you mean {n:?}?")).unwrap_or_default();
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
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
    let kind = tokio::select! {
        result = future => return result,
        _ = interrupt.recv() => SignalKind::interrupt(),
        _ = terminate.recv() => SignalKind::terminate(),
    };
    Err(Failure::interrupted(u8::try_from(kind.as_raw_value()).unwrap_or_default()))
}

/// Starts logging to stderr.
pub(crate) fn init_logging(settings: &Settings) -> Result<(), Failure> {
    let filter = tracing_subscriber::EnvFilter::try_new(&settings.log.filter)
        .map_err(|e| Failure::could_not_start(anyhow::anyhow!("the setting log.filter is wrong: {e}")))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    Ok(())
}
