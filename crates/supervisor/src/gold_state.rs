//! Gold as the aggregator holds it: the cells, and which ledger entries are in them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ensemble_gold::{Cell, CellId, Cells, GoldError, Views};
use ensemble_store::{GoldCell, GoldRows, JobNumber, LedgerEntry, ShardId, Stamp};
use serde::{Deserialize, Serialize};

/// Which ledger entries are folded in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    jobs: BTreeMap<u64, Extent>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Extent {
    /// All shards below.
    prefix: u32,
    /// Some shards from `prefix` on.
    beyond: BTreeSet<u32>,
}

impl Covered {
    /// Whether a shard's entry is folded in.
    pub fn contains(&self, shard: ShardId) -> bool {
        self.jobs.get(&shard.job.0).is_some_and(|e| shard.number < e.prefix || e.beyond.contains(&shard.number))
    }

    /// Below this number all of a job's entries are folded in.
    pub fn prefix(&self, job: JobNumber) -> u32 {
        self.jobs.get(&job.0).map_or(0, |e| e.prefix)
    }

    /// Adds a shard; `false` where it is there.
    fn insert(&mut self, shard: ShardId) -> bool {
        if self.contains(shard) {
            return false;
        }
        let extent = self.jobs.entry(shard.job.0).or_default();
        extent.beyond.insert(shard.number);
        while extent.beyond.remove(&extent.prefix) {
            extent.prefix += 1;
        }
        true
    }
}

/// The gold of one silver collection.
#[derive(Debug)]
pub struct GoldState {
    views: Views,
    cells: Cells,
    covered: Covered,
    changed: BTreeSet<CellId>,
}

impl GoldState {
    /// The state that holds these cells, of these entries.
    pub fn new(views: Views, cells: Cells, covered: Covered) -> Self {
        Self { views, cells, covered, changed: BTreeSet::new() }
    }

    /// The views.
    pub fn views(&self) -> &Views {
        &self.views
    }

    /// The cells.
    pub fn cells(&self) -> &Cells {
        &self.cells
    }

    /// Which entries are in the cells.
    pub fn covered(&self) -> &Covered {
        &self.covered
    }

    /// Folds a ledger entry in; `false` where it is in already.
    ///
    /// # Errors
    /// Where the delta cannot be read or a sum does not fit; the entry is then not in.
    pub fn fold(&mut self, entry: &LedgerEntry) -> Result<bool, GoldError> {
        let shard = entry.plan.shard;
        if self.covered.contains(shard) {
            return Ok(false);
        }
        if !entry.delta.is_empty() {
            self.cells.merge_tracked(&Cells::decode(&entry.delta)?, &mut self.changed)?;
        }
        Ok(self.covered.insert(shard))
    }

    /// Marks every cell as changed: a new aggregator writes each once, under its own epoch.
    pub fn touch_all(&mut self) {
        self.changed.extend(self.cells.iter().map(|(id, _)| id.clone()));
    }

    /// Takes note of what has changed: it is being written.
    pub fn take_changed(&mut self) -> BTreeSet<CellId> {
        std::mem::take(&mut self.changed)
    }

    /// What was taken is not durable, and has changed still: cells that are gone are nowhere else.
    pub fn put_back(&mut self, changed: BTreeSet<CellId>) {
        self.changed.extend(changed);
    }

    /// The cells that have changed since [`GoldState::take_changed`], to be written under `stamp`, with their rows where
    /// `with_rows`; one that is gone is empty.
    pub fn changed(&self, stamp: Stamp, with_rows: bool) -> Vec<GoldCell> {
        let cell = |id: &CellId| {
            let cell = self.cells.get(id);
            Some(GoldCell {
                view: self.views.name(id.0)?.to_owned(),
                key: Bytes::copy_from_slice(id.1.as_bytes()),
                stamp,
                cell: cell.map_or_else(Bytes::new, |c| c.encode().into()),
                rows: cell.filter(|_| with_rows).and_then(|cell| self.rows(id, cell)),
            })
        };
        self.changed.iter().filter_map(cell).collect()
    }

    /// What readers see of a cell; `None` where it is hidden.
    fn rows(&self, id: &CellId, cell: &Cell) -> Option<GoldRows> {
        let mut rows = self.views.cell_rows(id.0, &id.1, cell).into_iter().map(|row| row.to_json());
        if self.views.has_pairs(id.0) {
            let rows: Vec<_> = rows.collect();
            return (!rows.is_empty()).then_some(GoldRows::Pairs(rows));
        }
        rows.next().map(GoldRows::One)
    }
}

#[cfg(test)]
pub(crate) mod tests;
