//! Gold: a contract's views as exact integer accumulators.
//!
//! Pure: no input or output, no async. [`Views`] is a contract's gold views, compiled. A [`Folder`] folds encoded rows
//! into [`Cells`], the one type for a shard's delta and for the whole state; cells are merged and retracted exactly,
//! so a state does not depend on the order or the grouping of what was merged. [`Views::rows`] reads a view: means,
//! deviations and correlations computed from the exact sums, to the same bits on every machine.

mod batch;
mod cell;
mod cells;
mod correlator;
mod decoder;
mod error;
mod exact;
mod folder;
mod groups;
mod key;
mod read;
mod scan;
mod view_fold;
mod views;
mod wire;

pub use cell::{Cell, PairSums, Sums};
pub use cells::{CellId, Cells};
pub use error::GoldError;
pub use folder::Folder;
pub use key::{CellKey, KeyPart};
pub use read::{GoldRow, GoldValue};
pub use views::{GoldColumnKind, Views};
