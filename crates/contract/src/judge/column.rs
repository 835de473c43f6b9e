//! One column's rules, compiled.

use std::str;

use super::rules::{Doubles, IntRules, Kind, Nulls, TextRules};
use super::verdict::Rule;
use crate::calendar::{is_date, parse_year, utc_timestamp};
use crate::decimal::{parse_float, parse_int, short_decimal, short_int};
use crate::model::{Column, ColumnType};
use crate::row::{Float, RowWriter, Value};
use crate::text::{InPlace, Normaliser, trim_bytes};

/// Why a field is no value.
pub(super) enum Failure {
    /// It breaks a rule of its column.
    Rule(Kind),
    /// It is not UTF-8, although the record was said to be.
    Encoding,
}

impl From<Kind> for Failure {
    #[inline]
    fn from(kind: Kind) -> Self {
        Self::Rule(kind)
    }
}

/// Judges one column's fields.
#[derive(Debug)]
pub(super) struct ColumnJudge {
    /// The index of the field; beyond every field where the header lacks the column.
    pub(super) source: usize,
    check: Check,
    way: Way,
    required: bool,
    normaliser: Normaliser,
    nulls: Nulls,
    /// Rarely needed, and kept out of the way of what is needed for every field.
    rules: Box<[Rule; 6]>,
}

/// What a field goes through before its type is looked at.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// At most something is cut off; the empty text alone is null.
    Cut,
    /// As `Cut`, and then its letters change within the row, as no rule looks at them.
    InPlace(InPlace),
    /// Anything else.
    Rewritten,
}

#[derive(Debug)]
enum Check {
    Text(TextRules),
    Int(IntRules),
    Year(IntRules),
    Float(Doubles),
    Bool,
    Date(TextRules),
    Timestamp(TextRules),
}

impl ColumnJudge {
    pub(super) fn new(column: &Column, source: Option<usize>) -> Self {
        let check = match column.ty {
            ColumnType::String => Check::Text(TextRules::new(column)),
            ColumnType::Int => Check::Int(IntRules::new(column)),
            ColumnType::Year => Check::Year(IntRules::new(column)),
            ColumnType::Float => Check::Float(Doubles::new(column.range)),
            ColumnType::Bool => Check::Bool,
            ColumnType::Date => Check::Date(TextRules::new(column)),
            ColumnType::Timestamp => Check::Timestamp(TextRules::new(column)),
        };
        let normaliser = Normaliser::new(&column.normalise);
        let nulls = Nulls::new(&column.null_tokens);
        let way = match (&check, normaliser.in_place()) {
            _ if !nulls.only_empty() => Way::Rewritten,
            _ if normaliser.only_cuts() => Way::Cut,
            (Check::Text(rules), Some(change)) if rules.none() => Way::InPlace(change),
            _ => Way::Rewritten,
        };
        let rules = Box::new(Kind::NAMES.map(|rule| Rule::of_column(&column.name, rule)));
        let source = source.unwrap_or(usize::MAX);
        Self { source, check, way, required: column.required, normaliser, nulls, rules }
    }

    /// The rule by which this column rejects a record.
    pub(super) fn rule(&self, kind: Kind) -> Rule {
        // One rule a kind, in the order of the kinds.
        self.rules[kind as usize].clone()
    }

    /// Appends the field's value to the row. After a failure the row's bytes are of no use.
    pub(super) fn judge(&self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let bytes = trim_bytes(raw).ok_or(Failure::Encoding)?;
        match self.way {
            Way::Rewritten => self.rewritten(bytes, out),
            Way::Cut => match self.normaliser.cut(bytes) {
                [] => self.null(out),
                bytes => self.value(bytes, out),
            },
            Way::InPlace(change) => match self.normaliser.cut(bytes) {
                [] => self.null(out),
                text => {
                    let begin = out.len();
                    RowWriter::new(out).push_text(text);
                    let text = out.len() - text.len()..;
                    if out.get_mut(text).is_some_and(change) {
                        return Ok(());
                    }
                    out.truncate(begin);
                    self.rewritten(bytes, out)
                }
            },
        }
    }

    /// What becomes of a field that is null.
    pub(super) fn null(&self, out: &mut Vec<u8>) -> Result<(), Failure> {
        if self.required {
            return Err(Kind::Required.into());
        }
        RowWriter::new(out).push(Value::Null);
        Ok(())
    }

    #[inline(never)]
    fn rewritten(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let text = str::from_utf8(self.normaliser.cut(bytes)).map_err(|_| Failure::Encoding)?;
        let text = self.normaliser.rewrite(text);
        if self.nulls.contain(&text) {
            return self.null(out);
        }
        self.odd_value(text.as_bytes(), out)
    }

    /// Type and rules of the commonest values; [`ColumnJudge::odd_value`] knows all.
    #[inline(always)]
    fn value(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        match &self.check {
            Check::Float(range) => {
                let Some((mantissa, scale)) = short_decimal(bytes) else { return self.odd_value(bytes, out) };
                let value = Float::Decimal { mantissa, scale };
                range.judge(value.to_f64())?;
                RowWriter::new(out).push(Value::Float(value));
            }
            Check::Int(rules) => {
                let Some(value) = short_int(bytes) else { return self.odd_value(bytes, out) };
                rules.judge(value)?;
                RowWriter::new(out).push(Value::Int(value));
            }
            Check::Text(rules) if rules.none() => RowWriter::new(out).push_text(bytes),
            _ => return self.odd_value(bytes, out),
        }
        Ok(())
    }

    #[inline(never)]
    fn odd_value(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let utc;
        let value = match &self.check {
            Check::Float(range) => {
                let value = parse_float(bytes).ok_or(Kind::Type)?;
                range.judge(value.to_f64())?;
                Value::Float(value)
            }
            Check::Int(rules) => {
                let value = parse_int(bytes).ok_or(Kind::Type)?;
                rules.judge(value)?;
                Value::Int(value)
            }
            Check::Year(rules) => {
                let value = parse_year(bytes).ok_or(Kind::Type)?;
                rules.judge(value)?;
                Value::Int(value)
            }
            Check::Text(rules) => {
                let text = str::from_utf8(bytes).map_err(|_| Failure::Encoding)?;
                Value::Str(rules.judge(text)?)
            }
            Check::Bool => Value::Bool(parse_bool(bytes).ok_or(Kind::Type)?),
            Check::Date(rules) => {
                let text = str::from_utf8(bytes).ok().filter(|_| is_date(bytes)).ok_or(Kind::Type)?;
                Value::Str(rules.judge(text)?)
            }
            Check::Timestamp(rules) => {
                utc = utc_timestamp(bytes).ok_or(Kind::Type)?;
                Value::Str(rules.judge(&utc)?)
            }
        };
        RowWriter::new(out).push(value);
        Ok(())
    }
}

fn parse_bool(text: &[u8]) -> Option<bool> {
    match text {
        b"1" => Some(true),
        b"0" => Some(false),
        _ if text.eq_ignore_ascii_case(b"true") => Some(true),
        _ if text.eq_ignore_ascii_case(b"false") => Some(false),
        _ => None,
    }
}
