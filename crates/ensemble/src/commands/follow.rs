//! Following a job to its end in this process: what `run` and `jobs resume` have in common.

use ensemble_supervisor::{JobHandle, JobRecord, JobReport, JobState, JobStatus};

use super::gold::Preview;
use crate::{
    cli::OutputFormat,
    exit::{self, Failure},
    node::{Node, Signals},
    output::is_shown,
    progress::Progress,
    report::{Next, print_report},
    settings::PlaceOptions,
    stores::Stores,
};

/// A process that works on one job.
pub(crate) struct Session {
    pub(crate) output: OutputFormat,
    /// The store and its events, as a person would name them.
    pub(crate) places: PlaceOptions,
    pub(crate) stores: Stores,
    pub(crate) node: Node,
    /// Listened to since before the job began.
    pub(crate) signals: Signals,
}

/// How this process's work on a job ended.
pub(crate) struct Ended {
    pub(crate) status: JobStatus,
    /// The signal that interrupted it.
    pub(crate) signal: Option<u8>,
}

impl Session {
    /// Follows the job to its end, stops everything and prints the report.
    pub(crate) async fn finish(self, job: JobHandle, record: JobRecord) -> Result<Ended, Failure> {
        let Self { output, places, stores, node, mut signals } = self;
        let ended = watch(output, &node, &job, &record, &mut signals).await;
        let stopped = node.stop().await;
        let mut report = JobReport::new(&ended.status, record.ignored_columns(), stores.store.describe());
        if ended.interrupted_by().is_some() {
            report.state = ended.status.state.as_str();
        }
        let contract = record.compile().map_err(Failure::failed)?;
        let shown = output == OutputFormat::Table && ended.status.state == JobState::Succeeded;
        let preview = if shown { Preview::read(&stores, &contract.silver).await? } else { None };
        let closed = stores.close().await;
        let printed = print_report(output, &report, &Next::new(&places, &contract))
            .and_then(|()| preview.map_or(Ok(()), |p| p.print().map_err(Failure::printing)));
        match printed {
            // The job does not depend on who reads of it.
            Err(e) if e.code != 0 => return Err(e),
            _ => {}
        }
        if let (true, Some(reason)) = (output != OutputFormat::Table, &report.reason) {
            eprintln!("job {} {}: {reason}", report.job, report.state);
        }
        // A job that could not go on has said why; what follows from it is no news.
        if !ended.status.aborted {
            stopped?;
            closed?;
        }
        Ok(ended)
    }
}

impl Ended {
    /// What the process says about the job with its exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match (self.status.state, self.interrupted_by()) {
            (JobState::Succeeded, _) => 0,
            (_, Some(number)) => exit::SIGNAL_BASE + number,
            _ => exit::FAILED,
        }
    }

    /// The signal that ended the work on a job that can be resumed: also where a store that was away was in the way of
    /// ending well, which is no failure of the job's.
    fn interrupted_by(&self) -> Option<u8> {
        self.signal.filter(|_| !self.status.state.is_terminal())
    }
}

/// The first signal lets workers finish what they hold; the second ends the process.
async fn watch(output: OutputFormat, node: &Node, job: &JobHandle, record: &JobRecord, signals: &mut Signals) -> Ended {
    let progress = Progress::new(is_shown(output), record.source_bytes());
    let mut received = None;
    let mut stalled = None;
    let mut updates = job.status();
    let over = job.over();
    tokio::pin!(over);
    let status = loop {
        let number = tokio::select! {
            status = &mut over => break status,
            changed = updates.changed() => {
                if changed.is_ok() {
                    let status = updates.borrow_and_update().clone();
                    progress.update(&status);
                    // A job that ends while it waits does not go on.
                    if !status.over {
                        tell_of_stall(&progress, &mut stalled, status.stalled);
                    }
                }
                continue;
            }
            number = signals.next() => number,
        };
        if received.is_some() {
            std::process::exit(i32::from(exit::SIGNAL_BASE + number));
        }
        received = Some(number);
        eprintln!("finishing what the workers hold; once more to stop at once");
        job.interrupt();
        node.supervisor.hurry();
    };
    progress.finish();
    Ended { status, signal: received }
}

/// Says once what a job waits for, and once that it goes on.
pub(super) fn tell_of_stall(progress: &Progress, told: &mut Option<String>, stalled: Option<String>) {
    if stalled.is_some() == told.is_some() {
        return;
    }
    let line = match &stalled {
        Some(what) => format!("Stalled: {what}; the job goes on by itself once it is back"),
        None => "the job goes on".to_owned(),
    };
    progress.say(&line);
    *told = stalled;
}
