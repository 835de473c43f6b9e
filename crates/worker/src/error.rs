//! What can go wrong with a shard.

use ensemble_contract::RowError;
use ensemble_events::EventsError;
use ensemble_gold::GoldError;
use ensemble_store::{ErrorClass, StoreError};
use ensemble_validation::ValidateError;

/// Why a shard could not be committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The event log refused.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// A stored row cannot be read.
    #[error("a stored row of silver is damaged: {0}")]
    Row(#[from] RowError),
    /// Gold's sums do not fit.
    #[error(transparent)]
    Gold(#[from] GoldError),
    /// The shard cannot be judged.
    #[error(transparent)]
    Validate(#[from] ValidateError),
}

impl CommitError {
    /// What is to be done about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Store(e) => e.class(),
            Self::Events(e) => e.class(),
            Self::Row(_) | Self::Gold(_) => ErrorClass::Fatal,
            Self::Validate(_) => ErrorClass::Invalid,
        }
    }
}
