//! What a supervisor leases to a worker, as the worker's end of the link sees it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use ensemble_contract::{Contract, ENGINE_VERSION};
use ensemble_events::NoEvents;
use ensemble_protocol::{
    PROTOCOL_VERSION, WorkerEnd, in_process,
    v1::{self, supervisor_message::Message as Told, worker_message::Message as Say},
};
use ensemble_sources::resolve;
use ensemble_store::{EmbeddedOptions, EmbeddedStore, LedgerEntry, ShardPlan, Store, SystemClock};
use ensemble_supervisor::{JobHandle, JobState, Submission, SupervisorHandle, SupervisorOptions};

const CONTRACT: &str = r#"
name = "rows"
key = "id"
keep = "first"
silver = "rows"
bronze = "rows_raw"

[columns]
id = { type = "string", required = true }
"#;
const ROWS: &str = "id\n1\n2\n3\n";

/// A worker that does what the test says.
struct Worker(WorkerEnd);

impl Worker {
    async fn attach(supervisor: &SupervisorHandle, source_roots: Vec<String>) -> Self {
        let (theirs, ours) = in_process();
        supervisor.attach(theirs).await.unwrap();
        let worker = Self(ours);
        let hello = v1::WorkerHello {
            worker_id: "w".to_owned(),
            credit_bytes: 1 << 20,
            protocol_version: PROTOCOL_VERSION,
            engine_version: ENGINE_VERSION,
            source_roots,
        };
        worker.say(Say::Hello(hello)).await;
        worker
    }

    async fn say(&self, message: Say) {
        self.0.outgoing.send(v1::WorkerMessage { message: Some(message) }).await.unwrap();
    }

    async fn hear(&mut self) -> Told {
        let heard = tokio::time::timeout(Duration::from_secs(20), self.0.incoming.recv()).await;
        heard.expect("the supervisor says something").expect("the link holds").message.unwrap()
    }

    async fn lease(&mut self) -> v1::Lease {
        match self.hear().await {
            Told::Lease(lease) => lease,
            other => panic!("no lease: {other:?}"),
        }
    }
}

/// A supervisor with a worker that shares `folder`, and a job of one shard in `rows.csv`.
struct Bench {
    supervisor: SupervisorHandle,
    store: Arc<EmbeddedStore>,
    worker: Worker,
    job: JobHandle,
    dir: tempfile::TempDir,
}

impl Bench {
    async fn new(folder: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let path = root.join("rows.csv");
        std::fs::write(&path, ROWS).unwrap();
        let store = EmbeddedStore::open(&root.join("store"), EmbeddedOptions::default()).unwrap();
        let (events, clock) = (Arc::new(NoEvents::new()), Arc::new(SystemClock));
        let options = SupervisorOptions::default();
        let supervisor = SupervisorHandle::start(store.clone(), events, clock, options).await.unwrap();
        let mut worker = Worker::attach(&supervisor, vec![root.join(folder).display().to_string()]).await;
        let contract = Contract::parse(CONTRACT, "rows").unwrap();
        let inputs = resolve(&[path.display().to_string()]).unwrap();
        let submission =
            Submission::inspect(inputs, &contract, 1 << 20, 1 << 20, || Box::new(std::io::empty())).unwrap();
        let (job, _) = supervisor.submit(submission).await.unwrap();
        let Told::Job(spec) = worker.hear().await else { panic!("a job comes before its first lease") };
        assert_eq!(spec.files[0].path, path.display().to_string());
        Self { supervisor, store, worker, job, dir }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_cannot_read_what_it_shares_is_sent_the_bytes() {
    let Bench { supervisor, store, mut worker, job, dir: _dir } = Bench::new("").await;
    let lease = worker.lease().await;
    assert!(lease.from_source && lease.bytes.is_empty());
    let plan = ShardPlan::try_from(lease.plan.unwrap()).unwrap();
    let shard = plan.shard;
    assert_eq!((plan.offset, plan.length), (0, ROWS.len() as u64));
    let failed = v1::ShardFailed {
        job_number: shard.job.0,
        shard_number: shard.number,
        class: v1::FailureClass::Unreadable.into(),
        reason: "there is no such file here".to_owned(),
    };
    worker.say(Say::Failed(failed)).await;

    let again = worker.lease().await;
    assert_eq!((again.from_source, &again.bytes[..], again.attempt), (false, ROWS.as_bytes(), 2));
    store.insert_ledger(&LedgerEntry::set_aside(plan, "nobody looked at it".to_owned(), 0)).await.unwrap();
    worker.say(Say::Finished(shard.into())).await;
    let ended = job.over().await;
    assert_eq!((ended.state, ended.totals.shards), (JobState::Succeeded, 1));
    supervisor.shutdown().await.unwrap();
}

/// A folder whose name only begins like the file's is not above it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_is_sent_the_bytes_of_a_file_that_it_does_not_share() {
    let mut bench = Bench::new("rows").await;
    let lease = bench.worker.lease().await;
    assert_eq!((lease.from_source, &lease.bytes[..]), (false, ROWS.as_bytes()));
}
