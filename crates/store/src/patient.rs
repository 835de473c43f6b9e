//! A store that is waited for: what a supervisor asks of a store that is away for a while is asked again until it is back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::watch;

use crate::{
    ClaimInsert, Clock, DeadLetter, DecisionRecord, Document, DocumentKind, ErrorClass, GoldCell, Insert, JobNumber,
    LedgerEntry, NewClaim, Position, Replacement, ShardId, SilverDoc, SpooledShard, Stamp, Store, StoreError, micros,
};

type Result<T> = std::result::Result<T, StoreError>;

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Shorter troubles are nobody's business: a fail-over of a replica set's primary takes a moment.
const TOLD_AFTER_US: i64 = 2_000_000;

/// Whether the store is being waited for, and how long it may be.
pub struct Patience {
    clock: Arc<dyn Clock>,
    ends_at_us: AtomicI64,
    stalled: watch::Sender<Option<String>>,
}

impl Patience {
    /// Waits for as long as it takes.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, ends_at_us: AtomicI64::new(i64::MAX), stalled: watch::Sender::new(None) }
    }

    /// Why calls are waiting; `None` while the store answers. Troubles of less than two seconds are not told.
    pub fn stalled(&self) -> watch::Receiver<Option<String>> {
        self.stalled.subscribe()
    }

    /// From now on waits this much longer at the most: for a process that is to end.
    pub fn end_within(&self, rest: Duration) {
        self.ends_at_us.store(self.clock.monotonic_us().saturating_add(micros(rest)), Ordering::Relaxed);
    }

    /// Calls `operation` again while it fails with a transient error. The same call with the same content: so a call
    /// whose answer was lost finds what it did itself.
    async fn wait<T, F>(&self, operation: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let begun_us = self.clock.monotonic_us();
        let mut pause = FIRST_PAUSE;
        loop {
            match operation().await {
                Err(e) if e.class() == ErrorClass::Transient => {
                    let now_us = self.clock.monotonic_us();
                    if now_us >= self.ends_at_us.load(Ordering::Relaxed) {
                        return Err(e);
                    }
                    if now_us - begun_us >= TOLD_AFTER_US {
                        self.tell(Some(e.to_string()));
                    }
                }
                other => {
                    self.tell(None);
                    return other;
                }
            }
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn tell(&self, reason: Option<String>) {
        self.stalled.send_if_modified(|told| {
            let is_news = *told != reason;
            *told = reason;
            is_news
        });
    }
}

impl std::fmt::Debug for Patience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Patience").field("stalled", &*self.stalled.borrow()).finish_non_exhaustive()
    }
}

/// A [`Store`] whose transient errors are waited out, as [`Patience`] says.
pub struct PatientStore {
    store: Arc<dyn Store>,
    patience: Arc<Patience>,
}

impl PatientStore {
    /// Waits for `store`.
    pub fn new(store: Arc<dyn Store>, patience: Arc<Patience>) -> Self {
        Self { store, patience }
    }
}

#[async_trait::async_trait]
impl Store for PatientStore {
    fn describe(&self) -> String {
        self.store.describe()
    }

    async fn declare_bronze(&self, job: JobNumber, bronze: &str) -> Result<()> {
        self.patience.wait(|| self.store.declare_bronze(job, bronze)).await
    }

    async fn insert_decision(&self, record: &DecisionRecord) -> Result<Insert> {
        self.patience.wait(|| self.store.insert_decision(record)).await
    }

    async fn decision(&self, shard: ShardId) -> Result<Option<DecisionRecord>> {
        self.patience.wait(|| self.store.decision(shard)).await
    }

    async fn scan_decisions(&self, job: JobNumber, from: u32, limit: usize) -> Result<Vec<DecisionRecord>> {
        self.patience.wait(|| self.store.scan_decisions(job, from, limit)).await
    }

    async fn put_spooled(&self, shard: &SpooledShard) -> Result<()> {
        self.patience.wait(|| self.store.put_spooled(shard)).await
    }

    async fn spooled(&self, shard: ShardId) -> Result<Option<SpooledShard>> {
        self.patience.wait(|| self.store.spooled(shard)).await
    }

    async fn delete_spooled(&self, shard: ShardId) -> Result<()> {
        self.patience.wait(|| self.store.delete_spooled(shard)).await
    }

    async fn declare_silver(&self, silver: &str, columns: &[String]) -> Result<()> {
        self.patience.wait(|| self.store.declare_silver(silver, columns)).await
    }

    async fn insert_claims(&self, silver: &str, claims: Arc<Vec<NewClaim>>) -> Result<Vec<ClaimInsert>> {
        self.patience.wait(|| self.store.insert_claims(silver, Arc::clone(&claims))).await
    }

    async fn read_claims(&self, silver: &str, keys: Vec<Bytes>) -> Result<Vec<Option<SilverDoc>>> {
        self.patience.wait(|| self.store.read_claims(silver, keys.clone())).await
    }

    async fn replace_claims(&self, silver: &str, replacements: Vec<Replacement>) -> Result<Vec<bool>> {
        self.patience.wait(|| self.store.replace_claims(silver, replacements.clone())).await
    }

    async fn scan_silver(&self, silver: &str, after: Option<Bytes>, limit: usize) -> Result<Vec<(Bytes, SilverDoc)>> {
        self.patience.wait(|| self.store.scan_silver(silver, after.clone(), limit)).await
    }

    async fn put_dead_letters(&self, letters: Vec<DeadLetter>) -> Result<()> {
        self.patience.wait(|| self.store.put_dead_letters(letters.clone())).await
    }

    async fn scan_dead_letters(
        &self,
        job: Option<JobNumber>,
        after: Option<(ShardId, Position)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        self.patience.wait(|| self.store.scan_dead_letters(job, after, limit)).await
    }

    async fn insert_ledger(&self, entry: &LedgerEntry) -> Result<Insert> {
        self.patience.wait(|| self.store.insert_ledger(entry)).await
    }

    async fn ledger(&self, shard: ShardId) -> Result<Option<LedgerEntry>> {
        self.patience.wait(|| self.store.ledger(shard)).await
    }

    async fn settled(&self, shards: &[ShardId]) -> Result<Vec<bool>> {
        self.patience.wait(|| self.store.settled(shards)).await
    }

    async fn scan_ledger(&self, job: JobNumber, from: u32, limit: usize) -> Result<Vec<LedgerEntry>> {
        self.patience.wait(|| self.store.scan_ledger(job, from, limit)).await
    }

    async fn document(&self, kind: DocumentKind, id: &str) -> Result<Option<Document>> {
        self.patience.wait(|| self.store.document(kind, id)).await
    }

    async fn write_document(&self, kind: DocumentKind, expected: Option<Stamp>, document: &Document) -> Result<bool> {
        self.patience.wait(|| self.store.write_document(kind, expected, document)).await
    }

    async fn scan_documents(&self, kind: DocumentKind, after: Option<&str>, limit: usize) -> Result<Vec<Document>> {
        self.patience.wait(|| self.store.scan_documents(kind, after, limit)).await
    }

    async fn delete_document(&self, kind: DocumentKind, id: &str, expected: Stamp) -> Result<bool> {
        self.patience.wait(|| self.store.delete_document(kind, id, expected)).await
    }

    fn keeps_gold_rows(&self) -> bool {
        self.store.keeps_gold_rows()
    }

    async fn write_cells(&self, cells: Vec<GoldCell>) -> Result<()> {
        self.patience.wait(|| self.store.write_cells(cells.clone())).await
    }

    async fn scan_cells(&self, view: &str, after: Option<Bytes>, limit: usize) -> Result<Vec<GoldCell>> {
        self.patience.wait(|| self.store.scan_cells(view, after.clone(), limit)).await
    }

    async fn close(&self) -> Result<()> {
        self.store.close().await
    }
}

#[cfg(test)]
mod tests;
