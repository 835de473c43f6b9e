//! What folding, merging and decoding can answer instead of a result.

use ensemble_contract::RowError;

/// An error of gold. None of them passes by itself: the same call fails again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GoldError {
    /// The bytes are not a row.
    #[error("cannot fold a row: {0}")]
    Row(#[from] RowError),
    /// A row holds a value of another type than its column: it was written under another contract.
    #[error("column {column} holds a value of another type; fold the row under the contract that wrote it")]
    Type {
        /// The column's name.
        column: String,
    },
    /// A number is too large to be summed or binned.
    #[error("a value of column {column} is too large for gold; give the column a narrower range in the contract")]
    OutOfRange {
        /// The column's name.
        column: String,
    },
    /// A sum does not fit its accumulator; nothing was merged.
    #[error("a sum overflows in view {view}, key {key}; give the view's columns narrower ranges in the contract")]
    Overflow {
        /// The view's position in the contract.
        view: u16,
        /// The cell's key, as people read it.
        key: String,
    },
    /// Two cells of one key have different accumulators: they come from different views; nothing was merged.
    #[error("view {view}, key {key}: the cells have different measures; recompute the view under one contract")]
    Shape {
        /// The view's position in the contract.
        view: u16,
        /// The cell's key, as people read it.
        key: String,
    },
    /// Bytes that are no encoded cells, key or cell.
    #[error("the encoded {what} is damaged at {remaining} bytes before its end")]
    Damaged {
        /// What was being decoded.
        what: &'static str,
        /// How many bytes had not been read.
        remaining: usize,
    },
    /// Cells of an unknown encoding.
    #[error(
        "the cells have encoding {found}, and this version reads encoding {known}; use the version that wrote them"
    )]
    Version {
        /// The version that was found.
        found: u8,
        /// The version that is known.
        known: u8,
    },
}
