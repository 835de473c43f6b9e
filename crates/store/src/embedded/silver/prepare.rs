//! What the caller's thread does before the writer decides: hash, sort, and tell apart what needs no decision.

use std::sync::Arc;

use bytes::Bytes;

use super::Collection;
use crate::{
    Claim, ClaimInsert, NewClaim, Rank, Replacement, ShardId, StoreError,
    embedded::{
        codec::{put_doc, silver_key},
        engine::Engine,
        filter::key_hash,
        queue::Reply,
    },
    key_prefix,
};

/// About what a claim takes besides its fields.
const CLAIM_BYTES: usize = 32;

/// Documents that may be written, in the order of their keys. They are encoded only when they are: the caller holds
/// what they are made of anyway, and many wait.
pub(super) struct Rows {
    items: Items,
    rows: Vec<Row>,
    len_bytes: usize,
}

/// What a request brings.
enum Items {
    Claims(Arc<Vec<NewClaim>>),
    Replacements(Vec<Replacement>),
}

/// One of [`Rows`].
pub(super) struct Row {
    /// The key's first eight bytes as a number, which order most keys.
    pub(super) prefix: u64,
    pub(super) hash: u64,
    /// Its place in the request.
    pub(super) index: u32,
}

impl Items {
    fn len(&self) -> usize {
        match self {
            Self::Claims(claims) => claims.len(),
            Self::Replacements(replacements) => replacements.len(),
        }
    }

    fn key(&self, index: u32) -> &Bytes {
        match self {
            Self::Claims(claims) => &claims[index as usize].key,
            Self::Replacements(replacements) => &replacements[index as usize].key,
        }
    }

    /// The document: its live claim and the displaced ones.
    fn doc(&self, index: u32) -> (&Claim, &[Claim]) {
        match self {
            Self::Claims(claims) => (&claims[index as usize].claim, &[]),
            Self::Replacements(replacements) => {
                let doc = &replacements[index as usize].doc;
                (&doc.live, &doc.displaced)
            }
        }
    }
}

impl Rows {
    /// Sorts what a request brings.
    fn new(items: Items) -> Result<Self, StoreError> {
        let length = items.len();
        let count = u32::try_from(length).map_err(|_| StoreError::TooLarge {
            what: "a request".to_owned(),
            length,
            limit: u32::MAX as usize,
        })?;
        let mut rows = Vec::with_capacity(length);
        let mut len_bytes = length * size_of::<Row>();
        for index in 0..count {
            let key = silver_key(items.key(index))?;
            let (live, displaced) = items.doc(index);
            len_bytes +=
                key.len() + displaced.iter().chain([live]).map(|c| CLAIM_BYTES + c.fields.len()).sum::<usize>();
            rows.push(Row { prefix: key_prefix(&key), hash: key_hash(&key), index });
        }
        let key = |row: &Row| items.key(row.index);
        rows.sort_by(|a, b| a.prefix.cmp(&b.prefix).then_with(|| key(a).cmp(key(b))));
        Ok(Self { items, rows, len_bytes })
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes that they take in memory, and about as many on disk.
    pub(super) fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter()
    }

    pub(super) fn get(&self, at: usize) -> Option<&Row> {
        self.rows.get(at)
    }

    pub(super) fn key(&self, row: &Row) -> &Bytes {
        self.items.key(row.index)
    }

    /// Rank and shard of the claim that is live once the row is written.
    pub(super) fn stamp(&self, row: &Row) -> (Rank, ShardId) {
        let (live, _) = self.items.doc(row.index);
        (live.rank, live.shard)
    }

    /// What the stored document's live claim must be; `None`: there must be no document.
    pub(super) fn expected(&self, row: &Row) -> Option<(Rank, ShardId)> {
        match &self.items {
            Items::Claims(_) => None,
            Items::Replacements(replacements) => Some(replacements[row.index as usize].expected),
        }
    }

    /// The row as it is stored.
    pub(super) fn record(&self, row: &Row) -> Result<(Bytes, Bytes), StoreError> {
        let (live, displaced) = self.items.doc(row.index);
        let mut value = Vec::with_capacity(CLAIM_BYTES + live.fields.len());
        put_doc(&mut value, live, displaced);
        Ok((silver_key(self.key(row))?, Bytes::from(value.into_boxed_slice())))
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
    pub(super) fn wrote(&mut self, index: u32) {
        let index = index as usize;
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
    claims: Arc<Vec<NewClaim>>,
) -> Result<(Rows, Vec<ClaimInsert>), StoreError> {
    let filter = collection.filter(engine)?;
    let mut results = vec![ClaimInsert::Present(None); claims.len()];
    let mut rows = Rows::new(Items::Claims(claims))?;
    let mut maybe_present = filter.may_contain_each(rows.rows.iter().map(|row| row.hash)).into_iter();
    let mut failed = None;
    let items = &rows.items;
    rows.rows.retain(|row| {
        if failed.is_some() || !maybe_present.next().unwrap_or(true) {
            return true;
        }
        match silver_key(items.key(row.index)).and_then(|key| collection.stored(engine, &key)) {
            Ok(None) => true,
            Ok(Some(doc)) => {
                results[row.index as usize] = ClaimInsert::Present(Some(Box::new(doc)));
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
pub(super) fn replacements(replacements: Vec<Replacement>) -> Result<Rows, StoreError> {
    Rows::new(Items::Replacements(replacements))
}
