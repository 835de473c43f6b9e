//! Records to verdicts.

mod column;
mod fields;
mod rules;
mod verdict;

use std::ops::Range;
use std::sync::Arc;

use self::column::{ColumnJudge, Failure};
pub use self::fields::{ColumnVerdict, FieldVerdict};
pub use self::verdict::{AcceptedSpan, Record, Rejection, Rule, Span, Verdict};
use crate::bind::Binding;
use crate::model::Contract;
use crate::row::{RowRef, RowWriter, Value, text_length};
use crate::text::trim;

/// A contract bound to one header, compiled. Judges one record at a time, keeps nothing between records, and may be
/// shared by threads.
#[derive(Debug)]
pub struct Judge {
    contract: Arc<Contract>,
    width: usize,
    key: usize,
    columns: Vec<ColumnJudge>,
    extra: Vec<(usize, String)>,
}

impl Judge {
    /// Compiles the rules. The binding has to come from the same contract.
    pub fn new(contract: Arc<Contract>, binding: Binding) -> Self {
        let columns = contract.columns.iter().zip(&binding.sources).map(|(c, s)| ColumnJudge::new(c, *s)).collect();
        Self { width: binding.width, key: contract.key, extra: binding.extra, columns, contract }
    }

    /// The contract that it judges by.
    pub fn contract(&self) -> &Arc<Contract> {
        &self.contract
    }

    /// Appends the row of an accepted record to `out`; where the record is rejected, `out` is left as it was.
    pub fn judge(&self, record: &Record<'_>, out: &mut Vec<u8>) -> Verdict {
        self.contract.hooks.fire(record);
        let start = out.len();
        let verdict = self.row_rules(record).and_then(|()| self.row(record, out));
        match verdict {
            Ok(accepted) => Verdict::Accepted(accepted),
            Err(rejection) => {
                out.truncate(start);
                Verdict::Rejected(rejection)
            }
        }
    }

    fn row_rules(&self, record: &Record<'_>) -> Result<(), Rejection> {
        if record.fields.len() != self.width {
            return Err(Rejection::row(Rule::COLUMNS));
        }
        if !record.utf8 && !record.is_utf8() {
            return Err(Rejection::row(Rule::ENCODING));
        }
        Ok(())
    }

    fn row(&self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<AcceptedSpan, Rejection> {
        let start = out.len();
        let mut key = start..start;
        let mut rejection = None;
        for (index, column) in self.columns.iter().enumerate() {
            let begin = out.len();
            let raw = record.fields.get(column.source).map(|span| span.of(record.bytes));
            let judged = match raw {
                Some(raw) => column.judge(raw, out),
                None => column.null(out),
            };
            if index == self.key {
                key = begin..out.len();
            }
            if let Err(failure) = judged {
                add_failure(&mut rejection, column, failure, raw)?;
            }
        }
        if let Some(rejection) = rejection {
            return Err(rejection);
        }
        self.push_extra(record, out)?;
        Ok(accepted(start, key, out))
    }

    fn push_extra(&self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), Rejection> {
        if self.extra.is_empty() {
            return Ok(());
        }
        let text = |at: usize| match record.fields.get(at) {
            Some(span) => std::str::from_utf8(span.of(record.bytes)).map(trim),
            None => Ok(""),
        };
        if self.extra.iter().any(|(at, _)| text(*at).is_err()) {
            return Err(Rejection::row(Rule::ENCODING));
        }
        RowWriter::new(out).push_extra(self.extra.iter().map(|(at, name)| (name.as_str(), text(*at).unwrap_or(""))));
        Ok(())
    }
}

#[cold]
fn add_failure(
    rejection: &mut Option<Rejection>,
    column: &ColumnJudge,
    failure: Failure,
    raw: Option<&[u8]>,
) -> Result<(), Rejection> {
    let Failure::Rule(kind) = failure else { return Err(Rejection::row(Rule::ENCODING)) };
    let first = || Rejection { rules: Vec::new(), value: raw.map(<[u8]>::to_vec) };
    rejection.get_or_insert_with(first).rules.push(column.rule(kind));
    Ok(())
}

/// Where the row that begins at `start` and its key's text are. `key` is the key's encoded value; a key that is no text
/// gets its text before the row.
fn accepted(start: usize, key: Range<usize>, out: &mut Vec<u8>) -> AcceptedSpan {
    let encoded = out.get(key.clone()).unwrap_or_default();
    if let Some(text) = text_length(encoded) {
        // The text is the last part of the encoded value.
        return AcceptedSpan { key: key.end - text..key.end, row: start..out.len() };
    }
    let text = match RowRef::new(encoded).next_value() {
        Ok(Some(Value::Int(v))) => v.to_string(),
        Ok(Some(Value::Float(v))) => v.to_f64().to_string(),
        Ok(Some(Value::Bool(v))) => v.to_string(),
        _ => String::new(),
    };
    out.splice(start..start, text.bytes());
    let begin = start + text.len();
    AcceptedSpan { key: start..begin, row: begin..out.len() }
}

#[cfg(test)]
mod tests;
