//! Silver collections: declared once, readable for any client, bounded.

use bytes::Bytes;
use ensemble_store::{ClaimInsert, ErrorClass, Replacement, SilverDoc, Store, StoreError, conformance::sample};
use mongodb::bson::{Document, doc};

use crate::support::MongoFixture;

const SILVER: &str = "spotify_clean";

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_nobody_has_declared_is_empty_and_takes_nothing() {
    let fixture = MongoFixture::new();
    let store = fixture.store().await;
    let claim = sample::claim([1, 0, 0], sample::shard(1, 0), "text");
    let claims = vec![sample::new_claim("k", claim.clone())];
    let replacement =
        Replacement { key: Bytes::from_static(b"k"), expected: (claim.rank, claim.shard), doc: sample::doc(claim) };
    for error in [
        store.insert_claims(SILVER, claims.into()).await.unwrap_err(),
        store.replace_claims(SILVER, vec![replacement]).await.unwrap_err(),
    ] {
        assert!(matches!(&error, StoreError::Silver { silver, .. } if silver == SILVER), "{error}");
        assert_eq!(error.class(), ErrorClass::Invalid);
        assert!(error.to_string().contains("declare"), "{error}");
    }
    assert_eq!(store.read_claims(SILVER, vec![Bytes::from_static(b"k")]).await.unwrap(), [None]);
    assert_eq!(store.scan_silver(SILVER, None, 10).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declaration_holds_for_all_processes_and_cannot_be_changed() {
    let fixture = MongoFixture::new();
    let (one, other) = (fixture.store().await, fixture.store().await);
    let columns = ["id", "title"].map(str::to_owned);
    // A look-up before the declaration does not hide it afterwards.
    assert_eq!(other.scan_silver(SILVER, None, 10).await.unwrap(), []);
    let declarations = (0..10).map(|n| [&one, &other][n % 2].declare_silver(SILVER, &columns));
    for declared in futures::future::join_all(declarations).await {
        declared.unwrap();
    }
    let error = other.declare_silver(SILVER, &sample::columns()).await.unwrap_err();
    assert!(matches!(error, StoreError::Silver { .. }) && error.class() == ErrorClass::Invalid);
    let text = error.to_string();
    assert!(text.contains("id, title") && text.contains("not text"), "{text}");
    let claim = sample::claim([1, 0, 0], sample::shard(1, 0), "one value");
    let error = other.insert_claims(SILVER, vec![sample::new_claim("k", claim)].into()).await.unwrap_err();
    assert!(error.to_string().contains("2 columns"), "{error}");
    let third = fixture.store().await;
    let row: Bytes = [sample::row("k"), sample::row("a title")].concat().into();
    let mut claim = sample::claim([1, 0, 0], sample::shard(1, 0), "");
    claim.fields = row;
    let inserted = third.insert_claims(SILVER, vec![sample::new_claim("k", claim.clone())].into()).await.unwrap();
    assert_eq!(inserted, [ClaimInsert::Inserted]);
    let read = one.read_claims(SILVER, vec![Bytes::from_static(b"k")]).await.unwrap();
    assert_eq!(read, [Some(sample::doc(claim))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_client_reads_a_document() {
    let fixture = MongoFixture::new();
    let store = fixture.store().await;
    store.declare_silver(SILVER, &sample::columns()).await.unwrap();
    let first = sample::claim([5, -1, 0], sample::shard(1, 2), "first");
    let second = sample::claim([4, 0, 0], sample::shard(2, 3), "second");
    store.insert_claims(SILVER, vec![sample::new_claim("k", first.clone())].into()).await.unwrap();
    let replacement = Replacement {
        key: Bytes::from_static(b"k"),
        expected: (first.rank, first.shard),
        doc: SilverDoc { live: second, displaced: vec![first] },
    };
    assert_eq!(store.replace_claims(SILVER, vec![replacement]).await.unwrap(), [true]);
    let found = fixture.plain().await.collection::<Document>(SILVER).find_one(doc! { "text": "second" }).await.unwrap();
    let shard = |job: i64, number: i64| doc! { "job": job, "number": number };
    let expected = doc! {
        "_id": "k", "text": "second",
        "claim": { "rank": [4_i64, 0_i64, 0_i64], "shard": shard(2, 3) },
        "displaced": [{ "rank": [5_i64, -1_i64, 0_i64], "shard": shard(1, 2), "fields": { "text": "first" } }],
    };
    assert_eq!(found, Some(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_too_large_harms_nobody_else() {
    let fixture = MongoFixture::new();
    let store = fixture.store().await;
    store.declare_silver(SILVER, &sample::columns()).await.unwrap();
    let claim = |length: usize| sample::claim([1, 0, 0], sample::shard(1, 0), "x".repeat(length));
    let large = [sample::new_claim("small", claim(10)), sample::new_claim("large", claim(16 << 20))];
    let error = store.insert_claims(SILVER, large.to_vec().into()).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }) && error.class() == ErrorClass::Invalid, "{error}");
    // Just below the limit, with room for what a command has around its document.
    let fits = [sample::new_claim("small", claim(10)), sample::new_claim("fits", claim((16 << 20) - 2048))];
    store.insert_claims(SILVER, fits.to_vec().into()).await.unwrap();
    let docs = store.read_claims(SILVER, vec!["small".into(), "fits".into(), "large".into()]).await.unwrap();
    assert!(docs == [Some(sample::doc(claim(10))), Some(sample::doc(claim((16 << 20) - 2048))), None]);
    let doc = SilverDoc { live: claim(9 << 20), displaced: vec![claim(8 << 20)] };
    let replacement = Replacement { key: "small".into(), expected: (doc.live.rank, doc.live.shard), doc };
    let error = store.replace_claims(SILVER, vec![replacement]).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_texts_of_a_bounded_length() {
    let fixture = MongoFixture::new();
    let store = fixture.store().await;
    store.declare_silver(SILVER, &sample::columns()).await.unwrap();
    let claim = |key: Bytes| vec![sample::new_claim(key, sample::claim([1, 0, 0], sample::shard(1, 0), "text"))];
    let long = Bytes::from("k".repeat(70_000));
    let error = store.insert_claims(SILVER, claim(long.clone()).into()).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
    assert!(matches!(store.read_claims(SILVER, vec![long]).await, Err(StoreError::TooLarge { .. })));
    let error = store.insert_claims(SILVER, claim(Bytes::from_static(b"\xff")).into()).await.unwrap_err();
    assert!(matches!(error, StoreError::NotText { .. }) && error.class() == ErrorClass::Invalid, "{error}");
    store.insert_claims(SILVER, claim("k".repeat(60_000).into()).into()).await.unwrap();
    assert_eq!(store.scan_silver(SILVER, None, 10).await.unwrap().len(), 1);
}
