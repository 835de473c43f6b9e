//! Reading a layer page by page, one page ahead of who works on it.

use std::sync::Arc;

use bytes::Bytes;
use ensemble_store::{
    DeadLetter, DecisionRecord, Document, DocumentKind, GoldCell, JobNumber, LedgerEntry, SilverDoc, Store, StoreError,
};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::AuditError;

/// How many ledger entries, documents or cells are read at once.
const SMALL_PAGE: usize = 256;

/// A layer, page by page. At most three pages are in memory: the one that is worked on, one that waits, and one that is
/// being read.
pub(crate) struct Pages<T> {
    pages: mpsc::Receiver<Result<Vec<T>, AuditError>>,
    reader: JoinHandle<()>,
}

impl<T: Send + 'static> Pages<T> {
    /// Reads with `fetch`, which answers a page and where the next one begins.
    fn read<C, F, R>(first: C, mut fetch: F) -> Self
    where
        C: Send + 'static,
        F: FnMut(C) -> R + Send + 'static,
        R: Future<Output = Result<(Vec<T>, Option<C>), AuditError>> + Send,
    {
        let (sender, pages) = mpsc::channel(1);
        let reader = tokio::spawn(async move {
            let mut at = Some(first);
            while let Some(from) = at.take() {
                let page = match fetch(from).await {
                    Ok((page, next)) => {
                        at = next;
                        Ok(page)
                    }
                    Err(e) => Err(e),
                };
                if sender.send(page).await.is_err() {
                    return;
                }
            }
        });
        Self { pages, reader }
    }

    /// The next page; `None` behind the last one. Pages may be empty.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<T>>, AuditError> {
        self.pages.recv().await.transpose()
    }
}

impl<T> Drop for Pages<T> {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// A short page is the last one.
fn next_of<T, C>(page: &[T], limit: usize, cursor: impl FnOnce(&T) -> Option<C>) -> Option<C> {
    if page.len() < limit { None } else { page.last().and_then(cursor) }
}

/// A job's ledger.
pub(crate) fn ledger(store: &Arc<dyn Store>, job: JobNumber) -> Pages<LedgerEntry> {
    let store = Arc::clone(store);
    Pages::read(0, move |from| {
        let store = Arc::clone(&store);
        async move {
            let page = store.scan_ledger(job, from, SMALL_PAGE).await?;
            let next = next_of(&page, SMALL_PAGE, |e| e.plan.shard.number.checked_add(1));
            Ok((page, next))
        }
    })
}

/// A place in a job's bronze.
pub(crate) enum Found {
    Record(DecisionRecord),
    /// The next record cannot be read, for this reason.
    Damaged(String),
}

/// A job's decision records.
pub(crate) fn decisions(store: &Arc<dyn Store>, job: JobNumber, limit: usize) -> Pages<Found> {
    let store = Arc::clone(store);
    Pages::read((0, limit), move |(from, now)| {
        let store = Arc::clone(&store);
        async move {
            match store.scan_decisions(job, from, now).await {
                Ok(page) => {
                    let next = next_of(&page, now, |r| Some((r.plan.shard.number.checked_add(1)?, limit)));
                    Ok((page.into_iter().map(Found::Record).collect(), next))
                }
                // One by one, what is not damaged can still be read.
                Err(StoreError::Corrupt { .. }) if now > 1 => Ok((Vec::new(), Some((from, 1)))),
                Err(e @ StoreError::Corrupt { .. }) => {
                    Ok((vec![Found::Damaged(e.to_string())], from.checked_add(1).map(|from| (from, 1))))
                }
                Err(e) => Err(e.into()),
            }
        }
    })
}

/// A job's dead letters.
pub(crate) fn dead_letters(store: &Arc<dyn Store>, job: JobNumber, limit: usize) -> Pages<DeadLetter> {
    let store = Arc::clone(store);
    Pages::read(None, move |after| {
        let store = Arc::clone(&store);
        async move {
            let page = store.scan_dead_letters(Some(job), after, limit).await?;
            let next = next_of(&page, limit, |l| Some(Some((l.shard, l.position))));
            Ok((page, next))
        }
    })
}

/// A silver collection.
pub(crate) fn silver(store: &Arc<dyn Store>, collection: &str, limit: usize) -> Pages<(Bytes, SilverDoc)> {
    let (store, collection) = (Arc::clone(store), Arc::<str>::from(collection));
    Pages::read(None, move |after| {
        let (store, collection) = (Arc::clone(&store), Arc::clone(&collection));
        async move {
            let page = store.scan_silver(&collection, after, limit).await?;
            let next = next_of(&page, limit, |(key, _)| Some(Some(Bytes::copy_from_slice(key))));
            Ok((page, next))
        }
    })
}

/// The cells of a gold view.
pub(crate) fn cells(store: &Arc<dyn Store>, view: &str) -> Pages<GoldCell> {
    let (store, view) = (Arc::clone(store), Arc::<str>::from(view));
    Pages::read(None, move |after| {
        let (store, view) = (Arc::clone(&store), Arc::clone(&view));
        async move {
            let page = store.scan_cells(&view, after, SMALL_PAGE).await?;
            let next = next_of(&page, SMALL_PAGE, |cell| Some(Some(cell.key.clone())));
            Ok((page, next))
        }
    })
}

/// The supervisor's documents of a kind. Checkpoints are large, so few are read at once.
pub(crate) fn documents(store: &Arc<dyn Store>, kind: DocumentKind) -> Pages<Document> {
    let limit = if kind == DocumentKind::Checkpoint { 1 } else { SMALL_PAGE };
    let store = Arc::clone(store);
    Pages::read(None::<String>, move |after| {
        let store = Arc::clone(&store);
        async move {
            let page = store.scan_documents(kind, after.as_deref(), limit).await?;
            let next = next_of(&page, limit, |document| Some(Some(document.id.clone())));
            Ok((page, next))
        }
    })
}
