//! What goes into a judgement and what comes out of it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Where a field is in its record's bytes: from `start` up to, not including, `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte behind the last.
    pub end: u32,
}

impl Span {
    /// The field's bytes. A span that does not lie within the bytes is an empty field.
    #[inline]
    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// One record of a source, cut into fields; quotes and escapes are gone already.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Holds all fields; may hold more.
    pub bytes: &'a [u8],
    /// The fields in the header's order.
    pub fields: &'a [Span],
    /// Whether the fields are known to be UTF-8, so that they need not be looked at for this. Where that is wrong, a row
    /// may come out whose texts cannot be read.
    pub utf8: bool,
}

impl Record<'_> {
    /// Whether every field is UTF-8.
    pub(crate) fn is_utf8(&self) -> bool {
        let start = self.fields.iter().map(|s| s.start).min().unwrap_or(0);
        let end = self.fields.iter().map(|s| s.end).max().unwrap_or(0);
        // One look at everything is quicker than a look at each field, and nearly always enough.
        let whole = self.bytes.get(start as usize..end as usize).is_some_and(|b| std::str::from_utf8(b).is_ok());
        whole || self.fields.iter().all(|span| std::str::from_utf8(span.of(self.bytes)).is_ok())
    }
}

/// The judgement on one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It became a row.
    Accepted(AcceptedSpan),
    /// It became none.
    Rejected(Rejection),
}

/// Where an accepted record's row is in the buffer that it was appended to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedSpan {
    /// The text of the key: UTF-8.
    pub key: Range<usize>,
    /// The encoded row.
    pub row: Range<usize>,
}

/// Why a record became no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The broken rules in column order, one a column, at least one; a row rule stands alone.
    pub rules: Vec<Rule>,
    /// The bytes of the first broken rule's field as they came; `None` for a row rule.
    pub value: Option<Vec<u8>>,
}

impl Rejection {
    /// By a row rule.
    pub fn row(rule: Rule) -> Self {
        Self { rules: vec![rule], value: None }
    }
}

/// A rule that a record can break: one of a column (`energy.range`), or one of the row as a whole (`row.columns`).
/// Cheap to clone; equal where the names are.
#[derive(Clone)]
pub struct Rule(Name);

#[derive(Clone)]
enum Name {
    Row(&'static str),
    Column { rule: Arc<str>, column: usize },
}

impl Rule {
    /// Too few or too many fields.
    pub const COLUMNS: Self = Self(Name::Row("row.columns"));
    /// Bytes that are not text in the source's encoding.
    pub const ENCODING: Self = Self(Name::Row("row.encoding"));
    /// A quote that is still open where the file, or the longest record allowed, ends.
    pub const UNTERMINATED_QUOTE: Self = Self(Name::Row("row.unterminated_quote"));
    /// Longer than the longest record allowed.
    pub const TOO_LONG: Self = Self(Name::Row("row.too_long"));
    /// Judging it panicked.
    pub const PANIC: Self = Self(Name::Row("row.panic"));

    /// A column's rule.
    pub(crate) fn of_column(column: &str, rule: &str) -> Self {
        Self(Name::Column { rule: format!("{column}.{rule}").into(), column: column.len() })
    }

    /// The name: `column.rule` or `row.rule`.
    pub fn name(&self) -> &str {
        match &self.0 {
            Name::Row(name) => name,
            Name::Column { rule, .. } => rule,
        }
    }

    /// The column whose rule it is; `None` for a row rule.
    pub fn column(&self) -> Option<&str> {
        match &self.0 {
            Name::Row(_) => None,
            Name::Column { rule, column } => rule.get(..*column),
        }
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Rule {}

impl std::hash::Hash for Rule {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rule").field(&self.name()).finish()
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
