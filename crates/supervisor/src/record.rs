//! A job as it is stored: what it pins, how far it may have been leased, how it ended.

use ensemble_contract::{Contract, ContractError};
use ensemble_protocol::{ConvertError, v1};
use ensemble_sources::{SourceFile, csv::Preamble};
use ensemble_store::{DocumentKind, JobId, JobNumber, Stamp, Store};
use serde::{Deserialize, Serialize};

use crate::{SupervisorError, Totals, office};

/// How many jobs are read at once.
const PAGE: usize = 100;

/// A job's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Accepted; nothing has been leased.
    Queued,
    /// Being worked on, or interrupted and to be resumed.
    Running,
    /// Stopped by a person, to be resumed by one.
    Paused,
    /// Settling what was leased, then it ends as the record's `ending` says.
    Stopping,
    /// Every row is accounted for.
    Succeeded,
    /// Ended early; `reason` says why. What was leased is settled.
    Failed,
    /// Ended by a person. What was leased is settled.
    Cancelled,
}

impl JobState {
    /// Whether the job has ended for good.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// Whether a job may go from this state to `next`.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Queued => matches!(next, Self::Running | Self::Paused | Self::Stopping),
            Self::Running => matches!(next, Self::Paused | Self::Stopping | Self::Succeeded),
            // Where all was leased before the pause, nothing is left to resume.
            Self::Paused => matches!(next, Self::Running | Self::Stopping | Self::Succeeded),
            Self::Stopping => matches!(next, Self::Failed | Self::Cancelled),
            Self::Succeeded | Self::Failed | Self::Cancelled => false,
        }
    }

    /// The state's name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl From<JobState> for v1::JobState {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Queued => Self::Queued,
            JobState::Running => Self::Running,
            JobState::Paused => Self::Paused,
            JobState::Stopping => Self::Stopping,
            JobState::Succeeded => Self::Succeeded,
            JobState::Failed => Self::Failed,
            JobState::Cancelled => Self::Cancelled,
        }
    }
}

impl TryFrom<v1::JobState> for JobState {
    type Error = ConvertError;

    fn try_from(state: v1::JobState) -> Result<Self, ConvertError> {
        Ok(match state {
            v1::JobState::Queued => Self::Queued,
            v1::JobState::Running => Self::Running,
            v1::JobState::Paused => Self::Paused,
            v1::JobState::Stopping => Self::Stopping,
            v1::JobState::Succeeded => Self::Succeeded,
            v1::JobState::Failed => Self::Failed,
            v1::JobState::Cancelled => Self::Cancelled,
            v1::JobState::Unspecified => return Err(ConvertError::Missing("state")),
        })
    }
}

/// How a job that is being stopped will end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It cannot go on.
    Failed {
        /// Why, for people.
        reason: String,
    },
    /// A person wants it so.
    Cancelled,
}

/// The contract that a job is judged by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedContract {
    /// Its name.
    pub name: String,
    /// The silver collection that it fills.
    pub silver: String,
    /// Its text.
    pub text: String,
    /// SHA-256 of the text.
    pub hash: String,
    /// The version of the rules' meaning.
    pub engine_version: u32,
}

/// Where a job's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "a job has one")]
pub enum Source {
    /// Files that can be read again.
    Files(Vec<PinnedFile>),
    /// Standard input, which cannot.
    StandardInput(PinnedFile),
}

/// One file, or standard input, as it was when the job was submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedFile {
    /// The name as the user gave it.
    pub name: String,
    /// Where it is, its size and its time; `None` for standard input and for an upload.
    pub file: Option<SourceFile>,
    /// The upload that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<PinnedUpload>,
    /// Delimiter and header.
    pub preamble: Preamble,
    /// Header names that no column of the contract takes.
    pub ignored: Vec<String>,
}

/// An upload that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedUpload {
    /// Its name.
    pub id: String,
    /// Its bytes.
    pub length: u64,
}

impl PinnedFile {
    /// How many bytes it has; `None` for standard input.
    pub fn size(&self) -> Option<u64> {
        self.file.as_ref().map(|f| f.size).or_else(|| self.upload.as_ref().map(|u| u.length))
    }
}

/// A job's document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// The public name.
    pub id: JobId,
    /// The number, by which shards and ranks name the job.
    pub number: JobNumber,
    /// The state.
    pub state: JobState,
    /// How a stopping job will end, and how a stopped one ended.
    pub ending: Option<Ending>,
    /// The contract.
    pub contract: PinnedContract,
    /// The source.
    pub source: Source,
    /// The size that shards aim at.
    pub shard_bytes: u64,
    /// A longer record is rejected.
    pub record_limit_bytes: u64,
    /// The job's share of the workers beside other jobs, from 1.
    #[serde(default = "one")]
    pub weight: u32,
    /// When the source counts as observed, in microseconds since the Unix epoch.
    pub observed_at_us: i64,
    /// When the job was submitted, in microseconds since the Unix epoch.
    pub created_at_us: i64,
    /// When the job ended.
    pub ended_at_us: Option<i64>,
    /// How long processes have worked on it, in microseconds, up to when this document was written.
    pub active_us: u64,
    /// No shard from this number on has ever been leased.
    pub leased_below: u32,
    /// What the ledger added up to when the job ended.
    pub totals: Option<Totals>,
}

fn one() -> u32 {
    1
}

impl JobRecord {
    /// The files, or the one stream.
    pub fn files(&self) -> &[PinnedFile] {
        match &self.source {
            Source::Files(files) => files,
            Source::StandardInput(file) => std::slice::from_ref(file),
        }
    }

    /// All bytes of the source; `None` for standard input.
    pub fn source_bytes(&self) -> Option<u64> {
        match &self.source {
            Source::Files(files) => Some(files.iter().filter_map(PinnedFile::size).sum()),
            Source::StandardInput(_) => None,
        }
    }

    /// Header names that no column takes, of all files, each once.
    pub fn ignored_columns(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.files().iter().flat_map(|f| &f.ignored) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// The pinned contract, compiled.
    ///
    /// # Errors
    /// Where this version of the program no longer reads it.
    pub fn compile(&self) -> Result<Contract, ContractError> {
        Contract::parse(&self.contract.text, &self.contract.name)
    }

    /// What workers are told of the job.
    pub fn spec(&self) -> v1::JobSpec {
        v1::JobSpec {
            job_number: self.number.0,
            job_id: self.id.to_string(),
            contract_toml: self.contract.text.clone(),
            contract_hash: self.contract.hash.clone(),
            engine_version: self.contract.engine_version,
            observed_at_us: self.observed_at_us,
            files: self
                .files()
                .iter()
                .map(|f| v1::SourceFile {
                    name: f.name.clone(),
                    delimiter: f.preamble.dialect.delimiter.into(),
                    header: f.preamble.header.clone(),
                    path: f.file.as_ref().map(|f| f.canonical.to_string()).unwrap_or_default(),
                })
                .collect(),
        }
    }
}

/// Reads one job.
///
/// # Errors
/// Those of the store, or where the document cannot be read.
pub async fn read_job(store: &dyn Store, id: JobId) -> Result<Option<(Stamp, JobRecord)>, SupervisorError> {
    office::read(store, DocumentKind::Job, &id.to_string()).await
}

/// Reads all jobs, oldest first.
///
/// # Errors
/// Those of the store, or where a document cannot be read.
pub async fn list_jobs(store: &dyn Store) -> Result<Vec<(Stamp, JobRecord)>, SupervisorError> {
    let mut jobs = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.scan_documents(DocumentKind::Job, after.as_deref(), PAGE).await?;
        for document in &page {
            jobs.push(office::parse::<JobRecord>(document)?);
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.id.clone()),
            _ => break,
        }
    }
    jobs.sort_by_key(|(_, job)| job.number);
    Ok(jobs)
}
