//! Errors at the opening, within a bounded time and in words; and calls that nobody answers.

use std::time::{Duration, Instant};

use ensemble_store::{ErrorClass, MongoOptions, MongoStore, Secret, Store, StoreError, conformance::sample};
use tokio::net::TcpListener;

use crate::support::{MongoFixture, uri};

/// What opening answers, and that it does so soon enough.
async fn refusal(options: MongoOptions) -> StoreError {
    let start = Instant::now();
    let error = MongoStore::connect(options).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}: {error}", start.elapsed());
    assert!(!error.to_string().contains("hush"), "{error}");
    error
}

/// The server's connection string with another option.
fn with(option: &str) -> String {
    let uri = uri();
    if uri.contains('?') { format!("{uri}&{option}") } else { format!("{}/?{option}", uri.trim_end_matches('/')) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_does_not_exist_is_named() {
    let error = refusal(MongoOptions::new("mongodb://me:hush@no-such-host.invalid/db")).await;
    assert!(matches!(&error, StoreError::Refused { .. }) && error.class() == ErrorClass::Fatal, "{error}");
    assert!(error.to_string().contains("no-such-host.invalid"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_may_come_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = refusal(MongoOptions::new(format!("mongodb://me:hush@{address}/db"))).await;
    assert!(matches!(error, StoreError::Unavailable(_)) && error.class() == ErrorClass::Transient, "{error}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let error = refusal(MongoOptions::new(format!("mongodb://{address}/db"))).await;
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_to_a_server_without_it_is_told() {
    let error = refusal(MongoOptions::new(with("tls=true"))).await;
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("TLS"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told() {
    let fixture = MongoFixture::new();
    let mut options = fixture.options();
    options.user = Some("nobody".to_owned());
    options.password = Some(Secret::new("hush"));
    let error = refusal(options).await;
    assert!(matches!(error, StoreError::Refused { .. }) && error.class() == ErrorClass::Fatal, "{error}");
    assert!(error.to_string().contains("password"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_contradict_each_other_are_refused_at_once() {
    let mut options = MongoOptions::new(uri());
    options.max_pool_size = 1;
    let error = refusal(options).await;
    assert!(matches!(error, StoreError::Setting { setting: "max_pool_size", .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_called_by_its_address_without_secrets() {
    let fixture = MongoFixture::new();
    let store = fixture.store().await;
    let name = store.describe();
    assert!(name.starts_with("mongodb://") && name.ends_with(&fixture.options().database.unwrap()), "{name}");
    assert!(!name.contains('@'), "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_waits_for_what_is_under_way() {
    let fixture = MongoFixture::new();
    let store = fixture.store().await;
    let calls: Vec<_> = (0..50)
        .map(|number| {
            let store = std::sync::Arc::clone(&store);
            tokio::spawn(async move { store.insert_ledger(&sample::entry(sample::shard(1, number), 1)).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(5)).await;
    store.close().await.unwrap();
    let mut inserted = Vec::new();
    for (number, call) in calls.into_iter().enumerate() {
        match call.await.unwrap() {
            Ok(_) => inserted.push(sample::shard(1, number as u32)),
            Err(error) => assert!(matches!(error, StoreError::Closed), "{error}"),
        }
    }
    let settled = fixture.store().await.settled(&inserted).await.unwrap();
    assert!(settled.into_iter().all(|settled| settled));
}
