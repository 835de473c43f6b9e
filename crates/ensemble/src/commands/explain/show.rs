//! Explanations for people.

use std::io::{self, Write};

use ensemble_contract::Keep;
use ensemble_supervisor::{ClaimedRow, ExplainedColumn, KeyExplanation, RowExplanation, RowOutcome, SourceRow};
use serde_json::Value;

use crate::{
    output::{coloured, stdout},
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
    for (column, value) in &explained.live.values {
        table.push(vec![visible(column, VALUE_WIDTH), shown(value)]);
    }
    for (column, text) in &explained.live.extra {
        table.push(vec![visible(column, VALUE_WIDTH), quoted(text)]);
    }
    table.print(&mut out)?;
    if explained.displaced.is_empty() {
        writeln!(out, "\nIt has displaced no other row.")?;
        return out.flush();
    }
    writeln!(out, "\nDisplaced rows, the last one first ({}):", rule(explained.keep))?;
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
    let key = format!("Key {key} of {}", explained.silver);
    let rule = rule(explained.keep);
    let others = |first: String, what: &str, other: &SourceRow, live: &SourceRow| match other == live {
        true => vec![first, format!("{what} and live: {}", place(live))],
        false => vec![first, format!("{what}: {}", place(other)), format!("live: {}", place(live))],
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
        RowOutcome::Live => vec![key],
        RowOutcome::Displaced { by: Some(by), live } => {
            others(format!("{key} was this row's until another one took it ({rule})"), "displaced by", by, live)
        }
        RowOutcome::Displaced { by: None, live } => vec![
            format!("{key} was this row's until another one took it, which is no longer recorded ({rule})"),
            format!("live: {}", place(live)),
        ],
        RowOutcome::Duplicate { of, live } => {
            others(format!("{key} is another row's ({rule})"), "duplicate of", of, live)
        }
        RowOutcome::Superseded { live } => vec![
            format!("{key} is another row's ({rule}); whether it was this one's for a time is no longer recorded"),
            format!("live: {}", place(live)),
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
        return format!("{file}, line {}, byte {} (shard {shard} of job {job})", row.line, row.offset);
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
