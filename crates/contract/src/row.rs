//! The encoding of one standardised row: what silver stores, what events carry and what gold folds.
//!
//! A row is the values of the contract's columns in order, then, where the contract keeps unknown columns, one
//! *extra* part of names and texts. Each value is a tag byte and its payload:
//!
//! | tag | value | payload |
//! |---|---|---|
//! | 0 | null | – |
//! | 1, 2 | false, true | – |
//! | 3 | integer | zigzag LEB128 |
//! | 4 | text | length as LEB128, then UTF-8 |
//! | 5 | double | 8 bytes, little endian |
//! | 6 | extra | number of pairs as LEB128, then name and text of each, both as in 4 without the tag |
//! | 16 + s | double whose shortest decimal is m × 10^−s, s ≤ 22, at most 15 digits | m as zigzag LEB128 |
//!
//! The encoding is canonical: equal values have equal bytes, so rows are compared as bytes.

use crate::number::shortest;

/// A value of a standardised row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// The source lacks the column, or holds one of its null tokens.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer, or a year.
    Int(i64),
    /// A finite double.
    Float(Float),
    /// Text; dates and timestamps are text in their standard form.
    Str(&'a str),
}

/// A finite double together with what is known of its shortest decimal form.
#[derive(Clone, Copy, Debug)]
pub enum Float {
    /// `mantissa × 10^−scale`: the shortest decimal that reads back as the same double. At most 15 digits, no
    /// trailing zeros (zero is mantissa 0, scale 0), `scale ≤ 22`, so the double is exactly the correctly rounded quotient.
    Decimal {
        /// The signed digits.
        mantissa: i64,
        /// The number of digits behind the point.
        scale: u8,
    },
    /// Any other finite double (negative zero too).
    Binary(f64),
}

const POW10: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

const MAX_DECIMAL: u64 = 999_999_999_999_999;

impl Float {
    /// The canonical form of `digits × 10^−scale` where that is a short decimal: at most 15 digits and `scale ≤ 22`
    /// once trailing zeros are gone. `None` otherwise: parse the text as a double and use [`Float::from_f64`].
    #[inline]
    pub fn from_decimal(mut mantissa: i64, mut scale: u8) -> Option<Self> {
        if mantissa == 0 {
            return Some(Self::Decimal { mantissa: 0, scale: 0 });
        }
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        (mantissa.unsigned_abs() <= MAX_DECIMAL && scale <= 22).then_some(Self::Decimal { mantissa, scale })
    }

    /// The canonical form of a finite double.
    pub fn from_f64(value: f64) -> Self {
        if value == 0.0 {
            return if value.is_sign_negative() {
                Self::Binary(value)
            } else {
                Self::Decimal { mantissa: 0, scale: 0 }
            };
        }
        let Some((mantissa, exponent)) = shortest(value) else { return Self::Binary(value) };
        let scale = -exponent;
        let (mantissa, scale) = if scale < 0 {
            match 10i64.checked_pow(scale.unsigned_abs()).and_then(|p| mantissa.checked_mul(p)) {
                Some(m) => (m, 0),
                None => return Self::Binary(value),
            }
        } else {
            (mantissa, scale)
        };
        u8::try_from(scale).ok().and_then(|s| Self::from_decimal(mantissa, s)).unwrap_or(Self::Binary(value))
    }

    /// The double itself.
    #[inline(always)]
    pub fn to_f64(self) -> f64 {
        match self {
            // Both operands are exact doubles, so one division rounds correctly (Clinger's fast path).
            Self::Decimal { mantissa, scale } => mantissa as f64 / POW10[usize::from(scale)],
            Self::Binary(v) => v,
        }
    }
}

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.to_f64().to_bits() == other.to_f64().to_bits()
    }
}

/// Bytes that are not a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// The bytes end inside a value.
    #[error("the row ends inside a value")]
    Truncated,
    /// No value has this tag.
    #[error("the row holds the unknown tag {0}")]
    UnknownTag(u8),
    /// A text is not UTF-8.
    #[error("the row holds a text that is not UTF-8")]
    NotUtf8,
}

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const STR: u8 = 4;
const DOUBLE: u8 = 5;
const EXTRA: u8 = 6;
const DECIMAL: u8 = 16;

/// Appends values to a byte buffer that the caller owns, so that a whole shard's rows share one allocation.
#[derive(Debug)]
pub struct RowWriter<'b> {
    out: &'b mut Vec<u8>,
}

impl<'b> RowWriter<'b> {
    /// Writes at the end of `out`.
    pub fn new(out: &'b mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Appends one value.
    #[inline(always)]
    pub fn push(&mut self, value: Value<'_>) {
        match value {
            Value::Null => self.out.push(NULL),
            Value::Bool(false) => self.out.push(FALSE),
            Value::Bool(true) => self.out.push(TRUE),
            Value::Int(v) => put_tagged(self.out, INT, zigzag(v)),
            Value::Float(Float::Decimal { mantissa, scale }) => {
                put_tagged(self.out, DECIMAL + scale, zigzag(mantissa));
            }
            Value::Float(Float::Binary(v)) => {
                self.out.push(DOUBLE);
                self.out.extend_from_slice(&v.to_le_bytes());
            }
            Value::Str(s) => self.push_text(s.as_bytes()),
        }
    }

    /// Appends a text whose bytes are known to be UTF-8.
    #[inline]
    pub(crate) fn push_text(&mut self, text: &[u8]) {
        match u8::try_from(text.len()) {
            Ok(len @ 0..0x80) => self.out.extend_from_slice(&[STR, len]),
            _ => put_tagged(self.out, STR, text.len() as u64),
        }
        self.out.extend_from_slice(text);
    }

    /// Appends the extra part; at most once, behind the last column.
    pub fn push_extra<'a>(&mut self, pairs: impl ExactSizeIterator<Item = (&'a str, &'a str)>) {
        self.out.push(EXTRA);
        put_leb128(self.out, pairs.len() as u64);
        for (name, text) in pairs {
            put_text(self.out, name);
            put_text(self.out, text);
        }
    }
}

/// Reads an encoded row, value by value.
#[derive(Clone, Copy, Debug)]
pub struct RowRef<'a> {
    rest: &'a [u8],
}

impl<'a> RowRef<'a> {
    /// Starts at the first column.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next column's value; `None` behind the last one (also where an extra part begins).
    pub fn next_value(&mut self) -> Result<Option<Value<'a>>, RowError> {
        let Some((&tag, rest)) = self.rest.split_first() else { return Ok(None) };
        if tag == EXTRA {
            return Ok(None);
        }
        self.rest = rest;
        Ok(Some(match tag {
            NULL => Value::Null,
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            INT => Value::Int(unzigzag(self.leb128()?)),
            STR => Value::Str(self.text()?),
            DOUBLE => Value::Float(Float::Binary(f64::from_le_bytes(self.array()?))),
            t if (DECIMAL..DECIMAL + 23).contains(&t) => {
                Value::Float(Float::Decimal { mantissa: unzigzag(self.leb128()?), scale: t - DECIMAL })
            }
            t => return Err(RowError::UnknownTag(t)),
        }))
    }

    /// The extra part's pairs of name and text; empty where there is none. To be called behind the last column.
    pub fn extra(&mut self) -> Result<Vec<(&'a str, &'a str)>, RowError> {
        let Some((&EXTRA, rest)) = self.rest.split_first() else { return Ok(Vec::new()) };
        self.rest = rest;
        let n = self.leb128()?;
        (0..n).map(|_| Ok((self.text()?, self.text()?))).collect()
    }

    fn leb128(&mut self) -> Result<u64, RowError> {
        get_leb128(&mut self.rest).ok_or(RowError::Truncated)
    }

    fn text(&mut self) -> Result<&'a str, RowError> {
        let len = usize::try_from(self.leb128()?).map_err(|_| RowError::Truncated)?;
        let (text, rest) = self.rest.split_at_checked(len).ok_or(RowError::Truncated)?;
        self.rest = rest;
        std::str::from_utf8(text).map_err(|_| RowError::NotUtf8)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RowError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(RowError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }
}

/// Maps signed to unsigned so that small magnitudes stay small.
#[inline]
pub fn zigzag(v: i64) -> u64 {
    ((v << 1) ^ (v >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub fn unzigzag(v: u64) -> i64 {
    ((v >> 1) as i64) ^ -((v & 1) as i64)
}

/// Appends an unsigned LEB128 number.
pub fn put_leb128(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push((v as u8) | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

/// The first number whose LEB128 form is longer than four bytes.
const LONG: u64 = 1 << 28;

/// Appends a tag and an unsigned LEB128 number.
#[inline(always)]
fn put_tagged(out: &mut Vec<u8>, tag: u8, v: u64) {
    if v >= LONG {
        return put_tagged_long(out, tag, v);
    }
    // The groups of seven bits are spread over the bytes of a word at once, and as many bytes kept as are needed: a
    // loop over the groups would end where the processor cannot foresee it.
    let spread = (v & 0x3fff) | ((v & 0x0fff_c000) << 2);
    let spread = (spread & 0x007f_007f) | ((spread & 0x3f80_3f80) << 1);
    let last = (63 - (spread | 1).leading_zeros()) / 8;
    let more = 0x0080_8080 & ((1 << (8 * last)) - 1);
    let word = u64::from(tag) | ((spread | more) << 8);
    let end = out.len() + 2 + last as usize;
    out.extend_from_slice(&word.to_le_bytes());
    out.truncate(end);
}

#[cold]
#[inline(never)]
fn put_tagged_long(out: &mut Vec<u8>, tag: u8, v: u64) {
    out.push(tag);
    put_leb128(out, v);
}

/// Takes an unsigned LEB128 number of at most 64 bits from the front of `rest`; `None` where it is cut off or too long.
#[inline]
pub fn get_leb128(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// The number of bytes of a text, which are the last of its encoded value; `None` where the value is no text.
#[inline]
pub(crate) fn text_length(encoded: &[u8]) -> Option<usize> {
    let [STR, rest @ ..] = encoded else { return None };
    usize::try_from(get_leb128(&mut { rest })?).ok()
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_leb128(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = (Vec<u8>, Option<String>, i64, f64, bool)> {
        (
            any::<Vec<u8>>(),
            any::<Option<String>>(),
            any::<i64>(),
            any::<f64>().prop_filter("finite", |v| v.is_finite()),
            any::<bool>(),
        )
    }

    proptest! {
        #[test]
        fn reads_back_what_was_written((noise, text, int, float, flag) in any_value()) {
            let values = [
                text.as_deref().map_or(Value::Null, Value::Str),
                Value::Int(int),
                Value::Float(Float::from_f64(float)),
                Value::Bool(flag),
            ];
            let mut out = Vec::new();
            let mut w = RowWriter::new(&mut out);
            values.iter().for_each(|v| w.push(*v));
            w.push_extra([("a", "b")].into_iter());
            let mut row = RowRef::new(&out);
            for v in values {
                prop_assert_eq!(row.next_value().unwrap(), Some(v));
            }
            prop_assert_eq!(row.next_value().unwrap(), None);
            prop_assert_eq!(row.extra().unwrap(), vec![("a", "b")]);
            // Arbitrary bytes end in an error or an end, never in a panic.
            let mut row = RowRef::new(&noise);
            while let Ok(Some(_)) = row.next_value() {}
            let _ = row.extra();
        }

        #[test]
        fn numbers_of_every_length_are_leb128(v: u64, shift in 0u32..64) {
            let v = v >> shift;
            let (mut tagged, mut plain) = (vec![1], vec![1, INT]);
            put_tagged(&mut tagged, INT, v);
            put_leb128(&mut plain, v);
            prop_assert_eq!(&tagged, &plain);
            let mut rest = tagged.get(2..).unwrap();
            prop_assert_eq!(get_leb128(&mut rest), Some(v));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn a_float_keeps_its_bits(v in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            prop_assert_eq!(Float::from_f64(v).to_f64().to_bits(), v.to_bits());
        }

        #[test]
        fn short_decimals_are_shortest(m in -999_999_999_999_999i64..=999_999_999_999_999, s in 0u8..=22) {
            let f = Float::from_decimal(m, s).unwrap();
            let text = format!("{m}e-{s}");
            prop_assert_eq!(f.to_f64().to_bits(), if m == 0 { 0 } else { text.parse::<f64>().unwrap().to_bits() });
            let (Float::Decimal { mantissa: a, scale: b }, Float::Decimal { mantissa: c, scale: d }) = (f, Float::from_f64(f.to_f64())) else {
                return Err(TestCaseError::fail("not a decimal"));
            };
            prop_assert_eq!((a, b), (c, d));
        }
    }
}
