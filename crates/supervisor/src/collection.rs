//! One silver collection's gold as it is stored: cells, and checkpoints of them.

use std::collections::BTreeSet;

use ensemble_gold::{CellId, Cells, Views};
use ensemble_store::{DocumentKind, GoldCell, JobNumber, Stamp, Store};
use serde::{Deserialize, Serialize};

use crate::{Covered, GoldState, JobRecord, Office, SupervisorError, ledger::each_entry, office};

/// A checkpoint is cut into documents of this size.
const CHUNK_BYTES: usize = 4 << 20;

/// What a checkpoint's head says.
#[derive(Debug, Serialize, Deserialize)]
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

pub(crate) async fn fold_job(store: &dyn Store, state: &mut GoldState, job: JobNumber) -> Result<(), SupervisorError> {
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

/// One silver collection's gold, with what is needed to write it.
#[derive(Debug)]
pub struct Collection {
    pub(crate) state: GoldState,
    head: Option<(Stamp, Head)>,
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
        let number = head.number;
        Ok(Self { state, head: Some((stamp, head)), number, version: 0 })
    }

    /// The cells, and which entries are in them.
    pub fn state_mut(&mut self) -> &mut GoldState {
        &mut self.state
    }

    /// Writes the cells that have changed.
    ///
    /// # Errors
    /// Those of the store; some cells may have been written.
    pub async fn write_cells(&mut self, office: &Office) -> Result<(), SupervisorError> {
        let (changed, cells) = self.take_changed(office);
        if cells.is_empty() {
            return Ok(());
        }
        let written = office.store().write_cells(cells).await;
        if written.is_err() {
            self.state.put_back(changed);
        }
        Ok(written?)
    }

    /// The cells that have changed, to be written; what was taken has to be put back where that fails.
    pub(crate) fn take_changed(&mut self, office: &Office) -> (BTreeSet<CellId>, Vec<GoldCell>) {
        self.version += 1;
        let stamp = Stamp { epoch: office.epoch(), version: self.version };
        let cells = self.state.changed(stamp, office.store().keeps_gold_rows());
        (self.state.take_changed(), cells)
    }

    /// Writes the whole state under a new number and makes it current with one compare-and-set.
    ///
    /// # Errors
    /// Those of the store; [`SupervisorError::Deposed`] where another supervisor is in office.
    pub async fn checkpoint(&mut self, office: &Office, silver: &str) -> Result<(), SupervisorError> {
        self.number = (office.epoch().0 << 32).max(self.number) + 1;
        let number = self.number;
        let bytes = self.state.cells().encode();
        let chunks: Vec<&[u8]> = bytes.chunks(CHUNK_BYTES).collect();
        for (i, chunk) in (0u32..).zip(&chunks) {
            let body = bytes::Bytes::copy_from_slice(chunk);
            office.write_bytes(DocumentKind::Checkpoint, &chunk_id(silver, number, i), None, body).await?;
        }
        let head = Head {
            number,
            chunks: u32::try_from(chunks.len()).unwrap_or(u32::MAX),
            covered: self.state.covered().clone(),
        };
        let expected = self.head.as_ref().map(|(stamp, _)| *stamp);
        let stamp = office.write(DocumentKind::Checkpoint, silver, expected, &head).await?;
        if let Some((_, old)) = self.head.replace((stamp, head)) {
            for i in 0..old.chunks {
                let id = chunk_id(silver, old.number, i);
                if let Some(chunk) = office.store().document(DocumentKind::Checkpoint, &id).await? {
                    office.store().delete_document(DocumentKind::Checkpoint, &id, chunk.stamp).await?;
                }
            }
        }
        Ok(())
    }
}
