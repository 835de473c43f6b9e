//! What cannot be validated.

use ensemble_contract::{BindError, ContractError};
use ensemble_gold::GoldError;

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

/// A shard that cannot be judged. None of it passes by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidateError {
    /// The shard names a file that its job does not have: they do not belong together.
    #[error("the shard names file {file}, and its job has {files} files")]
    NoSuchFile {
        /// The file's number.
        file: u32,
        /// How many files the job has.
        files: usize,
    },
    /// Judged once more on its own, a record of the shard has another verdict: a bug of the rules.
    #[error("the record at byte {offset} has another verdict on its own than in its shard; please report it")]
    NotRepeated {
        /// The record's first byte in its file.
        offset: u64,
    },
    /// A row that the contract accepts does not fit its gold, which a contract that compiles rules out.
    #[error(transparent)]
    Gold(#[from] GoldError),
}
