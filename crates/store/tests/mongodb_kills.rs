//! The server is killed in the middle of batches and started again: everything that was acknowledged is there. It runs
//! the stand-in of `scripts/servers` with its durable backend, which has to be installed. Run with
//! `cargo test -p ensemble-store --all-features --test mongodb_kills`.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use ensemble_store::{
    ClaimInsert, ErrorClass, Insert, MongoOptions, MongoStore, Retry, Store, StoreError, SystemClock,
    conformance::sample, settle,
};

const SILVER: &str = "spotify_clean";
const WRITERS: u32 = 4;
const KILLS: u64 = 3;
const CLAIMS: u32 = 500;
/// How many shards are settled between two kills.
const SHARDS_BETWEEN: u64 = 8;

/// The stand-in in a directory of its own; it ends with this.
struct Server {
    dir: tempfile::TempDir,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { dir: tempfile::tempdir().unwrap(), port };
        server.up();
        server
    }

    fn script(&self, name: &str, arguments: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/servers").join(name);
        let output = Command::new(script).arg(self.dir.path()).args(arguments).env("BACKEND", "h2").output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn up(&self) {
        self.script("mongodb-up.sh", &[&self.port.to_string()]);
    }

    /// Kills it, and shows that it is gone.
    fn kill(&self) {
        let pid = std::fs::read_to_string(self.dir.path().join("pid")).unwrap();
        let process = PathBuf::from("/proc").join(pid.trim());
        assert!(process.exists(), "the server does not run");
        self.script("mongodb-down.sh", &["--kill"]);
        assert!(!process.join("exe").exists(), "the server still runs");
    }

    fn options(&self) -> MongoOptions {
        let mut options = MongoOptions::new(format!("mongodb://127.0.0.1:{}/kills", self.port));
        options.batch_documents = 100;
        options.server_selection_timeout = Duration::from_secs(2);
        options.connect_timeout = Duration::from_secs(2);
        options.operation_timeout = Duration::from_secs(5);
        options
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.script("mongodb-down.sh", &[]);
    }
}

fn key(shard: u32, claim: u32) -> Bytes {
    format!("{shard:06}/{claim:04}").into()
}

fn claims(number: u32) -> Vec<ensemble_store::NewClaim> {
    let claim = |n| sample::claim([1, i64::from(n), 0], sample::shard(1, number), format!("row {n} of {number}"));
    (0..CLAIMS).map(|n| sample::new_claim(key(number, n), claim(n))).collect()
}

/// What has happened.
#[derive(Default)]
struct Tally {
    settled: AtomicU64,
    /// Calls that failed as a server that is gone makes them.
    failed: AtomicU64,
    stop: AtomicU64,
}

/// Settles shards until it is told to stop, and repeats what fails.
async fn write(store: Arc<MongoStore>, writer: u32, tally: Arc<Tally>) -> Vec<u32> {
    let mut settled = Vec::new();
    for round in 0.. {
        if tally.stop.load(Ordering::Relaxed) > 0 {
            break;
        }
        let number = round * WRITERS + writer;
        let mut retry = Retry::within(&SystemClock, Duration::from_secs(60));
        let batch = Arc::new(claims(number));
        let inserted = loop {
            match store.insert_claims(SILVER, Arc::clone(&batch)).await {
                Ok(inserted) => break inserted,
                Err(error) => failed(&tally, error),
            }
            retry.pause("the server is away").await.unwrap();
        };
        // What an attempt that failed has inserted is refused now, and is this shard's all the same.
        assert!(inserted.iter().all(|insert| matches!(insert, ClaimInsert::Inserted | ClaimInsert::Present(None))));
        let entry =
            settle(&*store, &mut retry, sample::entry(sample::shard(1, number), u64::from(CLAIMS))).await.unwrap();
        assert_eq!(entry.plan.shard.number, number);
        settled.push(number);
        tally.settled.fetch_add(1, Ordering::Relaxed);
    }
    settled
}

fn failed(tally: &Tally, error: StoreError) {
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    tally.failed.fetch_add(1, Ordering::Relaxed);
}

async fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} did not happen within a minute");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_the_server() {
    let server = Server::start();
    let store = MongoStore::connect(server.options()).await.unwrap();
    store.declare_silver(SILVER, &sample::columns()).await.unwrap();
    let tally = Arc::new(Tally::default());
    let writers: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(write(Arc::clone(&store), writer, Arc::clone(&tally)))).collect();
    for kill in 1..=KILLS {
        let before = tally.settled.load(Ordering::Relaxed);
        wait_until("settling shards", || tally.settled.load(Ordering::Relaxed) >= before + SHARDS_BETWEEN).await;
        let failures = tally.failed.load(Ordering::Relaxed);
        tokio::task::block_in_place(|| server.kill());
        // The fault has fired: batches that were under way have failed.
        wait_until("a failure", || tally.failed.load(Ordering::Relaxed) > failures).await;
        tokio::task::block_in_place(|| server.up());
        let [settled, failed] = [&tally.settled, &tally.failed].map(|count| count.load(Ordering::Relaxed));
        println!("kill {kill}: {settled} shards settled, {failed} calls failed");
    }
    let before = tally.settled.load(Ordering::Relaxed);
    wait_until("settling shards", || tally.settled.load(Ordering::Relaxed) >= before + SHARDS_BETWEEN).await;
    tally.stop.store(1, Ordering::Relaxed);
    let mut settled = Vec::new();
    for writer in writers {
        settled.extend(writer.await.unwrap());
    }
    assert!(settled.len() as u64 >= SHARDS_BETWEEN * (KILLS + 1));
    check(&server, settled).await;
}

/// A store that is opened anew has each settled shard, its claims as they were made, and nothing else.
async fn check(server: &Server, settled: Vec<u32>) {
    let store = MongoStore::connect(server.options()).await.unwrap();
    let shards: Vec<_> = settled.iter().map(|number| sample::shard(1, *number)).collect();
    assert!(store.settled(&shards).await.unwrap().into_iter().all(|settled| settled));
    for number in &settled {
        let expected = claims(*number);
        let keys = expected.iter().map(|claim| claim.key.clone()).collect();
        let stored = store.read_claims(SILVER, keys).await.unwrap();
        let expected: Vec<_> = expected.into_iter().map(|claim| Some(sample::doc(claim.claim))).collect();
        assert!(stored == expected, "shard {number}");
        let again = sample::entry(sample::shard(1, *number), 0);
        assert_eq!(store.insert_ledger(&again).await.unwrap(), Insert::Present);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_to_a_server_that_is_gone_end_in_time() {
    let server = Server::start();
    let store = MongoStore::connect(server.options()).await.unwrap();
    store.declare_silver(SILVER, &sample::columns()).await.unwrap();
    server.kill();
    let limit = Duration::from_secs(6);
    let shard = sample::shard(1, 0);
    let entry = sample::entry(shard, 1);
    let start = Instant::now();
    let (inserted, read, scanned, settled) = tokio::join!(
        store.insert_claims(SILVER, claims(0).into()),
        store.read_claims(SILVER, vec![key(0, 0)]),
        store.scan_ledger(shard.job, 0, 10),
        store.insert_ledger(&entry),
    );
    assert!(start.elapsed() < limit, "{:?}", start.elapsed());
    for error in [inserted.unwrap_err(), read.unwrap_err(), scanned.unwrap_err(), settled.unwrap_err()] {
        assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    }
    server.up();
    let mut retry = Retry::within(&SystemClock, Duration::from_secs(30));
    retry.run(|| store.insert_claims(SILVER, claims(0).into())).await.unwrap();
}
