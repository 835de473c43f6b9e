//! A supervisor's term of office: every document that only a supervisor writes goes through here, so that one who has
//! been succeeded can change nothing.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use ensemble_store::{Document, DocumentKind, Epoch, JobNumber, Stamp, Store};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{SupervisorError, leadership};

pub(crate) const LEADERSHIP: &str = "supervisor";
const JOB_COUNTER: &str = "jobs";

/// A term of office. Cheap to clone.
#[derive(Clone)]
pub struct Office {
    store: Arc<dyn Store>,
    epoch: Epoch,
    deposed: Arc<AtomicBool>,
}

impl std::fmt::Debug for Office {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Office").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct JobCounter {
    last: JobNumber,
    last_observed_at_us: i64,
}

impl Office {
    /// Takes office: raises the epoch, which fences whoever was in office before. A supervisor that holds a lease on it
    /// has to be silent for the lease's time.
    ///
    /// # Errors
    /// Those of the store; [`SupervisorError::Held`] where a supervisor is in office; [`SupervisorError::Deposed`] where
    /// somebody else takes office at the same moment.
    pub async fn take(store: Arc<dyn Store>) -> Result<Self, SupervisorError> {
        leadership::take_once(store).await
    }

    /// A term that has begun.
    pub(crate) fn of_epoch(store: Arc<dyn Store>, epoch: Epoch) -> Self {
        Self { store, epoch, deposed: Arc::default() }
    }

    /// Somebody else is in office.
    pub(crate) fn depose(&self) {
        self.deposed.store(true, Ordering::Relaxed);
    }

    /// The same term, its documents written through another handle of the same store.
    pub(crate) fn over(&self, store: Arc<dyn Store>) -> Self {
        Self { store, ..self.clone() }
    }

    /// Makes sure that nobody else was in office before now. Whoever takes office after this reads what was written before
    /// it, so a document that has just been written is not lost on the successor.
    ///
    /// # Errors
    /// [`SupervisorError::Deposed`]; those of the store.
    pub(crate) async fn confirm(&self) -> Result<(), SupervisorError> {
        let stored = self.store.document(DocumentKind::Leadership, LEADERSHIP).await?;
        if stored.is_some_and(|d| d.stamp.epoch == self.epoch) {
            return Ok(());
        }
        self.depose();
        Err(SupervisorError::Deposed)
    }

    /// Whether somebody else is known to have taken office.
    pub fn is_deposed(&self) -> bool {
        self.deposed.load(Ordering::Relaxed)
    }

    /// The term's number.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Writes a document over the one with the stamp `expected`, and returns its new stamp.
    ///
    /// # Errors
    /// [`SupervisorError::Deposed`] where the stored stamp is another one: from then on every write answers this.
    pub async fn write<T: Serialize>(
        &self,
        kind: DocumentKind,
        id: &str,
        expected: Option<Stamp>,
        body: &T,
    ) -> Result<Stamp, SupervisorError> {
        self.write_bytes(kind, id, expected, encode(id, body)?).await
    }

    /// [`Office::write`] for a body that is no JSON.
    ///
    /// # Errors
    /// As [`Office::write`].
    pub async fn write_bytes(
        &self,
        kind: DocumentKind,
        id: &str,
        expected: Option<Stamp>,
        body: Bytes,
    ) -> Result<Stamp, SupervisorError> {
        let written = self.put(kind, id, expected, body).await?;
        written.ok_or_else(|| {
            self.depose();
            SupervisorError::Deposed
        })
    }

    /// [`Office::write`] that says whether it did. That it did not is no sign of a successor: any number of callers may
    /// try.
    ///
    /// # Errors
    /// Those of the store; [`SupervisorError::Deposed`] once it is known.
    pub async fn try_write<T: Serialize>(
        &self,
        kind: DocumentKind,
        id: &str,
        expected: Option<Stamp>,
        body: &T,
    ) -> Result<bool, SupervisorError> {
        self.try_write_bytes(kind, id, expected, encode(id, body)?).await
    }

    /// [`Office::try_write`] for a body that is no JSON.
    ///
    /// # Errors
    /// As [`Office::try_write`].
    pub async fn try_write_bytes(
        &self,
        kind: DocumentKind,
        id: &str,
        expected: Option<Stamp>,
        body: Bytes,
    ) -> Result<bool, SupervisorError> {
        Ok(self.put(kind, id, expected, body).await?.is_some())
    }

    /// The new stamp; `None` where the stored stamp is not the expected one.
    async fn put(
        &self,
        kind: DocumentKind,
        id: &str,
        expected: Option<Stamp>,
        body: Bytes,
    ) -> Result<Option<Stamp>, SupervisorError> {
        if self.is_deposed() {
            return Err(SupervisorError::Deposed);
        }
        let stamp = Stamp { epoch: self.epoch, version: expected.map_or(0, |s| s.version) + 1 };
        let document = Document { id: id.to_owned(), stamp, body };
        let is_there = self.store.write_document(kind, expected, &document).await?
            // An answer that was lost on its way makes our own write look like a stranger's.
            || self.store.document(kind, id).await?.is_some_and(|stored| stored == document);
        Ok(is_there.then_some(stamp))
    }

    /// Gives out the next job's number together with the time at which its source counts as observed: both grow
    /// strictly from job to job, whatever the clock does.
    ///
    /// # Errors
    /// As [`Office::write`].
    pub async fn next_job(&self, now_us: i64) -> Result<(JobNumber, i64), SupervisorError> {
        let stored = read::<JobCounter>(&*self.store, DocumentKind::Counter, JOB_COUNTER).await?;
        let (expected, last) = match stored {
            Some((stamp, counter)) => (Some(stamp), counter),
            None => (None, JobCounter { last: JobNumber(0), last_observed_at_us: 0 }),
        };
        let next = JobCounter {
            last: JobNumber(last.last.0 + 1),
            last_observed_at_us: now_us.max(last.last_observed_at_us + 1),
        };
        self.write(DocumentKind::Counter, JOB_COUNTER, expected, &next).await?;
        Ok((next.last, next.last_observed_at_us))
    }
}

pub(crate) fn encode<T: Serialize>(id: &str, body: &T) -> Result<Bytes, SupervisorError> {
    let body = serde_json::to_vec(body);
    body.map(Into::into).map_err(|e| SupervisorError::Document { what: id.to_owned(), reason: e.to_string() })
}

/// Reads a fenced document.
pub(crate) async fn read<T: DeserializeOwned>(
    store: &dyn Store,
    kind: DocumentKind,
    id: &str,
) -> Result<Option<(Stamp, T)>, SupervisorError> {
    store.document(kind, id).await?.map(|d| parse(&d)).transpose()
}

/// Reads a fenced document's body.
pub(crate) fn parse<T: DeserializeOwned>(document: &Document) -> Result<(Stamp, T), SupervisorError> {
    serde_json::from_slice(&document.body)
        .map(|body| (document.stamp, body))
        .map_err(|e| SupervisorError::Document { what: document.id.clone(), reason: e.to_string() })
}
