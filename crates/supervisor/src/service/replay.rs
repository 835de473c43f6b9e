//! `ReplayDeadLetters`: the rows that a job rejected, as the source of a job of their own.

use std::sync::Arc;

use ensemble_protocol::{
    Refusal,
    v1::{self, replay_dead_letters_request as asked, submit_job_request as to_submit},
};
use ensemble_store::{DeadLetter, ShardPlan};
use tonic::{Code, Status};

use super::{
    Desk, InOffice,
    receive::upload_refused,
    refused,
    requests::{Known, contract},
    store_refused,
};
use crate::{
    JobRecord, PinnedFile, Source,
    uploads::{self, Receiver},
};

/// How many dead letters are read at once, each of up to 64 KiB.
const PAGE: usize = 100;
/// Rules on records that have no end of their own: in another file others' rows would be taken for theirs.
const WITHOUT_END: [&str; 2] = ["row.unterminated_quote", "row.too_long"];

impl Desk {
    /// Starts the job, or finds the one that this request has become.
    pub(super) async fn replay(&self, request: v1::ReplayDeadLettersRequest) -> Result<JobRecord, Status> {
        let term = self.term()?;
        // A repeat waits for the first one, and then finds its job.
        let _one_at_a_time = term.replaying.lock().await;
        if let Known::Job(record) = self.known(&term, &request.request_id).await? {
            return Ok(*record);
        }
        let job = self.record(&request.job_id).await?;
        if !job.state.is_terminal() {
            let message = format!("job {} is {}: replay what it rejects once it has ended", job.id, job.state.as_str());
            return Err(Refusal::WrongState.status(message));
        }
        let mut submission = v1::SubmitJobRequest {
            contract: Some(match request.contract.clone() {
                None => to_submit::Contract::ContractToml(job.contract.text.clone()),
                Some(asked::Contract::ContractName(name)) => to_submit::Contract::ContractName(name),
                Some(asked::Contract::ContractToml(text)) => to_submit::Contract::ContractToml(text),
            }),
            weight: request.weight,
            ..Default::default()
        };
        // Before anything is copied.
        self.check_contract(&contract(&submission)?).await?;
        submission.csv_files = self.copy_rejected(&term, &job, &request.rules, &uploads_name(&request)).await?;
        submission.request_id = request.request_id;
        let copies = submission.csv_files.clone();
        let submitted = self.submit(submission).await;
        if submitted.as_ref().is_err_and(|status| status.code() != Code::Unavailable) {
            // No job will ever forget them.
            for copy in copies {
                if let Some(v1::csv_file::Source::UploadId(id)) = copy.source {
                    uploads::forget(&*self.store, &id).await.map_err(refused)?;
                }
            }
        }
        submitted
    }

    /// Copies the rejected rows into uploads, one for each file that had some.
    async fn copy_rejected(
        &self,
        term: &Arc<InOffice>,
        job: &JobRecord,
        rules: &[String],
        name: &str,
    ) -> Result<Vec<v1::CsvFile>, Status> {
        let (mut copies, mut open, mut after) = (Vec::new(), None::<Copy>, None);
        loop {
            let letters = self.store.scan_dead_letters(Some(job.number), after, PAGE).await.map_err(store_refused)?;
            let is_last = letters.len() < PAGE;
            after = letters.last().map(|letter| (letter.shard, letter.position));
            // They come in the order of the files.
            for letter in letters.into_iter().filter(|letter| can_be_replayed(letter, rules)) {
                let number = letter.position.file();
                if open.as_ref().is_none_or(|copy| copy.number != number) {
                    copies.extend(end(open.take()).await?);
                    open = Some(Copy::begin(term, job, number, format!("{name}.{number}")).await?);
                }
                if let Some(copy) = &mut open {
                    copy.row(&letter.raw).await?;
                }
            }
            if is_last {
                break;
            }
        }
        copies.extend(end(open).await?);
        if copies.is_empty() {
            let message = format!("job {} has rejected no row that can be replayed, of these rules", job.id);
            return Err(Refusal::WrongState.status(message));
        }
        Ok(copies)
    }
}

/// The same request for the same rows has the same uploads: one that broke is gone on with.
fn uploads_name(request: &v1::ReplayDeadLettersRequest) -> String {
    let v1::ReplayDeadLettersRequest { request_id, job_id, rules, .. } = request;
    if request_id.is_empty() {
        return format!("replay-{}", uuid::Uuid::now_v7());
    }
    let digest = ShardPlan::digest_of(format!("{request_id}\n{job_id}\n{}", rules.join(" ")).as_bytes());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("replay-{hex}")
}

fn can_be_replayed(letter: &DeadLetter, rules: &[String]) -> bool {
    let is_whole = letter.raw.len() as u64 == letter.length && !letter.raw.is_empty();
    is_whole && !WITHOUT_END.contains(&letter.rule.as_str()) && (rules.is_empty() || rules.contains(&letter.rule))
}

/// An upload that is being filled with one file's rejected rows.
struct Copy {
    number: u32,
    receiver: Receiver,
    id: String,
    length: u64,
}

impl Copy {
    async fn begin(term: &Arc<InOffice>, job: &JobRecord, number: u32, id: String) -> Result<Self, Status> {
        let file = file(job, number)?;
        let office = term.supervisor.office().clone();
        let receiver = Receiver::begin(office, id.clone(), format!("{} (rejected)", file.name));
        let receiver = receiver.await.map_err(upload_refused)?;
        let mut copy = Self { number, receiver, id, length: 0 };
        copy.row(header(file).as_bytes()).await?;
        Ok(copy)
    }

    async fn row(&mut self, raw: &[u8]) -> Result<(), Status> {
        for part in [raw, b"\n"] {
            self.receiver.take(self.length, part).await.map_err(upload_refused)?;
            self.length += part.len() as u64;
        }
        Ok(())
    }
}

async fn end(copy: Option<Copy>) -> Result<Option<v1::CsvFile>, Status> {
    let Some(mut copy) = copy else { return Ok(None) };
    copy.receiver.end(copy.length).await.map_err(upload_refused)?;
    Ok(Some(v1::CsvFile { source: Some(v1::csv_file::Source::UploadId(copy.id)) }))
}

fn file(job: &JobRecord, number: u32) -> Result<&PinnedFile, Status> {
    let file = match &job.source {
        Source::Files(files) => files.get(number as usize),
        Source::StandardInput(input) => Some(input),
    };
    file.ok_or_else(|| Refusal::Internal.status(format!("job {} has no file {number}", job.id)))
}

/// The file's header as a record of its dialect.
fn header(file: &PinnedFile) -> String {
    let delimiter = char::from(file.preamble.dialect.delimiter);
    let field = |name: &String| match name.contains([delimiter, '"', '\n', '\r']) {
        true => format!("\"{}\"", name.replace('"', "\"\"")),
        false => name.clone(),
    };
    file.preamble.header.iter().map(field).collect::<Vec<_>>().join(&delimiter.to_string())
}
