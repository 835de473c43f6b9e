//! One silver collection's gold as it is stored: cells, and checkpoints of them.

use std::collections::BTreeSet;

use bytes::Bytes;
use ensemble_gold::{CellId, Cells, Views};
use ensemble_store::{DocumentKind, Epoch, GoldCell, JobNumber, Stamp, Store};
use serde::{Deserialize, Serialize};

use crate::{Covered, GoldState, JobRecord, Office, SupervisorError, ledger::each_entry, office};

/// A checkpoint is cut into documents of this size.
const CHUNK_BYTES: usize = 4 << 20;

/// What a checkpoint's head says.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Head {
    /// The chunks are the documents `SILVER/NUMBER/0` to `SILVER/NUMBER/(chunks-1)`.
    number: u64,
    chunks: u32,
    covered: Covered,
}

/// Reads the gold of a silver collection: the checkpoint and the ledger entries that are not in it.
///
/// # Errors
/// Those of the store, or where a document or a delta cannot be read.
pub async fn load_gold(
    store: &dyn Store,
    silver: &str,
    views: Views,
    jobs: &[JobRecord],
) -> Result<GoldState, SupervisorError> {
    let (cells, covered) = load_checkpoint(store, silver).await?;
    let mut state = GoldState::new(views, cells, covered);
    for job in jobs.iter().filter(|j| j.contract.silver == silver) {
        fold_job(store, &mut state, job.number).await?;
    }
    Ok(state)
}

async fn fold_job(store: &dyn Store, state: &mut GoldState, job: JobNumber) -> Result<(), SupervisorError> {
    let from = state.covered().prefix(job);
    each_entry(store, job, from, |entry| state.fold(entry).map(drop)).await
}

async fn load_checkpoint(store: &dyn Store, silver: &str) -> Result<(Cells, Covered), SupervisorError> {
    match office::read::<Head>(store, DocumentKind::Checkpoint, silver).await? {
        Some((_, head)) => Ok((load_cells(store, silver, &head).await?, head.covered)),
        None => Ok((Cells::new(), Covered::default())),
    }
}

async fn load_cells(store: &dyn Store, silver: &str, head: &Head) -> Result<Cells, SupervisorError> {
    if head.chunks == 0 {
        return Ok(Cells::new());
    }
    let mut bytes = Vec::new();
    for i in 0..head.chunks {
        let id = chunk_id(silver, head.number, i);
        let chunk = store.document(DocumentKind::Checkpoint, &id).await?.ok_or_else(|| SupervisorError::Document {
            what: id.clone(),
            reason: "the checkpoint's head names it, and it is not there".to_owned(),
        })?;
        bytes.extend_from_slice(&chunk.body);
    }
    Ok(Cells::decode(&bytes)?)
}

fn chunk_id(silver: &str, number: u64, chunk: u32) -> String {
    format!("{silver}/{number:020}/{chunk:06}")
}

/// The head of the checkpoint that is current.
#[derive(Debug, Clone)]
pub struct CurrentHead {
    stamp: Stamp,
    head: Head,
}

/// One silver collection's gold, with what is needed to write it.
#[derive(Debug)]
pub struct Collection {
    silver: String,
    pub(crate) state: GoldState,
    /// The cells of the draft that is being written.
    unwritten: BTreeSet<CellId>,
    current: CurrentHead,
    /// The last checkpoint's number, also where writing it failed: numbers are not used twice, so that a deposed
    /// aggregator cannot write into the chunks of its successor.
    number: u64,
    version: u64,
}

impl Collection {
    /// Reads the gold of the collection that `job` fills: the checkpoint and the entries of `jobs` that are not in it.
    ///
    /// # Errors
    /// Those of the store, or where a document, a delta or the contract cannot be read.
    pub async fn open(office: &Office, job: &JobRecord, jobs: &[JobRecord]) -> Result<Self, SupervisorError> {
        let (store, silver) = (&**office.store(), &job.contract.silver);
        let found = office::read::<Head>(store, DocumentKind::Checkpoint, silver).await?;
        let (expected, head) = match found {
            Some((stamp, head)) => (Some(stamp), head),
            None => (None, Head { number: 0, chunks: 0, covered: Covered::default() }),
        };
        // Under this term's epoch before anything is read or written: from here on whoever was in office before can
        // neither make another checkpoint current nor delete this one's chunks.
        let stamp = office.write(DocumentKind::Checkpoint, silver, expected, &head).await?;
        let (cells, covered) = (load_cells(store, silver, &head).await?, head.covered.clone());
        let mut state = GoldState::new(Views::new(&job.compile()?), cells, covered);
        for job in jobs.iter().filter(|j| j.contract.silver == *silver) {
            fold_job(store, &mut state, job.number).await?;
        }
        state.touch_all();
        let (silver, number) = (silver.clone(), head.number);
        Ok(Self { silver, state, unwritten: BTreeSet::new(), current: CurrentHead { stamp, head }, number, version: 0 })
    }

    /// The cells, and which entries are in them.
    pub fn state_mut(&mut self) -> &mut GoldState {
        &mut self.state
    }

    /// The collection's name.
    pub(crate) fn silver(&self) -> &str {
        &self.silver
    }

    /// What is to be written by now: the cells that have changed and, `with_checkpoint`, a checkpoint of all, unless the
    /// current one is that already. What becomes of it is told with [`Collection::written`]; a draft that nobody tells of
    /// counts as not written.
    pub fn draft(&mut self, office: &Office, with_checkpoint: bool) -> Draft {
        self.state.put_back(std::mem::take(&mut self.unwritten));
        self.version += 1;
        let stamp = Stamp { epoch: office.epoch(), version: self.version };
        let cells = self.state.changed(stamp, office.store().keeps_gold_rows());
        self.unwritten = self.state.take_changed();
        let is_due = with_checkpoint && self.current.head.covered != *self.state.covered();
        let checkpoint = is_due.then(|| self.checkpoint(office.epoch()));
        Draft { cells, checkpoint }
    }

    fn checkpoint(&mut self, epoch: Epoch) -> Checkpoint {
        self.number = (epoch.0 << 32).max(self.number) + 1;
        let bytes = Bytes::from(self.state.cells().encode());
        let chunks = u32::try_from(bytes.len().div_ceil(CHUNK_BYTES)).unwrap_or(u32::MAX);
        let head = Head { number: self.number, chunks, covered: self.state.covered().clone() };
        Checkpoint { silver: self.silver.clone(), bytes, head, replaced: self.current.clone() }
    }

    /// Takes note of what became of the last draft. What is not written is in the next one.
    ///
    /// # Errors
    /// Those of [`Draft::write`].
    pub fn written(&mut self, written: Result<Option<CurrentHead>, SupervisorError>) -> Result<(), SupervisorError> {
        let unwritten = std::mem::take(&mut self.unwritten);
        match written {
            Ok(head) => {
                if let Some(head) = head {
                    self.current = head;
                }
                Ok(())
            }
            Err(e) => {
                self.state.put_back(unwritten);
                Err(e)
            }
        }
    }
}

/// Gold of a collection that is to be written, as it was when the draft was made. What is folded meanwhile waits for the
/// next one.
#[derive(Debug)]
pub struct Draft {
    cells: Vec<GoldCell>,
    checkpoint: Option<Checkpoint>,
}

/// A collection's whole state, under a number of its own.
#[derive(Debug)]
struct Checkpoint {
    silver: String,
    bytes: Bytes,
    head: Head,
    replaced: CurrentHead,
}

impl Draft {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.checkpoint.is_none()
    }

    /// Writes the cells, and then the checkpoint, in which those that are gone are no more. The checkpoint's head, where
    /// there is one, is current then.
    ///
    /// # Errors
    /// Those of the store, and some cells may have been written; [`SupervisorError::Deposed`] where another supervisor is
    /// in office.
    pub async fn write(self, office: &Office) -> Result<Option<CurrentHead>, SupervisorError> {
        if !self.cells.is_empty() {
            office.store().write_cells(self.cells).await?;
        }
        let Some(checkpoint) = self.checkpoint else { return Ok(None) };
        let current = checkpoint.write(office).await?;
        if let Err(error) = delete_chunks(office, &checkpoint.silver, &checkpoint.replaced.head).await {
            tracing::warn!(silver = checkpoint.silver, %error, "an old checkpoint of gold cannot be deleted; it only takes room");
        }
        Ok(Some(current))
    }
}

impl Checkpoint {
    /// Writes it and makes it current with one compare-and-set.
    async fn write(&self, office: &Office) -> Result<CurrentHead, SupervisorError> {
        let Self { silver, bytes, head, replaced } = self;
        for (i, chunk) in (0..head.chunks).zip(bytes.chunks(CHUNK_BYTES)) {
            let (id, body) = (chunk_id(silver, head.number, i), bytes.slice_ref(chunk));
            office.write_bytes(DocumentKind::Checkpoint, &id, None, body).await?;
        }
        let stamp = office.write(DocumentKind::Checkpoint, silver, Some(replaced.stamp), head).await?;
        Ok(CurrentHead { stamp, head: head.clone() })
    }
}

async fn delete_chunks(office: &Office, silver: &str, head: &Head) -> Result<(), SupervisorError> {
    for i in 0..head.chunks {
        let id = chunk_id(silver, head.number, i);
        if let Some(chunk) = office.store().document(DocumentKind::Checkpoint, &id).await? {
            office.store().delete_document(DocumentKind::Checkpoint, &id, chunk.stamp).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
