//! Calls that wait for a slow server, and those that need not.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use ensemble_store::{JobNumber, MongoStore, Position, Rank, Store, conformance::sample};
use ensemble_testkit::mongo_proxy::{Fault, FaultKind, Rule, When};

use crate::support::Chain;

const SILVER: &str = "spotify_clean";
/// As many commands under way as the store may have.
const IN_FLIGHT: usize = 4;
/// Many times as many are waiting.
const SHARDS: u32 = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_does_not_wait_for_all_claims_that_are_waiting() {
    let chain = Chain::new().await;
    let mut options = chain.options();
    options.in_flight = IN_FLIGHT;
    let store = MongoStore::connect(options).await.unwrap();
    store.declare_silver(SILVER, &sample::columns()).await.unwrap();
    let slow = Fault::DelayRequest(Duration::from_millis(50));
    chain.proxy.add(Rule::new(When::command("insert").on(SILVER), slow));

    let key = |number: u32| Bytes::from(format!("key {number}"));
    let inserts: Vec<_> = (0..SHARDS)
        .map(|number| {
            let shard = sample::shard(1, number);
            let Rank(rank) = Rank::first(JobNumber(1), Position::new(0, number.into()));
            let claims = Arc::new(vec![sample::new_claim(key(number), sample::claim(rank, shard, "x"))]);
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.insert_claims(SILVER, claims).await.unwrap() })
        })
        .collect();
    // The first ones are under way, and the others have come to wait behind them.
    while chain.fired(FaultKind::DelayRequest) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    store.read_claims(SILVER, vec![key(0)]).await.unwrap();
    let begun = chain.fired(FaultKind::DelayRequest);
    assert!(begun < u64::from(SHARDS) / 2, "{begun} of {SHARDS} inserts came before the look-up's answer");
    for insert in inserts {
        insert.await.unwrap();
    }
    assert_eq!(chain.fired(FaultKind::DelayRequest), u64::from(SHARDS));
}
