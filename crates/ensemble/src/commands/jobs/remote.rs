//! The jobs of a server.

use std::{process::ExitCode, time::Duration};

use ensemble_events::expand::rfc3339;
use ensemble_protocol::v1;
use ensemble_store::JobId;

use super::show::{JobDetails, print_all, print_one};
use crate::{
    cli::{JobsAction, OutputFormat},
    commands::submit,
    exit::Failure,
    remote::{Remote, report},
};

/// How long no server may answer.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn run(
    output: OutputFormat,
    remote: &Remote,
    server: &str,
    action: Option<&JobsAction>,
    job: Option<JobId>,
) -> Result<ExitCode, Failure> {
    let Some(id) = job else { return list(output, remote).await };
    let job_id = id.to_string();
    let job = remote
        .call(PATIENCE, async |mut jobs| {
            let job_id = job_id.clone();
            let answer = match action {
                Some(JobsAction::Pause(_)) => jobs.pause_job(v1::PauseJobRequest { job_id }).await,
                Some(JobsAction::Resume(_)) => jobs.resume_job(v1::ResumeJobRequest { job_id }).await,
                Some(JobsAction::Cancel(_)) => jobs.cancel_job(v1::CancelJobRequest { job_id }).await,
                _ => jobs.get_job(v1::GetJobRequest { job_id, ..Default::default() }).await,
            };
            answer.map(tonic::Response::into_inner)
        })
        .await?;
    if matches!(action, Some(JobsAction::Watch(_))) {
        return submit::follow_and_report(output, remote, server, job).await;
    }
    print_one(output, &details(&job)?)?;
    Ok(ExitCode::SUCCESS)
}

async fn list(output: OutputFormat, remote: &Remote) -> Result<ExitCode, Failure> {
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListJobsRequest { page_token: page_token.clone(), ..Default::default() };
        let page =
            remote.call(PATIENCE, async |mut jobs| Ok(jobs.list_jobs(request.clone()).await?.into_inner())).await?;
        for job in &page.jobs {
            listed.push(details(job)?);
        }
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    print_all(output, &listed)?;
    Ok(ExitCode::SUCCESS)
}

fn details(job: &v1::Job) -> Result<JobDetails, Failure> {
    let time = |at: &prost_types::Timestamp| rfc3339(at.seconds * 1_000_000 + i64::from(at.nanos) / 1000);
    Ok(JobDetails {
        report: report(job)?,
        contract: job.contract.clone(),
        files: job.files.clone(),
        created_at: job.created_at.as_ref().map(time).unwrap_or_default(),
        ended_at: job.ended_at.as_ref().map(time),
        here: false,
    })
}
