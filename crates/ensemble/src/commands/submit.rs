//! `ensemble submit`: hand a job to a server, and follow it.

use std::{io::Read, process::ExitCode, time::Duration};

use ensemble_contract::builtin;
use ensemble_protocol::v1::{self, csv_file, submit_job_request};
use ensemble_sources::{Input, resolve};
use ensemble_supervisor::{JobState, JobStatus};
use tokio_stream::StreamExt;

use super::follow::tell_of_stall;
use crate::{
    cli::{Global, OutputFormat, ReplayArgs, ServerArgs, SubmitArgs, SubmitCsvArgs, SubmitSource},
    exit::{self, Failure},
    node::{Signals, block_on, init_logging, load_contract},
    output::is_shown,
    progress::{Bytes, Progress},
    remote::{Jobs, Remote, is_passing, report, status},
    report::{Next, print_report},
    settings::Settings,
    upload::Upload,
};

/// How long no server may answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a server may take to copy what is to be replayed.
const REPLAY_PATIENCE: Duration = Duration::from_secs(600);
/// How long no server may answer while a job is followed.
const WATCH_PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn run(global: &Global, args: &SubmitArgs) -> Result<ExitCode, Failure> {
    let SubmitSource::Csv(args) = &args.source;
    let settings = Settings::load(&global.bare_overrides()).map_err(Failure::could_not_start)?;
    init_logging(&settings)?;
    let server = server(&args.server)?;
    block_on(async { submit(global.output, &Remote::new(&server)?, &server, args).await })
}

/// `ensemble rejects replay`: a job of the rows that another one rejected.
pub(super) fn replay(global: &Global, args: &ReplayArgs) -> Result<ExitCode, Failure> {
    use v1::replay_dead_letters_request::Contract;
    let settings = Settings::load(&global.bare_overrides()).map_err(Failure::could_not_start)?;
    init_logging(&settings)?;
    let server = server(&args.server)?;
    check_request_id(args.request_id.as_deref())?;
    let contract = args.contract.as_deref().map(contract).transpose()?.map(|named| match named {
        Named::Name(name) => Contract::ContractName(name),
        Named::Text(text) => Contract::ContractToml(text),
    });
    let request = v1::ReplayDeadLettersRequest {
        job_id: args.job.to_string(),
        // A call that is made again is the same job.
        request_id: args.request_id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string()),
        contract,
        rules: args.rules.clone(),
        weight: args.weight,
    };
    block_on(async {
        let remote = Remote::new(&server)?;
        let start = async |mut jobs: Jobs| Ok(jobs.replay_dead_letters(request.clone()).await?.into_inner());
        let job = remote.call(REPLAY_PATIENCE, start).await.map_err(|e| {
            let hint = format!("the same once more, wherever it got: --request-id {}", request.request_id);
            Failure { error: e.error.context(hint), ..e }
        })?;
        finish(global.output, &remote, &server, args.wait, job).await
    })
}

/// A contract as it is asked for.
enum Named {
    /// A server knows its own by their names.
    Name(String),
    /// One that is a file is read here.
    Text(String),
}

fn contract(name_or_file: &str) -> Result<Named, Failure> {
    match builtin(name_or_file) {
        Some(_) => Ok(Named::Name(name_or_file.to_owned())),
        None => Ok(Named::Text(load_contract(name_or_file)?.text)),
    }
}

/// The server that was named.
fn server(args: &ServerArgs) -> Result<String, Failure> {
    let hint = "name the server with --server http://HOST:PORT, or in ENSEMBLE_SERVER";
    args.server.clone().ok_or_else(|| Failure::could_not_start(anyhow::anyhow!(hint)))
}

async fn submit(
    output: OutputFormat,
    remote: &Remote,
    server: &str,
    args: &SubmitCsvArgs,
) -> Result<ExitCode, Failure> {
    let contract = match contract(&args.contract)? {
        Named::Name(name) => submit_job_request::Contract::ContractName(name),
        Named::Text(text) => submit_job_request::Contract::ContractToml(text),
    };
    let inputs = resolve(&args.files).map_err(Failure::could_not_start)?;
    check_request_id(args.request_id.as_deref())?;
    if let Some(job) = known(remote, args.request_id.as_deref()).await? {
        return finish(output, remote, server, args.wait, job).await;
    }
    let request_id = args.request_id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let mut csv_files = Vec::with_capacity(inputs.len());
    for (number, input) in inputs.iter().enumerate() {
        let source = match input {
            Input::File(file) if args.by_path => csv_file::Source::Path(file.canonical.to_string()),
            Input::Stdin if args.by_path => {
                let error = anyhow::anyhow!("standard input has no path; leave --by-path out");
                return Err(Failure::could_not_start(error));
            }
            _ => csv_file::Source::UploadId(upload(output, remote, input, format!("{request_id}.{number}")).await?),
        };
        csv_files.push(v1::CsvFile { source: Some(source) });
    }
    let request = v1::SubmitJobRequest {
        request_id,
        contract: Some(contract),
        csv_files,
        shard_bytes: args.shard_bytes.unwrap_or(0),
        weight: args.weight,
    };
    let job = remote.call(PATIENCE, async |mut jobs| Ok(jobs.submit_job(request.clone()).await?.into_inner())).await?;
    finish(output, remote, server, args.wait, job).await
}

/// Uploads are named after the request.
fn check_request_id(id: Option<&str>) -> Result<(), Failure> {
    let is_fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    match id {
        Some(id) if !(1..=100).contains(&id.len()) || !id.bytes().all(is_fine) => {
            let error =
                anyhow::anyhow!("--request-id takes 1 to 100 letters, digits, `-`, `_` and `.`, and not {id:?}");
            Err(Failure::could_not_start(error))
        }
        _ => Ok(()),
    }
}

/// The job that an earlier command with the same request has started: nothing need be sent again.
async fn known(remote: &Remote, request_id: Option<&str>) -> Result<Option<v1::Job>, Failure> {
    let Some(request_id) = request_id else { return Ok(None) };
    let request = v1::GetJobRequest { request_id: request_id.to_owned(), ..Default::default() };
    let find = async |mut jobs: Jobs| match jobs.get_job(request.clone()).await {
        Ok(job) => Ok(Some(job.into_inner())),
        Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
        Err(status) => Err(status),
    };
    remote.call(PATIENCE, find).await
}

async fn finish(
    output: OutputFormat,
    remote: &Remote,
    server: &str,
    wait: bool,
    job: v1::Job,
) -> Result<ExitCode, Failure> {
    if wait {
        return follow_and_report(output, remote, server, job).await;
    }
    print(output, server, &job)?;
    Ok(ExitCode::SUCCESS)
}

/// Follows a job to its end, and prints what came of it.
pub(super) async fn follow_and_report(
    output: OutputFormat,
    remote: &Remote,
    server: &str,
    job: v1::Job,
) -> Result<ExitCode, Failure> {
    let (job, code) = follow(output, remote, server, job).await?;
    print(output, server, &job)?;
    Ok(ExitCode::from(code))
}

fn print(output: OutputFormat, server: &str, job: &v1::Job) -> Result<(), Failure> {
    let report = report(job)?;
    match print_report(output, &report, &Next::at_server(server)) {
        // The job does not depend on who reads of it.
        Err(e) if e.code != 0 => return Err(e),
        _ => {}
    }
    if let (true, Some(reason)) = (output != OutputFormat::Table, &report.reason) {
        eprintln!("job {} {}: {reason}", report.job, report.state);
    }
    Ok(())
}

/// Sends one input to the server; returns the upload's id.
async fn upload(output: OutputFormat, remote: &Remote, input: &Input, id: String) -> Result<String, Failure> {
    let (source, total): (Box<dyn Read + Send>, u64) = match input {
        Input::Stdin => (Box::new(std::io::stdin()), 0),
        Input::File(file) => (file.open_at(0).map_err(Failure::could_not_start)?, file.size),
    };
    let bar = Bytes::new(is_shown(output) && total > 0);
    let upload = Upload { remote, id: id.clone(), file_name: input.name() };
    let sent = upload.send(source, |durable| bar.update(durable, total.max(durable))).await;
    bar.finish();
    let length = sent?;
    match input {
        Input::File(file) if file.changed().map_err(Failure::failed)?.is_some() || length != file.size => {
            Err(Failure::failed(anyhow::anyhow!("{} was changed while it was sent; send it again", input.name())))
        }
        _ => Ok(id),
    }
}

/// Follows a job to its end; its last state, and the exit code that it asks for. A signal ends the following, and not
/// the job.
async fn follow(
    output: OutputFormat,
    remote: &Remote,
    server: &str,
    mut job: v1::Job,
) -> Result<(v1::Job, u8), Failure> {
    let mut signals = Signals::listen()?;
    let progress = Progress::new(is_shown(output), job.source_bytes);
    let mut stalled = None;
    let (ended, code) = loop {
        let next = tokio::select! {
            next = watch(remote, &mut job, &progress, &mut stalled) => next,
            number = signals.next() => {
                eprintln!("the job goes on; see: ensemble jobs watch {} --server {server}", job.job_id);
                break (job, exit::SIGNAL_BASE + number);
            }
        };
        if let Some(status) = next? {
            let code = if status.state == JobState::Succeeded { 0 } else { exit::FAILED };
            break (job, code);
        }
    };
    progress.finish();
    Ok((ended, code))
}

/// Watches a job over one connection; its status once nothing more will come of it.
async fn watch(
    remote: &Remote,
    job: &mut v1::Job,
    progress: &Progress,
    stalled: &mut Option<String>,
) -> Result<Option<JobStatus>, Failure> {
    let request = v1::WatchJobRequest { job_id: job.job_id.clone() };
    let open = async |mut jobs: Jobs| Ok(jobs.watch_job(request.clone()).await?.into_inner());
    let mut states = remote.call(WATCH_PATIENCE, open).await.map_err(|e| {
        let hint = format!("job {} may go on all the same: see ensemble jobs get {}", job.job_id, job.job_id);
        Failure::failed(e.error.context(hint))
    })?;
    while let Some(next) = states.next().await {
        match next {
            Ok(next) => {
                let now = status(&next)?;
                *job = next;
                progress.update(&now);
                tell_of_stall(progress, stalled, now.stalled.clone());
                // A paused job is a person's to resume; to be told of it is what the follower waits for.
                if now.over || now.state == JobState::Paused {
                    return Ok(Some(now));
                }
            }
            Err(status) if is_passing(&status) => break,
            Err(status) => {
                return Err(Failure::failed(anyhow::anyhow!("cannot follow job {}: {}", job.job_id, status.message())));
            }
        }
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    Ok(None)
}
