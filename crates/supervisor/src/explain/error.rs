//! What cannot be explained.

use ensemble_contract::RowError;
use ensemble_store::{ErrorClass, JobId, StoreError};
use ensemble_validation::{Place, SpecError, ValidateError};

use crate::SupervisorError;

/// Why there is no explanation. Nothing was written, so that the same question can be asked again.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored document could not be read.
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    /// The store has no such job.
    #[error("the store has no job {0}; list the jobs to see their ids")]
    UnknownJob(JobId),
    /// The job has no such file, or several, of which none is named.
    #[error("job {job} {problem}")]
    File {
        /// The job.
        job: JobId,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// No record stands there.
    #[error("{problem}")]
    NoRow {
        /// Where.
        at: Place,
        /// What is there instead.
        problem: String,
    },
    /// The shard that holds it has no ledger entry yet, or never will.
    #[error("{place} of {file} is not settled: job {job} {problem}")]
    NotSettled {
        /// The job.
        job: JobId,
        /// The file's name.
        file: String,
        /// The line or byte.
        place: String,
        /// What the job is doing, and what to do.
        problem: String,
    },
    /// The store has no such silver collection, or several, of which none is named.
    #[error("{0}")]
    Silver(String),
    /// Silver has no such key.
    #[error(
        "{silver} has no key {key:?}: no row that was accepted has it; keys are as the contract standardises them, and \
         rejected rows are dead letters"
    )]
    UnknownKey {
        /// The collection.
        silver: String,
        /// The key.
        key: String,
    },
    /// This version of the program cannot judge the job's rows.
    #[error("the rows of job {job} cannot be judged again: {source}")]
    Spec {
        /// The job.
        job: JobId,
        /// Why not.
        source: SpecError,
    },
    /// Judging the shard again failed.
    #[error(transparent)]
    Validate(#[from] ValidateError),
    /// Stored fields cannot be read.
    #[error("the fields of key {key:?} in {silver} cannot be read: {source}")]
    Fields {
        /// The collection.
        silver: String,
        /// The key.
        key: String,
        /// Why not.
        source: RowError,
    },
    /// What the layers say does not fit together.
    #[error("{0}; `ensemble verify` says what else does not hold")]
    Inconsistent(String),
    /// Judging the shard again panicked.
    #[error("judging the shard again failed inside: {0}; please report it")]
    Panicked(String),
}

impl ExplainError {
    /// What the caller does about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Store(e) => e.class(),
            Self::Supervisor(e) => e.class(),
            Self::UnknownJob(_)
            | Self::File { .. }
            | Self::NoRow { .. }
            | Self::NotSettled { .. }
            | Self::Silver(_)
            | Self::UnknownKey { .. }
            | Self::Spec { .. } => ErrorClass::Invalid,
            Self::Validate(_) | Self::Fields { .. } | Self::Inconsistent(_) | Self::Panicked(_) => ErrorClass::Fatal,
        }
    }
}
