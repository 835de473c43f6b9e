//! The suite for every event log, on Kafka behind a proxy that delays and cuts connections. Each test starts a broker
//! of its own with `scripts/servers/kafka-up.sh`, for which `scripts/servers/kafka-install.sh` has to have been run. Run
//! with `cargo test -p ensemble-testkit --features proxy --test kafka -- --test-threads 1`.
// Helpers of tests are tests as well.
#![allow(clippy::unwrap_used)]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use ensemble_events::{
    EventLog, EventsError, KafkaLog, KafkaOptions, LogCursor, LogPage, PartPage, ShardEvents,
    conformance::{Place, kafka::KafkaPlace},
};
use ensemble_store::{ErrorClass, JobId};
use ensemble_testkit::tcp_proxy::{TcpCounts, TcpProxy};

#[path = "../../../events/tests/kafka_faults/broker.rs"]
#[allow(dead_code, reason = "the event log's own tests use the rest")]
mod broker;

use broker::Broker;

type Result<T> = std::result::Result<T, EventsError>;

/// Between two cuts; several of them come while one shard is delivered.
const CUT_EVERY: Duration = Duration::from_millis(150);
const DELAY: Duration = Duration::from_millis(5);

/// A broker that is reached through the proxy alone, and what is done to its connections.
struct Behind {
    proxy: Arc<TcpProxy>,
    _broker: Broker,
    chaos: Arc<Chaos>,
}

/// What happens to connections while a log works. What only sets a case up or checks what came of it is left alone.
#[derive(Default)]
struct Chaos {
    is_on: AtomicBool,
    /// Appends that failed and were repeated.
    repeated: AtomicU64,
}

impl Behind {
    async fn start(port: u16) -> Self {
        let proxy = TcpProxy::start(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
        let address = proxy.addr();
        // It sends its clients to the proxy.
        let settings = format!("advertised.listeners=PLAINTEXT://{address}\n");
        let broker = tokio::task::spawn_blocking(move || Broker::start_with(port, &settings)).await.unwrap();
        Self { proxy: Arc::new(proxy), _broker: broker, chaos: Arc::default() }
    }

    /// Topics that nobody else has.
    fn place(&self) -> ProxiedPlace {
        let url = format!("kafka://{}/test-{}", self.proxy.addr(), uuid::Uuid::now_v7().simple());
        let options = KafkaOptions { partitions: Some(1), ..KafkaOptions::new(url.parse().unwrap()) };
        ProxiedPlace { kafka: KafkaPlace::new(options.clone()), options, chaos: Arc::clone(&self.chaos) }
    }

    fn counts(&self) -> TcpCounts {
        let counts = self.proxy.counts();
        println!("{counts:?}, {} appends repeated", self.chaos.repeated.load(Ordering::Relaxed));
        assert!(counts.connected > 0 && counts.bytes_to_server > 1 << 20, "the log went past the proxy: {counts:?}");
        counts
    }
}

struct ProxiedPlace {
    kafka: KafkaPlace,
    options: KafkaOptions,
    chaos: Arc<Chaos>,
}

#[async_trait::async_trait]
impl Place for ProxiedPlace {
    async fn open(&self) -> Arc<dyn EventLog> {
        self.chaos.is_on.store(false, Ordering::Release);
        let log = KafkaLog::open(self.options.clone()).await.unwrap();
        self.chaos.is_on.store(true, Ordering::Release);
        Arc::new(Repeating { log, chaos: Arc::clone(&self.chaos) })
    }

    async fn read_all(&self, log: &dyn EventLog) -> Vec<ShardEvents> {
        self.chaos.is_on.store(false, Ordering::Release);
        let all = self.kafka.read_all(log).await;
        self.chaos.is_on.store(true, Ordering::Release);
        all
    }
}

/// A log whose appends are repeated while they fail as transient, as a committer does.
struct Repeating {
    log: Arc<KafkaLog>,
    chaos: Arc<Chaos>,
}

#[async_trait::async_trait]
impl EventLog for Repeating {
    fn describe(&self) -> String {
        self.log.describe()
    }

    async fn append(&self, events: Arc<ShardEvents>) -> Result<()> {
        loop {
            match self.log.append(Arc::clone(&events)).await {
                Err(error) if error.class() == ErrorClass::Transient => {
                    self.chaos.repeated.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                answer => return answer,
            }
        }
    }

    async fn scan(&self, after: LogCursor, limit: usize) -> Result<Option<LogPage>> {
        self.log.scan(after, limit).await
    }

    async fn scan_parts(&self, after: LogCursor, limit_bytes: usize) -> Result<Option<PartPage>> {
        self.log.scan_parts(after, limit_bytes).await
    }

    async fn retired(&self) -> Result<Vec<(JobId, u64)>> {
        self.log.retired().await
    }

    async fn job_ended(&self, job: JobId) -> Result<()> {
        self.log.job_ended(job).await
    }

    async fn close(&self) -> Result<()> {
        self.log.close().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_passes_through_a_proxy() {
    let behind = Behind::start(21_700).await;
    ensemble_events::conformance_tests!(one after the other, behind.place());
    let counts = behind.counts();
    assert_eq!((counts.cut, counts.delayed), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_passes_while_connections_are_slow() {
    let behind = Behind::start(21_720).await;
    behind.proxy.set_delay(DELAY);
    ensemble_events::conformance_tests!(one after the other, behind.place());
    assert!(behind.counts().delayed > 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_passes_while_connections_are_cut() {
    let behind = Behind::start(21_740).await;
    let cutting = tokio::spawn({
        let (proxy, chaos) = (Arc::clone(&behind.proxy), Arc::clone(&behind.chaos));
        async move {
            loop {
                tokio::time::sleep(CUT_EVERY).await;
                if chaos.is_on.load(Ordering::Acquire) {
                    proxy.cut();
                }
            }
        }
    });
    // A moment more on the way, for the cuts to find something there.
    behind.proxy.set_delay(DELAY);
    ensemble_events::conformance_tests!(one after the other, behind.place());
    cutting.abort();
    let counts = behind.counts();
    assert!(counts.cut > 10 && counts.delayed > 100, "{counts:?}");
}
