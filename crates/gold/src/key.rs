//! Keys of cells, encoded so that sorting the bytes sorts the keys.
//!
//! A key is its parts in order, each a tag and its payload:
//!
//! | tag | part | payload |
//! |---|---|---|
//! | `0x10` | text | UTF-8 with each 0 byte written as `00 FF`, then `00 01` |
//! | `0x7f − n` | integer below 0 | the low n bytes of the integer, big endian, n as small as can be |
//! | `0x80 + n` | integer from 0 | n bytes, big endian, n as small as can be |
//! | `0xa0`, `0xa1` | false, true | – |
//!
//! The encoding is canonical, and no key is the beginning of another key of the same view.

use std::fmt;

use crate::GoldError;

const TEXT: u8 = 0x10;
const ZERO: u8 = 0x80;
const FALSE: u8 = 0xa0;
const TRUE: u8 = 0xa1;

const ESCAPED: u8 = 0xff;
const END: u8 = 0x01;

/// A cell's key inside its view, encoded. Keys of one view sort as their parts do: numbers by value, text bytewise.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CellKey(Box<[u8]>);

/// One part of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPart {
    /// Text, or a date or timestamp as text.
    Text(String),
    /// An integer or a year itself, or the number of a bin: the value divided by the bin's width, rounded down.
    Int(i64),
    /// A boolean.
    Bool(bool),
}

impl CellKey {
    /// Encodes the parts.
    pub fn new(parts: &[KeyPart]) -> Self {
        let mut out = Vec::new();
        for part in parts {
            match part {
                KeyPart::Text(text) => put_text(&mut out, text),
                KeyPart::Int(value) => put_int(&mut out, *value),
                KeyPart::Bool(value) => put_bool(&mut out, *value),
            }
        }
        Self(out.into())
    }

    /// Wraps bytes that were encoded before; [`GoldError::Damaged`] where they are no key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, GoldError> {
        let parts = parse(bytes)?;
        let key = Self::new(&parts);
        // Only canonical bytes may be kept: two encodings of one key would be two cells.
        if key.0.as_ref() == bytes { Ok(key) } else { Err(damaged(bytes)) }
    }

    /// The encoded bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The parts, in the order of the view's `by`; empty for a view with one cell over everything.
    pub fn parts(&self) -> Vec<KeyPart> {
        // A key is checked where it is made.
        parse(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for CellKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, part) in self.parts().iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            match part {
                KeyPart::Text(text) => write!(f, "{text:?}")?,
                KeyPart::Int(value) => write!(f, "{value}")?,
                KeyPart::Bool(value) => write!(f, "{value}")?,
            }
        }
        f.write_str("]")
    }
}

impl fmt::Debug for CellKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CellKey{self}")
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.push(TEXT);
    for &byte in text.as_bytes() {
        out.push(byte);
        if byte == 0 {
            out.push(ESCAPED);
        }
    }
    out.extend_from_slice(&[0, END]);
}

fn put_int(out: &mut Vec<u8>, value: i64) {
    // The complement of a negative number has as few bytes as the number needs.
    let magnitude = if value < 0 { !value } else { value };
    let len = 8 - (magnitude.leading_zeros() / 8) as u8;
    out.push(if value < 0 { ZERO - 1 - len } else { ZERO + len });
    out.extend(value.to_be_bytes().into_iter().skip(8 - usize::from(len)));
}

fn put_bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { TRUE } else { FALSE });
}

fn parse(mut rest: &[u8]) -> Result<Vec<KeyPart>, GoldError> {
    let mut parts = Vec::new();
    while let Some((&tag, tail)) = rest.split_first() {
        let (part, tail) = parse_part(tag, tail).ok_or_else(|| damaged(rest))?;
        parts.push(part);
        rest = tail;
    }
    Ok(parts)
}

fn parse_part(tag: u8, tail: &[u8]) -> Option<(KeyPart, &[u8])> {
    match tag {
        TEXT => parse_text(tail),
        FALSE | TRUE => Some((KeyPart::Bool(tag == TRUE), tail)),
        _ => parse_int(tag, tail),
    }
}

fn parse_text(mut tail: &[u8]) -> Option<(KeyPart, &[u8])> {
    let mut text = Vec::new();
    loop {
        match tail {
            [0, ESCAPED, rest @ ..] => {
                text.push(0);
                tail = rest;
            }
            [0, END, rest @ ..] => return Some((KeyPart::Text(String::from_utf8(text).ok()?), rest)),
            [0, ..] | [] => return None,
            [byte, rest @ ..] => {
                text.push(*byte);
                tail = rest;
            }
        }
    }
}

fn parse_int(tag: u8, tail: &[u8]) -> Option<(KeyPart, &[u8])> {
    let (len, fill) = if tag < ZERO { (ZERO - 1 - tag, 0xff) } else { (tag - ZERO, 0) };
    let len = usize::from(len);
    let (low, rest) = tail.split_at_checked(len)?;
    let mut bytes = [fill; 8];
    bytes.get_mut(8usize.checked_sub(len)?..)?.copy_from_slice(low);
    Some((KeyPart::Int(i64::from_be_bytes(bytes)), rest))
}

fn damaged(rest: &[u8]) -> GoldError {
    GoldError::Damaged { what: "key", remaining: rest.len() }
}

#[cfg(test)]
mod tests;
