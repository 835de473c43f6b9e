//! The suite for every backend, on this one, and what only this one has.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;

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

/// One shard from its decision to its ledger entry.
async fn commit_shard(store: &dyn Store, number: u32) -> Result<(), StoreError> {
    let shard = sample::shard(1, number);
    let noise = (0..1_u64 << 20).map(|n| ((n * (n + u64::from(number))) >> 9) as u8);
    let bytes: Bytes = noise.collect();
    store.insert_decision(&sample::process(shard, &bytes)).await?;
    let claim = |n: u32| sample::new_claim(format!("{number}/{n}"), sample::claim([1, 0, 0], shard, "7".repeat(100)));
    store.insert_claims("tracks", (0..5000).map(claim).collect::<Vec<_>>().into()).await?;
    store.insert_ledger(&sample::entry(shard, 5000)).await.map(drop)
}

#[tokio::test]
#[ignore = "needs a file system of about 100 MB, named by ENSEMBLE_TEST_SMALL_DIR"]
async fn a_full_disk_loses_nothing_and_is_got_over() {
    let dir = PathBuf::from(std::env::var("ENSEMBLE_TEST_SMALL_DIR").unwrap());
    let (filler, path) = (dir.join("filler"), dir.join("store"));
    fs::write(&filler, vec![1; 30 << 20]).unwrap();
    let store = EmbeddedStore::open(&path, EmbeddedOptions::default()).unwrap();
    let mut settled = 0;
    let error = loop {
        match commit_shard(&*store, settled).await {
            Ok(()) => settled += 1,
            Err(e) => break e,
        }
    };
    assert!(matches!(&error, StoreError::Full { path: full } if *full == path), "{error}");
    assert!(matches!(store.ledger(sample::shard(1, 0)).await, Err(StoreError::Full { .. })));
    drop(store);
    fs::remove_file(filler).unwrap();
    let store = EmbeddedStore::open(&path, EmbeddedOptions::default()).unwrap();
    for number in 0..settled {
        assert!(store.decision(sample::shard(1, number)).await.unwrap().is_some());
        assert!(store.ledger(sample::shard(1, number)).await.unwrap().is_some());
    }
    let docs = store.scan_silver("tracks", None, 1_000_000).await.unwrap();
    assert!(docs.len() == 5000 * settled as usize || docs.len() == 5000 * (settled as usize + 1));
    commit_shard(&*store, settled).await.unwrap();
    assert!(settled > 0);
}
