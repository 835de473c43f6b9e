//! The store and the event log away at the same time, for longer than a lease.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use ensemble_testkit::{
    mongo_proxy::{FaultKind, MongoProxy},
    tcp_proxy::{Gate, TcpProxy},
};
use tokio::task::block_in_place;

use super::{Cluster, Worker, http};
use crate::{broker::Broker, support::poll};

const ROWS: u64 = 6000;
const LEASE: Duration = Duration::from_secs(3);
/// Everything gives up sooner than a lease ends, so that the servers need not be away for long.
const SETTINGS: &str = "[leases]\nlapse_ms = 3000\n[supervisor]\noffice_lease_ms = 2000\n\
    [mongodb]\noperation_timeout_ms = 1500\nconnect_timeout_ms = 1000\nserver_selection_timeout_ms = 1000\n\
    [kafka]\ndelivery_timeout_ms = 1000\n[workers]\ncredit_bytes = 262144\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_are_both_away_for_longer_than_a_lease_stall_the_job() {
    const PORT: u16 = 21_820;
    let brokers = TcpProxy::start(SocketAddr::from(([127, 0, 0, 1], PORT))).await.unwrap();
    // Clients are sent to the proxy, whomever they ask.
    let settings = format!("advertised.listeners=PLAINTEXT://{}\n", brokers.addr());
    let _broker = block_in_place(|| Broker::start_with(PORT, &settings));
    let mut cluster = Cluster::new();
    cluster.place.generate("tracks.csv", &format!("--rows {ROWS} --duplicates 0.1 --bad 0.02 --seed 12"));
    let store = MongoProxy::start_for(cluster.servers.server_uri()).await.unwrap();
    cluster.servers.brokers = brokers.addr().to_string();
    let settings = cluster.place.write("away.toml", SETTINGS);
    cluster.options = format!("{} --config {}", cluster.servers.options_at(store.uri()), settings.display());
    block_in_place(|| {
        let supervisor = cluster.supervisor();
        let [public, workers, _] = supervisor.addresses.clone().map(|a| http(&a));
        let _workers = ["a", "b"].map(|name| Worker::start(&cluster, name, &workers));
        let mut client = cluster.submit(&public);
        cluster.wait_for_the_middle(&mut client, 0);
        let jobs = cluster.place.json(&format!("jobs {}", supervisor.option()));
        let shown = format!("jobs get {} {}", jobs[0]["job"].as_str().unwrap(), supervisor.option());
        let stalled = || cluster.place.json(&shown)["stalled"].is_string();

        assert_eq!((store.fired_of(FaultKind::HeldBack), brokers.counts().held_back), (0, 0));
        brokers.set_gate(Gate::BlackHole);
        // Without the store, nobody would come as far as to send an event.
        poll("an event is on its way", || brokers.counts().held_back > 0);
        store.set_gate(Gate::BlackHole);
        let away = Instant::now();
        poll("the job shows that it is stalled", stalled);
        poll("so does its server", || supervisor.http("/readyz") == "waiting\n");
        let rows = cluster.wait_for_the_middle(&mut client, 0);
        poll("they are away for longer than a lease", || {
            assert!(stalled(), "it goes on without a store and an event log");
            away.elapsed() > LEASE * 2
        });
        assert_eq!(cluster.wait_for_the_middle(&mut client, 0), rows, "something is settled");
        assert!(rows < ROWS, "it was over before they were away");
        assert!(store.fired_of(FaultKind::HeldBack) > 0);

        store.set_gate(Gate::Open);
        brokers.set_gate(Gate::Open);
        let followed = cluster.assert_ended_well(&mut client);
        let (before, after) = followed.err.split_once("Stalled: ").expect("who follows the job is told that it waits");
        assert!(!before.contains("the job goes on") && after.contains("the job goes on"), "{}", followed.err);
    });
}
