//! The bytes of one [`ShardEvents`], before compression.
//!
//! Numbers are LEB128, signed ones zigzag; texts and byte strings stand behind their length. In order: the job's 16
//! bytes, the shard's job and number, the time, the contract, the columns, the source, the accepted rows, the rejected
//! rows; lists stand behind their length.
//!
//! A row's position and rank are differences to the row before, so that they take a byte or two. An accepted row's key
//! is, where possible, a place inside its fields: most contracts keep the key as a column, and the bytes would be there
//! twice.

use bytes::Bytes;
use ensemble_contract::row::{get_leb128, put_leb128, unzigzag, zigzag};
use ensemble_store::{JobId, JobNumber, Position, Rank, ShardId};

use crate::{AcceptedRow, RejectedRow, ShardEvents};

/// The bytes are not encoded events; says at what they fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadRecord(pub(crate) &'static str);

impl std::fmt::Display for BadRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for BadRecord {}

impl ShardEvents {
    /// The events as bytes, for a log or for the wire.
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(size_hint(self));
        encode(self, &mut bytes);
        bytes.into()
    }

    /// Reads what [`ShardEvents::to_bytes`] gave.
    ///
    /// # Errors
    /// Where these are no such bytes; trying again does not help.
    pub fn from_bytes(bytes: &Bytes) -> std::result::Result<Self, BadRecord> {
        decode(bytes)
    }
}

type Result<T> = std::result::Result<T, BadRecord>;

/// About how many bytes the events take: what a buffer should hold, and what an append is charged.
pub(crate) fn size_hint(events: &ShardEvents) -> usize {
    let accepted: usize = events.accepted.iter().map(|r| r.fields.len() + r.key.len() + 16).sum();
    let rejected: usize =
        events.rejected.iter().map(|r| r.rule.len() + r.rules.iter().map(|s| s.len() + 2).sum::<usize>() + 16).sum();
    let columns: usize = events.columns.iter().map(|c| c.len() + 2).sum();
    128 + events.contract.len() + events.source.len() + columns + accepted + rejected
}

/// Appends the events to `out`.
pub(crate) fn encode(events: &ShardEvents, out: &mut Vec<u8>) {
    out.extend_from_slice(events.job.0.as_bytes());
    put_leb128(out, events.shard.job.0);
    put_leb128(out, u64::from(events.shard.number));
    put_leb128(out, zigzag(events.time_us));
    put_bytes(out, events.contract.as_bytes());
    put_texts(out, &events.columns);
    put_bytes(out, events.source.as_bytes());
    put_leb128(out, events.accepted.len() as u64);
    let mut before = Before::default();
    for row in &events.accepted {
        put_accepted(out, row, &mut before);
    }
    put_leb128(out, events.rejected.len() as u64);
    let mut position = 0;
    for row in &events.rejected {
        put_leb128(out, zigzag(row.position.0.wrapping_sub(position) as i64));
        position = row.position.0;
        put_leb128(out, row.line);
        put_bytes(out, row.rule.as_bytes());
        put_texts(out, &row.rules);
    }
}

/// Reads what [`encode`] wrote. The rows share the record's bytes.
pub(crate) fn decode(record: &Bytes) -> Result<ShardEvents> {
    let mut r = Reader { record, rest: record };
    let job = JobId(uuid::Uuid::from_bytes(r.array()?));
    let shard = ShardId { job: JobNumber(r.number()?), number: r.small("the shard's number is too large")? };
    let time_us = r.signed()?;
    let (contract, columns, source) = (r.text()?, r.texts()?, r.text()?);
    let accepted = r.number()?;
    let mut before = Before::default();
    // A damaged length must not reserve memory: no row takes less than 7 bytes.
    let mut rows = Vec::with_capacity(r.at_most(accepted, 7));
    for _ in 0..accepted {
        rows.push(r.accepted(&mut before)?);
    }
    let rejected = r.number()?;
    let mut bad = Vec::with_capacity(r.at_most(rejected, 4));
    let mut position = 0u64;
    for _ in 0..rejected {
        position = position.wrapping_add(r.signed()? as u64);
        let (line, rule, rules) = (r.number()?, r.text()?, r.texts()?);
        bad.push(RejectedRow { position: Position(position), line, rule, rules });
    }
    if !r.rest.is_empty() {
        return Err(BadRecord("bytes follow the last row"));
    }
    Ok(ShardEvents { job, shard, contract, columns, source, time_us, accepted: rows, rejected: bad })
}

/// The row before, which the next one is told apart from.
#[derive(Default)]
struct Before {
    position: u64,
    rank: [i64; 3],
    /// Where the first row's fields hold its key; the other rows mostly hold theirs at the same place.
    key_at: Option<usize>,
    first_seen: bool,
}

fn put_accepted(out: &mut Vec<u8>, row: &AcceptedRow, before: &mut Before) {
    put_leb128(out, zigzag(row.position.0.wrapping_sub(before.position) as i64));
    before.position = row.position.0;
    for (now, then) in row.rank.0.iter().zip(&mut before.rank) {
        put_leb128(out, zigzag(now.wrapping_sub(*then)));
        *then = *now;
    }
    if !before.first_seen && !row.key.is_empty() {
        before.first_seen = true;
        before.key_at = row.fields.windows(row.key.len()).position(|w| w == row.key);
    }
    match before.key_at {
        Some(at) if row.fields.get(at..at + row.key.len()) == Some(&row.key[..]) => {
            put_leb128(out, at as u64 + 1);
            put_leb128(out, row.key.len() as u64);
        }
        _ => {
            out.push(0);
            put_bytes(out, &row.key);
        }
    }
    put_bytes(out, &row.fields);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_leb128(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_texts(out: &mut Vec<u8>, texts: &[String]) {
    put_leb128(out, texts.len() as u64);
    texts.iter().for_each(|t| put_bytes(out, t.as_bytes()));
}

struct Reader<'a> {
    record: &'a Bytes,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn accepted(&mut self, before: &mut Before) -> Result<AcceptedRow> {
        before.position = before.position.wrapping_add(self.signed()? as u64);
        for part in &mut before.rank {
            *part = part.wrapping_add(self.signed()?);
        }
        let (key, fields) = match self.number()? {
            0 => (self.shared()?, self.shared()?),
            at => {
                let start = usize::try_from(at - 1).map_err(|_| BadRecord("a key lies outside of its row"))?;
                let len = self.length()?;
                let fields = self.shared()?;
                let end = start.checked_add(len).filter(|end| *end <= fields.len());
                (fields.slice(start..end.ok_or(BadRecord("a key lies outside of its row"))?), fields)
            }
        };
        Ok(AcceptedRow { position: Position(before.position), rank: Rank(before.rank), key, fields })
    }

    fn number(&mut self) -> Result<u64> {
        get_leb128(&mut self.rest).ok_or(BadRecord("a number is cut off or too long"))
    }

    fn signed(&mut self) -> Result<i64> {
        self.number().map(unzigzag)
    }

    fn small(&mut self, reason: &'static str) -> Result<u32> {
        u32::try_from(self.number()?).map_err(|_| BadRecord(reason))
    }

    fn length(&mut self) -> Result<usize> {
        usize::try_from(self.number()?).map_err(|_| BadRecord("a length is too large"))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(BadRecord("the record is too short"))?;
        self.rest = rest;
        Ok(*head)
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.length()?;
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(BadRecord("a length points behind the end"))?;
        self.rest = rest;
        Ok(bytes)
    }

    fn shared(&mut self) -> Result<Bytes> {
        let bytes = self.bytes()?;
        Ok(self.record.slice_ref(bytes))
    }

    fn text(&mut self) -> Result<String> {
        let text = std::str::from_utf8(self.bytes()?).map_err(|_| BadRecord("a text is not UTF-8"))?;
        Ok(text.to_owned())
    }

    fn texts(&mut self) -> Result<Vec<String>> {
        let n = self.number()?;
        let mut texts = Vec::with_capacity(self.at_most(n, 1));
        for _ in 0..n {
            texts.push(self.text()?);
        }
        Ok(texts)
    }

    /// How many of `n` items of at least `bytes` each the rest can hold.
    fn at_most(&self, n: u64, bytes: usize) -> usize {
        usize::try_from(n).unwrap_or(usize::MAX).min(self.rest.len() / bytes)
    }
}

#[cfg(test)]
mod tests;
