//! `ensemble jobs`: what was loaded, and settling what was not.

mod remote;
mod show;

use std::process::ExitCode;

use ensemble_store::{DocumentKind, JobId, Stamp, StoreError};
use ensemble_supervisor::{Ending, JobRecord, JobState, Office, read_job};

use self::show::{list, show};
use super::follow::Session;
use crate::{
    catalogue::unknown_job,
    cli::{Global, JobsAction, JobsArgs, OutputFormat},
    exit::{self, Failure},
    node::{Node, Signals, block_on},
    remote::Remote,
    settings::Settings,
    stores::Stores,
};

pub(crate) fn run(global: &Global, args: &JobsArgs) -> Result<ExitCode, Failure> {
    let output = global.output;
    let (at, job) = match &args.action {
        None => (args.at.clone(), None),
        Some(JobsAction::List { at }) => (at.or(&args.at), None),
        Some(
            JobsAction::Get(job)
            | JobsAction::Watch(job)
            | JobsAction::Pause(job)
            | JobsAction::Resume(job)
            | JobsAction::Cancel(job),
        ) => (job.at.or(&args.at), Some(job.job)),
    };
    let settings = super::settings(global, &at.store)?;
    let action = args.action.as_ref();
    if let Some(server) = at.server() {
        return block_on(async { remote::run(output, &Remote::new(server)?, server, action, job).await });
    }
    match (action, job) {
        (Some(JobsAction::Get(_)), Some(job)) => show(output, &settings, job),
        (Some(JobsAction::Pause(_)), Some(job)) => block_on(pause(output, &settings, job)),
        (Some(JobsAction::Resume(_)), Some(job)) => block_on(go_on(output, &settings, job, None)),
        (Some(JobsAction::Cancel(_)), Some(job)) => block_on(go_on(output, &settings, job, Some(Ending::Cancelled))),
        (Some(JobsAction::Watch(_)), _) => {
            let hint = "a store's jobs are followed by the process that runs them; name a server with --server";
            Err(Failure::could_not_start(anyhow::anyhow!(hint)))
        }
        _ => list(output, &settings),
    }
}

/// Marks a job as paused. Nothing runs in a store that this process holds, so the mark is all there is to do.
async fn pause(output: OutputFormat, settings: &Settings, id: JobId) -> Result<ExitCode, Failure> {
    let stores = open_to_steer(settings).await?;
    let (stamp, mut record) = unfinished(&stores, id).await?;
    let state = record.state;
    if state != JobState::Paused {
        if !state.may_become(JobState::Paused) {
            return Err(refused(&record, "cannot be paused"));
        }
        record.state = JobState::Paused;
        let office = Office::take(std::sync::Arc::clone(&stores.store)).await.map_err(Failure::failed)?;
        let written = office.write(DocumentKind::Job, &id.to_string(), Some(stamp), &record).await;
        written.map_err(Failure::failed)?;
    }
    let shown = show::print_job(output, &stores, &record).await;
    stores.close().await?;
    shown.map(|()| ExitCode::SUCCESS)
}

/// Works on a job in this process until it is over: to its end, or, where `ending` is given, until what was leased is
/// settled.
async fn go_on(
    output: OutputFormat,
    settings: &Settings,
    id: JobId,
    ending: Option<Ending>,
) -> Result<ExitCode, Failure> {
    let places = settings.place_options();
    let stores = open_to_steer(settings).await?;
    let (stamp, record) = unfinished(&stores, id).await?;
    let node = Node::start(settings, &stores).await?;
    let is_cancel = ending.is_some();
    let signals = Signals::listen()?;
    let job = node.supervisor.resume(stamp, record.clone(), ending).await.map_err(Failure::failed)?;
    let ended = Session { output, places, stores, node, signals }.finish(job, record).await?;
    let code = match ended.status.state {
        JobState::Cancelled if is_cancel => 0,
        _ => ended.exit_code(),
    };
    Ok(ExitCode::from(code))
}

/// Opens a store to change its jobs.
async fn open_to_steer(settings: &Settings) -> Result<Stores, Failure> {
    Stores::open_to_steer(settings).await.map_err(|e| match e.error.downcast_ref() {
        Some(StoreError::Locked { .. }) => {
            let hint = "the jobs of a store that a process has open can be steered only through a server; \
                        interrupt the process (Ctrl-C) to stop its job";
            Failure { code: exit::COULD_NOT_START, error: anyhow::anyhow!("{}; {hint}", e.error) }
        }
        _ => e,
    })
}

async fn unfinished(stores: &Stores, id: JobId) -> Result<(Stamp, JobRecord), Failure> {
    let (stamp, record) =
        read_job(&*stores.store, id).await.map_err(Failure::failed)?.ok_or_else(|| unknown_job(id))?;
    if record.state.is_terminal() {
        return Err(refused(&record, "has ended for good"));
    }
    Ok((stamp, record))
}

fn refused(record: &JobRecord, what: &str) -> Failure {
    Failure::could_not_start(anyhow::anyhow!("job {} is {} and {what}", record.id, record.state.as_str()))
}
