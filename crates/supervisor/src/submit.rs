//! From what the user names to a job: files looked at, headers bound, nothing written.

use std::io::Read;

use ensemble_contract::{BindError, Binding, Contract, ENGINE_VERSION};
use ensemble_sources::{
    Input, SourceError,
    csv::{Head, sniff},
};

use crate::{JobRecord, PinnedContract, PinnedFile, Source};

/// A job to be.
pub struct Submission {
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
        let mut misfits = Vec::new();
        let mut files = Vec::new();
        let mut stream: Option<Box<dyn Read + Send>> = None;
        let mut stdin = Some(stdin);
        for input in inputs {
            let name = input.name();
            let limit = usize::try_from(record_limit_bytes).unwrap_or(usize::MAX);
            let (head, file) = match &input {
                Input::File(file) => (Head::read(&name, file.open_at(0)?, limit)?, Some(file.clone())),
                Input::Stdin => {
                    let mut rest = stdin.take().ok_or(SourceError::StdinNotAlone)?();
                    let head = Head::read(&name, &mut rest, limit)?;
                    stream = Some(Box::new(head.clone().rejoin(rest)));
                    (head, None)
                }
            };
            let preamble = sniff(&head, contract)?;
            let ignored = match Binding::new(contract, &preamble.header) {
                Ok(binding) => binding.ignored().to_vec(),
                Err(e) => {
                    misfits.push(misfit(&name, &e));
                    Vec::new()
                }
            };
            files.push(PinnedFile { name, file, preamble, ignored });
        }
        let source = if stream.is_some() {
            Source::StandardInput(files.pop().ok_or(SourceError::NoInput)?)
        } else {
            Source::Files(files)
        };
        Ok(Self {
            contract: PinnedContract {
                name: contract.name.clone(),
                silver: contract.silver.clone(),
                text: contract.text.clone(),
                hash: contract.hash.clone(),
                engine_version: ENGINE_VERSION,
            },
            source,
            shard_bytes,
            record_limit_bytes,
            misfit: (!misfits.is_empty()).then(|| misfits.join("; ")),
            stream,
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
        if paths(mine) != paths(theirs) {
            return Relation::Other;
        }
        let identities = |files: &[PinnedFile]| -> Vec<_> {
            files.iter().map(|f| f.file.as_ref().map(|f| (f.size, f.modified_us))).collect()
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
