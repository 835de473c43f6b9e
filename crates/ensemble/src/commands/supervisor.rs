//! `ensemble supervisor`: serve clients and workers, until it is told to stop.

use std::{process::ExitCode, sync::Arc, time::Duration};

use ensemble_store::SystemClock;
use ensemble_supervisor::{Candidate, Desk, DeskOptions, Office, SupervisorHandle, Term};
use ensemble_worker::WorkerHandle;

use crate::{
    cli::{Global, SupervisorArgs},
    exit::Failure,
    node::{Signals, block_on, end_telemetry, end_workers, init_telemetry, roots, spawn_workers, supervisor_options},
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
    // No other process can have it open.
    let alone = matches!(settings.store_place().map_err(Failure::could_not_start)?, StorePlace::Embedded(_));
    let count = if alone { settings.worker_count().get() } else { settings.workers.count };
    block_on(serve(&settings, alone, args.workers.map_or(count, usize::from)))
}

async fn serve(settings: &Settings, alone: bool, workers: usize) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen()?;
    let telemetry = init_telemetry(settings, "ensemble-supervisor", &settings.supervisor.listen)?;
    let options = DeskOptions {
        shard_bytes: settings.job.shard_bytes,
        record_limit_bytes: settings.job.record_limit_bytes,
        roots: roots("supervisor.roots", &settings.supervisor.roots)?,
        keep_uploads: Duration::from_millis(settings.supervisor.keep_uploads_ms),
    };
    // An address that is taken is told before a store is touched.
    let servers = Servers::bind(&settings.supervisor).await?;
    let stores = tokio::select! {
        stores = Stores::open(settings) => stores?,
        number = signals.next() => return Err(Failure::interrupted(number)),
    };
    let desk = Desk::new(Arc::clone(&stores.store), Arc::clone(&stores.events), options);
    let servers = servers.serve(&desk).await;
    let name = servers.public().to_string();
    let lease = Duration::from_millis(settings.supervisor.office_lease_ms);
    let candidate = Candidate::new(Arc::clone(&stores.store), &name, lease).alone(alone);
    let process = Process { settings, stores: &stores, desk: &desk, workers };
    let worked = process.work(&candidate, &mut signals, &servers.to_string()).await;
    servers.stop().await;
    end_telemetry(telemetry).await;
    worked?;
    stores.close().await?;
    Ok(ExitCode::SUCCESS)
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
            let mut term = tokio::select! {
                term = candidate.take(|why| eprintln!("waiting for office: {why}")) => term.map_err(Failure::failed)?,
                _ = signals.next() => return Ok(()),
            };
            let office = term.office().clone();
            // Beginning may take long, where a ledger is large; the lease is kept meanwhile.
            let begun = tokio::select! {
                begun = self.begin(&office) => begun,
                () = term.keep() => Ok(Vec::new()),
                _ = signals.next() => {
                    self.desk.abandon();
                    return term.release().await.map_err(Failure::failed);
                }
            };
            if !office.is_deposed() {
                let workers = begun?;
                eprintln!("ready {addresses}");
                tokio::select! {
                    () = term.keep() => workers.iter().for_each(WorkerHandle::kill),
                    _ = signals.next() => {
                        eprintln!("finishing what the workers hold; once more to stop at once");
                        return tokio::select! {
                            ended = self.end(term, workers) => ended,
                            never = signals.exit_at_next() => never,
                        };
                    }
                }
            }
            eprintln!("another supervisor is in office; this one waits");
            self.desk.abandon();
        }
    }

    /// Takes up the work; the workers of this process.
    async fn begin(&self, office: &Office) -> Result<Vec<WorkerHandle>, Failure> {
        let (events, options) = (Arc::clone(&self.stores.events), supervisor_options(self.settings));
        let supervisor = SupervisorHandle::in_office(office, events, Arc::new(SystemClock), options)
            .await
            .map_err(Failure::failed)?;
        self.desk.open(supervisor.clone()).await.map_err(Failure::failed)?;
        spawn_workers(self.settings, self.stores, &supervisor, self.workers).await
    }

    /// Finishes what workers hold, writes gold out and leaves the office to others.
    async fn end(&self, mut term: Term, workers: Vec<WorkerHandle>) -> Result<(), Failure> {
        let grace = Duration::from_millis(self.settings.supervisor.grace_ms);
        let closing = async {
            let closed = self.desk.close(grace).await.map_err(Failure::failed);
            end_workers(workers).await;
            closed
        };
        let closed = tokio::select! {
            closed = closing => closed,
            // Somebody else goes on with what is left.
            () = term.keep() => return Ok(()),
        };
        term.release().await.map_err(Failure::failed)?;
        closed
    }
}
