//! Explanations for people.

use std::io::{self, Write};

use ensemble_contract::Keep;
use ensemble_supervisor::{ClaimedRow, ExplainedColumn, KeyExplanation, RowExplanation, RowOutcome, SourceRow};
use serde_json::Value;

use crate::{
    output::{coloured, count, stdout},
    text_table::{TextTable, visible},
};

/// The widest that a value and a record are shown.
const VALUE_WIDTH: usize = 40;
const ROW_WIDTH: usize = 110;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;
const RED: u8 = 31;

pub(super) fn row(explained: &RowExplanation) -> io::Result<()> {
    let mut out = stdout();
    let colour = match explained.outcome {
        RowOutcome::Live => GREEN,
        RowOutcome::Rejected { .. } | RowOutcome::Aside { .. } => RED,
        _ => YELLOW,
    };
    writeln!(out, "{}  {}\n", coloured(super::name(&explained.outcome), colour), place(&explained.row))?;
    write_raw(&mut out, &explained.row)?;
    for line in lines(explained) {
        writeln!(out, "  {line}")?;
    }
    if !explained.columns.is_empty() {
        writeln!(out)?;
        columns(&explained.columns).print(&mut out)?;
    }
    out.flush()
}

pub(super) fn key(explained: &KeyExplanation) -> io::Result<()> {
    let mut out = stdout();
    let (key, silver) = (visible(&explained.key, VALUE_WIDTH), &explained.silver);
    writeln!(out, "{}  key {key} of {silver}, from {}\n", coloured("live", GREEN), place(&explained.live.row))?;
    write_raw(&mut out, &explained.live.row)?;
    writeln!(out)?;
    let mut table = TextTable::new(["column", "value"]);
    for (column, value) in explained.live.values.iter().chain(&explained.live.extra) {
        table.push(vec![visible(column, VALUE_WIDTH), shown(value)]);
    }
    table.print(&mut out)?;
    if explained.displaced.is_empty() {
        writeln!(out, "\nIt has displaced no other row.")?;
        return out.flush();
    }
    writeln!(out, "\nDisplaced by it or one another, the last one first ({}):", rule(explained.keep))?;
    for displaced in &explained.displaced {
        writeln!(out, "\n  {}", place(&displaced.row))?;
        write_raw(&mut out, &displaced.row)?;
        writeln!(out, "  {}", differences(displaced, &explained.live))?;
    }
    out.flush()
}

/// What is to be said of the outcome.
fn lines(explained: &RowExplanation) -> Vec<String> {
    let key = explained.key.as_deref().map(|key| visible(key, VALUE_WIDTH)).unwrap_or_default();
    let (silver, keep) = (&explained.silver, rule(explained.keep));
    let live_is = |other: Option<&SourceRow>, live: &SourceRow| match other {
        Some(other) if other == live => "which is live".to_owned(),
        _ => format!("live is {}", place(live)),
    };
    match &explained.outcome {
        RowOutcome::Rejected { rules } => {
            let meaning = rules.first().and_then(|rule| meaning(rule)).map(|text| format!(": {text}"));
            vec![format!("It breaks {}{}", rules.join(", "), meaning.unwrap_or_default())]
        }
        RowOutcome::Aside { reason } => vec![
            format!("Its shard was set aside, so that none of its rows counts: {}", visible(reason, usize::MAX)),
            "It is not judged: that may be what the shard was set aside for".to_owned(),
        ],
        RowOutcome::Live => vec![format!("It is key {key} of {silver}")],
        RowOutcome::Displaced { by: Some(by), live } => {
            vec![format!("Its key {key} of {silver} was taken ({keep}) by"), place(by), live_is(Some(by), live)]
        }
        RowOutcome::Displaced { by: None, live } => vec![
            format!("Its key {key} of {silver} was taken ({keep}) by a row that is no longer recorded;"),
            live_is(None, live),
        ],
        RowOutcome::Duplicate { of, live } => {
            vec![format!("Its key {key} of {silver} is ({keep}) that of"), place(of), live_is(Some(of), live)]
        }
        RowOutcome::Superseded { live } => vec![
            format!(
                "Its key {key} of {silver} has ({keep}) another row. Whether this one was live for a time is no longer"
            ),
            format!("recorded; {}", live_is(None, live)),
        ],
    }
}

fn columns(columns: &[ExplainedColumn]) -> TextTable {
    let mut table = TextTable::new(["column", "header", "raw", "value", "verdict"]);
    for column in columns {
        let raw = column.raw.as_deref().map(|raw| quoted(&String::from_utf8_lossy(raw)));
        table.push(vec![
            visible(&column.column, VALUE_WIDTH),
            column.header.as_deref().map_or("–".to_owned(), |header| visible(header, VALUE_WIDTH)),
            raw.unwrap_or_else(|| "–".to_owned()),
            if column.judged && column.rule.is_none() { shown(&column.value) } else { "–".to_owned() },
            match &column.rule {
                Some(rule) => rule.clone(),
                None if column.judged => "ok".to_owned(),
                None => "not judged".to_owned(),
            },
        ]);
    }
    table
}

/// The columns in which a displaced row differs from the live one.
fn differences(displaced: &ClaimedRow, live: &ClaimedRow) -> String {
    let differs = displaced.values.iter().filter(|(column, value)| live.values.get(*column) != Some(value));
    let texts: Vec<String> = differs.map(|(column, value)| format!("{column} was {}", shown(value))).collect();
    if texts.is_empty() { "the same values".to_owned() } else { texts.join(", ") }
}

fn place(row: &SourceRow) -> String {
    let (file, shard, job) = (visible(&row.file, usize::MAX), row.shard, row.job);
    if super::is_known(row) {
        return format!("{file}, line {}, byte {} (shard {shard} of job {job})", count(row.line), count(row.offset));
    }
    format!("{file} (shard {shard} of job {job})")
}

fn write_raw(out: &mut impl Write, row: &SourceRow) -> io::Result<()> {
    if !super::is_known(row) {
        return Ok(());
    }
    writeln!(out, "  {}", visible(&String::from_utf8_lossy(&row.raw), ROW_WIDTH))
}

/// A text that begins or ends with white space, or is empty, has quotes around it.
fn quoted(text: &str) -> String {
    let shown = visible(text, VALUE_WIDTH);
    if text.is_empty() || text.trim().len() < text.len() { format!("\"{shown}\"") } else { shown }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

fn rule(keep: Keep) -> &'static str {
    match keep {
        Keep::First => "keep = \"first\": the first row of the first job is live",
        Keep::Last => "keep = \"last\": the last row of the latest job is live",
    }
}

/// What a rule on the whole row asks.
fn meaning(rule: &str) -> Option<&'static str> {
    Some(match rule {
        "row.columns" => "it has more or fewer fields than the header",
        "row.encoding" => "its bytes are no UTF-8",
        "row.unterminated_quote" => "a quote opens in it that is never closed",
        "row.too_long" => "it is longer than a record may be",
        "row.panic" => "judging it failed inside",
        _ => return None,
    })
}
