//! Fenced documents and gold cells.

use std::sync::Arc;

use bytes::Bytes;

use super::{Fixture, check, sample};
use crate::{Document, DocumentKind, GoldCell, Stamp, StoreError};

const KINDS: [DocumentKind; 4] =
    [DocumentKind::Job, DocumentKind::Counter, DocumentKind::Checkpoint, DocumentKind::Leadership];

/// A write needs the stamp that is stored, and a higher one to put in its place.
pub async fn documents_give_way_only_to_higher_stamps(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        let kind = DocumentKind::Job;
        let [first, second, third] = [sample::stamp(1, 5), sample::stamp(2, 1), sample::stamp(2, 2)];
        let write = async |expected: Option<Stamp>, stamp, body| {
            store.write_document(kind, expected, &sample::document("id", stamp, body)).await
        };
        assert_eq!(store.document(kind, "id").await?, None);
        assert!(!write(Some(first), second, "no document to replace").await?);
        assert!(write(None, first, "one").await?);
        assert!(!write(None, second, "it is there").await?);
        assert!(!write(Some(sample::stamp(1, 4)), second, "another stamp is stored").await?);
        assert!(write(Some(first), second, "two").await?);
        assert!(!write(Some(second), sample::stamp(1, 9), "a lower epoch").await?);
        assert!(!write(Some(second), second, "the same stamp").await?);
        assert!(write(Some(second), third, "three").await?);
        drop(store);
        let store = fixture.open().await;
        assert_eq!(store.document(kind, "id").await?, Some(sample::document("id", third, "three")));
        for other in KINDS.into_iter().filter(|k| *k != kind) {
            assert_eq!(store.document(other, "id").await?, None);
        }
        Ok(())
    })
    .await;
}

/// Twenty writers that expect the same stamp: one wins.
pub async fn one_of_many_writers_of_a_document_wins(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        let kind = DocumentKind::Counter;
        let mut expected = None;
        for round in 1..=3 {
            let tasks: Vec<_> = (0..20)
                .map(|writer| {
                    let store = Arc::clone(&store);
                    let body = Bytes::from(format!("{round}/{writer}"));
                    let document = Document { id: "jobs".to_owned(), stamp: sample::stamp(1, round), body };
                    tokio::spawn(async move { store.write_document(kind, expected, &document).await })
                })
                .collect();
            let mut winners = Vec::new();
            for (writer, task) in tasks.into_iter().enumerate() {
                let won = task.await.map_err(|e| StoreError::Unavailable(e.to_string()))??;
                winners.extend(won.then(|| Bytes::from(format!("{round}/{writer}"))));
            }
            assert_eq!(winners.len(), 1, "round {round}");
            assert_eq!(store.document(kind, "jobs").await?.map(|d| d.body).as_ref(), winners.first());
            expected = Some(sample::stamp(1, round));
        }
        Ok(())
    })
    .await;
}

/// Pages keep to their kind.
pub async fn documents_are_scanned_in_order_of_their_ids(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        let mut ids = ["b", "a", "", "aa", "é", "a/b", "z", "10", "9"];
        for kind in KINDS {
            for id in ids {
                assert!(store.write_document(kind, None, &sample::document(id, sample::stamp(1, 1), "body")).await?);
            }
        }
        ids.sort_unstable();
        for kind in KINDS {
            for limit in [1, 2, 9, 10] {
                let mut found: Vec<String> = Vec::new();
                loop {
                    let page = store.scan_documents(kind, found.last().map(String::as_str), limit).await?;
                    let is_last = page.len() < limit;
                    found.extend(page.into_iter().map(|d| d.id));
                    if is_last {
                        break;
                    }
                }
                assert_eq!(found, ids, "{kind:?} in pages of {limit}");
            }
        }
        Ok(())
    })
    .await;
}

/// A document is deleted under its stamp only, once, and can then be written anew.
pub async fn a_deleted_document_is_gone(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        let (kind, stamp) = (DocumentKind::Checkpoint, sample::stamp(3, 1));
        let document = sample::document("id", stamp, "body");
        assert!(store.write_document(kind, None, &document).await?);
        assert!(!store.delete_document(kind, "id", sample::stamp(3, 2)).await?);
        assert!(!store.delete_document(DocumentKind::Job, "id", stamp).await?);
        assert!(store.delete_document(kind, "id", stamp).await?);
        assert!(!store.delete_document(kind, "id", stamp).await?);
        drop(store);
        let store = fixture.open().await;
        assert_eq!(store.document(kind, "id").await?, None);
        assert_eq!(store.scan_documents(kind, None, 10).await?, []);
        assert!(store.write_document(kind, None, &document).await?);
        Ok(())
    })
    .await;
}

fn cell(view: &str, key: &[u8], stamp: Stamp, cell: &'static str) -> GoldCell {
    let (key, cell) = (Bytes::copy_from_slice(key), Bytes::from_static(cell.as_bytes()));
    GoldCell { view: view.to_owned(), key, stamp, cell, rows: None }
}

/// In one request some cells are newer and some are not; an empty cell stands.
pub async fn gold_cells_give_way_only_to_higher_stamps(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        let (old, new) = (sample::stamp(1, 9), sample::stamp(2, 0));
        store.write_cells(vec![cell("v", b"a", old, "a1"), cell("v", b"b", new, "b2")]).await?;
        store
            .write_cells(vec![cell("v", b"a", new, ""), cell("v", b"b", old, "b1"), cell("v", b"c", old, "c1")])
            .await?;
        store.write_cells(vec![cell("v", b"a", new, "same stamp")]).await?;
        store.write_cells(Vec::new()).await?;
        drop(store);
        let store = fixture.open().await;
        let expected = [cell("v", b"a", new, ""), cell("v", b"b", new, "b2"), cell("v", b"c", old, "c1")];
        assert_eq!(store.scan_cells("v", None, 10).await?, expected);
        Ok(())
    })
    .await;
}

/// Pages keep to their view, whose name may begin another's.
pub async fn gold_cells_are_scanned_by_view(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        let keys: [&[u8]; 7] = [b"", b"\0", b"\0\xff", b"a", b"a\0", b"b", b"\xff\xff"];
        let views = ["view", "view2", "vie", "x"];
        let stamp = sample::stamp(1, 1);
        for view in views {
            store.write_cells(keys.iter().rev().map(|key| cell(view, key, stamp, "cell")).collect()).await?;
        }
        for view in views {
            for limit in [1, 3, 7, 8] {
                let mut found: Vec<Bytes> = Vec::new();
                loop {
                    let page = store.scan_cells(view, found.last().cloned(), limit).await?;
                    let is_last = page.len() < limit;
                    assert!(page.iter().all(|c| c.view == view));
                    found.extend(page.into_iter().map(|c| c.key));
                    if is_last {
                        break;
                    }
                }
                assert_eq!(found, keys, "{view} in pages of {limit}");
            }
        }
        assert_eq!(store.scan_cells("absent", None, 10).await?, []);
        Ok(())
    })
    .await;
}
