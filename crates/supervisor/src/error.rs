//! What can go wrong in a supervising role.

use ensemble_contract::ContractError;
use ensemble_events::EventsError;
use ensemble_gold::GoldError;
use ensemble_sources::SourceError;
use ensemble_store::{ErrorClass, StoreError};
use ractor::SpawnErr;

/// An error of a supervising role.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The event log refused.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// The source could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A job's contract does not compile.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// Gold's sums do not fit, or stored ones cannot be read.
    #[error(transparent)]
    Gold(#[from] GoldError),
    /// A supervisor is in office, and is not to be disturbed.
    #[error("supervisor {0} is in office over this store; hand jobs to it with --server, or stop it first")]
    Held(String),
    /// Another supervisor is in office: this one changes nothing any more.
    #[error("another supervisor has taken over the store; this one has stopped")]
    Deposed,
    /// A stored document cannot be read.
    #[error("the stored {what} cannot be read: {reason}")]
    Document {
        /// Which document.
        what: String,
        /// Why not.
        reason: String,
    },
    /// An actor could not be started.
    #[error("cannot start: {0}")]
    Spawn(#[from] SpawnErr),
    /// An actor is gone or did not answer in time.
    #[error("the {0} did not answer")]
    NoAnswer(&'static str),
}

impl SupervisorError {
    /// What the caller does about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Store(e) => e.class(),
            Self::Events(e) => e.class(),
            Self::Source(e) => e.class(),
            Self::Contract(_) | Self::Held(_) => ErrorClass::Invalid,
            Self::Gold(_) | Self::Document { .. } => ErrorClass::Fatal,
            // Another supervisor answers, or this actor's successor does.
            Self::Deposed | Self::Spawn(_) | Self::NoAnswer(_) => ErrorClass::Transient,
        }
    }
}
