//! A job's report, for people and for spreadsheets.

use std::{
    io::{self, Write},
    path::Path,
};

use ensemble_contract::Contract;
use ensemble_supervisor::JobReport;
use indicatif::HumanBytes;

use crate::{
    cli::OutputFormat,
    exit::Failure,
    output::{coloured, count, print_csv, print_json, quoted, stdout},
    settings::PlaceOptions,
};

const GREEN: u8 = 32;
const YELLOW: u8 = 33;
const RED: u8 = 31;
const DIM: u8 = 2;

/// What a person can do next.
pub(crate) struct Next {
    /// The options that name the store, and those that name its events too.
    store: String,
    both: String,
    view: Option<String>,
}

impl Next {
    /// What can be done with a store that was filled under this contract.
    pub(crate) fn new(places: &PlaceOptions, contract: &Contract) -> Self {
        let view = contract.views.first().map(|view| view.name.clone());
        Self { store: places.store(), both: places.both(), view }
    }

    /// What can be done with a job of a server.
    pub(crate) fn at_server(address: &str) -> Self {
        let option = format!("--server {}", quoted(Path::new(address)));
        Self { store: option.clone(), both: option, view: None }
    }
}

/// Prints a report in the format that was asked for.
pub(crate) fn print_report(output: OutputFormat, report: &JobReport, next: &Next) -> Result<(), Failure> {
    match output {
        OutputFormat::Json => print_json(report),
        OutputFormat::Csv => print_csv(&fields(report)),
        OutputFormat::Table => {
            let mut out = stdout();
            write_report(&mut out, report)
                .and_then(|()| write_next(&mut out, report, next))
                .and_then(|()| out.flush())
                .map_err(Failure::printing)
        }
    }
}

fn fields(report: &JobReport) -> Vec<(&'static str, String)> {
    let rules: Vec<String> = report.rejected_by_rule.iter().map(|(rule, n)| format!("{rule}={n}")).collect();
    vec![
        ("job", report.job.to_string()),
        ("state", report.state.to_owned()),
        ("rows", report.rows.to_string()),
        ("accepted", report.accepted.to_string()),
        ("duplicates", report.duplicates.to_string()),
        ("updated", report.updated.to_string()),
        ("rejected", report.rejected.to_string()),
        ("rejected_by_rule", rules.join(" ")),
        ("ignored_columns", report.ignored_columns.join(" ")),
        ("bytes", report.bytes.to_string()),
        ("shards", report.shards.to_string()),
        ("seconds", report.seconds.to_string()),
        ("store", report.store.clone()),
        ("reason", report.reason.clone().unwrap_or_default()),
    ]
}

/// Writes the state and the counts.
pub(crate) fn write_report(out: &mut impl Write, report: &JobReport) -> io::Result<()> {
    let colour = match report.state {
        "succeeded" => GREEN,
        "failed" => RED,
        _ => YELLOW,
    };
    writeln!(out, "{} {}", coloured(report.state, colour), coloured(&report.job.to_string(), DIM))?;
    if let Some(reason) = &report.reason {
        writeln!(out, "  {reason}")?;
    }
    if let Some(what) = &report.stalled {
        writeln!(out, "  Stalled: {what}")?;
    }
    writeln!(out)?;
    line(out, "rows", report.rows, &speed(report))?;
    line(out, "accepted", report.accepted, &share(report.accepted, report.rows))?;
    if report.updated > 0 {
        line(out, "updated", report.updated, "took a key over from an earlier job")?;
    }
    line(out, "duplicates", report.duplicates, &share(report.duplicates, report.rows))?;
    line(out, "rejected", report.rejected, &share(report.rejected, report.rows))?;
    let mut rules: Vec<_> = report.rejected_by_rule.iter().collect();
    rules.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    for (rule, n) in rules {
        writeln!(out, "  {:>26}   {rule}", count(*n))?;
    }
    if !report.ignored_columns.is_empty() {
        let names: Vec<String> = report.ignored_columns.iter().map(|c| format!("{c:?}")).collect();
        writeln!(out, "\n  columns that the contract does not name: {}", names.join(", "))?;
    }
    Ok(())
}

fn line(out: &mut impl Write, name: &str, n: u64, note: &str) -> io::Result<()> {
    writeln!(out, "{}", format!("  {name:<10}  {:>14}   {note}", count(n)).trim_end())
}

fn speed(report: &JobReport) -> String {
    let per_second = (report.rows as f64 / report.seconds.max(0.001)) as u64;
    format!("{} in {:.1} s, {} rows/s", HumanBytes(report.bytes), report.seconds, count(per_second))
}

fn share(part: u64, whole: u64) -> String {
    match (part, whole) {
        (0, _) | (_, 0) => String::new(),
        _ => format!("{:.2}%", part as f64 / whole as f64 * 100.0),
    }
}

fn write_next(out: &mut impl Write, report: &JobReport, next: &Next) -> io::Result<()> {
    let Next { store, both, .. } = next;
    let mut commands = Vec::new();
    match report.state {
        "succeeded" | "failed" | "cancelled" => {}
        _ => commands.push(format!("jobs resume {} {both}", report.job)),
    }
    if report.rejected > 0 {
        commands.push(format!("rejects {} {store}", report.job));
    }
    if report.accepted + report.updated + report.duplicates > 0 {
        commands.extend(next.view.iter().map(|view| format!("gold {view} {store}")));
        commands.push(format!("export silver {store} --to silver.parquet"));
    }
    commands.push(format!("verify {both}"));
    writeln!(out, "\n{}", coloured("next", DIM))?;
    commands.iter().try_for_each(|command| writeln!(out, "  ensemble {command}"))
}
