//! Servers that are away for longer than a lease hold a job up, which says so and goes on by itself, and nothing else.

use std::{
    io::Read,
    net::SocketAddr,
    process::Child,
    sync::{Arc, mpsc},
    time::Duration,
};

use ensemble_store::{JobNumber, MongoOptions, MongoStore, Store};
use ensemble_testkit::{
    mongo_proxy::{FaultKind, Gate, MongoProxy},
    tcp_proxy::TcpProxy,
};
use tokio::task::block_in_place;

use crate::{
    broker::Broker,
    places::{Servers, assert_same_answer, with_database},
    processes::{self, spawn, wait_for},
    support::Place,
};

const ROWS: &str = "--rows 4000 --duplicates 0.1 --bad 0.02 --seed 5";
const LEASE_MS: u64 = 3000;
/// Nothing here takes longer.
const DEADLINE: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(5);
/// What a job of a few megabytes may take, and by how much that may grow while it waits.
const MOST_MEMORY: u64 = 256 << 20;
const MOST_GROWTH: u64 = 32 << 20;

/// A process that works on a job, and what it says.
struct Job {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Job {
    /// Starts a job whose patience is short, and waits until it is in the middle: some shards are in the ledger.
    async fn in_the_middle(place: &Place, servers: &Servers, store: &MongoProxy) -> Self {
        let options = servers.options_at(store.uri());
        let mut command = place.command(&format!("run {options} --shard-bytes 4096 --output json tracks.csv"));
        for (name, value_ms) in [
            ("LEASES__LAPSE_MS", LEASE_MS),
            ("MONGODB__OPERATION_TIMEOUT_MS", 1500),
            ("MONGODB__CONNECT_TIMEOUT_MS", 1000),
            ("MONGODB__SERVER_SELECTION_TIMEOUT_MS", 1000),
            ("KAFKA__DELIVERY_TIMEOUT_MS", 1000),
        ] {
            command.env(format!("ENSEMBLE__{name}"), value_ms.to_string());
        }
        let ledger = Ledger::open(&with_database(servers.server_uri(), &servers.name)).await;
        let enough = ledger.settled().await + 5;
        let (child, lines) = spawn(command);
        let job = Self { child, lines };
        let middle = async {
            while ledger.settled().await < enough {
                tokio::time::sleep(TICK).await;
            }
        };
        tokio::time::timeout(DEADLINE, middle).await.expect("some shards are settled");
        job
    }

    /// The next line with these words.
    fn says(&self, words: &str) -> String {
        let line = block_in_place(|| wait_for(&self.lines, words, DEADLINE));
        line.unwrap_or_else(|| panic!("it never said {words:?}"))
    }

    /// Lets more time than a lease pass, while the job waits and its memory stays as it is.
    async fn waits_in_flat_memory(&mut self) {
        let before = self.memory();
        tokio::time::sleep(Duration::from_millis(LEASE_MS) + Duration::from_secs(3)).await;
        assert!(self.child.try_wait().unwrap().is_none(), "the job gave up");
        let after = self.memory();
        println!("memory while stalled: {} MiB, then {} MiB", before >> 20, after >> 20);
        assert!(after < before + MOST_GROWTH, "memory grows: {before} bytes, then {after}");
        assert!(after < MOST_MEMORY, "{after} bytes");
    }

    /// The bytes that it has in memory.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Its exit code and its report.
    fn end(&mut self) -> (Option<i32>, serde_json::Value) {
        let status = block_in_place(|| self.child.wait().unwrap());
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        (status.code(), serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}")))
    }
}

/// The ledger of a database, read past the proxies, and at once: a process that is asked would answer too late.
struct Ledger(Arc<MongoStore>);

impl Ledger {
    async fn open(uri: &str) -> Self {
        Self(MongoStore::connect(MongoOptions::new(uri)).await.unwrap())
    }

    /// How many shards of the one job are settled.
    async fn settled(&self) -> usize {
        self.0.scan_ledger(JobNumber(1), 0, usize::MAX).await.unwrap().len()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_for_longer_than_a_lease_stalls_the_job() {
    let (servers, place) = (Servers::named(), Place::new());
    place.generate("tracks.csv", ROWS);
    let store = MongoProxy::start_for(servers.server_uri()).await.unwrap();
    let mut job = Job::in_the_middle(&place, &servers, &store).await;
    store.set_gate(Gate::BlackHole);
    job.says("Stalled: ");
    job.waits_in_flat_memory().await;
    store.set_gate(Gate::Open);
    job.says("the job goes on");
    let (code, report) = job.end();
    assert_eq!((code, &report["state"]), (Some(0), &"succeeded".into()), "{report}");
    assert!(store.fired_of(FaultKind::HeldBack) > 0);
    block_in_place(|| assert_same_answer(&place, &servers.options(), "tracks.csv"));
}

/// Who does not want to wait for the store ends the process, and the job goes on with the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_interrupted_while_its_store_is_away_can_be_resumed() {
    let (servers, place) = (Servers::named(), Place::new());
    place.generate("tracks.csv", ROWS);
    let store = MongoProxy::start_for(servers.server_uri()).await.unwrap();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut job = Job::in_the_middle(&place, &servers, &store).await;
        store.set_gate(Gate::BlackHole);
        job.says("Stalled: ");
        processes::signal(&job.child, signal);
        let (ended, report) = job.end();
        assert_eq!((ended, &report["state"]), (Some(code), &"running".into()), "{report}");
        assert!(job.lines.iter().all(|line| !line.contains("goes on")), "it says that it goes on");
        store.set_gate(Gate::Open);
        let known = block_in_place(|| place.json(&format!("jobs list {}", servers.options())));
        assert_eq!((&known[0]["state"], &known[0]["ended_at"]), (&"running".into(), &serde_json::Value::Null));
    }
    assert!(store.fired_of(FaultKind::HeldBack) > 0);
    let resumed = block_in_place(|| place.run(&format!("run {} --shard-bytes 4096 tracks.csv", servers.options())));
    resumed.says(0, "resuming job");
    block_in_place(|| assert_same_answer(&place, &servers.options(), "tracks.csv"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_that_are_away_for_longer_than_a_lease_stall_the_job() {
    const PORT: u16 = 21_800;
    let (mut servers, place) = (Servers::named(), Place::new());
    place.generate("tracks.csv", ROWS);
    let brokers = TcpProxy::start(SocketAddr::from(([127, 0, 0, 1], PORT))).await.unwrap();
    // Clients are sent to the proxy, whomever they ask.
    let settings = format!("advertised.listeners=PLAINTEXT://{}\n", brokers.addr());
    let _broker = block_in_place(|| Broker::start_with(PORT, &settings));
    servers.brokers = brokers.addr().to_string();
    let store = MongoProxy::start_for(servers.server_uri()).await.unwrap();
    let mut job = Job::in_the_middle(&place, &servers, &store).await;
    let before = brokers.counts();
    assert!(before.bytes_to_server > 0 && before.held_back == 0, "{before:?}");
    brokers.set_gate(Gate::BlackHole);
    let stalled = job.says("Stalled: ");
    assert!(stalled.contains("the event log is not available") && !stalled.contains("store"), "{stalled}");
    job.waits_in_flat_memory().await;
    assert!(brokers.counts().held_back > 0);
    brokers.set_gate(Gate::Open);
    job.says("the job goes on");
    let (code, report) = job.end();
    assert_eq!((code, &report["state"]), (Some(0), &"succeeded".into()), "{report}");
    block_in_place(|| assert_same_answer(&place, &servers.options(), "tracks.csv"));
}
