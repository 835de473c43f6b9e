//! `ensemble run`: load files, all in this process.

use std::process::ExitCode;

use ensemble_contract::Contract;
use ensemble_sources::resolve;
use ensemble_store::{Stamp, Store};
use ensemble_supervisor::{Ending, JobRecord, JobState, Relation, Submission, SubmitError, check_layout, list_jobs};

use super::follow::Session;
use crate::{
    cli::{Global, OutputFormat, RunArgs},
    exit::Failure,
    node::{Node, Signals, block_on, init_logging, load_contract},
    settings::Settings,
    stores::Stores,
};

pub(crate) fn run(global: &Global, args: &RunArgs) -> Result<ExitCode, Failure> {
    let mut overrides = global.overrides(&args.store);
    overrides.values.extend(args.contract.iter().map(|v| ("job.contract", v.clone())));
    overrides.values.extend(args.workers.iter().map(|v| ("workers.count", v.to_string())));
    overrides.values.extend(args.shard_bytes.iter().map(|v| ("job.shard_bytes", v.to_string())));
    let settings = Settings::load(&overrides).map_err(Failure::could_not_start)?;
    init_logging(&settings)?;
    let contract = load_contract(&settings.job.contract)?;
    let submission = inspect(&settings, &contract, &args.files)?;
    block_on(load(global.output, &settings, &contract, submission))
}

/// Looks at the inputs before anything is written.
fn inspect(settings: &Settings, contract: &Contract, files: &[String]) -> Result<Submission, Failure> {
    let inputs = resolve(files).map_err(Failure::could_not_start)?;
    let (shard_bytes, limit) = (settings.job.shard_bytes, settings.job.record_limit_bytes);
    Submission::inspect(inputs, contract, shard_bytes, limit, || Box::new(std::io::stdin()))
        .map_err(|SubmitError::Source(e)| Failure::could_not_start(e))
}

async fn load(
    output: OutputFormat,
    settings: &Settings,
    contract: &Contract,
    submission: Submission,
) -> Result<ExitCode, Failure> {
    let places = settings.place_options();
    let stores = Stores::open(settings).await?;
    check_layout(&*stores.store, contract).await.map_err(Failure::could_not_start)?;
    let node = Node::start(settings, &stores).await?;
    let same = settle_others(&node, &*stores.store, &submission).await?;
    let signals = Signals::listen()?;
    let (job, record) = match same {
        Some((stamp, record)) => {
            eprintln!("resuming job {}", record.id);
            let job = node.supervisor.resume(stamp, record.clone(), None).await.map_err(Failure::failed)?;
            (job, record)
        }
        None => node.supervisor.submit(submission).await.map_err(Failure::failed)?,
    };
    let ended = Session { output, places, stores, node, signals }.finish(job, record).await?;
    Ok(ExitCode::from(ended.exit_code()))
}

/// Settles unfinished jobs that can never be resumed. The one over the same files, if there is one.
async fn settle_others(
    node: &Node,
    store: &dyn Store,
    submission: &Submission,
) -> Result<Option<(Stamp, JobRecord)>, Failure> {
    let mut same: Option<(Stamp, JobRecord)> = None;
    for (stamp, job) in list_jobs(store).await.map_err(Failure::could_not_start)? {
        if job.state.is_terminal() {
            continue;
        }
        let reason = match submission.relation(&job) {
            Relation::Same if job.state != JobState::Stopping => {
                same = Some((stamp, job));
                continue;
            }
            Relation::Other => continue,
            Relation::Same => "the job was being stopped",
            Relation::Outdated(reason) => reason,
            Relation::Lost => "standard input cannot be read again: only what was read is settled",
        };
        let ending = Ending::Failed { reason: reason.to_owned() };
        let id = job.id;
        let settled = node.supervisor.resume(stamp, job, Some(ending)).await.map_err(Failure::failed)?.over().await;
        if settled.aborted {
            return Err(Failure::failed(anyhow::anyhow!(
                "cannot settle the unfinished job {id}: {}",
                settled.reason.unwrap_or_default()
            )));
        }
        eprintln!("job {id} has failed: {reason}; what it had leased is settled");
    }
    Ok(same)
}
