//! A job as a worker needs it: the specification, compiled once.

use std::sync::Arc;

use ensemble_contract::{Binding, Contract, ENGINE_VERSION, Judge, Keep};
use ensemble_gold::Views;
use ensemble_protocol::v1;
use ensemble_sources::{Location, csv::Dialect};
use ensemble_store::{JobId, JobNumber, Position, Rank};

use crate::{SpecError, ValidateError};

/// A job's specification, compiled. Shared by all shards of the job.
#[derive(Debug)]
pub struct JobContext {
    /// The job's public name.
    pub id: JobId,
    /// The job's number.
    pub number: JobNumber,
    /// The contract.
    pub contract: Arc<Contract>,
    /// The contract's gold views.
    pub views: Views,
    files: Vec<FileContext>,
    observed_at_us: i64,
}

/// One file of a job, with its header bound to the contract.
#[derive(Debug)]
pub struct FileContext {
    /// The name as the user gave it.
    pub name: String,
    /// Where it is, unless it is an upload or standard input, or in a place that this version does not know.
    pub location: Option<Location>,
    pub(crate) dialect: Dialect,
    pub(crate) judge: Judge,
}

impl JobContext {
    /// Compiles a specification.
    ///
    /// # Errors
    /// Where the specification was made by another engine, or does not fit together; it was checked when the job was
    /// submitted, so trying again does not help.
    pub fn new(spec: &v1::JobSpec) -> Result<Self, SpecError> {
        if spec.engine_version != ENGINE_VERSION {
            return Err(SpecError::Engine { wanted: spec.engine_version, known: ENGINE_VERSION });
        }
        let contract = Arc::new(Contract::parse(&spec.contract_toml, "the job's contract")?);
        let files = spec
            .files
            .iter()
            .map(|file| {
                let binding = Binding::new(&contract, &file.header)?;
                let delimiter = u8::try_from(file.delimiter).map_err(|_| SpecError::Delimiter(file.delimiter))?;
                Ok(FileContext {
                    name: file.name.clone(),
                    location: if file.path.is_empty() { None } else { file.path.parse().ok() },
                    dialect: Dialect { delimiter },
                    judge: Judge::new(Arc::clone(&contract), binding),
                })
            })
            .collect::<Result<_, SpecError>>()?;
        Ok(Self {
            id: spec.job_id.parse().map_err(|_| SpecError::JobId(spec.job_id.clone()))?,
            number: JobNumber(spec.job_number),
            views: Views::new(&contract),
            contract,
            files,
            observed_at_us: spec.observed_at_us,
        })
    }

    /// One of the job's files.
    ///
    /// # Errors
    /// Where the job has no such file: shard and job do not belong together.
    pub fn file(&self, file: u32) -> Result<&FileContext, ValidateError> {
        self.files.get(file as usize).ok_or(ValidateError::NoSuchFile { file, files: self.files.len() })
    }

    /// The rank of the row at `position`.
    pub fn rank(&self, position: Position) -> Rank {
        match self.contract.keep {
            Keep::First => Rank::first(self.number, position),
            Keep::Last => Rank::last(self.observed_at_us, 0, position),
        }
    }

    /// The position of the row with this rank: the inverse of [`JobContext::rank`].
    pub fn position(&self, rank: Rank) -> Position {
        match self.contract.keep {
            Keep::First => Position(rank.0[1] as u64),
            Keep::Last => Position(rank.0[2].unsigned_abs()),
        }
    }
}
