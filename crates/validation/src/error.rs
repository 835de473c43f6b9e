//! What cannot be validated.

use ensemble_contract::{BindError, ContractError};

/// A job's specification that this process cannot work under.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The job was planned under other rules.
    #[error("the job needs engine version {wanted}, and this process has {known}; use the version that planned it")]
    Engine {
        /// The job's.
        wanted: u32,
        /// This process's.
        known: u32,
    },
    /// The contract does not compile.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// A header does not fit the contract.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The delimiter is not one byte.
    #[error("the delimiter {0} is not one byte")]
    Delimiter(u32),
    /// The job's name is not a UUID.
    #[error("the job's id {0:?} is not a UUID")]
    JobId(String),
}

/// A shard that names a file that its job does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the shard names file {file}, and its job has {files} files")]
pub struct NoSuchFile {
    /// The file's number.
    pub file: u32,
    /// How many files the job has.
    pub files: usize,
}
