//! A worker on its link: what it says to what it is told.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use ensemble_events::{EmbeddedLog, EmbeddedLogOptions, EventLog, LogCursor};
use ensemble_protocol::{
    SupervisorEnd, in_process,
    v1::{self, supervisor_message::Message as Say, worker_message::Message as Said},
};
use ensemble_store::{EmbeddedOptions, EmbeddedStore, JobNumber, ShardId, ShardKind, ShardPlan, Store, SystemClock};
use ensemble_worker::{Committer, WorkerArgs, WorkerHandle};

const ROWS: &[u8] = b"a,0.1\nb,0.2\na,0.3\nc,7\n";
const CONTRACT: &str = r#"
name = "songs"
key = "id"
keep = "first"
silver = "songs"
bronze = "songs_raw"

[columns]
id = { type = "string", required = true }
energy = { type = "float", range = "0..=1" }
"#;

struct Bench {
    link: SupervisorEnd,
    worker: WorkerHandle,
    store: Arc<EmbeddedStore>,
    events: Arc<EmbeddedLog>,
    dir: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(&dir.path().join("store"), EmbeddedOptions::default()).unwrap();
        let events = EmbeddedLog::open(&dir.path().join("events"), EmbeddedLogOptions::default()).unwrap();
        let (link, theirs) = in_process();
        let args = WorkerArgs {
            id: "w".to_owned(),
            credit_bytes: 1 << 20,
            validators: NonZeroUsize::MIN,
            check_hashes: true,
            source_roots: vec![dir.path().display().to_string()],
            committer: Committer::new(store.clone(), events.clone(), Arc::new(SystemClock)),
            link: theirs,
        };
        let worker = WorkerHandle::spawn(args).await.unwrap();
        let mut bench = Self { link, worker, store, events, dir };
        let Some(Said::Hello(hello)) = bench.hear().await else { panic!("it says hello") };
        let root = bench.dir.path().display().to_string();
        assert_eq!((hello.credit_bytes, hello.source_roots), (1 << 20, vec![root]));
        bench
    }

    async fn say(&self, message: Say) {
        self.link.outgoing.send(v1::SupervisorMessage { message: Some(message) }).await.unwrap();
    }

    async fn hear(&mut self) -> Option<Said> {
        let heard = tokio::time::timeout(Duration::from_secs(20), self.link.incoming.recv()).await;
        heard.expect("the worker says something within 20 seconds")?.message
    }

    async fn introduce(&self, engine_version: u32) {
        let header = vec!["id".to_owned(), "energy".to_owned()];
        self.say(Say::Job(v1::JobSpec {
            job_number: 1,
            job_id: "01a1fcba-01b5-70fb-8ff8-1fc5697c5b13".to_owned(),
            contract_toml: CONTRACT.to_owned(),
            engine_version,
            files: vec![v1::SourceFile {
                name: "songs.csv".to_owned(),
                delimiter: b','.into(),
                header,
                path: self.path().display().to_string(),
            }],
            ..v1::JobSpec::default()
        }))
        .await;
    }

    /// Where the job's file is.
    fn path(&self) -> PathBuf {
        self.dir.path().join("songs.csv")
    }

    async fn lease_from_source(&self) {
        let (plan, lease_ms) = (Some(v1::ShardPlan::from(&plan())), 15_000);
        self.say(Say::Lease(v1::Lease { plan, lease_ms, attempt: 1, from_source: true, ..v1::Lease::default() })).await;
    }

    async fn lease(&self, bytes: &'static [u8], attempt: u32) {
        let plan = v1::ShardPlan::from(&plan());
        let bytes = Bytes::from_static(bytes);
        self.say(Say::Lease(v1::Lease { plan: Some(plan), bytes, lease_ms: 15_000, attempt, ..v1::Lease::default() }))
            .await;
    }
}

fn shard() -> ShardId {
    ShardId { job: JobNumber(1), number: 0 }
}

fn plan() -> ShardPlan {
    ShardPlan {
        shard: shard(),
        file: 0,
        offset: 0,
        length: ROWS.len() as u64,
        first_line: 1,
        next_line: 5,
        header_bytes: 0,
        last_of_file: true,
        kind: ShardKind::Records,
        digest: ShardPlan::digest_of(ROWS),
    }
}

#[tokio::test]
async fn a_leased_shard_is_committed_and_a_repeat_ends_with_the_same_entry() {
    let mut bench = Bench::new().await;
    bench.introduce(ensemble_contract::ENGINE_VERSION).await;
    bench.lease(ROWS, 1).await;
    assert!(matches!(bench.hear().await, Some(Said::Finished(f)) if ShardId::from(&f) == shard()));
    let entry = bench.store.ledger(shard()).await.unwrap().expect("the entry is there once the worker says so");
    assert_eq!((entry.rows, entry.claims, entry.duplicates, entry.rejected()), (4, 2, 1, 1));

    bench.lease(ROWS, 2).await;
    assert!(matches!(bench.hear().await, Some(Said::Finished(_))));
    assert_eq!(bench.store.ledger(shard()).await.unwrap(), Some(entry));
    let silver = bench.store.scan_silver("songs", None, 10).await.unwrap();
    assert_eq!(silver.iter().map(|(key, _)| &key[..]).collect::<Vec<_>>(), [b"a", b"b"]);
    let log = bench.events.scan(LogCursor::default(), 10).await.unwrap().expect("this log can be read back");
    assert_eq!(log.records.len(), 2, "delivered again, under the same ids");
    assert_eq!(log.records[0].accepted, log.records[1].accepted);
}

#[tokio::test]
async fn damaged_bytes_are_refused_and_nothing_is_decided() {
    let mut bench = Bench::new().await;
    bench.introduce(ensemble_contract::ENGINE_VERSION).await;
    bench.lease(b"a,0.1\nb,0.2\na,0.3\nc,8\n", 1).await;
    let Some(Said::Failed(failed)) = bench.hear().await else { panic!("the shard is refused") };
    assert_eq!(
        (failed.class(), &*failed.reason),
        (v1::FailureClass::Transient, "the shard's bytes arrived damaged: their hash differs")
    );
    assert_eq!(bench.store.decision(shard()).await.unwrap(), None);
}

#[tokio::test]
async fn bytes_that_a_lease_does_not_bring_are_read_from_the_file() {
    let mut bench = Bench::new().await;
    bench.introduce(ensemble_contract::ENGINE_VERSION).await;
    bench.lease_from_source().await;
    let Some(Said::Failed(failed)) = bench.hear().await else { panic!("there is no such file") };
    assert_eq!(failed.class(), v1::FailureClass::Unreadable);
    assert!(failed.reason.contains("songs.csv at offset 0: No such file"), "{}", failed.reason);

    std::fs::write(bench.path(), b"a,0.1\nb,0.2\na,0.3\nc,8\n").unwrap();
    bench.lease_from_source().await;
    let Some(Said::Failed(failed)) = bench.hear().await else { panic!("it is another file") };
    assert_eq!(failed.class(), v1::FailureClass::Unreadable);
    assert!(failed.reason.ends_with("does not hold at offset 0 what was planned"), "{}", failed.reason);
    assert_eq!(bench.store.decision(shard()).await.unwrap(), None);

    std::fs::write(bench.path(), ROWS).unwrap();
    bench.lease_from_source().await;
    assert!(matches!(bench.hear().await, Some(Said::Finished(f)) if ShardId::from(&f) == shard()));
    let entry = bench.store.ledger(shard()).await.unwrap().expect("the entry is there once the worker says so");
    assert_eq!((entry.rows, entry.claims, entry.duplicates, entry.rejected()), (4, 2, 1, 1));
}

#[tokio::test]
async fn a_job_of_another_engine_is_refused_with_both_versions() {
    let mut bench = Bench::new().await;
    bench.introduce(99).await;
    bench.lease(ROWS, 1).await;
    let Some(Said::Failed(failed)) = bench.hear().await else { panic!("the shard is refused") };
    assert_eq!(failed.class(), v1::FailureClass::Fatal);
    assert!(failed.reason.contains("99"), "{}", failed.reason);
}

#[tokio::test]
async fn a_draining_worker_finishes_what_it_holds_and_ends() {
    let mut bench = Bench::new().await;
    bench.introduce(ensemble_contract::ENGINE_VERSION).await;
    bench.lease(ROWS, 1).await;
    bench.say(Say::Drain(v1::Drain {})).await;
    assert!(matches!(bench.hear().await, Some(Said::Finished(_))));
    assert!(bench.hear().await.is_none(), "the link is closed");
    tokio::time::timeout(Duration::from_secs(20), bench.worker.ended()).await.expect("it ends");
}
