//! What the caller's thread does before the writer decides: encode, sort, and tell apart what needs no decision.

use std::sync::Arc;

use bytes::Bytes;

use super::Collection;
use crate::{
    ClaimInsert, NewClaim, Rank, Replacement, ShardId, StoreError,
    embedded::{
        codec::{put_doc, put_silver_key},
        engine::Engine,
        filter::key_hash,
        queue::Reply,
    },
    key_prefix,
};

/// Documents that may be written, in the order of their keys.
pub(super) struct Rows {
    rows: Vec<Row>,
    /// Each row's key and, behind it, its value: the writer, which goes through the rows of several requests by turns,
    /// finds them side by side.
    buffer: Bytes,
}

/// One of [`Rows`].
pub(super) struct Row {
    /// The key's first eight bytes as a number, which order most keys.
    pub(super) prefix: u64,
    pub(super) hash: u64,
    /// Where the key, the value and the next row begin in the buffer.
    at: [usize; 3],
    /// Its place in the request.
    pub(super) index: usize,
    /// What the stored document's live claim must be; `None`: there must be no document.
    pub(super) expected: Option<Box<(Rank, ShardId)>>,
}

impl Row {
    fn key<'b>(&self, buffer: &'b [u8]) -> &'b [u8] {
        &buffer[self.at[0]..self.at[1]]
    }
}

impl Rows {
    /// Encodes documents and sorts them by their keys.
    fn new<'a, T: 'a>(
        items: &'a [T],
        key: impl Fn(&T) -> &Bytes,
        put: impl Fn(&mut Vec<u8>, &T),
        expected: impl Fn(&T) -> Option<Box<(Rank, ShardId)>>,
    ) -> Result<Self, StoreError> {
        let mut buffer = Vec::with_capacity(items.len() * 160);
        let mut rows = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let start = buffer.len();
            put_silver_key(&mut buffer, key(item))?;
            let middle = buffer.len();
            let key = buffer.get(start..middle).unwrap_or_default();
            let (prefix, hash) = (key_prefix(key), key_hash(key));
            put(&mut buffer, item);
            rows.push(Row { prefix, hash, at: [start, middle, buffer.len()], index, expected: expected(item) });
        }
        let mut rows = Self { rows, buffer: buffer.into() };
        let buffer = &rows.buffer;
        rows.rows.sort_by(|a, b| a.prefix.cmp(&b.prefix).then_with(|| a.key(buffer).cmp(b.key(buffer))));
        Ok(rows)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes that they take in memory.
    pub(super) fn len_bytes(&self) -> usize {
        size_of::<Row>() * self.rows.len() + self.buffer.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter()
    }

    pub(super) fn get(&self, at: usize) -> Option<&Row> {
        self.rows.get(at)
    }

    pub(super) fn key(&self, row: &Row) -> &[u8] {
        row.key(&self.buffer)
    }

    pub(super) fn value(&self, row: &Row) -> &[u8] {
        &self.buffer[row.at[1]..row.at[2]]
    }

    /// Key and value, which share the memory of the request.
    pub(super) fn record(&self, row: &Row) -> (Bytes, Bytes) {
        let [start, middle, end] = row.at;
        (self.buffer.slice(start..middle), self.buffer.slice(middle..end))
    }
}

/// A request to one collection.
pub(super) struct Request {
    pub(super) collection: Arc<Collection>,
    pub(super) rows: Rows,
    pub(super) answer: Answer,
}

/// What is to be answered, in the order of the request, with the results of the rows still to be filled in.
pub(super) enum Answer {
    Insert { results: Vec<ClaimInsert>, reply: Reply<Vec<ClaimInsert>> },
    Replace { results: Vec<bool>, reply: Reply<Vec<bool>> },
}

impl Answer {
    /// Notes that the row at `index` is written.
    pub(super) fn wrote(&mut self, index: usize) {
        match self {
            Self::Insert { results, .. } => results.get_mut(index).into_iter().for_each(|r| *r = ClaimInsert::Inserted),
            Self::Replace { results, .. } => results.get_mut(index).into_iter().for_each(|r| *r = true),
        }
    }
}

/// The claims whose keys are not known to be present, and what is known of each claim by now.
pub(super) fn inserts(
    engine: &Engine,
    collection: &Collection,
    claims: &[NewClaim],
) -> Result<(Rows, Vec<ClaimInsert>), StoreError> {
    let filter = collection.filter(engine)?;
    let mut rows = Rows::new(claims, |c| &c.key, |out, c| put_doc(out, &c.claim, &[]), |_| None)?;
    let mut results = vec![ClaimInsert::Present(None); claims.len()];
    let mut maybe_present = filter.may_contain_each(rows.rows.iter().map(|row| row.hash)).into_iter();
    let mut failed = None;
    let buffer = &rows.buffer;
    rows.rows.retain(|row| {
        if failed.is_some() || !maybe_present.next().unwrap_or(true) {
            return true;
        }
        match collection.stored(engine, row.key(buffer)) {
            Ok(None) => true,
            Ok(Some(doc)) => {
                results[row.index] = ClaimInsert::Present(Some(Box::new(doc)));
                false
            }
            Err(e) => {
                failed = Some(e);
                true
            }
        }
    });
    failed.map_or(Ok((rows, results)), Err)
}

/// All replacements.
pub(super) fn replacements(replacements: &[Replacement]) -> Result<Rows, StoreError> {
    let put = |out: &mut Vec<u8>, r: &Replacement| put_doc(out, &r.doc.live, &r.doc.displaced);
    Rows::new(replacements, |r| &r.key, put, |r| Some(Box::new(r.expected)))
}
