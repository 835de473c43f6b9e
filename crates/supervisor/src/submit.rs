//! From what the user names to a job: files looked at, headers bound, nothing written.

use std::io::Read;

use ensemble_contract::{BindError, Binding, Contract, ENGINE_VERSION};
use ensemble_sources::{
    Input, SourceError, SourceFile,
    csv::{Head, sniff},
};
use ensemble_store::JobId;

use crate::{JobRecord, PinnedContract, PinnedFile, PinnedUpload, Source};

/// A job to be.
pub struct Submission {
    /// The public name that it is to have; `None`: a new one.
    pub id: Option<JobId>,
    /// Its share of the workers beside other jobs, from 1.
    pub weight: u32,
    /// What the job is judged by.
    pub contract: PinnedContract,
    /// Where its bytes come from.
    pub source: Source,
    /// The size that shards aim at.
    pub shard_bytes: u64,
    /// A longer record is rejected.
    pub record_limit_bytes: u64,
    /// Why the job fails before it begins: a header that does not fit the contract.
    pub misfit: Option<String>,
    /// Standard input, from its first byte on.
    pub(crate) stream: Option<Box<dyn Read + Send>>,
}

/// An input whose beginning has been read.
pub(crate) struct Looked {
    pub(crate) head: Head,
    pub(crate) file: Option<SourceFile>,
    pub(crate) upload: Option<PinnedUpload>,
}

/// Why nothing can be submitted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// An input cannot be read, or is no CSV text.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl Submission {
    /// Looks at the inputs' beginnings. Blocking. `stdin` is read where the input is standard input.
    ///
    /// # Errors
    /// Where an input cannot be opened or is no CSV text. A header that does not fit is no error, but a job that fails.
    pub fn inspect(
        inputs: Vec<Input>,
        contract: &Contract,
        shard_bytes: u64,
        record_limit_bytes: u64,
        stdin: impl FnOnce() -> Box<dyn Read + Send>,
    ) -> Result<Self, SubmitError> {
        let mut files = Vec::new();
        let mut stream: Option<Box<dyn Read + Send>> = None;
        let mut stdin = Some(stdin);
        let limit = usize::try_from(record_limit_bytes).unwrap_or(usize::MAX);
        for input in inputs {
            let name = input.name();
            let (head, file) = match &input {
                Input::File(file) => (Head::read(&name, file.open_at(0)?, limit)?, Some(file.clone())),
                Input::Stdin => {
                    let mut rest = stdin.take().ok_or(SourceError::StdinNotAlone)?();
                    let head = Head::read(&name, &mut rest, limit)?;
                    stream = Some(Box::new(head.clone().rejoin(rest)));
                    (head, None)
                }
            };
            files.push(Looked { head, file, upload: None });
        }
        let mut submission = Self::of_heads(files, contract, shard_bytes, record_limit_bytes)?;
        if let (Some(stream), Source::Files(files)) = (stream, &mut submission.source) {
            submission.source = Source::StandardInput(files.pop().ok_or(SourceError::NoInput)?);
            submission.stream = Some(stream);
        }
        Ok(submission)
    }

    /// A submission of files whose beginnings have been read.
    ///
    /// # Errors
    /// As [`Submission::inspect`].
    pub(crate) fn of_heads(
        looked: Vec<Looked>,
        contract: &Contract,
        shard_bytes: u64,
        record_limit_bytes: u64,
    ) -> Result<Self, SubmitError> {
        let mut misfits = Vec::new();
        let mut files = Vec::new();
        for Looked { head, file, upload } in looked {
            let preamble = sniff(&head, contract)?;
            let ignored = match Binding::new(contract, &preamble.header) {
                Ok(binding) => binding.ignored().to_vec(),
                Err(e) => {
                    misfits.push(misfit(&head.name, &e));
                    Vec::new()
                }
            };
            files.push(PinnedFile { name: head.name, file, upload, preamble, ignored });
        }
        Ok(Self {
            id: None,
            weight: 1,
            contract: PinnedContract {
                name: contract.name.clone(),
                silver: contract.silver.clone(),
                text: contract.text.clone(),
                hash: contract.hash.clone(),
                engine_version: ENGINE_VERSION,
            },
            source: Source::Files(files),
            shard_bytes,
            record_limit_bytes,
            misfit: (!misfits.is_empty()).then(|| misfits.join("; ")),
            stream: None,
        })
    }

    /// How an unfinished job relates to this submission.
    pub fn relation(&self, job: &JobRecord) -> Relation {
        let (Source::Files(mine), Source::Files(theirs)) = (&self.source, &job.source) else {
            return if matches!(job.source, Source::StandardInput(_)) { Relation::Lost } else { Relation::Other };
        };
        let paths = |files: &[PinnedFile]| -> Vec<_> {
            files.iter().map(|f| f.file.as_ref().map(|f| f.canonical.clone())).collect()
        };
        // An upload has no path, and is never submitted from here.
        if paths(mine) != paths(theirs) || paths(mine).contains(&None) {
            return Relation::Other;
        }
        let identities = |files: &[PinnedFile]| -> Vec<_> {
            files.iter().map(|f| f.file.as_ref().map(|f| (f.size, f.modified_us, f.etag.clone()))).collect()
        };
        if identities(mine) != identities(theirs) {
            return Relation::Outdated("a file has changed since the job began");
        }
        if self.contract.hash != job.contract.hash {
            return Relation::Outdated("the contract has changed since the job began");
        }
        Relation::Same
    }
}

/// How an unfinished job relates to a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// It is the same job: resume it.
    Same,
    /// It was over the same files, and cannot be resumed for this reason: settle and fail it.
    Outdated(&'static str),
    /// It read standard input, which is gone: settle and fail it.
    Lost,
    /// It has nothing to do with it.
    Other,
}

fn misfit(file: &str, error: &BindError) -> String {
    format!("{file}: {error}")
}
