//! Gold in three ways: folded from the ledger, recomputed from silver, and as it is stored.

use ensemble_gold::{Cells, Folder, Views};
use ensemble_store::{LedgerEntry, SilverDoc, Store};
use ensemble_supervisor::{Covered, GoldState};

use crate::check::{drive, explain};

/// Folds the entries in the order in which they appeared.
pub(crate) fn folded(views: &Views, entries: &[LedgerEntry]) -> Result<Cells, String> {
    let mut state = GoldState::new(views.clone(), Cells::new(), Covered::default());
    for entry in entries {
        state.fold(entry).map_err(explain)?;
    }
    Ok(state.cells().clone())
}

/// Adds up the live rows.
pub(crate) fn recomputed<'a>(views: &Views, silver: impl Iterator<Item = &'a SilverDoc>) -> Result<Cells, String> {
    let mut folder = Folder::new(views);
    for doc in silver {
        folder.add(&doc.live.fields).map_err(explain)?;
    }
    Ok(folder.finish())
}

/// Reads the stored cells that are not gone.
pub(crate) fn stored(views: &Views, store: &dyn Store) -> Result<Cells, String> {
    let mut cells = Cells::new();
    for (number, name) in (0u16..).zip(views.names()) {
        for cell in drive(store.scan_cells(name, None, usize::MAX))?.map_err(explain)? {
            if !cell.cell.is_empty() {
                cells.insert_encoded(number, &cell.key, &cell.cell).map_err(explain)?;
            }
        }
    }
    Ok(cells)
}
