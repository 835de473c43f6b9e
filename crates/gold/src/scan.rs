//! Reads the row encoding for speed: by the type that a column has, texts as bytes, unneeded values not at all.
//!
//! [`ensemble_contract::RowRef`] is the encoding's reader for everyone else, and tests hold this one equal to it.

use ensemble_contract::{RowError, row};

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const STR: u8 = 4;
const DOUBLE: u8 = 5;
const EXTRA: u8 = 6;
const DECIMAL: u8 = 16;
const LAST_DECIMAL: u8 = DECIMAL + 22;

/// The most digits behind the point that [`short_decimal`] takes: those of billionths.
pub(crate) const MAX_SHORT_SCALE: u8 = 9;

/// Why a value cannot be had from the front of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The bytes are no row.
    Row(RowError),
    /// The value has another type.
    Type,
}

/// A value, `None` for null, and the rest of the row behind it.
///
/// The rest is passed and returned by value, so that it stays in registers over a whole row.
pub(crate) type Taken<'a, T> = Result<(Option<T>, &'a [u8]), Refusal>;

/// A double as it stands in the row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Double {
    /// `mantissa × 10^−scale`.
    Decimal(i64, u8),
    Binary(f64),
}

/// Takes an integer of at most four bytes; `None` for anything else, which [`int`] takes.
#[inline(always)]
pub(crate) fn short_int(row: &[u8]) -> Option<(i64, &[u8])> {
    let (&[tag, a, b, c, d], _) = row.split_first_chunk()?;
    if tag != INT {
        return None;
    }
    let (value, len) = short_number([a, b, c, d])?;
    Some((value, row.get(1 + len..)?))
}

/// Takes a decimal of at most four bytes and nine digits behind the point, as mantissa and scale; `None` for anything
/// else, which [`double`] takes.
#[inline(always)]
pub(crate) fn short_decimal(row: &[u8]) -> Option<(i64, u8, &[u8])> {
    let (&[tag, a, b, c, d], _) = row.split_first_chunk()?;
    let scale = tag.wrapping_sub(DECIMAL);
    if scale > MAX_SHORT_SCALE {
        return None;
    }
    let (mantissa, len) = short_number([a, b, c, d])?;
    Some((mantissa, scale, row.get(1 + len..)?))
}

/// Takes a text of less than 128 bytes; `None` for anything else, which [`text`] takes.
#[inline(always)]
pub(crate) fn short_text(row: &[u8]) -> Option<(&[u8], &[u8])> {
    match *row {
        [STR, len @ ..0x80, ref rest @ ..] => rest.split_at_checked(usize::from(len)),
        _ => None,
    }
}

/// Passes over a null, a boolean, a number of at most three bytes or a text of less than 128; `None` for anything else,
/// which [`skip`] passes over.
#[inline(always)]
pub(crate) fn short_skip(row: &[u8]) -> Option<&[u8]> {
    match *row {
        [STR, len @ ..0x80, ref rest @ ..] => rest.get(usize::from(len)..),
        [NULL | FALSE | TRUE, ref rest @ ..] => Some(rest),
        [INT | DECIMAL..=LAST_DECIMAL, ref number @ ..] => match number {
            [..0x80, rest @ ..] | [_, ..0x80, rest @ ..] | [_, _, ..0x80, rest @ ..] => Some(rest),
            _ => None,
        },
        _ => None,
    }
}

/// A number at the front of four bytes, and its length.
///
/// A column's numbers mostly have one length, so the branches are foreseen, and the next value can be read before this
/// one's end is known.
#[inline(always)]
fn short_number([a, b, c, d]: [u8; 4]) -> Option<(i64, usize)> {
    let bits = |byte: u8, shift: u32| u64::from(byte & 0x7f) << shift;
    let (value, len) = if a < 0x80 {
        (bits(a, 0), 1)
    } else if b < 0x80 {
        (bits(a, 0) | bits(b, 7), 2)
    } else if c < 0x80 {
        (bits(a, 0) | bits(b, 7) | bits(c, 14), 3)
    } else if d < 0x80 {
        (bits(a, 0) | bits(b, 7) | bits(c, 14) | bits(d, 21), 4)
    } else {
        return None;
    };
    Some((row::unzigzag(value), len))
}

/// Takes an integer.
pub(crate) fn int(row: &[u8]) -> Taken<'_, i64> {
    match tag(row)? {
        (INT, rest) => {
            let (value, rest) = leb128(rest)?;
            Ok((Some(row::unzigzag(value)), rest))
        }
        (tag, rest) => null(tag, rest),
    }
}

/// Takes a double.
pub(crate) fn double(row: &[u8]) -> Taken<'_, Double> {
    match tag(row)? {
        (tag @ DECIMAL..=LAST_DECIMAL, rest) => {
            let (value, rest) = leb128(rest)?;
            Ok((Some(Double::Decimal(row::unzigzag(value), tag - DECIMAL)), rest))
        }
        (DOUBLE, rest) => {
            let (bytes, rest) = rest.split_first_chunk().ok_or(Refusal::Row(RowError::Truncated))?;
            Ok((Some(Double::Binary(f64::from_le_bytes(*bytes))), rest))
        }
        (tag, rest) => null(tag, rest),
    }
}

/// Takes a boolean.
pub(crate) fn bool(row: &[u8]) -> Taken<'_, bool> {
    match tag(row)? {
        (tag @ (FALSE | TRUE), rest) => Ok((Some(tag == TRUE), rest)),
        (tag, rest) => null(tag, rest),
    }
}

/// Takes a text, which is not checked to be UTF-8.
pub(crate) fn text(row: &[u8]) -> Taken<'_, &[u8]> {
    match tag(row)? {
        (STR, rest) => {
            let (text, rest) = sized(rest)?;
            Ok((Some(text), rest))
        }
        (tag, rest) => null(tag, rest),
    }
}

/// Passes over a value of any type.
pub(crate) fn skip(row: &[u8]) -> Result<&[u8], Refusal> {
    match tag(row)? {
        (STR, rest) => Ok(sized(rest)?.1),
        (INT | DECIMAL..=LAST_DECIMAL, rest) => Ok(leb128(rest)?.1),
        (NULL | FALSE | TRUE, rest) => Ok(rest),
        (DOUBLE, rest) => Ok(split(rest, 8)?.1),
        (tag, _) => Err(Refusal::Row(RowError::UnknownTag(tag))),
    }
}

/// A value of none of the types that were looked for.
fn null<T>(tag: u8, rest: &[u8]) -> Taken<'_, T> {
    match tag {
        NULL => Ok((None, rest)),
        FALSE..=DOUBLE | DECIMAL..=LAST_DECIMAL => Err(Refusal::Type),
        tag => Err(Refusal::Row(RowError::UnknownTag(tag))),
    }
}

/// A row that ends before a value is cut off.
fn tag(row: &[u8]) -> Result<(u8, &[u8]), Refusal> {
    match row.split_first() {
        None | Some((&EXTRA, _)) => Err(Refusal::Row(RowError::Truncated)),
        Some((&tag, rest)) => Ok((tag, rest)),
    }
}

/// Bytes behind their length.
fn sized(row: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let (len, rest) = leb128(row)?;
    split(rest, len)
}

fn split(row: &[u8], len: u64) -> Result<(&[u8], &[u8]), Refusal> {
    let len = usize::try_from(len).map_err(|_| Refusal::Row(RowError::Truncated))?;
    row.split_at_checked(len).ok_or(Refusal::Row(RowError::Truncated))
}

fn leb128(mut row: &[u8]) -> Result<(u64, &[u8]), Refusal> {
    let value = row::get_leb128(&mut row).ok_or(Refusal::Row(RowError::Truncated))?;
    Ok((value, row))
}

#[cfg(test)]
mod tests;
