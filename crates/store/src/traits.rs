//! What every backend can do.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    ClaimInsert, DeadLetter, DecisionRecord, Document, DocumentKind, GoldCell, Insert, JobNumber, LedgerEntry,
    NewClaim, Position, Replacement, ShardId, SilverDoc, SpooledShard, Stamp, StoreError,
};

type Result<T> = std::result::Result<T, StoreError>;

/// A store of the three layers, the ledger and the supervisor's documents.
///
/// Three rules hold for every method:
/// - A write that answers `Ok` is *acknowledged*: whatever happens to this process or to the machines behind the
///   store, it stays. The one relaxation: a backend with a single ordered log may acknowledge a bronze, silver or dead
///   letter write that is not yet synced, as long as no **ledger entry or fenced document** that is acknowledged later
///   can survive without it.
/// - A read returns only what is acknowledged ("what a majority has"); a write that was refused because something is
///   present may have been refused by something that a read does not return yet.
/// - A call that fails, times out or is dropped may or may not have worked. Repeating it is harmless.
///
/// Pages are bounded by `limit` (at least 1) records; a short page is the last one.
#[async_trait::async_trait]
pub trait Store: Send + Sync + 'static {
    /// What the user called it, without secrets: `embedded:./ensemble-data`.
    fn describe(&self) -> String;

    /// Makes a silver collection ready for rows of these columns, named in the order of a row's values. A repeat with
    /// the same columns changes nothing. To be called before the first claim; other processes that use the collection
    /// need not call it again.
    ///
    /// A backend that keeps a row's values apart needs their names: it answers [`StoreError::Silver`] where the
    /// collection has other columns, or where a claim comes to a collection that nobody has declared. One that keeps
    /// rows as they are encoded has nothing to do and accepts them all.
    async fn declare_silver(&self, silver: &str, columns: &[String]) -> Result<()>;

    /// Says which bronze collection a job's decision records go to. To be called before the job is known to anybody,
    /// with the number that it alone has; a repeat changes nothing. Other processes need not call it again.
    ///
    /// A backend that keeps bronze in collections answers [`StoreError::Bronze`] where this one cannot be, and uses its
    /// default for a job of which nobody has said. One that keeps all bronze together has nothing to do.
    async fn declare_bronze(&self, job: JobNumber, bronze: &str) -> Result<()>;

    /// Inserts a shard's decision record where it has none.
    async fn insert_decision(&self, record: &DecisionRecord) -> Result<Insert>;

    /// A shard's decision record.
    async fn decision(&self, shard: ShardId) -> Result<Option<DecisionRecord>>;

    /// A job's decision records in the order of their numbers, from `from` on.
    async fn scan_decisions(&self, job: JobNumber, from: u32, limit: usize) -> Result<Vec<DecisionRecord>>;

    /// Keeps a shard whose source cannot be read twice. A repeat with the same shard changes nothing.
    async fn put_spooled(&self, shard: &SpooledShard) -> Result<()>;

    /// A spooled shard.
    async fn spooled(&self, shard: ShardId) -> Result<Option<SpooledShard>>;

    /// Forgets a spooled shard; to be called once it is settled.
    async fn delete_spooled(&self, shard: ShardId) -> Result<()>;

    /// Inserts each claim whose key is absent; the answers are in the order of the claims. No key occurs twice. Claims
    /// that come in the order of their keys cost least. They are shared, since a shard has thousands, and is repeated.
    async fn insert_claims(&self, silver: &str, claims: Arc<Vec<NewClaim>>) -> Result<Vec<ClaimInsert>>;

    /// The documents under `keys`, in their order.
    async fn read_claims(&self, silver: &str, keys: Vec<Bytes>) -> Result<Vec<Option<SilverDoc>>>;

    /// Replaces each document whose live claim has the expected rank and shard; `false` where it has not (or the key is
    /// absent). Where an earlier call has put the very same document there already, the answer may be either: `true`
    /// always means that the document is there, durably. No key occurs twice.
    async fn replace_claims(&self, silver: &str, replacements: Vec<Replacement>) -> Result<Vec<bool>>;

    /// Silver in bytewise order of the keys, behind `after`.
    async fn scan_silver(&self, silver: &str, after: Option<Bytes>, limit: usize) -> Result<Vec<(Bytes, SilverDoc)>>;

    /// Keeps dead letters; one that is there already (same shard and position) stays.
    async fn put_dead_letters(&self, letters: Vec<DeadLetter>) -> Result<()>;

    /// Dead letters in the order of shard and position, behind `after`; of one job or of all.
    async fn scan_dead_letters(
        &self,
        job: Option<JobNumber>,
        after: Option<(ShardId, Position)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>>;

    /// Inserts a shard's ledger entry where it has none. `Ok(Inserted)` means: it and all that this caller has written
    /// before are durable.
    async fn insert_ledger(&self, entry: &LedgerEntry) -> Result<Insert>;

    /// A shard's ledger entry.
    async fn ledger(&self, shard: ShardId) -> Result<Option<LedgerEntry>>;

    /// Whether each of these shards has a ledger entry.
    async fn settled(&self, shards: &[ShardId]) -> Result<Vec<bool>>;

    /// A job's ledger entries in the order of their numbers, from `from` on.
    async fn scan_ledger(&self, job: JobNumber, from: u32, limit: usize) -> Result<Vec<LedgerEntry>>;

    /// A fenced document.
    async fn document(&self, kind: DocumentKind, id: &str) -> Result<Option<Document>>;

    /// Writes a fenced document where the stored stamp is `expected` (`None`: where it is absent) and the new stamp is
    /// higher; `false` where it is not.
    async fn write_document(&self, kind: DocumentKind, expected: Option<Stamp>, document: &Document) -> Result<bool>;

    /// Documents of a kind in bytewise order of their ids, behind `after`.
    async fn scan_documents(&self, kind: DocumentKind, after: Option<&str>, limit: usize) -> Result<Vec<Document>>;

    /// Deletes a fenced document where its stamp is `expected`; `false` where it is not.
    async fn delete_document(&self, kind: DocumentKind, id: &str, expected: Stamp) -> Result<bool>;

    /// Whether gold cells are to come with their [rows](crate::GoldRows), which cost their writer a little: where other
    /// clients read the store.
    fn keeps_gold_rows(&self) -> bool {
        false
    }

    /// Writes each gold cell whose stored stamp is lower or absent; the others stay. The rows go with their cell.
    async fn write_cells(&self, cells: Vec<GoldCell>) -> Result<()>;

    /// A view's cells in bytewise order of their keys, behind `after`. Cells that are gone (empty) are included.
    async fn scan_cells(&self, view: &str, after: Option<Bytes>, limit: usize) -> Result<Vec<GoldCell>>;

    /// Writes everything out and releases the store. Later calls answer [`StoreError::Closed`].
    async fn close(&self) -> Result<()>;
}
