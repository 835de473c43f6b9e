//! Calls that the server has carried out and whose answer is lost, denied or doubted. Each fails as transient, a repeat
//! says that it is there, and what is stored is what one call stores.

use std::sync::Arc;

use bytes::Bytes;
use ensemble_store::{
    ClaimInsert, DocumentKind, ErrorClass, GoldCell, Insert, JobNumber, MongoStore, Replacement, SilverDoc, Store,
    StoreError, conformance::sample,
};
use ensemble_testkit::mongo_proxy::{Fault, ServerError, When};
use mongodb::bson::{Document, doc};

use crate::support::Chain;

const SILVER: &str = "spotify_clean";
/// Longer than one document may be.
const LARGE: usize = 13 << 20;

/// What becomes of the answer.
const FAULTS: [Fault; 4] = [
    Fault::DropReply,
    Fault::CutReply,
    Fault::AnswerAfter(ServerError::PrimarySteppedDown),
    Fault::WriteConcernError(ServerError::WriteConcernFailed),
];

/// A number for each fault, so that each has records of its own.
fn numbered() -> impl Iterator<Item = (u32, Fault)> {
    (0..).zip(FAULTS)
}

/// Makes a call whose command `when` meets the fault, and returns what its repeat answers.
async fn repeated<T, F>(chain: &Chain, (when, fault): (When, Fault), call: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    let (kind, before) = (fault.kind(), chain.fired(fault.kind()));
    chain.next(when, fault);
    let Err(error) = call().await else { panic!("{kind:?} was not noticed") };
    assert_eq!(error.class(), ErrorClass::Transient, "{kind:?}: {error}");
    assert_eq!(chain.fired(kind), before + 1, "{kind:?} did not happen");
    call().await.unwrap()
}

fn insert_into(collection: &str) -> When {
    When::command("insert").on(collection)
}

async fn chain_with_silver() -> (Chain, Arc<MongoStore>) {
    let chain = Chain::new().await;
    let store = chain.store().await;
    store.declare_silver(SILVER, &sample::columns()).await.unwrap();
    (chain, store)
}

async fn count(chain: &Chain, collection: &str) -> u64 {
    chain.plain().await.collection::<Document>(collection).count_documents(doc! {}).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_inserted_once() {
    let chain = Chain::new().await;
    let store = chain.store().await;
    for (number, fault) in numbered() {
        let record = sample::process(sample::shard(1, number), &Bytes::from_static(b"a,b\n"));
        let answer = repeated(&chain, (insert_into("spotify_raw"), fault), || store.insert_decision(&record)).await;
        assert_eq!(answer, Insert::Present);
        assert_eq!(store.decision(record.plan.shard).await.unwrap(), Some(record));
    }
    assert_eq!(count(&chain, "spotify_raw").await, FAULTS.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_decision_has_each_part_once() {
    let chain = Chain::new().await;
    let store = chain.store().await;
    for (number, fault) in numbered() {
        let record = sample::process(sample::shard(1, number), &sample::noise(u64::from(number), LARGE));
        let answer =
            repeated(&chain, (insert_into("spotify_raw.parts"), fault), || store.insert_decision(&record)).await;
        // The record itself had not been sent.
        assert_eq!(answer, Insert::Inserted);
        assert!(store.decision(record.plan.shard).await.unwrap() == Some(record));
    }
    assert_eq!(count(&chain, "spotify_raw.parts").await, 2 * FAULTS.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_is_spooled_once_and_forgotten_once() {
    let chain = Chain::new().await;
    let store = chain.store().await;
    for (number, fault) in numbered() {
        for collection in ["ensemble_spool", "ensemble_spool.parts"] {
            let spooled = sample::spooled(sample::shard(1, number), &sample::noise(u64::from(number), LARGE));
            let shard = spooled.plan.shard;
            let put = (insert_into(collection), fault.clone());
            repeated(&chain, put, || store.put_spooled(&spooled)).await;
            assert!(store.spooled(shard).await.unwrap() == Some(spooled));
            assert_eq!(count(&chain, "ensemble_spool.parts").await, 2);
            let delete = (When::command("delete").on(collection), fault.clone());
            repeated(&chain, delete, || store.delete_spooled(shard)).await;
            assert!(store.spooled(shard).await.unwrap().is_none());
            assert_eq!((count(&chain, "ensemble_spool").await, count(&chain, "ensemble_spool.parts").await), (0, 0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_are_made_once_and_known_as_ones_own() {
    let (chain, store) = chain_with_silver().await;
    for (number, fault) in numbered() {
        let claim = sample::claim([1, 2, 3], sample::shard(1, number), "text");
        let keys: Vec<Bytes> = (0..20).map(|n| format!("{number}/{n:02}").into()).collect();
        let claims = Arc::new(keys.iter().map(|key| sample::new_claim(key.clone(), claim.clone())).collect::<Vec<_>>());
        let answers =
            repeated(&chain, (insert_into(SILVER), fault), || store.insert_claims(SILVER, Arc::clone(&claims))).await;
        assert!(answers.iter().all(|answer| matches!(answer, ClaimInsert::Present(None))), "{answers:?}");
        let stored = store.read_claims(SILVER, keys.clone()).await.unwrap();
        assert_eq!(stored, vec![Some(sample::doc(claim)); keys.len()]);
    }
    assert_eq!(count(&chain, SILVER).await, 20 * FAULTS.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_are_replaced_once() {
    let (chain, store) = chain_with_silver().await;
    for (number, fault) in numbered() {
        let old = sample::claim([2, 0, 0], sample::shard(1, number), "old");
        let new = sample::claim([1, 0, 0], sample::shard(2, number), "new");
        let keys: Vec<Bytes> = (0..20).map(|n| format!("{number}/{n:02}").into()).collect();
        let claims: Vec<_> = keys.iter().map(|key| sample::new_claim(key.clone(), old.clone())).collect();
        store.insert_claims(SILVER, claims.into()).await.unwrap();
        let doc = SilverDoc { live: new, displaced: vec![old.clone()] };
        let expected = (old.rank, old.shard);
        let replacements: Vec<_> =
            keys.iter().map(|key| Replacement { key: key.clone(), expected, doc: doc.clone() }).collect();
        let update = (When::command("update").on(SILVER), fault);
        let replaced = repeated(&chain, update, || store.replace_claims(SILVER, replacements.clone())).await;
        // Its own document is known again.
        assert_eq!(replaced, vec![true; keys.len()]);
        assert_eq!(store.read_claims(SILVER, keys.clone()).await.unwrap(), vec![Some(doc); keys.len()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_kept_once() {
    let chain = Chain::new().await;
    let store = chain.store().await;
    for (number, fault) in numbered() {
        let job = u64::from(number) + 1;
        let letters: Vec<_> =
            (0..20).map(|position| sample::dead_letter(sample::shard(job, 0), position, "a;b")).collect();
        let insert = (insert_into("rejected_rows"), fault);
        repeated(&chain, insert, || store.put_dead_letters(letters.clone())).await;
        assert_eq!(store.scan_dead_letters(Some(JobNumber(job)), None, 100).await.unwrap(), letters);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_entry_is_inserted_once() {
    let chain = Chain::new().await;
    let store = chain.store().await;
    for (number, fault) in numbered() {
        let entry = sample::entry(sample::shard(1, number), 5);
        let answer = repeated(&chain, (insert_into("ensemble_ledger"), fault), || store.insert_ledger(&entry)).await;
        assert_eq!(answer, Insert::Present);
        // Whoever comes with another one changes nothing.
        let other = sample::entry(sample::shard(1, number), 6);
        assert_eq!(store.insert_ledger(&other).await.unwrap(), Insert::Present);
        assert_eq!(store.ledger(entry.plan.shard).await.unwrap(), Some(entry));
    }
    assert_eq!(count(&chain, "ensemble_ledger").await, FAULTS.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_document_is_written_once() {
    let chain = Chain::new().await;
    let store = chain.store().await;
    let kind = DocumentKind::Job;
    for (number, fault) in numbered() {
        let id = format!("job-{number}");
        let first = sample::document(&id, sample::stamp(1, 1), "first");
        let insert = (insert_into("ensemble_jobs"), fault.clone());
        assert!(!repeated(&chain, insert, || store.write_document(kind, None, &first)).await);
        assert_eq!(store.document(kind, &id).await.unwrap(), Some(first.clone()));
        let second = sample::document(&id, sample::stamp(1, 2), "second");
        let update = (When::command("update").on("ensemble_jobs"), fault.clone());
        assert!(!repeated(&chain, update, || store.write_document(kind, Some(first.stamp), &second)).await);
        assert_eq!(store.document(kind, &id).await.unwrap(), Some(second.clone()));
        let delete = (When::command("delete").on("ensemble_jobs"), fault);
        assert!(!repeated(&chain, delete, || store.delete_document(kind, &id, second.stamp)).await);
        assert_eq!(store.document(kind, &id).await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gold_cells_are_written_once() {
    let chain = Chain::new().await;
    let store = chain.store().await;
    for (version, fault) in (1..).zip(FAULTS) {
        // New ones at first, and those of the fault before from then on.
        let cells: Vec<GoldCell> = (0..20_u8)
            .map(|key| GoldCell {
                view: "view".to_owned(),
                key: vec![key].into(),
                stamp: sample::stamp(1, version),
                cell: format!("cell {version}").into(),
                rows: None,
            })
            .collect();
        let update = (When::command("update").on("view"), fault);
        repeated(&chain, update, || store.write_cells(cells.clone())).await;
        assert_eq!(store.scan_cells("view", None, 100).await.unwrap(), cells);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silver_is_declared_once() {
    let chain = Chain::new().await;
    let store = chain.store().await;
    for (number, fault) in numbered() {
        let silver = format!("silver_{number}");
        let (insert, columns) = ((insert_into("ensemble_silver"), fault), sample::columns());
        repeated(&chain, insert, || store.declare_silver(&silver, &columns)).await;
        // Nobody can declare it otherwise, so it is there.
        let error = store.declare_silver(&silver, &["other".to_owned()]).await.unwrap_err();
        assert!(matches!(error, StoreError::Silver { .. }), "{error}");
    }
}
