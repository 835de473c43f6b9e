//! The store's calls: when they wait, when they fail, and when a write counts.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ensemble_store::{
    ClaimInsert, DeadLetter, DecisionRecord, Document, DocumentKind, GoldCell, Insert, JobNumber, LedgerEntry,
    NewClaim, Position, Replacement, ShardId, SilverDoc, SpooledShard, Stamp, Store, StoreError,
};

use super::{
    Broken, Random, SimCounts, Weather,
    clock::yield_now,
    replica::{Key, Record, Replica, Value, View},
    write,
};
use crate::lock;

type Result<T> = std::result::Result<T, StoreError>;

/// A store in memory that behaves as a replica set does; see the [module](crate::sim_store).
#[derive(Debug)]
pub struct SimStore {
    replica: Mutex<Replica>,
}

impl SimStore {
    /// An empty store.
    pub fn new(random: Random, weather: Weather, broken: Broken) -> Self {
        Self { replica: Mutex::new(Replica::new(random, weather, broken)) }
    }

    /// From now on calls fail as often as this.
    pub fn set_weather(&self, weather: Weather) {
        lock(&self.replica).weather = weather;
    }

    /// The majority gets the primary's next write; `false` where it has them all.
    pub fn replicate(&self) -> bool {
        lock(&self.replica).replicate()
    }

    /// Another primary is elected; what the majority does not have is gone.
    pub fn fail_over(&self) {
        lock(&self.replica).fail_over();
    }

    /// Opens it again after it was closed.
    pub fn reopen(&self) {
        lock(&self.replica).closed = false;
    }

    /// What has happened.
    pub fn counts(&self) -> SimCounts {
        lock(&self.replica).counts
    }

    /// The ledger entries in the order in which they became durable.
    pub fn appeared(&self) -> Vec<LedgerEntry> {
        lock(&self.replica).appeared.clone()
    }

    async fn linger(&self) {
        yield_now().await;
        while lock(&self.replica).lingers() {
            yield_now().await;
        }
    }

    async fn read<T: Send>(&self, look: impl Fn(&View) -> T + Send + Sync) -> Result<T> {
        self.linger().await;
        let found = {
            let mut replica = lock(&self.replica);
            replica.admit()?;
            look(replica.readable())
        };
        // What was read is old when it arrives.
        self.linger().await;
        Ok(found)
    }

    async fn get<T: Record + Send>(&self, key: Key) -> Result<Option<T>> {
        self.read(|view| view.get(&key).cloned()).await
    }

    /// At most `limit` records from `from` on, as long as `belongs`.
    async fn scan<T: Record + Send>(
        &self,
        from: Key,
        limit: usize,
        belongs: impl Fn(&Key) -> bool + Send + Sync,
    ) -> Result<Vec<(Key, T)>> {
        self.read(|view| {
            view.from(from.clone())
                .take_while(|(key, _)| belongs(key))
                .filter_map(|(key, value): (&Key, &Value)| Some((key.clone(), T::of(value)?.clone())))
                .take(limit)
                .collect()
        })
        .await
    }

    /// Writes each of a batch, waits until a majority has what was written, and answers, or does not.
    async fn write<I: Send, T: Send>(
        &self,
        batch: Vec<I>,
        apply: impl Fn(&mut Replica, I) -> T + Send + Sync,
    ) -> Result<Vec<T>> {
        let (done, term, written) = self.apply(batch, apply).await?;
        self.acknowledge(term, written).await?;
        Ok(done)
    }

    /// As [`SimStore::write`], for what answers only that it is there: somebody else's write, which was there before,
    /// has to be durable as well.
    async fn keep<I: Send, T: Send>(
        &self,
        batch: Vec<I>,
        apply: impl Fn(&mut Replica, I) -> T + Send + Sync,
    ) -> Result<()> {
        let (_, term, _) = self.apply(batch, apply).await?;
        let written = lock(&self.replica).written();
        self.acknowledge(term, written).await
    }

    /// Returns the answers, the primary's term and how many writes have to be durable.
    async fn apply<I: Send, T: Send>(
        &self,
        batch: Vec<I>,
        apply: impl Fn(&mut Replica, I) -> T + Send + Sync,
    ) -> Result<(Vec<T>, Option<u64>, u64)> {
        self.linger().await;
        lock(&self.replica).admit()?;
        let mut done = Vec::with_capacity(batch.len());
        let (mut term, mut written) = (None, 0);
        for item in batch {
            if lock(&self.replica).lingers() {
                yield_now().await;
            }
            let mut replica = lock(&self.replica);
            if *term.get_or_insert(replica.term) != replica.term {
                return Err(replica.unknown());
            }
            let before = replica.written();
            done.push(apply(&mut replica, item));
            if replica.written() > before {
                written = replica.written();
            }
        }
        Ok((done, term, written))
    }

    async fn write_one<T: Send>(&self, apply: impl Fn(&mut Replica) -> T + Send + Sync) -> Result<T> {
        let done = self.write(vec![()], |replica, ()| apply(replica)).await?;
        done.into_iter().next().ok_or(StoreError::Closed)
    }

    async fn acknowledge(&self, term: Option<u64>, written: u64) -> Result<()> {
        let lost = {
            let mut replica = lock(&self.replica);
            let rate = replica.weather.lose_reply;
            replica.random.chance(rate)
        };
        loop {
            yield_now().await;
            let mut replica = lock(&self.replica);
            if replica.closed {
                return Err(StoreError::Closed);
            }
            if lost {
                replica.counts.lost_replies += 1;
                return Err(StoreError::Unavailable("the answer was lost".to_owned()));
            }
            if written > 0 && term.is_some_and(|term| term != replica.term) {
                return Err(replica.unknown());
            }
            if replica.is_acknowledged(written) {
                return Ok(());
            }
            if replica.weather.self_replicating {
                replica.replicate();
            }
        }
    }
}

fn records<T>(found: Vec<(Key, T)>) -> Vec<T> {
    found.into_iter().map(|(_, record)| record).collect()
}

/// Behind a key of bytes: the same bytes and a zero.
fn behind(after: Option<Bytes>) -> Bytes {
    after.map_or_else(Bytes::new, |after| [&after[..], &[0]].concat().into())
}

#[async_trait::async_trait]
impl Store for SimStore {
    fn describe(&self) -> String {
        "simulated".to_owned()
    }

    /// Rows are kept as they are encoded, so their columns do not matter here.
    async fn declare_silver(&self, _silver: &str, _columns: &[String]) -> Result<()> {
        self.write_one(|_| ()).await
    }

    /// All bronze is kept together.
    async fn declare_bronze(&self, _job: JobNumber, _bronze: &str) -> Result<()> {
        self.write_one(|_| ()).await
    }

    async fn insert_decision(&self, record: &DecisionRecord) -> Result<Insert> {
        self.write_one(|replica| write::decision(replica, record)).await
    }

    async fn decision(&self, shard: ShardId) -> Result<Option<DecisionRecord>> {
        self.get(Key::Decision(shard)).await
    }

    async fn scan_decisions(&self, job: JobNumber, from: u32, limit: usize) -> Result<Vec<DecisionRecord>> {
        let first = Key::Decision(ShardId { job, number: from });
        self.scan(first, limit, |k| matches!(k, Key::Decision(s) if s.job == job)).await.map(records)
    }

    async fn put_spooled(&self, shard: &SpooledShard) -> Result<()> {
        let key = Key::Spooled(shard.plan.shard);
        self.keep(vec![key], |replica, key| replica.insert_if_absent(key, shard.clone())).await
    }

    async fn spooled(&self, shard: ShardId) -> Result<Option<SpooledShard>> {
        self.get(Key::Spooled(shard)).await
    }

    async fn delete_spooled(&self, shard: ShardId) -> Result<()> {
        self.write_one(|replica| replica.put(Key::Spooled(shard), None)).await
    }

    async fn insert_claims(&self, silver: &str, claims: Arc<Vec<NewClaim>>) -> Result<Vec<ClaimInsert>> {
        self.write(Arc::unwrap_or_clone(claims), |replica, new| write::claim(replica, silver, new)).await
    }

    async fn read_claims(&self, silver: &str, keys: Vec<Bytes>) -> Result<Vec<Option<SilverDoc>>> {
        let get = |view: &View, key: &Bytes| view.get(&Key::Silver(silver.to_owned(), key.clone())).cloned();
        self.read(|view| keys.iter().map(|key| get(view, key)).collect()).await
    }

    async fn replace_claims(&self, silver: &str, replacements: Vec<Replacement>) -> Result<Vec<bool>> {
        self.write(replacements, |replica, new| write::replacement(replica, silver, new)).await
    }

    async fn scan_silver(&self, silver: &str, after: Option<Bytes>, limit: usize) -> Result<Vec<(Bytes, SilverDoc)>> {
        let from = Key::Silver(silver.to_owned(), behind(after));
        let found = self.scan(from, limit, |k| matches!(k, Key::Silver(s, _) if s == silver)).await?;
        let name = |key| if let Key::Silver(_, name) = key { name } else { Bytes::new() };
        Ok(found.into_iter().map(|(key, doc)| (name(key), doc)).collect())
    }

    async fn put_dead_letters(&self, letters: Vec<DeadLetter>) -> Result<()> {
        self.keep(letters, write::letter).await
    }

    async fn scan_dead_letters(
        &self,
        job: Option<JobNumber>,
        after: Option<(ShardId, Position)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        let first = ShardId { job: job.unwrap_or(JobNumber(0)), number: 0 };
        let from = match after {
            Some((shard, Position(at))) if shard >= first => Key::Letter(shard, Position(at.saturating_add(1))),
            _ => Key::Letter(first, Position(0)),
        };
        let belongs = |k: &Key| matches!(k, Key::Letter(s, _) if job.is_none_or(|job| s.job == job));
        self.scan(from, limit, belongs).await.map(records)
    }

    async fn insert_ledger(&self, entry: &LedgerEntry) -> Result<Insert> {
        self.write_one(|replica| write::ledger(replica, entry)).await
    }

    async fn ledger(&self, shard: ShardId) -> Result<Option<LedgerEntry>> {
        self.get(Key::Ledger(shard, 0)).await
    }

    async fn settled(&self, shards: &[ShardId]) -> Result<Vec<bool>> {
        let is_settled = |view: &View, shard| view.get::<LedgerEntry>(&Key::Ledger(shard, 0)).is_some();
        self.read(|view| shards.iter().map(|shard| is_settled(view, *shard)).collect()).await
    }

    async fn scan_ledger(&self, job: JobNumber, from: u32, limit: usize) -> Result<Vec<LedgerEntry>> {
        let first = Key::Ledger(ShardId { job, number: from }, 0);
        self.scan(first, limit, |k| matches!(k, Key::Ledger(s, _) if s.job == job)).await.map(records)
    }

    async fn document(&self, kind: DocumentKind, id: &str) -> Result<Option<Document>> {
        self.get(Key::Document(kind, id.to_owned())).await
    }

    async fn write_document(&self, kind: DocumentKind, expected: Option<Stamp>, document: &Document) -> Result<bool> {
        self.write_one(|replica| write::document(replica, kind, expected, document)).await
    }

    async fn scan_documents(&self, kind: DocumentKind, after: Option<&str>, limit: usize) -> Result<Vec<Document>> {
        let from = Key::Document(kind, after.map_or_else(String::new, |after| format!("{after}\0")));
        self.scan(from, limit, |k| matches!(k, Key::Document(found, _) if *found == kind)).await.map(records)
    }

    async fn delete_document(&self, kind: DocumentKind, id: &str, expected: Stamp) -> Result<bool> {
        self.write_one(|replica| write::no_document(replica, kind, id, expected)).await
    }

    async fn write_cells(&self, cells: Vec<GoldCell>) -> Result<()> {
        self.keep(cells, write::cell).await
    }

    async fn scan_cells(&self, view: &str, after: Option<Bytes>, limit: usize) -> Result<Vec<GoldCell>> {
        let from = Key::Cell(view.to_owned(), behind(after));
        self.scan(from, limit, |k| matches!(k, Key::Cell(v, _) if v == view)).await.map(records)
    }

    async fn close(&self) -> Result<()> {
        lock(&self.replica).closed = true;
        Ok(())
    }
}
