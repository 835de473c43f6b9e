//! `ensemble jobs list` and `ensemble jobs get`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use ensemble_events::expand::rfc3339;
use ensemble_store::JobId;
use ensemble_supervisor::{Ending, JobRecord, JobReport, JobState, JobStatus, settled_totals};
use serde::Serialize;

use crate::{
    catalogue::Catalogue,
    cli::OutputFormat,
    exit::Failure,
    node::block_on,
    output::{count, print_json, print_json_list, stdout},
    report::write_report,
    settings::Settings,
    stores::Stores,
    tabular::{Column, CsvSink, Field, Kind, RowSink},
    text_table::{TextTable, visible},
};

/// The widest that a list of files is shown to people.
const FILES_WIDTH: usize = 40;

/// A job as scripts read it: its report and what else is known.
#[derive(Serialize)]
pub(super) struct JobDetails {
    #[serde(flatten)]
    pub(super) report: JobReport,
    pub(super) contract: String,
    pub(super) files: Vec<String>,
    pub(super) created_at: String,
    pub(super) ended_at: Option<String>,
    /// It is a job of a store that this process holds, so nobody runs it.
    #[serde(skip)]
    pub(super) here: bool,
}

/// All jobs.
pub(super) fn list(output: OutputFormat, settings: &Settings) -> Result<ExitCode, Failure> {
    let jobs = read(settings, async |stores: &Stores| {
        let catalogue = Catalogue::read(&*stores.store).await?;
        let mut jobs = Vec::new();
        for job in catalogue.jobs() {
            jobs.push(details(stores, job).await?);
        }
        Ok(jobs)
    })?;
    print_all(output, &jobs)?;
    if let (OutputFormat::Table, Some(job)) = (output, jobs.iter().find(|job| is_open(job))) {
        let places = settings.place_options();
        eprintln!("go on with: ensemble jobs resume {} {}", job.report.job, places.both());
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints jobs.
pub(super) fn print_all(output: OutputFormat, jobs: &[JobDetails]) -> Result<(), Failure> {
    match output {
        OutputFormat::Json => print_json_list(jobs),
        OutputFormat::Csv => print_csv(jobs).map_err(Failure::printing),
        OutputFormat::Table => print_table(jobs).map_err(Failure::printing),
    }
}

/// One job.
pub(super) fn show(output: OutputFormat, settings: &Settings, id: JobId) -> Result<ExitCode, Failure> {
    read(settings, async |stores: &Stores| {
        let catalogue = Catalogue::read(&*stores.store).await?;
        print_job(output, stores, catalogue.job(id)?).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Prints one job.
pub(super) async fn print_job(output: OutputFormat, stores: &Stores, job: &JobRecord) -> Result<(), Failure> {
    print_one(output, &details(stores, job).await?)
}

/// Prints one job.
pub(super) fn print_one(output: OutputFormat, job: &JobDetails) -> Result<(), Failure> {
    match output {
        OutputFormat::Json => print_json(job),
        OutputFormat::Csv => print_csv(std::slice::from_ref(job)).map_err(Failure::printing),
        OutputFormat::Table => print_details(job).map_err(Failure::printing),
    }
}

fn read<T>(settings: &Settings, read: impl AsyncFnOnce(&Stores) -> Result<T, Failure>) -> Result<T, Failure> {
    block_on(async {
        let stores = Stores::open_existing(settings).await?;
        let result = read(&stores).await;
        super::super::closed(stores, result).await
    })
}

async fn details(stores: &Stores, job: &JobRecord) -> Result<JobDetails, Failure> {
    let totals = settled_totals(&*stores.store, job).await.map_err(Failure::failed)?;
    let status = JobStatus {
        id: job.id,
        number: job.number,
        state: job.state,
        totals,
        source_bytes: job.source_bytes(),
        active_us: job.active_us,
        reason: match &job.ending {
            Some(Ending::Failed { reason }) => Some(reason.clone()),
            _ => None,
        },
        stalled: None,
        over: true,
        aborted: false,
    };
    Ok(JobDetails {
        report: JobReport::new(&status, job.ignored_columns(), stores.store.describe()),
        contract: job.contract.name.clone(),
        files: job.files().iter().map(|file| file.name.clone()).collect(),
        created_at: rfc3339(job.created_at_us),
        ended_at: job.ended_at_us.map(rfc3339),
        here: true,
    })
}

fn is_open(job: &JobDetails) -> bool {
    [JobState::Queued, JobState::Running, JobState::Paused].iter().any(|state| state.as_str() == job.report.state)
}

/// What a person calls the state: nobody runs a job of a store that this process holds, and one that waits for something
/// does not run either.
fn state(job: &JobDetails) -> &'static str {
    if job.report.stalled.is_some() {
        "stalled"
    } else if job.here && job.report.state == JobState::Running.as_str() {
        "interrupted"
    } else {
        job.report.state
    }
}

/// `2024-02-29 23:59:59`, in UTC.
fn time(rfc3339: &str) -> String {
    rfc3339.get(..19).unwrap_or(rfc3339).replace('T', " ")
}

fn print_table(jobs: &[JobDetails]) -> io::Result<()> {
    let mut table = TextTable::new([
        "job",
        "state",
        "contract",
        "files",
        ">rows",
        ">accepted",
        ">duplicates",
        ">rejected",
        "created (UTC)",
        ">seconds",
    ]);
    for job in jobs {
        let report = &job.report;
        table.push(vec![
            report.job.to_string(),
            state(job).to_owned(),
            job.contract.clone(),
            visible(&job.files.join(", "), FILES_WIDTH),
            count(report.rows),
            count(report.accepted),
            count(report.duplicates),
            count(report.rejected),
            time(&job.created_at),
            format!("{:.1}", report.seconds),
        ]);
    }
    let mut out = stdout();
    table.print(&mut out)?;
    out.flush()
}

fn print_details(job: &JobDetails) -> io::Result<()> {
    let mut out = stdout();
    let report = JobReport { state: state(job), ..job.report.clone() };
    write_report(&mut out, &report)?;
    writeln!(out, "\n  contract    {}", job.contract)?;
    for (i, file) in job.files.iter().enumerate() {
        writeln!(out, "  {:<10}  {}", if i == 0 { "files" } else { "" }, visible(file, usize::MAX))?;
    }
    writeln!(out, "  created     {} UTC", time(&job.created_at))?;
    if let Some(ended) = &job.ended_at {
        writeln!(out, "  ended       {} UTC", time(ended))?;
    }
    writeln!(out, "  store       {}", report.store)?;
    out.flush()
}

fn print_csv(jobs: &[JobDetails]) -> io::Result<()> {
    use Kind::{Float, Int, Text};
    let columns = [
        ("job", Text),
        ("state", Text),
        ("contract", Text),
        ("files", Text),
        ("rows", Int),
        ("accepted", Int),
        ("updated", Int),
        ("duplicates", Int),
        ("rejected", Int),
        ("created_at", Text),
        ("ended_at", Text),
        ("seconds", Float),
        ("reason", Text),
        ("stalled", Text),
    ];
    let mut sink = CsvSink::new(stdout(), &columns.map(|(name, kind)| Column::new(name, kind)))?;
    let int = |n: u64| Field::Int(i64::try_from(n).unwrap_or(i64::MAX));
    for job in jobs {
        let report = &job.report;
        sink.row(&[
            Field::Text(&report.job.to_string()),
            Field::Text(report.state),
            Field::Text(&job.contract),
            Field::Text(&job.files.join(" ")),
            int(report.rows),
            int(report.accepted),
            int(report.updated),
            int(report.duplicates),
            int(report.rejected),
            Field::Text(&job.created_at),
            job.ended_at.as_deref().map_or(Field::Null, Field::Text),
            Field::Float(report.seconds),
            report.reason.as_deref().map_or(Field::Null, Field::Text),
            report.stalled.as_deref().map_or(Field::Null, Field::Text),
        ])?;
    }
    sink.finish()
}
