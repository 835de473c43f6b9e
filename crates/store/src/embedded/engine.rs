//! The database and the segment files under one roof: opened, recovered and synced together.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, config::FilterPolicy};

use super::{
    bronze, codec,
    codec::Damaged,
    cursors::Cursors,
    fault::Health,
    journal,
    layout::{Layout, sync_dir},
    options::EmbeddedOptions,
    segments::{Mark, Recovered, Segments},
};
use crate::StoreError;

/// The key, among the documents, of how far bronze is known to be durable.
const BRONZE_MARK: [u8; 1] = [0];
/// Journal files together; older ones are emptied into tables beyond it.
const JOURNAL_BYTES: u64 = 128 << 20;
/// A keyspace's writes in memory before they become a table.
const MEMTABLE_BYTES: u64 = 1 << 20;

/// Writes in memory of all keyspaces together from which on writers are slowed down.
const WRITE_BUFFER_BYTES: u64 = 16 << 20;

/// What a batch is to survive when its commit answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// The death of this process.
    Process,
    /// The death of the machine.
    Machine,
}

/// Everything that is on the disk.
pub(super) struct Engine {
    pub(super) database: Database,
    pub(super) bronze: Keyspace,
    pub(super) spool: Keyspace,
    pub(super) dead_letters: Keyspace,
    pub(super) ledger: Keyspace,
    pub(super) documents: Keyspace,
    pub(super) gold: Keyspace,
    pub(super) segments: Segments,
    pub(super) health: Arc<Health>,
    pub(super) cursors: Cursors,
    /// Whether something was committed that no sync has begun after.
    unsynced: AtomicBool,
    /// Held during a barrier, so that nobody takes another's unfinished sync for done.
    barrier: Mutex<()>,
    // Last: the lock is released when all else is.
    layout: Layout,
}

impl Engine {
    pub(super) fn open(layout: Layout, options: &EmbeddedOptions) -> Result<Self, StoreError> {
        let health = Arc::new(Health::new(layout.dir()));
        let database = open_database(&layout.db(), options, &health)?;
        let keyspace = |name| create_keyspace(&database, &layout, &health, name, journaled);
        let (bronze, spool, documents) = (keyspace("bronze")?, keyspace("spool")?, keyspace("documents")?);
        let recovery =
            Recovery { database: &database, spaces: [&bronze, &spool], documents: &documents, health: &health };
        let segments = recovery.run(&layout.bronze(), options)?;
        Ok(Self {
            dead_letters: keyspace("dead_letters")?,
            ledger: keyspace("ledger")?,
            gold: keyspace("gold")?,
            bronze,
            spool,
            documents,
            segments,
            database,
            health,
            cursors: Cursors::default(),
            unsynced: AtomicBool::new(false),
            barrier: Mutex::new(()),
            layout,
        })
    }

    /// A keyspace, created where it is absent.
    pub(super) fn keyspace(
        &self,
        name: &str,
        options: impl FnOnce() -> KeyspaceCreateOptions,
    ) -> Result<Keyspace, StoreError> {
        create_keyspace(&self.database, &self.layout, &self.health, name, options)
    }

    /// An error of the database, in the store's words.
    pub(super) fn failed(&self, error: fjall::Error) -> StoreError {
        self.health.database(&error)
    }

    pub(super) fn get(&self, keyspace: &Keyspace, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        keyspace.get(key).map(|value| value.map(Bytes::from)).map_err(|e| self.failed(e))
    }

    /// Commits a batch. With [`Durability::Machine`] also the bronze bytes that are appended by now become durable,
    /// and they do so first, so that no record survives without what it points at; nobody sees the batch before.
    pub(super) fn commit(&self, mut batch: OwnedWriteBatch, durability: Durability) -> Result<(), StoreError> {
        let mode = match durability {
            Durability::Process => PersistMode::Buffer,
            Durability::Machine => {
                let mark = self.segments.sync()?;
                batch.insert(&self.documents, BRONZE_MARK, mark.encode());
                PersistMode::SyncData
            }
        };
        batch.durability(Some(mode)).commit().map_err(|e| self.failed(e))?;
        if durability == Durability::Process {
            self.unsynced.store(true, Ordering::Release);
        }
        self.cursors.forget_idle();
        self.throttle();
        Ok(())
    }

    /// Slows the writer down while the database's one thread, which may be merging runs, is behind with emptying
    /// memory into tables. It goes on after a second at the most: slow is better than stuck.
    fn throttle(&self) {
        for _ in 0..200 {
            if self.database.write_buffer_size() < WRITE_BUFFER_BYTES {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Makes all that was committed before durable.
    pub(super) fn barrier(&self) -> Result<(), StoreError> {
        let _only_one = self.barrier.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.unsynced.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        self.segments.sync()?;
        self.database.persist(PersistMode::SyncData).map_err(|e| self.failed(e))
    }
}

/// Stored bytes that cannot be read.
pub(super) fn damaged(what: &str, key: &[u8], error: Damaged) -> StoreError {
    StoreError::Corrupt { what: format!("the {what} {}", key.escape_ascii()), reason: error.to_string() }
}

/// Keyspaces that are written through the journal.
fn journaled() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES).manual_journal_persist(true).filter_policy(
        FilterPolicy::all(fjall::config::FilterPolicyEntry::Bloom(fjall::config::BloomConstructionPolicy::BitsPerKey(
            10.0,
        ))),
    )
}

fn open_database(dir: &Path, options: &EmbeddedOptions, health: &Health) -> Result<Database, StoreError> {
    let open = || {
        Database::builder(dir)
            .cache_size(options.block_cache_bytes as u64)
            .worker_threads(1)
            .max_cached_files(Some(256))
            .max_journaling_size(JOURNAL_BYTES)
            .manual_journal_persist(true)
            .open()
    };
    match open() {
        Err(fjall::Error::JournalRecovery(_)) => {
            journal::cut_torn_end(dir)?;
            open().map_err(|e| health.database(&e))
        }
        result => result.map_err(|e| health.database(&e)),
    }
}

fn create_keyspace(
    database: &Database,
    layout: &Layout,
    health: &Health,
    name: &str,
    options: impl FnOnce() -> KeyspaceCreateOptions,
) -> Result<Keyspace, StoreError> {
    let is_new = !database.keyspace_exists(name);
    let keyspace = database.keyspace(name, options).map_err(|e| health.database(&e))?;
    if is_new {
        // The one thing about a new keyspace that the database leaves to luck.
        sync_dir(&layout.db().join("keyspaces"))?;
    }
    Ok(keyspace)
}

/// Bringing bronze's records and bytes together after a crash.
struct Recovery<'a> {
    database: &'a Database,
    spaces: [&'a Keyspace; 2],
    documents: &'a Keyspace,
    health: &'a Health,
}

impl Recovery<'_> {
    /// Drops the records whose bytes did not survive, which nothing that was ever acknowledged as durable depends on,
    /// and cuts torn bytes off.
    fn run(&self, dir: &Path, options: &EmbeddedOptions) -> Result<Segments, StoreError> {
        let failed = |e: fjall::Error| self.health.database(&e);
        let mark = match self.documents.get(BRONZE_MARK).map_err(failed)? {
            Some(mark) => Mark::decode(&mark).map_err(|e| damaged("mark of bronze", &BRONZE_MARK, e))?,
            None => Mark::START,
        };
        let recovered = Recovered::scan(dir, mark)?;
        let mut batch = self.database.batch();
        for keyspace in self.spaces {
            for record in keyspace.iter() {
                let (key, value) = record.into_inner().map_err(failed)?;
                let location = bronze::location(&value).map_err(|e| damaged("bronze record", &key, e))?;
                if location.is_some_and(|l| !recovered.holds(&l)) {
                    tracing::warn!(record = %key.escape_ascii(), "dropped a bronze record whose bytes were not durable");
                    batch.remove(keyspace, key);
                }
            }
        }
        batch.durability(Some(PersistMode::SyncAll)).commit().map_err(failed)?;
        recovered.cut(options.segment_bytes)
    }
}

/// One page of a keyspace in the order of its keys.
pub(super) struct Page<'a> {
    pub(super) keyspace: &'a Keyspace,
    pub(super) what: &'static str,
    pub(super) from: std::ops::Bound<Bytes>,
    pub(super) to: std::ops::Bound<Bytes>,
    pub(super) limit: usize,
}

impl Page<'_> {
    /// Reads the page, each record through `decode`.
    pub(super) fn read<T>(
        self,
        engine: &Engine,
        decode: impl Fn(&Bytes, &Bytes) -> Result<T, Damaged>,
    ) -> Result<Vec<T>, StoreError> {
        let mut records = self.keyspace.range::<Bytes, _>((self.from, self.to));
        read_on(engine, &mut records, self.what, self.limit, decode)
    }
}

/// Reads up to `limit` (at least 1) more records.
pub(super) fn read_on<T>(
    engine: &Engine,
    records: &mut fjall::Iter,
    what: &str,
    limit: usize,
    decode: impl Fn(&Bytes, &Bytes) -> Result<T, Damaged>,
) -> Result<Vec<T>, StoreError> {
    let limit = limit.max(1);
    let mut page = Vec::with_capacity(limit.min(1024));
    for record in records.take(limit) {
        let (key, value) = record.into_inner().map_err(|e| engine.failed(e))?;
        let (key, value) = (Bytes::from(key), Bytes::from(value));
        page.push(decode(&key, &value).map_err(|e| damaged(what, &key, e))?);
    }
    Ok(page)
}

/// From behind a key, or from the first one on.
pub(super) fn behind(after: Option<Bytes>, first: Bytes) -> std::ops::Bound<Bytes> {
    after.map_or(std::ops::Bound::Included(first), std::ops::Bound::Excluded)
}

/// The keys of a job's shards from `from` on.
pub(super) fn shards_from(job: crate::JobNumber, from: u32) -> (std::ops::Bound<Bytes>, std::ops::Bound<Bytes>) {
    let key = |number| Bytes::copy_from_slice(&codec::shard_key(crate::ShardId { job, number }));
    (std::ops::Bound::Included(key(from)), std::ops::Bound::Included(key(u32::MAX)))
}
