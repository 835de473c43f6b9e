//! What is there, but which no majority has yet: it refuses inserts, no read finds it, and it may go again. A call that
//! rests on it waits, and answers only once a majority has it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use ensemble_store::{
    DeadLetter, ErrorClass, GoldCell, Insert, Retry, Store, StoreError, SystemClock, conformance::sample, decide,
    settle,
};
use ensemble_testkit::mongo_proxy::{Fault, FaultKind, Rule, Switch, When};
use mongodb::bson::{Document, doc};

use crate::support::Chain;

/// How often what is there is not found.
const TIMES: u64 = 3;
/// How long a store waits here for a majority.
const LIMIT: Duration = Duration::from_secs(1);

fn letters() -> Vec<DeadLetter> {
    (0..3).map(|position| sample::dead_letter(sample::shard(1, 0), position, "a;b")).collect()
}

fn cell(version: u64) -> GoldCell {
    let key = Bytes::from_static(b"key");
    let cell = format!("cell {version}").into();
    GoldCell { view: "view".to_owned(), key, stamp: sample::stamp(1, version), cell, rows: None }
}

/// No read of this collection finds anything, so many times.
fn hide(chain: &Chain, collection: &str, times: u64) {
    chain.proxy.add(Rule::new(When::command("find").on(collection), Fault::FindNothing).times(times));
}

/// The same until it is told otherwise.
fn hide_for_good(chain: &Chain, collection: &str) -> Switch {
    let hidden = Switch::off();
    hidden.set(true);
    chain.proxy.add(Rule::new(When::command("find").on(collection).while_on(&hidden), Fault::FindNothing));
    hidden
}

fn assert_waited_in_vain(chain: &Chain, answer: Result<(), StoreError>) {
    let error = answer.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    assert!(error.to_string().contains("no majority has"), "{error}");
    // Again and again, with pauses.
    let looks = chain.fired(FaultKind::FindNothing);
    assert!((3..200).contains(&looks), "it looked {looks} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_that_are_there_are_waited_for() {
    let chain = Chain::new().await;
    let store = chain.store().await;
    store.put_dead_letters(letters()).await.unwrap();
    hide(&chain, "rejected_rows", TIMES);
    store.put_dead_letters(letters()).await.unwrap();
    assert_eq!(chain.fired(FaultKind::FindNothing), TIMES);
    assert_eq!(store.scan_dead_letters(None, None, 10).await.unwrap(), letters());
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_that_no_majority_gets_are_not_kept() {
    let chain = Chain::new().await;
    let store = chain.store_within(LIMIT).await;
    store.put_dead_letters(letters()).await.unwrap();
    let hidden = hide_for_good(&chain, "rejected_rows");
    assert_waited_in_vain(&chain, store.put_dead_letters(letters()).await);
    // A fail-over takes them back, and the caller repeats its call.
    chain.plain().await.collection::<Document>("rejected_rows").delete_many(doc! {}).await.unwrap();
    hidden.set(false);
    store.put_dead_letters(letters()).await.unwrap();
    assert_eq!(store.scan_dead_letters(None, None, 10).await.unwrap(), letters());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spooled_shard_that_is_there_is_waited_for() {
    let chain = Chain::new().await;
    let store = chain.store().await;
    let spooled = sample::spooled(sample::shard(1, 0), &Bytes::from_static(b"a\nb\n"));
    store.put_spooled(&spooled).await.unwrap();
    hide(&chain, "ensemble_spool", TIMES);
    store.put_spooled(&spooled).await.unwrap();
    assert_eq!(chain.fired(FaultKind::FindNothing), TIMES);
    assert_eq!(store.spooled(spooled.plan.shard).await.unwrap(), Some(spooled));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_gold_cell_that_is_there_is_waited_for() {
    let chain = Chain::new().await;
    let store = chain.store().await;
    store.write_cells(vec![cell(2)]).await.unwrap();
    for version in [1, 2] {
        hide(&chain, "view", TIMES);
        store.write_cells(vec![cell(version)]).await.unwrap();
        assert_eq!(chain.fired(FaultKind::FindNothing), version * TIMES);
        assert_eq!(store.scan_cells("view", None, 10).await.unwrap(), [cell(2)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gold_cell_is_written_where_the_newer_one_goes_with_a_fail_over() {
    let chain = Chain::new().await;
    let store = chain.store().await;
    store.write_cells(vec![cell(2)]).await.unwrap();
    let hidden = hide_for_good(&chain, "view");
    let writing = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.write_cells(vec![cell(1)]).await }
    });
    while chain.fired(FaultKind::FindNothing) == 0 {
        assert!(!writing.is_finished(), "it did not wait for a majority");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    chain.plain().await.collection::<Document>("view").delete_many(doc! {}).await.unwrap();
    hidden.set(false);
    writing.await.unwrap().unwrap();
    assert_eq!(store.scan_cells("view", None, 10).await.unwrap(), [cell(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn gold_cells_that_no_majority_gets_are_not_written() {
    let chain = Chain::new().await;
    let store = chain.store_within(LIMIT).await;
    store.write_cells(vec![cell(2)]).await.unwrap();
    hide_for_good(&chain, "view");
    assert_waited_in_vain(&chain, store.write_cells(vec![cell(1)]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_or_an_entry_that_came_first_counts_once_a_majority_has_it() {
    let chain = Chain::new().await;
    let store = chain.store().await;
    let shard = sample::shard(1, 0);
    let (first, other) = (sample::entry(shard, 1), sample::entry(shard, 2));
    assert_eq!(store.insert_ledger(&first).await.unwrap(), Insert::Inserted);
    let record = |bytes| sample::process(shard, &Bytes::from_static(bytes));
    assert_eq!(store.insert_decision(&record(b"first")).await.unwrap(), Insert::Inserted);
    hide(&chain, "ensemble_ledger", TIMES);
    hide(&chain, "spotify_raw", TIMES);
    let mut retry = Retry::within(&SystemClock, Duration::from_secs(30));
    assert_eq!(settle(&*store, &mut retry, other).await.unwrap(), first);
    assert_eq!(decide(&*store, &mut retry, record(b"other")).await.unwrap(), record(b"first"));
    assert_eq!(chain.fired(FaultKind::FindNothing), 2 * TIMES);
}
