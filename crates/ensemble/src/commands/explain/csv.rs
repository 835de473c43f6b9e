//! Explanations for spreadsheets: a line for each column of a row, or for each row of a key.

use std::io;

use ensemble_supervisor::{ClaimedRow, KeyExplanation, RowExplanation, SourceRow};
use serde_json::Value;

use crate::{
    output::stdout,
    tabular::{Column, CsvSink, Field, Kind, RowSink},
};

pub(super) fn row(explained: &RowExplanation) -> io::Result<()> {
    let names = ["job", "file", "line", "offset", "outcome", "key", "column", "header", "raw", "value", "rule"];
    let mut sink = CsvSink::new(stdout(), &names.map(|name| Column::new(name, Kind::Text)))?;
    let [job, file, line, offset, _] = place(&explained.row);
    for column in &explained.columns {
        let raw = column.raw.as_deref().map(String::from_utf8_lossy);
        let value = text(&column.value);
        sink.row(&[
            Field::Text(&job),
            Field::Text(&file),
            Field::Text(&line),
            Field::Text(&offset),
            Field::Text(super::name(&explained.outcome)),
            optional(explained.key.as_deref()),
            Field::Text(&column.column),
            optional(column.header.as_deref()),
            optional(raw.as_deref()),
            optional(value.as_deref()),
            optional(column.rule.as_deref()),
        ])?;
    }
    sink.finish()
}

pub(super) fn key(explained: &KeyExplanation) -> io::Result<()> {
    let first = ["state", "job", "file", "line", "offset", "raw"];
    let names = first.into_iter().chain(explained.live.values.keys().map(String::as_str));
    let columns: Vec<Column> = names.map(|name| Column::new(name, Kind::Text)).collect();
    let mut sink = CsvSink::new(stdout(), &columns)?;
    let mut write = |state: &str, row: &ClaimedRow| {
        let mut cells = vec![Some(state.to_owned())];
        cells.extend(place(&row.row).map(Some));
        cells.extend(explained.live.values.keys().map(|name| row.values.get(name).and_then(text)));
        sink.row(&cells.iter().map(|cell| optional(cell.as_deref())).collect::<Vec<_>>())
    };
    write("live", &explained.live)?;
    explained.displaced.iter().try_for_each(|row| write("displaced", row))?;
    sink.finish()
}

/// Job, file, line, offset and record; the last three are empty where nothing is known of the record.
fn place(row: &SourceRow) -> [String; 5] {
    let number = |n: u64| if super::is_known(row) { n.to_string() } else { String::new() };
    let raw = String::from_utf8_lossy(&row.raw).into_owned();
    [row.job.to_string(), row.file.clone(), number(row.line), number(row.offset), raw]
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn optional(text: Option<&str>) -> Field<'_> {
    text.map_or(Field::Null, Field::Text)
}
