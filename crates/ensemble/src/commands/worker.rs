//! `ensemble worker`: work for a supervisor, until it is told to stop.

use std::{num::NonZeroUsize, process::ExitCode, sync::Once, time::Duration};

use ensemble_worker::{RemoteError, RemoteWorker};
use tokio::sync::watch;

use crate::{
    cli::{Global, WorkerArgs},
    exit::Failure,
    node::{Signals, block_on, committer, end_telemetry, init_telemetry, roots},
    servers::{bind, serve_health},
    settings::{Settings, StorePlace},
    stores::Stores,
};

pub(crate) fn run(global: &Global, args: &WorkerArgs) -> Result<ExitCode, Failure> {
    let mut overrides = global.overrides(&args.store);
    overrides.values.extend(args.supervisor.iter().map(|v| ("worker.supervisor", v.clone())));
    overrides.values.extend(args.id.iter().map(|v| ("worker.id", v.clone())));
    overrides.values.extend(args.http_listen.iter().map(|v| ("worker.http_listen", v.clone())));
    let settings = Settings::load(&overrides).map_err(Failure::could_not_start)?;
    if let StorePlace::Embedded(dir) = settings.store_place().map_err(Failure::could_not_start)? {
        return Err(Failure::could_not_start(anyhow::anyhow!(
            "a worker writes to the store itself, and {} is one that a single process has open; name one that several \
             can write to, such as --store mongodb://HOST:PORT/DATABASE, or let the supervisor run its workers",
            dir.display()
        )));
    }
    let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let validators = args.validators.and_then(|n| NonZeroUsize::new(n.into())).unwrap_or(processors);
    block_on(work(&settings, validators))
}

async fn work(settings: &Settings, validators: NonZeroUsize) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen()?;
    let id = name(&settings.worker.id);
    let telemetry = init_telemetry(settings, "ensemble-worker", &id)?;
    let roots = roots("worker.roots", &settings.worker.roots)?;
    // An address that is taken is told before a server is asked for anything.
    let http = match settings.worker.http_listen.as_str() {
        "" => None,
        address => Some(bind("worker.http_listen", address).await?),
    };
    let stores = tokio::select! {
        stores = Stores::open(settings) => stores?,
        number = signals.next() => return Err(Failure::interrupted(number)),
    };
    let (stop, stopped) = watch::channel(false);
    let worker = RemoteWorker {
        supervisors: settings.worker.supervisor.split(',').map(|url| url.trim().to_owned()).collect(),
        id: id.clone(),
        credit_bytes: settings.credit_bytes().map_err(Failure::could_not_start)?,
        validators,
        source_roots: roots.iter().map(ToString::to_string).collect(),
        committer: committer(&stores),
    };
    let (linked, is_linked) = watch::channel(false);
    let health = http.map(|listener| tokio::spawn(serve_health(listener, is_linked, stopped.clone())));
    let once = Once::new();
    let attached = |supervisor: Option<&str>| {
        linked.send_replace(supervisor.is_some());
        if let Some(supervisor) = supervisor {
            once.call_once(|| eprintln!("ready {id} works for {supervisor}"));
        }
    };
    let working = worker.run(stopped, attached);
    tokio::pin!(working);
    let ended = tokio::select! {
        ended = &mut working => ended,
        _ = signals.next() => {
            stop.send_replace(true);
            eprintln!("finishing what is held; once more to stop at once");
            tokio::select! {
                ended = &mut working => ended,
                () = tokio::time::sleep(Duration::from_millis(settings.worker.grace_ms)) => {
                    // Its leases lapse, and others repeat what it held.
                    tracing::warn!("what is held is not finished in time, and is left to others");
                    Ok(())
                }
                never = signals.exit_at_next() => never,
            }
        }
    };
    ended.map_err(|e| match e {
        RemoteError::Worker(e) => Failure::failed(e),
        e => Failure::could_not_start(e),
    })?;
    if let Some(health) = health {
        health.abort();
    }
    end_telemetry(telemetry).await;
    stores.close().await?;
    Ok(ExitCode::SUCCESS)
}

/// The name that was given, or the machine's with the process's number.
fn name(given: &str) -> String {
    if !given.is_empty() {
        return given.to_owned();
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "worker" } else { host.trim() };
    format!("{host}-{}", std::process::id())
}
