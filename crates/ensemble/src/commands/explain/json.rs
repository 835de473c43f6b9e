//! Explanations for programs: objects that always have the same fields.

use ensemble_supervisor::{ClaimedRow, ExplainedColumn, KeyExplanation, RowExplanation, RowOutcome, SourceRow};
use serde_json::{Map, Value, json};

use crate::base64;

pub(super) fn row(explained: &RowExplanation) -> Value {
    let outcome = &explained.outcome;
    let (mut by, mut of, mut live) = (Value::Null, Value::Null, Value::Null);
    match outcome {
        RowOutcome::Rejected { .. } | RowOutcome::Aside { .. } => {}
        RowOutcome::Live => live = source(&explained.row).into(),
        RowOutcome::Superseded { live: l } => live = source(l).into(),
        RowOutcome::Displaced { by: b, live: l } => {
            (by, live) = (b.as_ref().map_or(Value::Null, |by| source(by).into()), source(l).into());
        }
        RowOutcome::Duplicate { of: o, live: l } => (of, live) = (source(o).into(), source(l).into()),
    }
    let (rules, reason) = match outcome {
        RowOutcome::Rejected { rules } => (rules.clone(), None),
        RowOutcome::Aside { reason } => (Vec::new(), Some(reason)),
        _ => (Vec::new(), None),
    };
    let rest = json!({
        "silver": explained.silver,
        "keep": super::keep(explained.keep),
        "key": explained.key,
        "outcome": super::name(outcome),
        "rule": rules.first(),
        "rules": rules,
        "reason": reason,
        "displaced_by": by,
        "duplicate_of": of,
        "live": live,
        "columns": explained.columns.iter().map(column).collect::<Vec<_>>(),
    });
    joined(source(&explained.row), rest)
}

pub(super) fn key(explained: &KeyExplanation) -> Value {
    json!({
        "silver": explained.silver,
        "keep": super::keep(explained.keep),
        "key": explained.key,
        "live": claimed(&explained.live),
        "displaced": explained.displaced.iter().map(claimed).collect::<Vec<_>>(),
    })
}

fn claimed(row: &ClaimedRow) -> Value {
    let mut rest = json!({"document": row.values});
    if !row.extra.is_empty() {
        let texts = row.extra.iter().map(|(name, text)| (name.clone(), text.as_str().into()));
        rest["extra"] = texts.collect::<Map<_, Value>>().into();
    }
    joined(source(&row.row), rest)
}

fn column(column: &ExplainedColumn) -> Value {
    let mut json = Map::new();
    json.insert("column".to_owned(), column.column.as_str().into());
    json.insert("header".to_owned(), column.header.clone().into());
    base64::put(&mut json, "raw", column.raw.as_deref());
    joined(json, json!({"value": column.value, "rule": column.rule, "judged": column.judged}))
}

/// Line, offset and record are null where nothing is known of the record.
fn source(row: &SourceRow) -> Map<String, Value> {
    let known = super::is_known(row);
    let number = |n: u64| if known { Value::from(n) } else { Value::Null };
    let mut json = Map::new();
    json.insert("job".to_owned(), row.job.to_string().into());
    json.insert("file".to_owned(), row.file.as_str().into());
    json.insert("line".to_owned(), number(row.line));
    json.insert("offset".to_owned(), number(row.offset));
    json.insert("shard".to_owned(), row.shard.into());
    base64::put(&mut json, "raw", known.then_some(&*row.raw));
    if row.length > row.raw.len() as u64 {
        json.insert("raw_truncated".to_owned(), true.into());
        json.insert("length".to_owned(), row.length.into());
    }
    json
}

fn joined(mut json: Map<String, Value>, rest: Value) -> Value {
    if let Value::Object(rest) = rest {
        json.extend(rest);
    }
    json.into()
}
