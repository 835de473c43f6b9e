//! Keys and values of dead letters, documents and gold cells.

use bytes::Bytes;

use super::{Cursor, Damaged, MAX_KEY, put_bytes, put_varint};
use crate::{DeadLetter, Document, DocumentKind, Epoch, GoldCell, JobNumber, Position, ShardId, Stamp, StoreError};

/// The key of what a shard has once.
pub(in crate::embedded) fn shard_key(shard: ShardId) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&shard.job.0.to_be_bytes());
    key[8..].copy_from_slice(&shard.number.to_be_bytes());
    key
}

fn shard_of(cursor: &mut Cursor<'_>) -> Result<ShardId, Damaged> {
    let job = JobNumber(u64::from_be_bytes(cursor.array()?));
    Ok(ShardId { job, number: u32::from_be_bytes(cursor.array()?) })
}

pub(in crate::embedded) fn dead_letter_key(shard: ShardId, position: Position) -> Bytes {
    [&shard_key(shard)[..], &position.0.to_be_bytes()].concat().into()
}

pub(in crate::embedded) fn dead_letter_value(letter: &DeadLetter) -> Bytes {
    let mut out = Vec::with_capacity(letter.raw.len() + 64);
    put_varint(&mut out, letter.line);
    put_varint(&mut out, letter.length);
    put_bytes(&mut out, letter.rule.as_bytes());
    put_varint(&mut out, letter.rules.len() as u64);
    letter.rules.iter().for_each(|rule| put_bytes(&mut out, rule.as_bytes()));
    put_option(&mut out, letter.column.as_deref().map(str::as_bytes));
    put_option(&mut out, letter.value.as_deref());
    out.extend_from_slice(&letter.raw);
    out.into()
}

pub(in crate::embedded) fn decode_dead_letter(key: &[u8], value: &[u8]) -> Result<DeadLetter, Damaged> {
    let mut key = Cursor::new(key);
    let shard = shard_of(&mut key)?;
    let position = Position(u64::from_be_bytes(key.array()?));
    let mut cursor = Cursor::new(value);
    let (line, length, rule) = (cursor.varint()?, cursor.varint()?, cursor.text()?);
    let rules = (0..cursor.varint()?).map(|_| cursor.text()).collect::<Result<_, _>>()?;
    let column = match cursor.byte()? {
        0 => None,
        _ => Some(cursor.text()?),
    };
    let value = match cursor.byte()? {
        0 => None,
        _ => Some(Bytes::copy_from_slice(cursor.bytes()?)),
    };
    let raw = Bytes::copy_from_slice(cursor.rest());
    Ok(DeadLetter { shard, position, line, rule, rules, column, value, raw, length })
}

fn put_option(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    out.push(u8::from(bytes.is_some()));
    if let Some(bytes) = bytes {
        put_bytes(out, bytes);
    }
}

fn kind_byte(kind: DocumentKind) -> u8 {
    match kind {
        DocumentKind::Job => 1,
        DocumentKind::Counter => 2,
        DocumentKind::Checkpoint => 3,
        DocumentKind::Leadership => 4,
        DocumentKind::Request => 5,
        DocumentKind::Upload => 6,
    }
}

pub(in crate::embedded) fn document_key(kind: DocumentKind, id: &str) -> Result<Bytes, StoreError> {
    bounded([&[kind_byte(kind)], id.as_bytes()].concat(), "a document's id")
}

/// The first key of a kind, and the first one behind it.
pub(in crate::embedded) fn kind_bounds(kind: DocumentKind) -> (Bytes, Bytes) {
    let byte = kind_byte(kind);
    (vec![byte].into(), vec![byte + 1].into())
}

pub(in crate::embedded) fn document_value(document: &Document) -> Bytes {
    stamped(document.stamp, &document.body)
}

pub(in crate::embedded) fn decode_document(key: &[u8], value: &[u8]) -> Result<Document, Damaged> {
    let id = key.get(1..).and_then(|id| std::str::from_utf8(id).ok()).ok_or(Damaged("its id is not UTF-8"))?;
    let (stamp, body) = split_stamp(value)?;
    Ok(Document { id: id.to_owned(), stamp, body: Bytes::copy_from_slice(body) })
}

fn stamped(stamp: Stamp, body: &[u8]) -> Bytes {
    [&stamp.epoch.0.to_be_bytes()[..], &stamp.version.to_be_bytes(), body].concat().into()
}

/// The stamp of a stored document or cell, and what is behind it.
pub(in crate::embedded) fn split_stamp(value: &[u8]) -> Result<(Stamp, &[u8]), Damaged> {
    let mut cursor = Cursor::new(value);
    let epoch = Epoch(u64::from_be_bytes(cursor.array()?));
    let version = u64::from_be_bytes(cursor.array()?);
    Ok((Stamp { epoch, version }, cursor.rest()))
}

/// The length of the view's name, the name, the cell's key.
pub(in crate::embedded) fn cell_key(view: &str, key: &[u8]) -> Result<Bytes, StoreError> {
    let length = u16::try_from(view.len()).unwrap_or(u16::MAX).to_be_bytes();
    bounded([&length, view.as_bytes(), key].concat(), "a gold cell's key")
}

/// The first key of a view, and the first one behind it.
pub(in crate::embedded) fn cell_view_bounds(view: &str) -> Result<(Bytes, Bytes), StoreError> {
    let first = cell_key(view, b"")?;
    let mut behind = first.to_vec();
    while let Some(last) = behind.pop() {
        if last < u8::MAX {
            behind.push(last + 1);
            break;
        }
    }
    Ok((first, behind.into()))
}

pub(in crate::embedded) fn cell_value(cell: &GoldCell) -> Bytes {
    stamped(cell.stamp, &cell.cell)
}

pub(in crate::embedded) fn decode_cell(view: &str, key: &[u8], value: &[u8]) -> Result<GoldCell, Damaged> {
    let key = key.get(2 + view.len()..).ok_or(Damaged("its key is too short"))?;
    let (stamp, cell) = split_stamp(value)?;
    let (key, cell) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(cell));
    Ok(GoldCell { view: view.to_owned(), key, stamp, cell, rows: None })
}

fn bounded(key: Vec<u8>, what: &str) -> Result<Bytes, StoreError> {
    if key.len() > MAX_KEY {
        return Err(StoreError::TooLarge { what: what.to_owned(), length: key.len(), limit: MAX_KEY });
    }
    Ok(key.into())
}
