//! The store's face: each method names its collection and hands on.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    bronze,
    bronze_names::BronzeNames,
    connect, documents, gold, ledger, letters, migrate,
    options::{MongoCollections, MongoOptions, is_collection_name},
    server::Server,
    silver::{self, Declared},
};
use crate::{
    ClaimInsert, DeadLetter, DecisionRecord, Document, DocumentKind, GoldCell, Insert, JobNumber, LedgerEntry,
    NewClaim, Position, Replacement, ShardId, SilverDoc, SpooledShard, Stamp, Store, StoreError,
};

type Result<T> = std::result::Result<T, StoreError>;

/// A store in a database of a MongoDB replica set; see the [module](crate::mongo). Any number of processes may use one
/// database at the same time. It works inside a Tokio runtime.
#[derive(Debug)]
pub struct MongoStore {
    server: Server,
    names: MongoCollections,
    declared: Declared,
    bronze: BronzeNames,
}

impl MongoStore {
    /// Connects, checks that the server is there, lets this user in and acknowledges a write by a majority, and creates
    /// the collections that are absent. Takes no longer than [`MongoOptions::operation_timeout`].
    ///
    /// # Errors
    /// - [`StoreError::Setting`]: settings that contradict each other.
    /// - [`StoreError::Refused`]: unknown host, wrong password, missing rights, TLS; it says what to do.
    /// - [`StoreError::UnknownVersion`]: another version has written the database.
    /// - [`StoreError::Unavailable`]: nobody answers, or there is no primary; it may pass.
    pub async fn connect(options: MongoOptions) -> Result<Arc<Self>> {
        options.check()?;
        let limit = options.operation_timeout;
        let late = || StoreError::Unavailable(format!("MongoDB did not let this program in within {limit:?}"));
        tokio::time::timeout(limit, Box::pin(Self::open(options))).await.unwrap_or_else(|_| Err(late()))
    }

    async fn open(options: MongoOptions) -> Result<Arc<Self>> {
        let (server, client) = connect::server(&options).await?;
        let names = options.collections;
        let (declared, bronze) = (Declared::new(names.clone()), BronzeNames::new(names.clone()));
        let store = Self { server, names, declared, bronze };
        match store.migrate().await {
            Ok(()) => Ok(Arc::new(store)),
            Err(error) => Err(connect::explained(&store.server, client, error).await),
        }
    }

    /// Creates collections and indexes that are absent, as [`MongoStore::connect`] does. A repeat changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Refused`] where the user may not; [`StoreError::UnknownVersion`]; transient ones.
    pub async fn migrate(&self) -> Result<()> {
        migrate::migrate(&self.server, &self.names).await
    }

    /// The collection of a gold view.
    fn view<'a>(&self, view: &'a str) -> Result<&'a str> {
        if !self.names.is_taken(view) && is_collection_name(view) {
            return Ok(view);
        }
        let problem = format!("leave no room for a view named {view}: rename the view in the contract");
        Err(StoreError::Setting { setting: "collections", problem })
    }
}

#[async_trait::async_trait]
impl Store for MongoStore {
    fn describe(&self) -> String {
        self.server.name.clone()
    }

    async fn declare_silver(&self, silver: &str, columns: &[String]) -> Result<()> {
        self.declared.declare(&self.server, silver, columns).await
    }

    async fn declare_bronze(&self, job: JobNumber, bronze: &str) -> Result<()> {
        self.bronze.declare(&self.server, &self.declared, job, bronze).await
    }

    async fn insert_decision(&self, record: &DecisionRecord) -> Result<Insert> {
        let collection = self.bronze.of(&self.server, record.plan.shard.job).await?;
        bronze::insert(&self.server, &collection, record).await
    }

    async fn decision(&self, shard: ShardId) -> Result<Option<DecisionRecord>> {
        let collection = self.bronze.of(&self.server, shard.job).await?;
        bronze::decision(&self.server, &collection, shard).await
    }

    async fn scan_decisions(&self, job: JobNumber, from: u32, limit: usize) -> Result<Vec<DecisionRecord>> {
        let collection = self.bronze.of(&self.server, job).await?;
        bronze::scan(&self.server, &collection, job, from, limit).await
    }

    async fn put_spooled(&self, shard: &SpooledShard) -> Result<()> {
        bronze::spool(&self.server, &self.names.spool, shard).await
    }

    async fn spooled(&self, shard: ShardId) -> Result<Option<SpooledShard>> {
        bronze::spooled(&self.server, &self.names.spool, shard).await
    }

    async fn delete_spooled(&self, shard: ShardId) -> Result<()> {
        bronze::forget(&self.server, &self.names.spool, shard).await
    }

    async fn insert_claims(&self, silver: &str, claims: Arc<Vec<NewClaim>>) -> Result<Vec<ClaimInsert>> {
        silver::insert(&self.server, &self.declared, silver, claims).await
    }

    async fn read_claims(&self, silver: &str, keys: Vec<Bytes>) -> Result<Vec<Option<SilverDoc>>> {
        silver::look_up(&self.server, &self.declared, silver, &keys).await
    }

    async fn replace_claims(&self, silver: &str, replacements: Vec<Replacement>) -> Result<Vec<bool>> {
        silver::replace(&self.server, &self.declared, silver, replacements).await
    }

    async fn scan_silver(&self, silver: &str, after: Option<Bytes>, limit: usize) -> Result<Vec<(Bytes, SilverDoc)>> {
        silver::scan(&self.server, &self.declared, silver, after.as_ref(), limit).await
    }

    async fn put_dead_letters(&self, letters: Vec<DeadLetter>) -> Result<()> {
        letters::put(&self.server, &self.names.rejected, &letters).await
    }

    async fn scan_dead_letters(
        &self,
        job: Option<JobNumber>,
        after: Option<(ShardId, Position)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        letters::scan(&self.server, &self.names.rejected, job, after, limit).await
    }

    async fn insert_ledger(&self, entry: &LedgerEntry) -> Result<Insert> {
        ledger::insert(&self.server, &self.names.ledger, entry).await
    }

    async fn ledger(&self, shard: ShardId) -> Result<Option<LedgerEntry>> {
        ledger::entry(&self.server, &self.names.ledger, shard).await
    }

    async fn settled(&self, shards: &[ShardId]) -> Result<Vec<bool>> {
        ledger::settled(&self.server, &self.names.ledger, shards).await
    }

    async fn scan_ledger(&self, job: JobNumber, from: u32, limit: usize) -> Result<Vec<LedgerEntry>> {
        ledger::scan(&self.server, &self.names.ledger, job, from, limit).await
    }

    async fn document(&self, kind: DocumentKind, id: &str) -> Result<Option<Document>> {
        documents::read(&self.server, documents::collection(&self.names, kind), id).await
    }

    async fn write_document(&self, kind: DocumentKind, expected: Option<Stamp>, document: &Document) -> Result<bool> {
        documents::write(&self.server, documents::collection(&self.names, kind), expected, document).await
    }

    async fn scan_documents(&self, kind: DocumentKind, after: Option<&str>, limit: usize) -> Result<Vec<Document>> {
        documents::scan(&self.server, documents::collection(&self.names, kind), after, limit).await
    }

    async fn delete_document(&self, kind: DocumentKind, id: &str, expected: Stamp) -> Result<bool> {
        documents::delete(&self.server, documents::collection(&self.names, kind), id, expected).await
    }

    fn keeps_gold_rows(&self) -> bool {
        true
    }

    async fn write_cells(&self, cells: Vec<GoldCell>) -> Result<()> {
        for cell in &cells {
            self.view(&cell.view)?;
        }
        gold::write(&self.server, cells).await
    }

    async fn scan_cells(&self, view: &str, after: Option<Bytes>, limit: usize) -> Result<Vec<GoldCell>> {
        gold::scan(&self.server, self.view(view)?, after, limit).await
    }

    async fn close(&self) -> Result<()> {
        self.server.close().await;
        Ok(())
    }
}
