//! Cells by view and key: a shard's delta, and the whole state.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Cell, CellKey, GoldError,
    cell::{Conflict, Sign},
};

/// Where a cell belongs: the view's position in the contract, and the key inside the view.
pub type CellId = (u16, CellKey);

/// Cells by view and key, in that order: what one shard changes, or the whole state, which is the sum of all changes.
///
/// Never holds a cell whose accumulators are all 0, so equal contents are equal values and encode to equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cells {
    cells: BTreeMap<CellId, Cell>,
}

impl Cells {
    /// No cells.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The number of cells, hidden ones too.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// The cell with this id; `None` where all its accumulators are 0.
    pub fn get(&self, id: &CellId) -> Option<&Cell> {
        self.cells.get(id)
    }

    /// All cells, sorted by view and key.
    pub fn iter(&self) -> impl Iterator<Item = (&CellId, &Cell)> {
        self.cells.iter()
    }

    /// The cells of one view, sorted by key.
    pub fn of_view(&self, view: u16) -> impl Iterator<Item = (&CellKey, &Cell)> {
        let first = (view, CellKey::default());
        self.cells.range(first..).take_while(move |((v, _), _)| *v == view).map(|((_, key), cell)| (key, cell))
    }

    /// Adds every cell of `other`. After an error ([`GoldError::Overflow`], [`GoldError::Shape`]) nothing has changed.
    pub fn merge(&mut self, other: &Self) -> Result<(), GoldError> {
        self.apply(other, Sign::Plus)
    }

    /// Takes every cell of `other` away: the inverse of [`Cells::merge`], with the same errors.
    pub fn subtract(&mut self, other: &Self) -> Result<(), GoldError> {
        self.apply(other, Sign::Minus)
    }

    /// As [`Cells::merge`], and adds to `changed` the ids of the cells that differ from before. A changed cell that is
    /// no longer there has become zero. After an error `changed` is as it was.
    pub fn merge_tracked(&mut self, other: &Self, changed: &mut BTreeSet<CellId>) -> Result<(), GoldError> {
        self.merge(other)?;
        for id in other.cells.keys() {
            if !changed.contains(id) {
                changed.insert(id.clone());
            }
        }
        Ok(())
    }

    /// Puts a cell in place of whatever the id had; a cell of zeros leaves nothing there.
    pub fn insert(&mut self, id: CellId, cell: Cell) {
        if cell.is_zero() {
            self.cells.remove(&id);
        } else {
            self.cells.insert(id, cell);
        }
    }

    /// As [`Cells::insert`], from the bytes of [`CellKey::as_bytes`] and [`Cell::encode`]; [`GoldError::Damaged`]
    /// where they are something else.
    pub fn insert_encoded(&mut self, view: u16, key: &[u8], cell: &[u8]) -> Result<(), GoldError> {
        let key = CellKey::from_bytes(key)?;
        self.insert((view, key), Cell::decode(cell)?);
        Ok(())
    }

    fn apply(&mut self, other: &Self, sign: Sign) -> Result<(), GoldError> {
        for (done, (id, cell)) in other.cells.iter().enumerate() {
            let Err(conflict) = self.apply_cell(id, cell, sign) else { continue };
            for (id, cell) in other.cells.iter().take(done) {
                // Goes back to values that were there a moment ago, so it cannot conflict.
                let _ = self.apply_cell(id, cell, sign.inverse());
            }
            let (view, key) = (id.0, id.1.to_string());
            return Err(match conflict {
                Conflict::Overflow => GoldError::Overflow { view, key },
                Conflict::Shape => GoldError::Shape { view, key },
            });
        }
        Ok(())
    }

    fn apply_cell(&mut self, id: &CellId, cell: &Cell, sign: Sign) -> Result<(), Conflict> {
        // Looked up by reference first: the common case is a cell that is there, and needs no copy of the key.
        let Some(mine) = self.cells.get_mut(id) else {
            let mut mine = cell.zeroed();
            mine.apply(cell, sign)?;
            self.insert(id.clone(), mine);
            return Ok(());
        };
        mine.apply(cell, sign)?;
        if mine.is_zero() {
            self.cells.remove(id);
        }
        Ok(())
    }
}

impl FromIterator<(CellId, Cell)> for Cells {
    /// Cells that repeat an id replace the earlier ones; cells of zeros are left out.
    fn from_iter<I: IntoIterator<Item = (CellId, Cell)>>(cells: I) -> Self {
        // Collecting sorts once; inserting one by one would search for each.
        let mut cells: BTreeMap<_, _> = cells.into_iter().collect();
        cells.retain(|_, cell| !cell.is_zero());
        Self { cells }
    }
}
