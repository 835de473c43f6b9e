//! A store whose calls are repeated until the server has answered them.

use std::sync::Arc;

use bytes::Bytes;
use ensemble_store::{
    ClaimInsert, DeadLetter, DecisionRecord, Document, DocumentKind, ErrorClass, GoldCell, Insert, JobNumber,
    LedgerEntry, NewClaim, Patience, PatientStore, Position, Replacement, ShardId, SilverDoc, SpooledShard, Stamp,
    Store, StoreError, SystemClock,
};

type Result<T> = std::result::Result<T, StoreError>;

/// [`PatientStore`], but for claims that go to the server in several commands: what one attempt has inserted before
/// another of its commands failed is this caller's own, as it is for a committer, and not somebody else's.
pub(crate) struct Repeating {
    store: Arc<dyn Store>,
    patient: PatientStore,
    /// So many claims go in one command.
    batch: usize,
}

impl Repeating {
    pub(crate) fn new(store: Arc<dyn Store>, batch: usize) -> Self {
        let patience = Arc::new(Patience::new(Arc::new(SystemClock)));
        Self { patient: PatientStore::new(Arc::clone(&store), patience), store, batch }
    }

    /// Of what was refused, what an attempt before has inserted.
    async fn own(&self, silver: &str, claims: &[NewClaim], answers: &mut [ClaimInsert]) -> Result<()> {
        let refused: Vec<usize> = (0..claims.len()).filter(|at| answers[*at] != ClaimInsert::Inserted).collect();
        let keys = refused.iter().map(|at| claims[*at].key.clone()).collect();
        for (at, stored) in refused.into_iter().zip(self.read_claims(silver, keys).await?) {
            let chain = stored.into_iter().flat_map(|doc| doc.displaced.into_iter().chain([doc.live]));
            if chain.into_iter().any(|claim| claim == claims[at].claim) {
                answers[at] = ClaimInsert::Inserted;
            }
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Store for Repeating {
    fn describe(&self) -> String {
        self.patient.describe()
    }

    fn keeps_gold_rows(&self) -> bool {
        self.patient.keeps_gold_rows()
    }

    async fn insert_claims(&self, silver: &str, claims: Arc<Vec<NewClaim>>) -> Result<Vec<ClaimInsert>> {
        if claims.len() <= self.batch {
            // One command, of which a failed attempt has done nothing.
            return self.patient.insert_claims(silver, claims).await;
        }
        match self.store.insert_claims(silver, Arc::clone(&claims)).await {
            Err(error) if error.class() == ErrorClass::Transient => {
                let mut answers = self.patient.insert_claims(silver, Arc::clone(&claims)).await?;
                self.own(silver, &claims, &mut answers).await?;
                Ok(answers)
            }
            answer => answer,
        }
    }

    async fn declare_bronze(&self, job: JobNumber, bronze: &str) -> Result<()> {
        self.patient.declare_bronze(job, bronze).await
    }

    async fn insert_decision(&self, record: &DecisionRecord) -> Result<Insert> {
        self.patient.insert_decision(record).await
    }

    async fn decision(&self, shard: ShardId) -> Result<Option<DecisionRecord>> {
        self.patient.decision(shard).await
    }

    async fn scan_decisions(&self, job: JobNumber, from: u32, limit: usize) -> Result<Vec<DecisionRecord>> {
        self.patient.scan_decisions(job, from, limit).await
    }

    async fn put_spooled(&self, shard: &SpooledShard) -> Result<()> {
        self.patient.put_spooled(shard).await
    }

    async fn spooled(&self, shard: ShardId) -> Result<Option<SpooledShard>> {
        self.patient.spooled(shard).await
    }

    async fn delete_spooled(&self, shard: ShardId) -> Result<()> {
        self.patient.delete_spooled(shard).await
    }

    async fn declare_silver(&self, silver: &str, columns: &[String]) -> Result<()> {
        self.patient.declare_silver(silver, columns).await
    }

    async fn read_claims(&self, silver: &str, keys: Vec<Bytes>) -> Result<Vec<Option<SilverDoc>>> {
        self.patient.read_claims(silver, keys).await
    }

    async fn replace_claims(&self, silver: &str, replacements: Vec<Replacement>) -> Result<Vec<bool>> {
        self.patient.replace_claims(silver, replacements).await
    }

    async fn scan_silver(&self, silver: &str, after: Option<Bytes>, limit: usize) -> Result<Vec<(Bytes, SilverDoc)>> {
        self.patient.scan_silver(silver, after, limit).await
    }

    async fn put_dead_letters(&self, letters: Vec<DeadLetter>) -> Result<()> {
        self.patient.put_dead_letters(letters).await
    }

    async fn scan_dead_letters(
        &self,
        job: Option<JobNumber>,
        after: Option<(ShardId, Position)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        self.patient.scan_dead_letters(job, after, limit).await
    }

    async fn insert_ledger(&self, entry: &LedgerEntry) -> Result<Insert> {
        self.patient.insert_ledger(entry).await
    }

    async fn ledger(&self, shard: ShardId) -> Result<Option<LedgerEntry>> {
        self.patient.ledger(shard).await
    }

    async fn settled(&self, shards: &[ShardId]) -> Result<Vec<bool>> {
        self.patient.settled(shards).await
    }

    async fn scan_ledger(&self, job: JobNumber, from: u32, limit: usize) -> Result<Vec<LedgerEntry>> {
        self.patient.scan_ledger(job, from, limit).await
    }

    async fn document(&self, kind: DocumentKind, id: &str) -> Result<Option<Document>> {
        self.patient.document(kind, id).await
    }

    async fn write_document(&self, kind: DocumentKind, expected: Option<Stamp>, document: &Document) -> Result<bool> {
        self.patient.write_document(kind, expected, document).await
    }

    async fn scan_documents(&self, kind: DocumentKind, after: Option<&str>, limit: usize) -> Result<Vec<Document>> {
        self.patient.scan_documents(kind, after, limit).await
    }

    async fn delete_document(&self, kind: DocumentKind, id: &str, expected: Stamp) -> Result<bool> {
        self.patient.delete_document(kind, id, expected).await
    }

    async fn write_cells(&self, cells: Vec<GoldCell>) -> Result<()> {
        self.patient.write_cells(cells).await
    }

    async fn scan_cells(&self, view: &str, after: Option<Bytes>, limit: usize) -> Result<Vec<GoldCell>> {
        self.patient.scan_cells(view, after, limit).await
    }

    async fn close(&self) -> Result<()> {
        self.patient.close().await
    }
}
