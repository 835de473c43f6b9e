//! The suite for every backend, on this one, and what only this one has.

use std::{sync::Arc, time::Duration};

use crate::{
    EmbeddedOptions, EmbeddedStore, Store, StoreError,
    conformance::{EmbeddedFixture, Fixture, sample},
};

crate::conformance_tests!(EmbeddedFixture::new());

#[tokio::test]
async fn a_store_is_called_what_the_user_called_it() {
    let fixture = EmbeddedFixture::new();
    let name = format!("embedded:{}", fixture.dir().display());
    assert_eq!(fixture.open().await.describe(), name);
}

#[tokio::test]
async fn an_open_store_is_locked_until_it_is_closed_or_dropped() {
    let fixture = EmbeddedFixture::new();
    let open = || EmbeddedStore::open(fixture.dir(), EmbeddedOptions::default());
    let first = open().unwrap();
    assert!(matches!(open().err(), Some(StoreError::Locked { .. })));
    first.close().await.unwrap();
    let second = open().unwrap();
    drop(second);
    open().unwrap();
}

#[tokio::test]
async fn closing_waits_for_what_is_under_way() {
    let fixture = EmbeddedFixture::new();
    let store = fixture.open().await;
    let insert = |number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.insert_ledger(&sample::entry(sample::shard(1, number), 1)).await })
    };
    let calls: Vec<_> = (0..50).map(insert).collect();
    tokio::time::sleep(Duration::from_millis(5)).await;
    store.close().await.unwrap();
    let mut inserted = Vec::new();
    for (number, call) in calls.into_iter().enumerate() {
        match call.await.unwrap() {
            Ok(_) => inserted.push(sample::shard(1, number as u32)),
            Err(e) => assert!(matches!(e, StoreError::Closed), "{e}"),
        }
    }
    drop(store);
    let settled = fixture.open().await.settled(&inserted).await.unwrap();
    assert!(settled.into_iter().all(|s| s));
}

#[tokio::test]
async fn requests_of_dropped_callers_do_no_harm() {
    let fixture = EmbeddedFixture::new();
    let store = fixture.open().await;
    for number in 0..20_u32 {
        let claim = sample::claim([1, 0, 0], sample::shard(1, number), "fields");
        let claims: Vec<_> = (0..100).map(|n| sample::new_claim(format!("{n}"), claim.clone())).collect();
        let call = store.insert_claims("tracks", claims.into());
        drop(tokio::time::timeout(Duration::from_micros(300 * u64::from(number)), call).await);
    }
    let claim = sample::claim([1, 0, 0], sample::shard(2, 0), "fields");
    store.insert_claims("tracks", vec![sample::new_claim("last", claim)].into()).await.unwrap();
    let page = store.scan_silver("tracks", None, 1000).await.unwrap();
    assert!(page.len() == 101 || page.len() == 1, "{}", page.len());
}

#[tokio::test]
async fn a_key_that_is_too_long_harms_nobody_else() {
    let fixture = EmbeddedFixture::new();
    let store = fixture.open().await;
    let claim = |key: String| sample::new_claim(key, sample::claim([1, 0, 0], sample::shard(1, 0), "fields"));
    let error = store.insert_claims("tracks", vec![claim("k".repeat(70_000))].into()).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
    store.insert_claims("tracks", vec![claim("k".repeat(60_000))].into()).await.unwrap();
    assert_eq!(store.scan_silver("tracks", None, 10).await.unwrap().len(), 1);
}
