//! Gold is read from the supervisor, whatever the store does meanwhile.

use std::time::Duration;

use ensemble_testkit::mongo_proxy::{Fault, FaultKind, Gate, MongoProxy, Rule, When};
use tokio::task::block_in_place;

use super::{Cluster, Worker, http};
use crate::support::poll;

const VIEW: &str = "analytics_genre_stats";

/// A cluster whose store is behind a proxy.
async fn behind_a_proxy() -> (Cluster, MongoProxy) {
    let mut cluster = Cluster::new();
    let store = MongoProxy::start_for(cluster.servers.server_uri()).await.unwrap();
    let settings = cluster.place.path("settings.toml");
    cluster.options = format!("{} --config {}", cluster.servers.options_at(store.uri()), settings.display());
    (cluster, store)
}

/// How many rows are in the view.
fn rows(cluster: &Cluster, place: &str) -> i64 {
    let gold = cluster.place.json(&format!("gold {VIEW} {place}"));
    gold.as_array().unwrap().iter().map(|genre| genre["count"].as_i64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gold_is_read_while_it_cannot_be_written() {
    let (cluster, store) = behind_a_proxy().await;
    // Longer than anybody waits for one command.
    let never = Fault::DelayRequest(Duration::from_secs(8));
    store.add(Rule::new(When::command("update").on(VIEW), never));
    block_in_place(|| {
        let supervisor = cluster.supervisor();
        let [public, workers, _] = supervisor.addresses.clone().map(|a| http(&a));
        let _only = Worker::start(&cluster, "only", &workers);
        cluster.place.json("run --store undisturbed tracks.csv");
        let all = rows(&cluster, "--store undisturbed");
        let mut client = cluster.submit(&public);
        cluster.wait_for_the_middle(&mut client, 0);
        // To the last one, while the job waits to end until its gold is written.
        poll("every row is in gold", || rows(&cluster, &format!("--server {public}")) == all);
        poll("a write of gold is held back", || store.fired_of(FaultKind::DelayRequest) > 0);
        assert!(client.is_running());

        store.clear();
        cluster.assert_ended_well(&mut client);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gold_is_read_while_the_store_is_away() {
    let (cluster, store) = behind_a_proxy().await;
    block_in_place(|| {
        let supervisor = cluster.supervisor();
        let [public, workers, _] = supervisor.addresses.clone().map(|a| http(&a));
        let _only = Worker::start(&cluster, "only", &workers);
        let mut client = cluster.submit(&public);
        cluster.wait_for_the_middle(&mut client, 0);
        store.set_gate(Gate::Refuse);
        store.cut();
        poll("the store is away", || store.fired_of(FaultKind::Refused) > 0);
        assert!(rows(&cluster, &format!("--server {public}")) > 0);
        let unknown = cluster.place.run(&format!("gold analytics_genre_stat --server {public}"));
        assert_eq!(unknown.code, Some(2));
        assert!(unknown.err.contains(&format!("did you mean {VIEW:?}?")), "{}", unknown.err);
        assert!(client.is_running());

        store.set_gate(Gate::Open);
        cluster.assert_ended_well(&mut client);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gold_that_no_job_fills_any_more_is_read_once_and_told_from_then_on() {
    let (cluster, store) = behind_a_proxy().await;
    block_in_place(|| {
        cluster.place.json(&format!("run tracks.csv {}", cluster.options));
        let supervisor = cluster.supervisor();
        let server = format!("--server {}", http(&supervisor.addresses[0]));
        let all = rows(&cluster, &server);
        assert!(all > 0);
        store.set_gate(Gate::Refuse);
        store.cut();
        poll("the store is away", || store.fired_of(FaultKind::Refused) > 0);
        assert_eq!(rows(&cluster, &server), all);
        store.set_gate(Gate::Open);
    });
}
