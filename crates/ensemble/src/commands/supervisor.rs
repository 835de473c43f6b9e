//! `ensemble supervisor`: serve clients and workers, until it is told to stop.

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use ensemble_store::SystemClock;
use ensemble_supervisor::{Candidate, Desk, DeskOptions, SupervisorHandle, Term};
use ensemble_worker::WorkerHandle;

use crate::{
    cli::{Global, SupervisorArgs},
    exit::Failure,
    measures,
    node::{Signals, block_on, end_workers, init_logging, spawn_workers, supervisor_options},
    servers::Servers,
    settings::{Settings, StorePlace},
    stores::Stores,
};

pub(crate) fn run(global: &Global, args: &SupervisorArgs) -> Result<ExitCode, Failure> {
    let mut overrides = global.overrides(&args.store);
    overrides.values.extend(args.listen.iter().map(|v| ("supervisor.listen", v.clone())));
    overrides.values.extend(args.worker_listen.iter().map(|v| ("supervisor.worker_listen", v.clone())));
    overrides.values.extend(args.http_listen.iter().map(|v| ("supervisor.http_listen", v.clone())));
    let settings = Settings::load(&overrides).map_err(Failure::could_not_start)?;
    init_logging(&settings)?;
    // No other process can have it open.
    let alone = matches!(settings.store_place().map_err(Failure::could_not_start)?, StorePlace::Embedded(_));
    let count = if alone { settings.worker_count().get() } else { settings.workers.count };
    block_on(serve(&settings, alone, args.workers.unwrap_or(count)))
}

async fn serve(settings: &Settings, alone: bool, workers: usize) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen()?;
    measures::install()?;
    let options = DeskOptions {
        shard_bytes: settings.job.shard_bytes,
        record_limit_bytes: settings.job.record_limit_bytes,
        roots: roots(&settings.supervisor.roots)?,
    };
    // An address that is taken is told before a store is touched.
    let servers = Servers::bind(&settings.supervisor).await?;
    let stores = Stores::open(settings).await?;
    let desk = Desk::new(Arc::clone(&stores.store), options);
    let servers = servers.serve(&desk).await;
    let name = servers.public().to_string();
    let lease = Duration::from_millis(settings.supervisor.office_lease_ms);
    let candidate = Candidate::new(Arc::clone(&stores.store), &name, lease).alone(alone);
    let process = Process { settings, stores: &stores, desk: &desk, workers };
    let worked = process.work(&candidate, &mut signals, &servers.to_string()).await;
    servers.stop().await;
    worked?;
    stores.close().await?;
    Ok(ExitCode::SUCCESS)
}

/// Folders by their real paths.
fn roots(setting: &str) -> Result<Vec<PathBuf>, Failure> {
    let root = |path: &str| {
        let wrong = |e| anyhow::anyhow!("the setting supervisor.roots names {path:?}, which cannot be opened: {e}");
        std::path::Path::new(path).canonicalize().map_err(|e| Failure::could_not_start(wrong(e)))
    };
    setting.split(',').map(str::trim).filter(|path| !path.is_empty()).map(root).collect()
}

struct Process<'a> {
    settings: &'a Settings,
    stores: &'a Stores,
    desk: &'a Desk,
    /// How many workers run here.
    workers: usize,
}

impl Process<'_> {
    /// Waits for office, works until somebody else is in it, and waits again; until a signal.
    async fn work(&self, candidate: &Candidate, signals: &mut Signals, addresses: &str) -> Result<(), Failure> {
        loop {
            let begun = async {
                let term =
                    candidate.take(|why| eprintln!("waiting for office: {why}")).await.map_err(Failure::failed)?;
                self.begin(term).await
            };
            let mut office = tokio::select! {
                begun = begun => begun?,
                _ = signals.next() => return Ok(()),
            };
            eprintln!("ready {addresses}");
            tokio::select! {
                () = office.term.keep() => {}
                _ = signals.next() => {
                    eprintln!("finishing what the workers hold; once more to stop at once");
                    return tokio::select! {
                        ended = self.end(office) => ended,
                        never = signals.exit_at_next() => never,
                    };
                }
            }
            eprintln!("another supervisor is in office; this one waits");
            self.desk.abandon();
            office.workers.iter().for_each(WorkerHandle::kill);
        }
    }

    async fn begin(&self, term: Term) -> Result<InOffice, Failure> {
        let (events, options) = (Arc::clone(&self.stores.events), supervisor_options(self.settings));
        let supervisor = SupervisorHandle::in_office(term.office(), events, Arc::new(SystemClock), options)
            .await
            .map_err(Failure::failed)?;
        let workers = spawn_workers(self.settings, self.stores, &supervisor, self.workers).await?;
        self.desk.open(supervisor).await.map_err(Failure::failed)?;
        Ok(InOffice { term, workers })
    }

    /// Finishes what workers hold, writes gold out and leaves the office to others.
    async fn end(&self, office: InOffice) -> Result<(), Failure> {
        let grace = Duration::from_millis(self.settings.supervisor.grace_ms);
        let closed = self.desk.close(grace).await.map_err(Failure::failed);
        end_workers(office.workers).await;
        office.term.release().await.map_err(Failure::failed)?;
        closed
    }
}

/// What this process has while it is in office.
struct InOffice {
    term: Term,
    workers: Vec<WorkerHandle>,
}
