//! `[LOW]("..="|"<..="|"..<"|"<..<"|".."|"<..")[HIGH]`.

use crate::decimal::{Number, parse_float};
use crate::error::RangeProblem;
use crate::model::{Bound, Range};

/// Reads a range.
pub(super) fn parse(text: &str) -> Result<Range, RangeProblem> {
    let (low, high) = text.split_once("..").ok_or(RangeProblem::NoDots)?;
    let (low, low_open) = low.strip_suffix('<').map_or((low, false), |low| (low, true));
    let (high, high_open, decided) = match high.split_at_checked(1) {
        Some(("=", high)) => (high, false, true),
        Some(("<", high)) => (high, true, true),
        _ => (high, false, false),
    };
    match (decided, high.trim().is_empty()) {
        (true, true) => return Err(RangeProblem::NoHigh),
        (false, false) => return Err(RangeProblem::UndecidedHigh),
        _ => {}
    }
    let (low, high) = (bound(low)?, bound(high)?);
    if low_open && low.is_none() {
        return Err(RangeProblem::NoLow);
    }
    if let (Some(low), Some(high)) = (low, high)
        && (low.nano > high.nano || low.nano == high.nano && (low_open || high_open))
    {
        return Err(RangeProblem::Nothing);
    }
    Ok(Range { low, low_open, high, high_open })
}

fn bound(text: &str) -> Result<Option<Bound>, RangeProblem> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let nano = Number::scan(text.as_bytes()).and_then(|n| n.scaled(9)).ok_or(RangeProblem::BadBound)?;
    let float = parse_float(text.as_bytes()).ok_or(RangeProblem::BadBound)?.to_f64();
    Ok(Some(Bound { float, nano }))
}
