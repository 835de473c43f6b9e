//! A record column by column, for people who ask why its verdict is what it is.

use super::{Judge, column::Failure, verdict::Record, verdict::Rule};

/// What one column makes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnVerdict<'a> {
    /// The index of its field in the header; `None` where the header lacks the column.
    pub source: Option<usize>,
    /// The field's bytes as they came; `None` where the record has no such field.
    pub raw: Option<&'a [u8]>,
    /// What comes of it.
    pub verdict: FieldVerdict,
}

/// What comes of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldVerdict {
    /// The standardised value, encoded as [`crate::row`] says.
    Value(Vec<u8>),
    /// It breaks this rule.
    Broken(Rule),
    /// The record breaks a rule on the whole row, so that its fields are not looked at.
    NotJudged,
}

impl Judge {
    /// One verdict a column, in the contract's order, by the very rules of [`Judge::judge`].
    pub fn columns<'r>(&self, record: &Record<'r>) -> Vec<ColumnVerdict<'r>> {
        let mut columns = self.fields(Some(record));
        if self.row_rules(record).is_err() {
            return columns;
        }
        let mut value = Vec::new();
        for (column, found) in self.columns.iter().zip(&mut columns) {
            value.clear();
            let judged = match found.raw {
                Some(raw) => column.judge(raw, &mut value),
                None => column.null(&mut value),
            };
            found.verdict = match judged {
                Ok(()) => FieldVerdict::Value(value.clone()),
                Err(Failure::Rule(kind)) => FieldVerdict::Broken(column.rule(kind)),
                Err(Failure::Encoding) => FieldVerdict::NotJudged,
            };
        }
        columns
    }

    /// Where each column's field is, and its bytes where there is a record, without judging them: for a record that
    /// must not be judged, or that has no fields.
    pub fn fields<'r>(&self, record: Option<&Record<'r>>) -> Vec<ColumnVerdict<'r>> {
        let raw = |at: usize| record.and_then(|r| r.fields.get(at).map(|span| span.of(r.bytes)));
        self.columns
            .iter()
            .map(|column| ColumnVerdict {
                source: (column.source < self.width).then_some(column.source),
                raw: raw(column.source),
                verdict: FieldVerdict::NotJudged,
            })
            .collect()
    }
}
