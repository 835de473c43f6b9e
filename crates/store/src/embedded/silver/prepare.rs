//! What the caller's thread does before the writer decides: encode, sort, and tell apart what needs no decision.

use std::sync::Arc;

use bytes::Bytes;

use super::Collection;
use crate::{
    Insert, NewClaim, Rank, Replacement, ShardId, StoreError,
    embedded::{
        codec::{put_doc, silver_key},
        engine::Engine,
        filter::key_hash,
        queue::Reply,
    },
};

/// A document that may be written.
pub(super) struct Row {
    /// The key's first eight bytes as a number, which order most keys.
    pub(super) prefix: u64,
    pub(super) hash: u64,
    pub(super) key: Bytes,
    pub(super) value: Bytes,
    /// Its place in the request.
    pub(super) index: usize,
    /// What the stored document's live claim must be; `None`: there must be no document.
    pub(super) expected: Option<Box<(Rank, ShardId)>>,
}

/// A request whose rows are in the order of their keys.
pub(super) struct Request {
    pub(super) collection: Arc<Collection>,
    pub(super) rows: Vec<Row>,
    pub(super) answer: Answer,
}

/// What is to be answered, in the order of the request, with the results of the rows still to be filled in.
pub(super) enum Answer {
    Insert { results: Vec<Insert>, reply: Reply<Vec<Insert>> },
    Replace { results: Vec<bool>, reply: Reply<Vec<bool>> },
}

impl Answer {
    /// Notes that the row at `index` is written.
    pub(super) fn wrote(&mut self, index: usize) {
        match self {
            Self::Insert { results, .. } => results.get_mut(index).into_iter().for_each(|r| *r = Insert::Inserted),
            Self::Replace { results, .. } => results.get_mut(index).into_iter().for_each(|r| *r = true),
        }
    }
}

/// Bytes that rows take in memory.
pub(super) fn rows_len(rows: &[Row]) -> usize {
    rows.iter().map(|r| size_of::<Row>() + r.key.len() + r.value.len()).sum()
}

/// The claims that are not known to be present.
pub(super) fn inserts(engine: &Engine, collection: &Collection, claims: Vec<NewClaim>) -> Result<Vec<Row>, StoreError> {
    let filter = collection.filter(engine)?;
    let mut rows = rows(claims, |out, c| {
        put_doc(out, &c.claim, &[]);
        (c.key, None)
    })?;
    let mut failed = None;
    rows.retain(|row| {
        if !filter.may_contain(row.hash) {
            return true;
        }
        let present = collection.keyspace.contains_key(&row.key).map_err(|e| engine.failed(e));
        let present = present.map_err(|e| failed = Some(e)).unwrap_or(true);
        !present
    });
    failed.map_or(Ok(rows), Err)
}

/// All replacements.
pub(super) fn replacements(replacements: Vec<Replacement>) -> Result<Vec<Row>, StoreError> {
    rows(replacements, |out, r| {
        put_doc(out, &r.doc.live, &r.doc.displaced);
        (r.key, Some(Box::new(r.expected)))
    })
}

type Expected = Option<Box<(Rank, ShardId)>>;

/// Encodes documents, all into one buffer, and sorts them by their keys.
fn rows<T>(items: Vec<T>, put: impl Fn(&mut Vec<u8>, T) -> (Bytes, Expected)) -> Result<Vec<Row>, StoreError> {
    let mut values = Vec::with_capacity(items.len() * 128);
    let mut rows = Vec::with_capacity(items.len());
    let mut ends = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let (text, expected) = put(&mut values, item);
        ends.push(values.len());
        let key = silver_key(&text)?;
        let (prefix, hash) = (prefix(&key), key_hash(&key));
        rows.push(Row { prefix, hash, key, value: Bytes::new(), index, expected });
    }
    let values = Bytes::from(values);
    let mut start = 0;
    for (row, end) in rows.iter_mut().zip(ends) {
        row.value = values.slice(start..end);
        start = end;
    }
    rows.sort_by(|a, b| (a.prefix, &a.key).cmp(&(b.prefix, &b.key)));
    Ok(rows)
}

fn prefix(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(bytes)
}
