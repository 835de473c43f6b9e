//! What is asked of a value once its type is right.

use regex::Regex;

use crate::model::{Bound, Column, Range};

const NANO: i128 = 1_000_000_000;

/// A column's rules, in the order in which they are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Required,
    Type,
    Range,
    OneOf,
    Pattern,
    MaxLength,
}

impl Kind {
    /// In the order of the variants.
    pub(super) const NAMES: [&str; 6] = ["required", "type", "range", "one_of", "pattern", "max_length"];
}

/// The texts that mean null.
#[derive(Debug)]
pub(super) struct Nulls(Vec<String>);

impl Nulls {
    pub(super) fn new(tokens: &[String]) -> Self {
        Self(tokens.to_vec())
    }

    /// Whether the empty text means null, and no other does.
    pub(super) fn only_empty(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(String::is_empty)
    }

    pub(super) fn contain(&self, text: &str) -> bool {
        self.0.iter().any(|token| token == text)
    }
}

/// Rules on texts.
#[derive(Debug)]
pub(super) struct TextRules {
    one_of: Option<Vec<String>>,
    pattern: Option<Regex>,
    max_length: Option<usize>,
}

impl TextRules {
    pub(super) fn new(column: &Column) -> Self {
        Self { one_of: column.one_of.clone(), pattern: column.pattern.clone(), max_length: column.max_length }
    }

    /// Whether every text passes.
    #[inline]
    pub(super) fn none(&self) -> bool {
        self.one_of.is_none() && self.pattern.is_none() && self.max_length.is_none()
    }

    pub(super) fn judge<'t>(&self, text: &'t str) -> Result<&'t str, Kind> {
        if self.one_of.as_ref().is_some_and(|choices| !choices.iter().any(|c| c == text)) {
            return Err(Kind::OneOf);
        }
        if self.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(text)) {
            return Err(Kind::Pattern);
        }
        // A text has at least as many bytes as characters.
        if self.max_length.is_some_and(|max| text.len() > max && text.chars().count() > max) {
            return Err(Kind::MaxLength);
        }
        Ok(text)
    }
}

/// Rules on integers.
#[derive(Debug)]
pub(super) struct IntRules {
    min: i64,
    max: i64,
    one_of: Option<Vec<i64>>,
}

impl IntRules {
    pub(super) fn new(column: &Column) -> Self {
        let (min, max) = column.range.map_or((i64::MIN, i64::MAX), integers);
        let choices = |texts: &Vec<String>| texts.iter().filter_map(|text| text.parse().ok()).collect();
        Self { min, max, one_of: column.one_of.as_ref().map(choices) }
    }

    #[inline(always)]
    pub(super) fn judge(&self, value: i64) -> Result<(), Kind> {
        if value < self.min || value > self.max {
            return Err(Kind::Range);
        }
        match &self.one_of {
            Some(choices) if !choices.contains(&value) => Err(Kind::OneOf),
            _ => Ok(()),
        }
    }
}

/// The least and the greatest integer of 64 bits inside; the first above the second where there is none.
fn integers(range: Range) -> (i64, i64) {
    let min = range.low.map_or(i128::from(i64::MIN), |b| match range.low_open {
        true => b.nano.div_euclid(NANO) + 1,
        false => ceiling(b.nano),
    });
    let max = range.high.map_or(i128::from(i64::MAX), |b| match range.high_open {
        true => ceiling(b.nano) - 1,
        false => b.nano.div_euclid(NANO),
    });
    let (lowest, highest) = (i128::from(i64::MIN), i128::from(i64::MAX));
    match (i64::try_from(min.max(lowest)), i64::try_from(max.min(highest))) {
        (Ok(min), Ok(max)) => (min, max),
        _ => (1, 0),
    }
}

fn ceiling(nano: i128) -> i128 {
    nano.div_euclid(NANO) + i128::from(nano.rem_euclid(NANO) != 0)
}

/// Bounds on doubles: both are inside.
#[derive(Debug)]
pub(super) struct Doubles {
    min: f64,
    max: f64,
}

impl Doubles {
    pub(super) fn new(range: Option<Range>) -> Self {
        let (low, high) = (range.and_then(|r| r.low), range.and_then(|r| r.high));
        // Nothing is between a double and the next, so an open bound is the next one, closed.
        let above = |b: Bound| if range.is_some_and(|r| r.low_open) { b.float.next_up() } else { b.float };
        let below = |b: Bound| if range.is_some_and(|r| r.high_open) { b.float.next_down() } else { b.float };
        Self { min: low.map_or(f64::NEG_INFINITY, above), max: high.map_or(f64::INFINITY, below) }
    }

    #[inline(always)]
    pub(super) fn judge(&self, value: f64) -> Result<(), Kind> {
        if value >= self.min && value <= self.max { Ok(()) } else { Err(Kind::Range) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(nano: i128) -> Option<Bound> {
        Some(Bound { float: nano as f64 / 1e9, nano })
    }

    #[test]
    fn bounds_on_integers_are_exact() {
        let half = NANO / 2;
        let range = |low, low_open, high, high_open| integers(Range { low, low_open, high, high_open });
        assert_eq!(range(bound(0), false, bound(100 * NANO), false), (0, 100));
        assert_eq!(range(bound(0), true, bound(100 * NANO), true), (1, 99));
        assert_eq!(range(bound(-half), false, bound(half), false), (0, 0));
        assert_eq!(range(bound(-half), true, bound(half), true), (0, 0));
        assert_eq!(range(bound(-3 * half), false, bound(3 * half), true), (-1, 1));
        assert_eq!(range(None, false, None, false), (i64::MIN, i64::MAX));
        assert_eq!(range(bound(NANO << 70), false, None, false), (1, 0));
        assert_eq!(range(bound(-(NANO << 70)), false, bound(NANO << 70), false), (i64::MIN, i64::MAX));
    }
}
