//! `JobService`: submitting, watching and steering jobs, uploads, and what was rejected.

use std::{collections::HashMap, sync::Arc, time::Duration};

use ensemble_protocol::{
    Refusal,
    v1::{self, job_service_server::JobService},
};
use ensemble_store::{DeadLetter, JobId, JobNumber, Position, ShardId};
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{
    Answers, Desk, InOffice,
    job::{self, message},
    lock, page, patiently, refused, store_refused,
};
use crate::{Ending, JobHandle, JobRecord, JobState, list_jobs, read_job, settled_totals};

/// How long a paused job's workers may take to finish what they hold.
const PAUSE_TIMEOUT: Duration = Duration::from_secs(60);

#[async_trait]
impl JobService for Desk {
    type WatchJobStream = Answers<v1::Job>;
    type UploadFileStream = Answers<v1::UploadFileResponse>;

    async fn submit_job(&self, request: Request<v1::SubmitJobRequest>) -> Result<Response<v1::Job>, Status> {
        let desk = self.clone();
        let record = patiently(async move { desk.submit(request.into_inner()).await }).await?;
        self.shown(record.id).await.map(Response::new)
    }

    async fn get_job(&self, request: Request<v1::GetJobRequest>) -> Result<Response<v1::Job>, Status> {
        let v1::GetJobRequest { job_id, request_id } = request.into_inner();
        let id = match self.find(&request_id).await? {
            Some(id) if job_id.is_empty() => id,
            None if job_id.is_empty() && !request_id.is_empty() => {
                return Err(Refusal::NotFound.status(format!("no job came from a request {request_id:?}")));
            }
            _ => job::id(&job_id)?,
        };
        self.shown(id).await.map(Response::new)
    }

    async fn list_jobs(&self, request: Request<v1::ListJobsRequest>) -> Result<Response<v1::ListJobsResponse>, Status> {
        let request = request.into_inner();
        let (size, after) = (page::size(request.page_size), page::read(&request.page_token)?.map_or(0, |[n]| n));
        let wanted: Vec<v1::JobState> = request.states().collect();
        let mut jobs: Vec<v1::Job> = Vec::new();
        for (_, record) in list_jobs(&*self.store).await.map_err(refused)? {
            if record.number.0 <= after {
                continue;
            }
            if jobs.len() == size {
                let last = jobs.last().map_or(after, |job| job.job_number);
                return Ok(Response::new(v1::ListJobsResponse { jobs, next_page_token: page::token([last]) }));
            }
            let state = self.live(record.id).map_or(record.state, |live| live.status().borrow().state);
            if wanted.is_empty() || wanted.contains(&state.into()) {
                jobs.push(self.shown(record.id).await?);
            }
        }
        Ok(Response::new(v1::ListJobsResponse { jobs, next_page_token: String::new() }))
    }

    async fn watch_job(&self, request: Request<v1::WatchJobRequest>) -> Result<Response<Self::WatchJobStream>, Status> {
        self.watched(&request.get_ref().job_id).await
    }

    async fn pause_job(&self, request: Request<v1::PauseJobRequest>) -> Result<Response<v1::Job>, Status> {
        let (term, record) = (self.term()?, self.open_record(&request.get_ref().job_id).await?);
        match term.job(record.id) {
            Some(live) => {
                live.pause();
                let mut status = live.status();
                let paused = status.wait_for(|s| s.state != JobState::Queued && s.state != JobState::Running || s.over);
                let late = |_| Refusal::Unavailable.status("the job has not paused yet; look at it again");
                tokio::time::timeout(PAUSE_TIMEOUT, paused).await.map_err(late)?.map_err(|_| gone())?;
            }
            None if record.state == JobState::Paused => {}
            None => return Err(wrong_state(&record, "nobody works on it; resume it first")),
        }
        self.shown(record.id).await.map(Response::new)
    }

    async fn resume_job(&self, request: Request<v1::ResumeJobRequest>) -> Result<Response<v1::Job>, Status> {
        let (term, record) = (self.term()?, self.open_record(&request.get_ref().job_id).await?);
        if let Some(live) = term.job(record.id) {
            let status = live.status().borrow().clone();
            if status.state != JobState::Paused && !status.over {
                return self.shown(record.id).await.map(Response::new);
            }
            // It finishes what was leased first.
            let late = |_| Refusal::Unavailable.status("the job is still pausing; try again");
            tokio::time::timeout(PAUSE_TIMEOUT, live.over()).await.map_err(late)?;
        }
        self.restart_in_turn(Arc::clone(&term), record.id, None).await?;
        becomes(&term, record.id, |state| state != JobState::Paused).await;
        self.shown(record.id).await.map(Response::new)
    }

    async fn cancel_job(&self, request: Request<v1::CancelJobRequest>) -> Result<Response<v1::Job>, Status> {
        let term = self.term()?;
        let record = self.record(&request.get_ref().job_id).await?;
        if record.state == JobState::Cancelled {
            // A repeat.
            return self.shown(record.id).await.map(Response::new);
        }
        let record = self.open_record(&request.get_ref().job_id).await?;
        if let Some(live) = term.job(record.id) {
            live.stop(Ending::Cancelled);
            let mut status = live.status();
            let stops = status.wait_for(|s| s.state == JobState::Stopping || s.over);
            let late = |_| Refusal::Unavailable.status("the job is not stopping yet; look at it again");
            // A job that is gone without a word has left its last status behind.
            let _ = tokio::time::timeout(PAUSE_TIMEOUT, stops).await.map_err(late)?;
        }
        // One that is paused, or was over before, is settled by a new start.
        self.restart_in_turn(Arc::clone(&term), record.id, Some(Ending::Cancelled)).await?;
        becomes(&term, record.id, |state| state == JobState::Stopping).await;
        self.shown(record.id).await.map(Response::new)
    }

    async fn upload_file(
        &self,
        request: Request<Streaming<v1::UploadFileRequest>>,
    ) -> Result<Response<Self::UploadFileStream>, Status> {
        self.receive(request.into_inner()).await
    }

    async fn get_upload(&self, request: Request<v1::GetUploadRequest>) -> Result<Response<v1::Upload>, Status> {
        self.upload(request.into_inner().upload_id).await.map(Response::new)
    }

    async fn replay_dead_letters(
        &self,
        request: Request<v1::ReplayDeadLettersRequest>,
    ) -> Result<Response<v1::Job>, Status> {
        let desk = self.clone();
        let record = patiently(async move { desk.replay(request.into_inner()).await }).await?;
        self.shown(record.id).await.map(Response::new)
    }

    async fn explain_row(
        &self,
        request: Request<v1::ExplainRowRequest>,
    ) -> Result<Response<v1::ExplainRowResponse>, Status> {
        self.explained_row(request.into_inner()).await.map(Response::new)
    }

    async fn explain_key(
        &self,
        request: Request<v1::ExplainKeyRequest>,
    ) -> Result<Response<v1::ExplainKeyResponse>, Status> {
        self.explained_key(request.into_inner()).await.map(Response::new)
    }

    async fn list_dead_letters(
        &self,
        request: Request<v1::ListDeadLettersRequest>,
    ) -> Result<Response<v1::ListDeadLettersResponse>, Status> {
        let request = request.into_inner();
        let size = page::size(request.page_size);
        let after = page::read(&request.page_token)?
            .map(|[job, shard, position]| (ShardId { job: JobNumber(job), number: shard as u32 }, Position(position)));
        let mut jobs: HashMap<JobNumber, JobRecord> = HashMap::new();
        let job = match request.job_id.as_str() {
            "" => {
                let all = list_jobs(&*self.store).await.map_err(refused)?;
                jobs.extend(all.into_iter().map(|(_, record)| (record.number, record)));
                None
            }
            id => {
                let record = self.record(id).await?;
                let number = record.number;
                jobs.insert(number, record);
                Some(number)
            }
        };
        let letters = self.store.scan_dead_letters(job, after, size).await.map_err(store_refused)?;
        let next = letters
            .last()
            .filter(|_| letters.len() == size)
            .map(|last| page::token([last.shard.job.0, last.shard.number.into(), last.position.0]));
        let dead_letters = letters.into_iter().map(|letter| dead_letter(jobs.get(&letter.shard.job), letter)).collect();
        Ok(Response::new(v1::ListDeadLettersResponse { dead_letters, next_page_token: next.unwrap_or_default() }))
    }
}

impl InOffice {
    pub(super) fn job(&self, id: JobId) -> Option<JobHandle> {
        lock(&self.jobs).get(&id).cloned()
    }
}

impl Desk {
    pub(super) async fn record(&self, id: &str) -> Result<JobRecord, Status> {
        self.stored(job::id(id)?).await
    }

    async fn stored(&self, id: JobId) -> Result<JobRecord, Status> {
        let found = read_job(&*self.store, id).await.map_err(refused)?;
        found.map(|(_, record)| record).ok_or_else(|| Refusal::NotFound.status(format!("there is no job {id}")))
    }

    /// The record of a job that has not ended.
    async fn open_record(&self, id: &str) -> Result<JobRecord, Status> {
        let record = self.record(id).await?;
        if record.state.is_terminal() { Err(wrong_state(&record, "it has ended for good")) } else { Ok(record) }
    }

    pub(super) fn live(&self, id: JobId) -> Option<JobHandle> {
        self.term.borrow().as_ref().and_then(|term| term.job(id))
    }

    /// The job as it is by now. One that this process works on is told of without the store, which may be away.
    pub(super) async fn shown(&self, id: JobId) -> Result<v1::Job, Status> {
        if let Some(live) = self.live(id) {
            let status = live.status().borrow().clone();
            // Once it has ended, the stored record says more.
            if !status.state.is_terminal() {
                return Ok(message(&live.record, &status.totals, Some(&status), &*self.store));
            }
        }
        let record = self.stored(id).await?;
        let totals = settled_totals(&*self.store, &record).await.map_err(refused)?;
        Ok(message(&record, &totals, None, &*self.store))
    }

    /// [`Desk::restart`], one at a time.
    async fn restart_in_turn(&self, term: Arc<InOffice>, id: JobId, ending: Option<Ending>) -> Result<(), Status> {
        let desk = self.clone();
        patiently(async move {
            let _one_at_a_time = term.submitting.lock().await;
            desk.restart(&term, id, ending).await
        })
        .await
    }

    /// Goes on with a job; one that is being worked on is told how to end, if that is asked for.
    pub(super) async fn restart(&self, term: &Arc<InOffice>, id: JobId, ending: Option<Ending>) -> Result<(), Status> {
        let Some((stamp, record)) = read_job(&*self.store, id).await.map_err(refused)? else { return Err(gone()) };
        if record.state.is_terminal() {
            return Ok(());
        }
        let job = term.supervisor.resume(stamp, record, ending).await.map_err(refused)?;
        self.follow(term, id, job);
        Ok(())
    }
}

/// Waits until a job that was just started again is what was asked for, or over; one that has a long ledger to read first
/// is shown as it was.
async fn becomes(term: &InOffice, id: JobId, is_so: impl Fn(JobState) -> bool) {
    if let Some(job) = term.job(id) {
        let mut status = job.status();
        let _ = tokio::time::timeout(PAUSE_TIMEOUT, status.wait_for(|s| s.over || is_so(s.state))).await;
    }
}

fn gone() -> Status {
    Refusal::Unavailable.status("the job has just ended or moved to another supervisor; look at it again")
}

fn wrong_state(record: &JobRecord, why: &str) -> Status {
    Refusal::WrongState.status(format!("job {} is {}: {why}", record.id, record.state.as_str()))
}

fn dead_letter(job: Option<&JobRecord>, letter: DeadLetter) -> v1::DeadLetter {
    let file = job.and_then(|job| job.files().get(letter.position.file() as usize));
    v1::DeadLetter {
        job_id: job.map(|job| job.id.to_string()).unwrap_or_default(),
        file: file.map(|file| file.name.clone()).unwrap_or_default(),
        line: letter.line,
        offset: letter.position.offset(),
        rule: letter.rule,
        rules: letter.rules,
        column: letter.column,
        value: letter.value,
        raw: letter.raw,
        length: letter.length,
    }
}
