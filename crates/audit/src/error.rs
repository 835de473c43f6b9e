//! Why a verification could not be finished. A broken invariant is a finding, not an error.

use std::{io, path::PathBuf};

use ensemble_events::EventsError;
use ensemble_store::{JobId, StoreError};
use ensemble_supervisor::SupervisorError;

/// An error of a verification. Nothing was written, so it can be run again.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The event log could not be read.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// A document of the supervisor could not be read.
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    /// The scope names a job that the store does not have.
    #[error("the store has no job {0}; list the jobs to see their names")]
    UnknownJob(JobId),
    /// The scratch files could not be written or read.
    #[error("cannot {action} scratch file {path}: {source}; name a directory with free space as scratch directory")]
    Scratch {
        /// What was tried: `create`, `write`, `read`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A part of the verification panicked.
    #[error("the verification failed inside: {0}; please report it")]
    Panicked(String),
}
