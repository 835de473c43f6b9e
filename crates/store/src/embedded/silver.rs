//! Silver: one keyspace a collection, written only by ingesting sorted runs.
//!
//! The journal never sees silver: what it replays after a crash could shadow newer ingested documents. A write is
//! prepared on the caller's blocking thread (encoded, sorted, and keys that are there already told apart) and decided
//! by the one writer thread, which makes one sorted run of the requests that are waiting. Keys never go away, so what
//! the preparation found present stays present.

mod commit;
mod prepare;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    collections::HashMap,
    ops::Bound,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use fjall::{
    Keyspace, KeyspaceCreateOptions,
    compaction::Leveled,
    config::{BlockSizePolicy, BloomConstructionPolicy, FilterPolicy, FilterPolicyEntry, PinningPolicy},
};

use super::{
    codec::{decode_doc, silver_key, silver_key_text},
    cursors::Cursor,
    engine::{Engine, behind, damaged, read_on},
    filter::{KeyFilter, key_hash},
    options::EmbeddedOptions,
};
use crate::{SilverDoc, StoreError};

pub(super) use writer::SilverWriter;

/// Bytes of a table's block: what is read for a look-up.
const BLOCK_BYTES: u32 = 8 << 10;

/// The silver collections that are open.
pub(super) struct Collections {
    engine: Arc<Engine>,
    runs: u8,
    open: RwLock<HashMap<String, Arc<Collection>>>,
    /// What the next collection's filter takes half of.
    filter_bytes: Mutex<usize>,
}

/// One silver collection.
pub(super) struct Collection {
    keyspace: Keyspace,
    filter_bytes: usize,
    filter: OnceLock<KeyFilter>,
    filling: Mutex<()>,
    /// How many runs have been written.
    written: AtomicU64,
}

impl Collections {
    pub(super) fn new(engine: &Arc<Engine>, options: &EmbeddedOptions) -> Self {
        Self {
            engine: Arc::clone(engine),
            runs: options.silver_runs,
            open: RwLock::default(),
            filter_bytes: Mutex::new(options.key_filter_bytes),
        }
    }

    /// The collection, if it has ever been written. Blocks.
    pub(super) fn find(&self, name: &str) -> Result<Option<Arc<Collection>>, StoreError> {
        if let Some(collection) = self.open.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(Some(Arc::clone(collection)));
        }
        let keyspace = keyspace_name(name)?;
        if self.engine.database.keyspace_exists(&keyspace) { self.create(name).map(Some) } else { Ok(None) }
    }

    /// The collection, created where it is absent. Blocks.
    pub(super) fn create(&self, name: &str) -> Result<Arc<Collection>, StoreError> {
        if let Some(collection) = self.open.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(Arc::clone(collection));
        }
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(collection) = open.get(name) {
            return Ok(Arc::clone(collection));
        }
        let keyspace = self.engine.keyspace(&keyspace_name(name)?, || ingested(self.runs));
        let keyspace = keyspace.map_err(|e| self.engine.health.fail(&e))?;
        let filter_bytes = {
            let mut left = self.filter_bytes.lock().unwrap_or_else(PoisonError::into_inner);
            *left /= 2;
            *left
        };
        let collection = Arc::new(Collection {
            keyspace,
            filter_bytes,
            filter: OnceLock::new(),
            filling: Mutex::new(()),
            written: AtomicU64::new(0),
        });
        open.insert(name.to_owned(), Arc::clone(&collection));
        Ok(collection)
    }
}

fn keyspace_name(collection: &str) -> Result<String, StoreError> {
    let name = format!("silver-{collection}");
    if name.len() > usize::from(u8::MAX) {
        let what = "the name of a silver collection".to_owned();
        return Err(StoreError::TooLarge { what, length: collection.len(), limit: 248 });
    }
    Ok(name)
}

/// A keyspace of large sorted runs. Nothing of its tables is pinned, so its memory is the block cache's.
fn ingested(runs: u8) -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES))
        .index_block_pinning_policy(PinningPolicy::all(false))
        .filter_block_pinning_policy(PinningPolicy::all(false))
        .filter_policy(FilterPolicy::all(FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(10.0))))
        .compaction_strategy(Arc::new(Leveled::default().with_l0_threshold(runs)))
}

impl Collection {
    /// The filter, which the first caller fills by reading all keys. Blocks.
    fn filter(&self, engine: &Engine) -> Result<&KeyFilter, StoreError> {
        if let Some(filter) = self.filter.get() {
            return Ok(filter);
        }
        let _only_one = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        if self.filter.get().is_none() {
            let filter = KeyFilter::new(self.filter_bytes);
            let mut failed = None;
            let hash = |record: fjall::Guard| record.key().map(|key| key_hash(&key)).map_err(|e| failed = Some(e)).ok();
            filter.put_all(self.keyspace.iter().map_while(hash));
            if let Some(e) = failed {
                return Err(engine.failed(e));
            }
            // Nobody else sets it: the lock is held.
            drop(self.filter.set(filter));
        }
        self.filter.get().ok_or_else(|| StoreError::Unavailable("the key filter is not filled".to_owned()))
    }

    /// The document under a stored key.
    fn stored(&self, engine: &Engine, key: &[u8]) -> Result<Option<SilverDoc>, StoreError> {
        let Some(value) = engine.get(&self.keyspace, key)? else { return Ok(None) };
        // A copy: the value shares the memory of its whole block.
        decode_doc(&Bytes::copy_from_slice(&value)).map(Some).map_err(|e| damaged("silver document", key, e))
    }

    /// The documents under `keys`, in their order. Blocks.
    pub(super) fn read(&self, engine: &Engine, keys: &[Bytes]) -> Result<Vec<Option<SilverDoc>>, StoreError> {
        let read = |key: &Bytes| {
            let key = silver_key(key)?;
            match self.filter.get() {
                Some(filter) if !filter.may_contain(key_hash(&key)) => Ok(None),
                // Where nothing has been written since the opening there is no filter.
                _ => self.stored(engine, &key),
            }
        };
        keys.iter().map(read).collect()
    }

    /// Documents in the order of their keys, behind `after`. Blocks.
    pub(super) fn scan(
        &self,
        engine: &Engine,
        after: Option<&Bytes>,
        limit: usize,
    ) -> Result<Vec<(Bytes, SilverDoc)>, StoreError> {
        let written = self.written.load(Ordering::Acquire);
        let mut records = match after.and_then(|after| engine.cursors.take(self.keyspace.id(), after)) {
            Some(records) => records,
            None => {
                let from = behind(after.map(silver_key).transpose()?, Bytes::new());
                self.keyspace.range::<Bytes, _>((from, Bound::Unbounded))
            }
        };
        let decode = |key: &Bytes, value: &Bytes| Ok((silver_key_text(key.clone()), decode_doc(value)?));
        let page = read_on(engine, &mut records, "silver document", limit, decode)?;
        if page.len() >= limit
            && let Some((last, _)) = page.last()
        {
            let (collection, since) = (self.keyspace.id(), Instant::now());
            let cursor = Cursor { collection, last: last.clone(), records, since };
            engine.cursors.keep(cursor, || self.written.load(Ordering::Acquire) == written);
        }
        Ok(page)
    }
}
