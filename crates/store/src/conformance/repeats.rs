//! Every call made twice: whoever repeats a call whose answer was lost does no harm.

use bytes::Bytes;

use super::{Fixture, Result, check, sample};
use crate::{
    ClaimInsert, DecisionRecord, DocumentKind, GoldCell, Insert, JobNumber, LedgerEntry, Replacement, SilverDoc, Store,
};

const SILVER: &str = "spotify_clean";

/// What the store holds when each call has been made at least once.
#[derive(Debug, PartialEq)]
struct Held {
    decisions: Vec<DecisionRecord>,
    silver: Vec<(Bytes, SilverDoc)>,
    letters: usize,
    ledger: Vec<LedgerEntry>,
    documents: Vec<crate::Document>,
    cells: Vec<GoldCell>,
}

async fn held(store: &dyn Store) -> Result<Held> {
    Ok(Held {
        decisions: store.scan_decisions(JobNumber(1), 0, 10).await?,
        silver: store.scan_silver(SILVER, None, 10).await?,
        letters: store.scan_dead_letters(None, None, 10).await?.len(),
        ledger: store.scan_ledger(JobNumber(1), 0, 10).await?,
        documents: store.scan_documents(DocumentKind::Job, None, 10).await?,
        cells: store.scan_cells("view", None, 10).await?,
    })
}

/// Each call is made once, then again, and once more on a store that is opened anew: nothing changes after the first.
pub async fn a_repeat_of_every_call_changes_nothing(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        write_all(&*store, true).await?;
        let first = held(&*store).await?;
        let counts = [first.decisions.len(), first.silver.len(), first.letters, first.ledger.len(), first.cells.len()];
        assert_eq!((counts, first.documents.len()), ([1, 2, 2, 1, 1], 1));
        write_all(&*store, false).await?;
        assert_eq!(held(&*store).await?, first);
        drop(store);
        let store = fixture.open().await;
        write_all(&*store, false).await?;
        assert_eq!(held(&*store).await?, first);
        Ok(())
    })
    .await;
}

async fn write_all(store: &dyn Store, is_first: bool) -> Result {
    let shard = sample::shard(1, 0);
    let expected = if is_first { Insert::Inserted } else { Insert::Present };
    store.declare_silver(SILVER, &sample::columns()).await?;
    store.declare_bronze(JobNumber(1), "repeated_raw").await?;
    store.put_spooled(&sample::spooled(shard, &Bytes::from_static(b"a\nb\n"))).await?;
    let decision = sample::process(shard, &Bytes::from_static(b"a\nb\n"));
    assert_eq!(store.insert_decision(&decision).await?, expected);
    write_claims(store, is_first).await?;
    let letters = [3, 4].map(|position| sample::dead_letter(shard, position, "raw"));
    store.put_dead_letters(letters.to_vec()).await?;
    assert_eq!(store.insert_ledger(&sample::entry(shard, 2)).await?, expected);
    let document = sample::document("id", sample::stamp(1, 1), "body");
    assert_eq!(store.write_document(DocumentKind::Job, None, &document).await?, is_first);
    let gone = sample::document("gone", sample::stamp(1, 1), "body");
    assert!(store.write_document(DocumentKind::Job, None, &gone).await?);
    assert!(store.delete_document(DocumentKind::Job, "gone", gone.stamp).await?);
    assert!(!store.delete_document(DocumentKind::Job, "gone", gone.stamp).await?);
    let cell = GoldCell {
        view: "view".to_owned(),
        key: Bytes::from_static(b"key"),
        stamp: sample::stamp(1, 1),
        cell: Bytes::from_static(b"cell"),
        rows: None,
    };
    store.write_cells(vec![cell]).await?;
    store.delete_spooled(shard).await
}

async fn write_claims(store: &dyn Store, is_first: bool) -> Result {
    let first = sample::claim([2, 0, 0], sample::shard(1, 0), "first");
    let second = sample::claim([1, 0, 0], sample::shard(1, 1), "second");
    let claims = ["k", "l"].map(|key| sample::new_claim(key, first.clone())).to_vec();
    let answers = store.insert_claims(SILVER, claims.into()).await?;
    assert!(answers.iter().all(|answer| (*answer == ClaimInsert::Inserted) == is_first));
    let doc = SilverDoc { live: second, displaced: vec![first.clone()] };
    let replacement = Replacement { key: Bytes::from_static(b"l"), expected: (first.rank, first.shard), doc };
    let replaced = store.replace_claims(SILVER, vec![replacement.clone()]).await?;
    // A repeat may say either: what counts is that the document is there.
    assert!(replaced == [true] || !is_first);
    let stored = store.read_claims(SILVER, vec![replacement.key]).await?;
    assert_eq!(stored, [Some(replacement.doc)]);
    Ok(())
}
