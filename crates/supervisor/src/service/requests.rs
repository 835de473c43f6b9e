//! From a client's request to a job: the same request, whenever repeated, is the same job.

use std::{path::Path, sync::Arc};

use ensemble_contract::{Contract, builtin, builtin_names};
use ensemble_protocol::{MAX_SHARD_BYTES, Refusal, v1};
use ensemble_sources::{Location, SourceError, SourceFile, csv::Head};
use ensemble_store::{DocumentKind, ErrorClass, JobId, Store};
use serde::{Deserialize, Serialize};
use tonic::Status;

use super::{Desk, DeskOptions, InOffice, refused};
use crate::{
    JobRecord, JobState, LayoutError, PinnedUpload, Submission, check_layout, office, read_job, submit::Looked,
    supervisor::MAX_WEIGHT, uploads,
};

/// The longest request id.
const MAX_REQUEST_ID_BYTES: usize = 128;
/// The smallest shards.
const MIN_SHARD_BYTES: u64 = 1 << 10;
/// The most files of a job.
const MAX_FILES: usize = 10_000;
/// The most bytes of all files' beginnings together: they are in memory at once, and their headers in the job's document.
const MAX_HEAD_BYTES: usize = 8 << 20;

/// What is known of a request.
pub(super) enum Known {
    Nothing,
    /// The id that its job is to have.
    Id(JobId),
    Job(Box<JobRecord>),
}

/// Which job a request became.
#[derive(Serialize, Deserialize)]
struct Requested {
    job: JobId,
}

impl Desk {
    /// Starts the job, or finds the one that this request has become.
    pub(super) async fn submit(&self, request: v1::SubmitJobRequest) -> Result<JobRecord, Status> {
        let term = self.term()?;
        if let Known::Job(record) = self.known(&term, &request.request_id).await? {
            return Ok(*record);
        }
        let contract = contract(&request)?;
        let shard_bytes = match request.shard_bytes {
            0 => self.options.shard_bytes,
            bytes if (MIN_SHARD_BYTES..=MAX_SHARD_BYTES).contains(&bytes) => bytes,
            bytes => {
                let message = format!("{bytes} is not from {MIN_SHARD_BYTES} to {MAX_SHARD_BYTES}");
                return Err(Refusal::InvalidField("shard_bytes").status(message));
            }
        };
        if request.weight > MAX_WEIGHT {
            let message = format!("{} is more than {MAX_WEIGHT}", request.weight);
            return Err(Refusal::InvalidField("weight").status(message));
        }
        let looked = self.look_at(&request.csv_files).await?;
        let mut submission = Submission::of_heads(looked, &contract, shard_bytes, self.options.record_limit_bytes)
            .map_err(|e| Refusal::InvalidField("csv_files").status(e))?;
        self.check_contract(&contract).await?;
        submission.weight = request.weight.max(1);
        // Only from here on: what was looked at may have taken long.
        let _one_at_a_time = term.submitting.lock().await;
        let number = async { term.supervisor.next_number().await.map_err(refused) };
        // One sync for both.
        let (id, number) = match self.known(&term, &request.request_id).await? {
            Known::Job(record) => return Ok(*record),
            Known::Id(id) => (Some(id), number.await?),
            Known::Nothing => {
                // Both to their ends: a write that is dropped half way may be met by the next one.
                let (id, number) = tokio::join!(self.note(&term, &request.request_id), number);
                (id?, number?)
            }
        };
        submission.id = id;
        let (job, record) = term.supervisor.submit_as(number, submission).await.map_err(refused)?;
        self.follow(&term, record.id, job);
        Ok(record)
    }

    /// Whether the contract fits the silver collection that it fills, which it makes ready.
    pub(super) async fn check_contract(&self, contract: &Contract) -> Result<(), Status> {
        check_layout(&*self.store, contract).await.map_err(|e| match e {
            LayoutError::Store(e) => refused(e.into()),
            LayoutError::Names(e) => refused(e),
            e => Refusal::WrongState.status(e),
        })
    }

    /// What is known of a request. A job that nobody works on, and should, is gone on with.
    pub(super) async fn known(&self, term: &Arc<InOffice>, request_id: &str) -> Result<Known, Status> {
        let Some(id) = self.find(request_id).await? else { return Ok(Known::Nothing) };
        // Without a job: a supervisor died between the two documents.
        let Some((_, record)) = read_job(&*self.store, id).await.map_err(refused)? else { return Ok(Known::Id(id)) };
        let rests = record.state.is_terminal() || record.state == JobState::Paused;
        if !rests && term.job(id).is_none() {
            self.restart(term, id, None).await?;
        }
        Ok(Known::Job(Box::new(record)))
    }

    /// The job that a request became.
    pub(super) async fn find(&self, request_id: &str) -> Result<Option<JobId>, Status> {
        if request_id.len() > MAX_REQUEST_ID_BYTES {
            let message = format!("it has {} bytes, more than {MAX_REQUEST_ID_BYTES}", request_id.len());
            return Err(Refusal::InvalidField("request_id").status(message));
        }
        if request_id.is_empty() {
            return Ok(None);
        }
        let found = office::read::<Requested>(&*self.store, DocumentKind::Request, request_id).await;
        Ok(found.map_err(refused)?.map(|(_, requested)| requested.job))
    }

    /// Gives a request its job's id, before the job is: whoever repeats the request finds it.
    async fn note(&self, term: &InOffice, request_id: &str) -> Result<Option<JobId>, Status> {
        if request_id.is_empty() {
            return Ok(None);
        }
        let requested = Requested { job: JobId(uuid::Uuid::now_v7()) };
        let noted = term.supervisor.office().try_write(DocumentKind::Request, request_id, None, &requested);
        if noted.await.map_err(refused)? {
            return Ok(Some(requested.job));
        }
        // Only another supervisor can have been faster, and then this one is none any more.
        Err(Refusal::Unavailable.status("another supervisor has taken the same request: send it again"))
    }

    async fn look_at(&self, files: &[v1::CsvFile]) -> Result<Vec<Looked>, Status> {
        if files.is_empty() || files.len() > MAX_FILES {
            let message = format!("a job has 1 to {MAX_FILES} files, and not {}", files.len());
            return Err(Refusal::InvalidField("csv_files").status(message));
        }
        let mut looked: Vec<Looked> = Vec::with_capacity(files.len());
        let mut head_bytes = 0;
        let limit = usize::try_from(self.options.record_limit_bytes).unwrap_or(usize::MAX);
        for file in files {
            let wrong = |message: String| Refusal::InvalidField("csv_files").status(message);
            match &file.source {
                None => return Err(wrong("a file has a path or an upload".to_owned())),
                Some(v1::csv_file::Source::Path(path)) => {
                    let (path, options) = (path.clone(), self.options.clone());
                    let read = tokio::task::spawn_blocking(move || look_at_path(&path, &options, limit));
                    looked.push(read.await.map_err(|e| Refusal::Internal.status(e))??);
                }
                Some(v1::csv_file::Source::UploadId(id)) => {
                    uploads::check_name(id).map_err(|e| wrong(e.to_string()))?;
                    looked.push(look_at_upload(Arc::clone(&self.store), id, limit).await?);
                }
            }
            head_bytes += looked.last().map_or(0, |looked| looked.head.bytes.len());
            if head_bytes > MAX_HEAD_BYTES {
                return Err(wrong("the files' headers are too much for one job; submit fewer at once".to_owned()));
            }
        }
        Ok(looked)
    }
}

pub(super) fn contract(request: &v1::SubmitJobRequest) -> Result<Contract, Status> {
    use v1::submit_job_request::Contract as Asked;
    let (field, text, name) = match &request.contract {
        Some(Asked::ContractToml(text)) => ("contract_toml", text.as_str(), "contract_toml"),
        Some(Asked::ContractName(name)) => match builtin(name) {
            Some(text) => ("contract_name", text, name.as_str()),
            None => {
                let names: Vec<_> = builtin_names().collect();
                let message = format!("there is no contract {name:?} built in; there is: {}", names.join(", "));
                return Err(Refusal::InvalidField("contract_name").status(message));
            }
        },
        None => return Err(Refusal::InvalidField("contract_name").status("name a contract, or give one's text")),
    };
    Contract::parse(text, name).map_err(|e| Refusal::InvalidField(field).status(e))
}

/// Blocking.
fn look_at_path(path: &str, options: &DeskOptions, limit: usize) -> Result<Looked, Status> {
    let wrong = |e: SourceError| Refusal::InvalidField("csv_files").status(e);
    // What lies outside is nobody's business: not even whether it is there.
    let location = if Location::is_url(path) {
        Some(path.parse().map_err(wrong)?)
    } else {
        Path::new(path).canonicalize().ok().map(Location::File)
    };
    if !location.is_some_and(|location: Location| location.is_below_any(&options.roots)) {
        let roots: Vec<_> = options.roots.iter().map(ToString::to_string).collect();
        let roots = if roots.is_empty() { "there is none".to_owned() } else { roots.join(", ") };
        let message =
            format!("{path} is not below a place of the setting supervisor.roots ({roots}); upload it instead");
        return Err(Refusal::InvalidField("csv_files").status(message));
    }
    let looked = SourceFile::inspect(path).and_then(|file| {
        let head = Head::read(path, file.open_at(0)?, limit)?;
        Ok(Looked { head, file: Some(file), upload: None })
    });
    looked.map_err(|e| match e.class() {
        ErrorClass::Transient => Refusal::Unavailable.status(e),
        _ => wrong(e),
    })
}

async fn look_at_upload(store: Arc<dyn Store>, id: &str, limit: usize) -> Result<Looked, Status> {
    let wrong = |what: &str| Refusal::InvalidField("csv_files").status(format!("upload {id:?} {what}"));
    let progress = uploads::progress(&*store, id).await.map_err(refused)?.ok_or_else(|| wrong("is not known"))?;
    if !progress.complete {
        return Err(wrong("is not whole yet; go on with it"));
    }
    let upload = PinnedUpload { id: id.to_owned(), length: progress.durable };
    let name = progress.file_name;
    let reader = uploads::Reader::new(store, id, upload.length, 0);
    let head = tokio::task::spawn_blocking(move || Head::read(&name, reader, limit)).await;
    let head = head.map_err(|e| Refusal::Internal.status(e))?.map_err(|e| match e.class() {
        ErrorClass::Transient => Refusal::Unavailable.status(e),
        _ => wrong(&format!("cannot be read: {e}")),
    })?;
    Ok(Looked { head, file: None, upload: Some(upload) })
}
