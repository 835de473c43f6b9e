//! How many shards a second one supervisor leases to a thousand workers that do no more than settle them, and how much
//! memory that takes: `cargo bench -p ensemble-supervisor --bench leases`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints, and fails by panicking")]

use std::{io::Write, sync::Arc, time::Instant};

use ensemble_contract::{Contract, ENGINE_VERSION};
use ensemble_events::NoEvents;
use ensemble_protocol::{
    PROTOCOL_VERSION, WorkerEnd, in_process,
    v1::{self, supervisor_message::Message as Told, worker_message::Message as Say},
};
use ensemble_sources::resolve;
use ensemble_store::{EmbeddedOptions, EmbeddedStore, LedgerEntry, ShardPlan, Store, SystemClock};
use ensemble_supervisor::{Submission, SupervisorHandle, SupervisorOptions};

const WORKERS: usize = 1000;
const SHARD_BYTES: u64 = 1024;
const SHARDS: u64 = 40_000;
const CONTRACT: &str = r#"
name = "rows"
key = "id"
keep = "first"
silver = "rows"
bronze = "rows_raw"

[columns]
id = { type = "string", required = true }
text = { type = "string" }
"#;

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(run());
}

async fn run() {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = EmbeddedStore::open(&dir.path().join("store"), EmbeddedOptions::default()).unwrap();
    let options = SupervisorOptions { read_ahead_bytes: 4 << 20, ..SupervisorOptions::default() };
    let (events, clock) = (Arc::new(NoEvents::new()), Arc::new(SystemClock));
    let supervisor = SupervisorHandle::start(Arc::clone(&store), events, clock, options).await.unwrap();
    for number in 0..WORKERS {
        let (theirs, ours) = in_process();
        supervisor.attach(theirs).await.unwrap();
        tokio::spawn(work(number, ours, Arc::clone(&store)));
    }
    let path = dir.path().join("tracks.csv");
    write_file(&path);
    let contract = Contract::parse(CONTRACT, "rows").unwrap();
    let inputs = resolve(&[path.display().to_string()]).unwrap();
    let submission =
        Submission::inspect(inputs, &contract, SHARD_BYTES, 1 << 20, || Box::new(std::io::empty())).unwrap();
    let begun = Instant::now();
    let (job, _) = supervisor.submit(submission).await.unwrap();
    let ended = job.over().await;
    let seconds = begun.elapsed().as_secs_f64();
    let shards = ended.totals.shards;
    println!(
        "{shards} shards to {WORKERS} workers in {seconds:.1} s: {:.0} a second; at most {} MiB",
        shards as f64 / seconds,
        peak_mib()
    );
    supervisor.shutdown().await.unwrap();
}

/// Settles whatever it is given, without having looked at it.
async fn work(number: usize, mut link: WorkerEnd, store: Arc<dyn Store>) {
    let say = |message| v1::WorkerMessage { message: Some(message) };
    let hello = v1::WorkerHello {
        worker_id: number.to_string(),
        credit_bytes: 4 * SHARD_BYTES,
        protocol_version: PROTOCOL_VERSION,
        engine_version: ENGINE_VERSION,
        source_roots: Vec::new(),
    };
    link.outgoing.send(say(Say::Hello(hello))).await.unwrap();
    while let Some(told) = link.incoming.recv().await {
        let Some(Told::Lease(lease)) = told.message else { continue };
        let plan = ShardPlan::try_from(lease.plan.unwrap()).unwrap();
        let shard = plan.shard;
        store.insert_ledger(&LedgerEntry::set_aside(plan, "nobody looked at it".to_owned(), 0)).await.unwrap();
        if link.outgoing.send(say(Say::Finished(shard.into()))).await.is_err() {
            return;
        }
    }
}

fn write_file(path: &std::path::Path) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    writeln!(file, "id,text").unwrap();
    let row = "x".repeat(SHARD_BYTES as usize / 4);
    for number in 0..SHARDS * 4 {
        writeln!(file, "{number},{row}").unwrap();
    }
    file.flush().unwrap();
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}
