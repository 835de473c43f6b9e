//! The store's face: each method prepares a request or reads.

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;

use super::{
    bronze::{self, BronzeWriter, Prepared},
    codec,
    engine::{Engine, Page, behind, damaged, shards_from},
    layout::Layout,
    meta::{self, LedgerRecord, MetaWriter},
    options::EmbeddedOptions,
    readers::Readers,
    segments::Packed,
    silver::{Collections, SilverWriter},
};
use crate::{
    ClaimInsert, DeadLetter, DecisionRecord, Document, DocumentKind, GoldCell, Insert, JobNumber, LedgerEntry,
    NewClaim, Position, Replacement, ShardId, SilverDoc, SpooledShard, Stamp, Store, StoreError,
};

type Result<T> = std::result::Result<T, StoreError>;

/// A store in a directory of this machine. It works inside a Tokio runtime.
///
/// Dropping it without [`Store::close`] waits for the requests that are under way, and then releases the directory;
/// nothing that was acknowledged is lost.
pub struct EmbeddedStore {
    name: String,
    open: RwLock<Option<Arc<Open>>>,
}

/// An open store. The writers come first, so that they have ended when the engine goes.
struct Open {
    bronze: BronzeWriter,
    silver: SilverWriter,
    meta: MetaWriter,
    readers: Arc<Readers>,
    collections: Arc<Collections>,
    engine: Arc<Engine>,
}

impl EmbeddedStore {
    /// Opens the store in `dir`, which is created where it is absent or empty, and recovers it from a crash. Blocks for
    /// as long as that takes: a fraction of a second, and more where much was written just before a crash.
    ///
    /// # Errors
    /// [`StoreError::Locked`] where another process has it, [`StoreError::UnknownVersion`] and
    /// [`StoreError::NotAStore`] where the directory holds something else, [`StoreError::Io`] where it cannot be
    /// written.
    pub fn open(dir: &Path, options: EmbeddedOptions) -> Result<Arc<Self>> {
        let options = options.bounded();
        let engine = Arc::new(Engine::open(Layout::open(dir)?, &options)?);
        let readers = Arc::new(Readers::new(options.readers, &engine.health));
        let collections = Arc::new(Collections::new(&engine, &options));
        let open = Open {
            bronze: BronzeWriter::spawn(&engine, options.queue_bytes)?,
            silver: SilverWriter::spawn(&engine, &collections, &readers, &options)?,
            meta: MetaWriter::spawn(&engine, options.queue_bytes)?,
            readers,
            collections,
            engine,
        };
        Ok(Arc::new(Self { name: format!("embedded:{}", dir.display()), open: RwLock::new(Some(Arc::new(open))) }))
    }

    fn shared(&self) -> Result<Arc<Open>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(StoreError::Closed)
    }

    async fn read<T: Send + 'static>(&self, work: impl FnOnce(&Open) -> Result<T> + Send + 'static) -> Result<T> {
        let open = self.shared()?;
        let readers = Arc::clone(&open.readers);
        readers.run(move || work(&open)).await
    }
}

#[async_trait::async_trait]
impl Store for EmbeddedStore {
    fn describe(&self) -> String {
        self.name.clone()
    }

    /// Rows are kept as they are encoded, so their columns do not matter here.
    async fn declare_silver(&self, _silver: &str, _columns: &[String]) -> Result<()> {
        self.shared().map(drop)
    }

    /// All bronze is in the same segments.
    async fn declare_bronze(&self, _job: JobNumber, _bronze: &str) -> Result<()> {
        self.shared().map(drop)
    }

    async fn insert_decision(&self, record: &DecisionRecord) -> Result<Insert> {
        let record = record.clone();
        match self.read(move |open| Prepared::new(&open.engine, record)).await? {
            None => Ok(Insert::Present),
            Some(prepared) => self.shared()?.bronze.decide(prepared).await,
        }
    }

    async fn decision(&self, shard: ShardId) -> Result<Option<DecisionRecord>> {
        self.read(move |open| bronze::decision(&open.engine, shard)).await
    }

    async fn scan_decisions(&self, job: JobNumber, from: u32, limit: usize) -> Result<Vec<DecisionRecord>> {
        self.read(move |open| {
            let (from, to) = shards_from(job, from);
            let page = Page { keyspace: &open.engine.bronze, what: "decision record", from, to, limit };
            let records = page.read(&open.engine, |key, value| Ok((key.clone(), value.clone())))?;
            records.iter().map(|(key, value)| bronze::decode_decision(&open.engine, key, value)).collect()
        })
        .await
    }

    async fn put_spooled(&self, shard: &SpooledShard) -> Result<()> {
        let SpooledShard { plan, bytes } = shard.clone();
        let packed = self.read(move |_| Packed::new(&bytes)).await?;
        self.shared()?.bronze.spool(plan, packed).await
    }

    async fn spooled(&self, shard: ShardId) -> Result<Option<SpooledShard>> {
        self.read(move |open| bronze::spooled(&open.engine, shard)).await
    }

    async fn delete_spooled(&self, shard: ShardId) -> Result<()> {
        self.shared()?.bronze.forget(shard).await
    }

    async fn insert_claims(&self, silver: &str, claims: Arc<Vec<NewClaim>>) -> Result<Vec<ClaimInsert>> {
        self.shared()?.silver.insert(silver, claims).await
    }

    async fn read_claims(&self, silver: &str, keys: Vec<Bytes>) -> Result<Vec<Option<SilverDoc>>> {
        let silver = silver.to_owned();
        self.read(move |open| match open.collections.find(&silver)? {
            Some(collection) => collection.read(&open.engine, &keys),
            None => Ok(vec![None; keys.len()]),
        })
        .await
    }

    async fn replace_claims(&self, silver: &str, replacements: Vec<Replacement>) -> Result<Vec<bool>> {
        self.shared()?.silver.replace(silver, replacements).await
    }

    async fn scan_silver(&self, silver: &str, after: Option<Bytes>, limit: usize) -> Result<Vec<(Bytes, SilverDoc)>> {
        let silver = silver.to_owned();
        self.read(move |open| match open.collections.find(&silver)? {
            Some(collection) => collection.scan(&open.engine, after.as_ref(), limit),
            None => Ok(Vec::new()),
        })
        .await
    }

    async fn put_dead_letters(&self, letters: Vec<DeadLetter>) -> Result<()> {
        let open = self.shared()?;
        if letters.is_empty() {
            return Ok(());
        }
        let encode = |l: &DeadLetter| (codec::dead_letter_key(l.shard, l.position), codec::dead_letter_value(l));
        open.meta.dead_letters(letters.iter().map(encode).collect()).await
    }

    async fn scan_dead_letters(
        &self,
        job: Option<JobNumber>,
        after: Option<(ShardId, Position)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        self.read(move |open| {
            let job = job.map(|job| job.0);
            let first = codec::dead_letter_key(ShardId { job: JobNumber(job.unwrap_or(0)), number: 0 }, Position(0));
            let last = ShardId { job: JobNumber(job.unwrap_or(u64::MAX)), number: u32::MAX };
            let after = after.map(|(shard, position)| codec::dead_letter_key(shard, position));
            let page = Page {
                keyspace: &open.engine.dead_letters,
                what: "dead letter",
                from: behind(after.filter(|after| *after >= first), first),
                to: std::ops::Bound::Included(codec::dead_letter_key(last, Position(u64::MAX))),
                limit,
            };
            page.read(&open.engine, |key, value| codec::decode_dead_letter(key, value))
        })
        .await
    }

    async fn insert_ledger(&self, entry: &LedgerEntry) -> Result<Insert> {
        let key = Bytes::copy_from_slice(&codec::shard_key(entry.plan.shard));
        let entry = entry.clone();
        let record = self.read(move |_| LedgerRecord::new(&entry)).await?;
        self.shared()?.meta.ledger(key, record).await
    }

    async fn ledger(&self, shard: ShardId) -> Result<Option<LedgerEntry>> {
        self.read(move |open| meta::ledger(&open.engine, shard)).await
    }

    async fn settled(&self, shards: &[ShardId]) -> Result<Vec<bool>> {
        let shards = shards.to_vec();
        self.read(move |open| {
            let ledger = &open.engine.ledger;
            let settled = |s: &ShardId| ledger.contains_key(codec::shard_key(*s)).map_err(|e| open.engine.failed(e));
            shards.iter().map(settled).collect()
        })
        .await
    }

    async fn scan_ledger(&self, job: JobNumber, from: u32, limit: usize) -> Result<Vec<LedgerEntry>> {
        self.read(move |open| {
            let (from, to) = shards_from(job, from);
            let page = Page { keyspace: &open.engine.ledger, what: "ledger entry", from, to, limit };
            let records = page.read(&open.engine, |key, value| Ok((key.clone(), value.clone())))?;
            records.iter().map(|(key, value)| meta::decode_ledger(&open.engine, key, value)).collect()
        })
        .await
    }

    async fn document(&self, kind: DocumentKind, id: &str) -> Result<Option<Document>> {
        let key = codec::document_key(kind, id)?;
        self.read(move |open| {
            let value = open.engine.get(&open.engine.documents, &key)?;
            value.map(|v| codec::decode_document(&key, &v).map_err(|e| damaged("document", &key, e))).transpose()
        })
        .await
    }

    async fn write_document(&self, kind: DocumentKind, expected: Option<Stamp>, document: &Document) -> Result<bool> {
        let (key, value) = (codec::document_key(kind, &document.id)?, codec::document_value(document));
        self.shared()?.meta.write(key, expected, document.stamp, value).await
    }

    async fn scan_documents(&self, kind: DocumentKind, after: Option<&str>, limit: usize) -> Result<Vec<Document>> {
        let after = after.map(|id| codec::document_key(kind, id)).transpose()?;
        self.read(move |open| {
            let (first, end) = codec::kind_bounds(kind);
            let page = Page {
                keyspace: &open.engine.documents,
                what: "document",
                from: behind(after, first),
                to: std::ops::Bound::Excluded(end),
                limit,
            };
            page.read(&open.engine, |key, value| codec::decode_document(key, value))
        })
        .await
    }

    async fn delete_document(&self, kind: DocumentKind, id: &str, expected: Stamp) -> Result<bool> {
        let key = codec::document_key(kind, id)?;
        self.shared()?.meta.delete(key, expected).await
    }

    async fn write_cells(&self, cells: Vec<GoldCell>) -> Result<()> {
        let open = self.shared()?;
        if cells.is_empty() {
            return Ok(());
        }
        let encode = |c: &GoldCell| Ok((codec::cell_key(&c.view, &c.key)?, c.stamp, codec::cell_value(c)));
        open.meta.cells(cells.iter().map(encode).collect::<Result<_>>()?).await
    }

    async fn scan_cells(&self, view: &str, after: Option<Bytes>, limit: usize) -> Result<Vec<GoldCell>> {
        let view = view.to_owned();
        self.read(move |open| {
            let (first, end) = codec::cell_view_bounds(&view)?;
            let after = after.map(|key| codec::cell_key(&view, &key)).transpose()?;
            let page = Page {
                keyspace: &open.engine.gold,
                what: "gold cell",
                from: behind(after, first),
                to: std::ops::Bound::Excluded(end),
                limit,
            };
            page.read(&open.engine, |key, value| codec::decode_cell(&view, key, value))
        })
        .await
    }

    async fn close(&self) -> Result<()> {
        let taken = self.open.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(open) = taken else { return Ok(()) };
        open.readers.close().await;
        let last = Arc::clone(&open);
        let result = tokio::task::spawn_blocking(move || {
            last.bronze.close();
            last.silver.close();
            last.meta.close();
            last.engine.health.check().and_then(|()| last.engine.barrier())
        });
        let result = result.await.unwrap_or(Err(StoreError::Closed));
        release(open).await;
        result
    }
}

/// Waits a little for calls that are just ending, so that the directory is free when `close` answers.
async fn release(mut open: Arc<Open>) {
    for _ in 0..1000 {
        match Arc::try_unwrap(open) {
            Ok(last) => {
                // Joins the database's threads.
                drop(tokio::task::spawn_blocking(move || drop(last)).await);
                return;
            }
            Err(shared) => open = shared,
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
