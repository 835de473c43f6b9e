//! `ensemble verify`: everything that a store promises, checked.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
    sync::Arc,
};

use ensemble_audit::{AuditError, Check, Outcome, Report, Scope, VerifyOptions, verify};
use serde_json::{Value, json};

use crate::{
    cli::{Global, OutputFormat, VerifyArgs},
    exit::{self, Failure},
    node::{block_on, interruptible},
    output::{coloured, print_json, stdout},
    progress::Bytes,
    settings::Settings,
    stores::Stores,
    tabular::{Column, CsvSink, Field, Kind, RowSink},
    text_table::visible,
};

const GREEN: u8 = 32;
const YELLOW: u8 = 33;
const RED: u8 = 31;
/// The widest that a detail is shown to people.
const DETAIL_WIDTH: usize = 240;

pub(crate) fn run(global: &Global, args: &VerifyArgs) -> Result<ExitCode, Failure> {
    let settings = super::settings(global, &args.at.store)?;
    let report = block_on(check(global.output, &settings, args))?;
    match global.output {
        OutputFormat::Json => print_json(&as_json(&report))?,
        OutputFormat::Csv => print_csv(&report).map_err(Failure::printing)?,
        OutputFormat::Table => print_table(&report).map_err(Failure::printing)?,
    }
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::from(exit::DIFFERENCE) })
}

async fn check(output: OutputFormat, settings: &Settings, args: &VerifyArgs) -> Result<Report, Failure> {
    let stores = Stores::open_to_read(settings, &args.at).await?;
    let options = VerifyOptions::new(settings.scratch_dir());
    let bar = Bytes::new(output == OutputFormat::Table && io::stderr().is_terminal());
    let verified = verify(
        Arc::clone(&stores.store),
        Some(Arc::clone(&stores.events)),
        args.job.map_or(Scope::All, Scope::Job),
        options,
        |progress| bar.update(progress.done_bytes, progress.total_bytes),
    );
    let report = interruptible(Box::pin(async { verified.await.map_err(failure) })).await;
    bar.finish();
    super::closed(stores, report).await
}

fn failure(error: AuditError) -> Failure {
    match error {
        AuditError::UnknownJob(id) => crate::catalogue::unknown_job(id),
        e => Failure::failed(e),
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Holds => "holds",
        Outcome::Broken => "broken",
        Outcome::Skipped(_) => "skipped",
    }
}

/// Why a check was skipped, and what was found.
fn detail(check: &Check) -> String {
    match &check.outcome {
        Outcome::Skipped(reason) if check.detail.is_empty() => reason.clone(),
        Outcome::Skipped(reason) => format!("{reason}; {}", check.detail),
        _ => check.detail.clone(),
    }
}

fn as_json(report: &Report) -> Value {
    let check = |check: &Check| {
        json!({
            "id": check.id,
            "title": check.title,
            "outcome": word(&check.outcome),
            "detail": detail(check),
            "examples": check.examples,
        })
    };
    json!({"holds": report.holds(), "checks": report.checks.iter().map(check).collect::<Vec<_>>()})
}

fn print_csv(report: &Report) -> io::Result<()> {
    let columns = ["id", "title", "outcome", "detail", "examples"].map(|name| Column::new(name, Kind::Text));
    let mut sink = CsvSink::new(stdout(), &columns)?;
    for check in &report.checks {
        let texts = [check.id, check.title, word(&check.outcome), &detail(check), &check.examples.join("\n")];
        sink.row(&texts.map(Field::Text))?;
    }
    sink.finish()
}

/// One line a check, and its examples under it.
fn print_table(report: &Report) -> io::Result<()> {
    let mut out = stdout();
    for check in &report.checks {
        let colour = match check.outcome {
            Outcome::Holds => GREEN,
            Outcome::Broken => RED,
            Outcome::Skipped(_) => YELLOW,
        };
        let outcome = coloured(&format!("{:<7}", word(&check.outcome)), colour);
        let detail = match detail(check) {
            detail if detail.is_empty() => String::new(),
            detail => format!(" ({})", visible(&detail, DETAIL_WIDTH)),
        };
        writeln!(out, "{} {outcome} {}{detail}", check.id, check.title)?;
        check.examples.iter().try_for_each(|example| writeln!(out, "           {example}"))?;
    }
    out.flush()
}
