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

use std::{borrow::Cow, fmt};

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

    /// Wraps bytes that were encoded before; [`GoldError::Damaged`] where they are no key, or not its one encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, GoldError> {
        let mut rest = bytes;
        while let Some((_, tail)) = next_part(rest)? {
            rest = tail;
        }
        Ok(Self(bytes.into()))
    }

    /// The encoded bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The parts, in the order of the view's `by`; empty for a view with one cell over everything.
    pub fn parts(&self) -> Vec<KeyPart> {
        let mut parts = Vec::new();
        let mut rest = self.as_bytes();
        // A key is checked where it is made, so that no part is refused here.
        while let Ok(Some((part, tail))) = next_part(rest) {
            parts.push(match part {
                Part::Text(text) => KeyPart::Text(text.into_owned()),
                Part::Int(value) => KeyPart::Int(value),
                Part::Bool(value) => KeyPart::Bool(value),
            });
            rest = tail;
        }
        parts
    }
}

/// A part, borrowed from the key where it can be.
enum Part<'a> {
    Text(Cow<'a, str>),
    Int(i64),
    Bool(bool),
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
    let len = int_len(value);
    out.push(if value < 0 { ZERO - 1 - len } else { ZERO + len });
    out.extend(value.to_be_bytes().into_iter().skip(8 - usize::from(len)));
}

/// The fewest bytes that hold the number, given its sign: those of its complement where it is negative.
fn int_len(value: i64) -> u8 {
    let magnitude = if value < 0 { !value } else { value };
    8 - (magnitude.leading_zeros() / 8) as u8
}

fn put_bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { TRUE } else { FALSE });
}

/// The part at the front and what follows it; `None` at the end.
fn next_part(bytes: &[u8]) -> Result<Option<(Part<'_>, &[u8])>, GoldError> {
    let Some((&tag, tail)) = bytes.split_first() else { return Ok(None) };
    let part = match tag {
        TEXT => take_text(tail),
        FALSE | TRUE => Some((Part::Bool(tag == TRUE), tail)),
        _ => take_int(tag, tail),
    };
    part.map(Some).ok_or_else(|| damaged(bytes))
}

fn take_text(bytes: &[u8]) -> Option<(Part<'_>, &[u8])> {
    let mut unescaped = Vec::new();
    let mut tail = bytes;
    loop {
        let (text, rest) = tail.split_at_checked(tail.iter().position(|byte| *byte == 0)?)?;
        match rest {
            [0, END, rest @ ..] if unescaped.is_empty() => {
                return Some((Part::Text(std::str::from_utf8(text).ok()?.into()), rest));
            }
            [0, END, rest @ ..] => {
                unescaped.extend_from_slice(text);
                return Some((Part::Text(String::from_utf8(unescaped).ok()?.into()), rest));
            }
            [0, ESCAPED, rest @ ..] => {
                unescaped.extend_from_slice(text);
                unescaped.push(0);
                tail = rest;
            }
            _ => return None,
        }
    }
}

fn take_int(tag: u8, tail: &[u8]) -> Option<(Part<'_>, &[u8])> {
    let (len, fill) = if tag < ZERO { (ZERO - 1 - tag, 0xff) } else { (tag - ZERO, 0) };
    let (low, rest) = tail.split_at_checked(usize::from(len))?;
    let mut bytes = [fill; 8];
    bytes.get_mut(8usize.checked_sub(low.len())?..)?.copy_from_slice(low);
    let value = i64::from_be_bytes(bytes);
    // Needless bytes, or a sign that is not the tag's, would be a second encoding of one key.
    let canonical = int_len(value) == len && (value < 0) == (tag < ZERO);
    canonical.then_some((Part::Int(value), rest))
}

fn damaged(rest: &[u8]) -> GoldError {
    GoldError::Damaged { what: "key", remaining: rest.len() }
}

#[cfg(test)]
mod tests;
