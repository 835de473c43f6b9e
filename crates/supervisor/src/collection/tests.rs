//! Drafts of gold: what is in them, and what becomes of those that are not written.

use std::sync::Arc;

use ensemble_store::{EmbeddedOptions, EmbeddedStore, Epoch, LedgerEntry, ShardId, ShardPlan};

use super::*;
use crate::gold_state::tests::{Song, folded, views};

const SILVER: &str = "songs";
const POP: [Song; 2] = [("a", "pop", 10, 1), ("b", "pop", 13, 2)];
const ZOUK: [Song; 1] = [("c", "zouk", 4, 5)];

/// A collection of which nothing is folded, in an embedded store.
async fn collection() -> (Collection, Office, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path(), EmbeddedOptions::default()).unwrap();
    let office = Office::take(store).await.unwrap();
    let head = Head { number: 0, chunks: 0, covered: Covered::default() };
    let stamp = office.write(DocumentKind::Checkpoint, SILVER, None, &head).await.unwrap();
    let collection = Collection {
        silver: SILVER.to_owned(),
        state: GoldState::new(views(), Cells::new(), Covered::default()),
        unwritten: BTreeSet::new(),
        current: CurrentHead { stamp, head },
        number: 0,
        version: 0,
    };
    (collection, office, dir)
}

fn entry(number: u32, songs: &[Song]) -> LedgerEntry {
    let plan = ShardPlan::unknown(ShardId { job: JobNumber(1), number });
    LedgerEntry { aside: None, delta: folded(songs).encode().into(), ..LedgerEntry::set_aside(plan, String::new(), 0) }
}

/// The cells that the store has, as they count.
async fn stored(office: &Office) -> Vec<GoldCell> {
    office.store().scan_cells("by_genre", None, 100).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_folded_while_a_draft_is_written_waits_for_the_next() {
    let (mut collection, office, _dir) = collection().await;
    collection.state_mut().fold(&entry(0, &POP)).unwrap();
    let draft = collection.draft(&office, true);
    collection.state_mut().fold(&entry(1, &ZOUK)).unwrap();
    let (before, covered) = (folded(&POP), Covered::clone(collection.state.covered()));
    collection.written(draft.write(&office).await).unwrap();

    assert_eq!(stored(&office).await.len(), 1, "pop alone");
    let (cells, of) = load_checkpoint(&**office.store(), SILVER).await.unwrap();
    assert_eq!(cells.encode(), before.encode());
    assert_ne!(of, covered, "the second entry is not in the checkpoint");
    assert_eq!(of.prefix(JobNumber(1)), 1);

    let draft = collection.draft(&office, true);
    collection.written(draft.write(&office).await).unwrap();
    assert_eq!(stored(&office).await.len(), 2);
    let (cells, of) = load_checkpoint(&**office.store(), SILVER).await.unwrap();
    assert_eq!((cells.encode(), of), (collection.state.cells().encode(), covered));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_written_is_in_the_next_draft() {
    let (mut collection, office, _dir) = collection().await;
    collection.state_mut().fold(&entry(0, &POP)).unwrap();
    // Nobody tells what became of this one.
    drop(collection.draft(&office, true));
    assert!(stored(&office).await.is_empty());
    collection.state_mut().fold(&entry(1, &ZOUK)).unwrap();
    let draft = collection.draft(&office, false);
    assert!(!draft.is_empty());
    drop(draft);
    collection.written(Err(SupervisorError::NoAnswer("store"))).unwrap_err();

    let draft = collection.draft(&office, false);
    collection.written(draft.write(&office).await).unwrap();
    assert_eq!(stored(&office).await.len(), 2, "both are written");
    assert!(collection.draft(&office, false).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_of_what_the_last_one_has_is_not_made_again() {
    let (mut collection, office, _dir) = collection().await;
    assert!(collection.draft(&office, true).is_empty());
    collection.state_mut().fold(&entry(0, &POP)).unwrap();
    let draft = collection.draft(&office, true);
    collection.written(draft.write(&office).await).unwrap();
    assert!(collection.draft(&office, true).is_empty());
    // The head and one chunk: the chunks of the one before are gone.
    collection.state_mut().fold(&entry(1, &ZOUK)).unwrap();
    let draft = collection.draft(&office, true);
    collection.written(draft.write(&office).await).unwrap();
    assert_eq!(office.store().scan_documents(DocumentKind::Checkpoint, None, 10).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_of_whoever_was_succeeded_is_refused() {
    let (mut collection, office, _dir) = collection().await;
    collection.state_mut().fold(&entry(0, &POP)).unwrap();
    let draft = collection.draft(&office, true);
    let next = Office::take(Arc::clone(office.store())).await.unwrap();
    assert!(next.epoch() > Epoch(1));
    let (stamp, head) = (collection.current.stamp, collection.current.head.clone());
    next.write(DocumentKind::Checkpoint, SILVER, Some(stamp), &head).await.unwrap();
    let written = collection.written(draft.write(&office).await);
    assert!(matches!(written, Err(SupervisorError::Deposed)), "{written:?}");
    let (cells, of) = load_checkpoint(&**next.store(), SILVER).await.unwrap();
    assert_eq!((cells.encode(), of), (Cells::new().encode(), Covered::default()));
}
