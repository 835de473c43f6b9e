//! Gold that the store does not take.

use std::time::Duration;

use ensemble_testkit::mongo_proxy::{Fault, FaultKind, MongoProxy, Rule, When};
use tokio::task::block_in_place;

use super::{Cluster, Worker, http};
use crate::support::poll;

const VIEW: &str = "analytics_genre_stats";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gold_is_read_while_it_cannot_be_written() {
    let mut cluster = Cluster::new();
    let store = MongoProxy::start_for(cluster.servers.server_uri()).await.unwrap();
    let settings = cluster.place.path("settings.toml");
    cluster.options = format!("{} --config {}", cluster.servers.options_at(store.uri()), settings.display());
    // Longer than anybody waits for one command.
    let never = Fault::DelayRequest(Duration::from_secs(8));
    store.add(Rule::new(When::command("update").on(VIEW), never));
    block_in_place(|| {
        let supervisor = cluster.supervisor();
        let [public, workers, _] = supervisor.addresses.clone().map(|a| http(&a));
        let mut only = Worker::start(&cluster, "only", &workers);
        let mut client = cluster.submit(&public);
        cluster.wait_for_the_middle(&mut client, 0);
        // Nobody ends the job meanwhile, which would have to wait for its gold to be written.
        only.kill();
        poll("gold is being written", || store.fired_of(FaultKind::DelayRequest) > 0);
        let gold = cluster.place.json(&format!("gold {VIEW} --server {public}"));
        assert!(!gold.as_array().unwrap().is_empty(), "{gold}");
        assert!(client.is_running());

        store.clear();
        let _next = Worker::start(&cluster, "next", &workers);
        cluster.assert_ended_well(&mut client);
    });
}
