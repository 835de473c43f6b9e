//! A store that is read through a server.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use ensemble_store::{
    ClaimInsert, DeadLetter, DecisionRecord, Document, DocumentKind, GoldCell, Insert, JobNumber, LedgerEntry,
    NewClaim, Position, Replacement, ShardId, SilverDoc, SpooledShard, Stamp, Store, StoreError,
};
use tonic::{Code, Status, transport::Channel};

use crate::{
    ConvertError, MAX_MESSAGE_BYTES, MAX_PAGE,
    v1::{self, layer_service_client::LayerServiceClient, read_documents_request::Which},
};

type Result<T> = std::result::Result<T, StoreError>;

/// How long one call may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);

/// The reading half of a store, over `LayerService`. Whatever writes answers [`StoreError::Refused`].
pub struct RemoteStore {
    layers: LayerServiceClient<Channel>,
    address: String,
    name: String,
}

impl RemoteStore {
    /// The store of the server at this address.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the server does not answer; it may later.
    pub async fn open(channel: Channel, address: &str) -> Result<Arc<Self>> {
        let layers = layer_client(channel);
        let mut store = Self { layers, address: address.to_owned(), name: String::new() };
        let described = store.layers().describe_store(v1::DescribeStoreRequest {}).await;
        store.name = described.map_err(|e| store.failed(&e))?.into_inner().store;
        Ok(Arc::new(store))
    }

    fn layers(&self) -> LayerServiceClient<Channel> {
        self.layers.clone()
    }

    fn failed(&self, status: &Status) -> StoreError {
        match status.code() {
            Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded => {
                StoreError::Unavailable(format!("{}: {}", self.address, status.message()))
            }
            _ => StoreError::Server {
                server: self.address.clone(),
                action: "read the layers",
                reason: status.message().to_owned(),
            },
        }
    }

    async fn call<T>(&self, call: impl Future<Output = std::result::Result<tonic::Response<T>, Status>>) -> Result<T> {
        match tokio::time::timeout(TIMEOUT, call).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(self.failed(&status)),
            Err(_) => Err(StoreError::Unavailable(format!("{}: no answer within {TIMEOUT:?}", self.address))),
        }
    }

    fn read<M, T: TryFrom<M, Error = ConvertError>>(&self, messages: Vec<M>) -> Result<Vec<T>> {
        messages.into_iter().map(|m| m.try_into().map_err(|e: ConvertError| self.unreadable(e))).collect()
    }

    fn unreadable(&self, reason: impl ToString) -> StoreError {
        StoreError::Server { server: self.address.clone(), action: "read the layers", reason: reason.to_string() }
    }

    fn refused<T>(&self) -> Result<T> {
        let problem = "is read through a server: nothing can be written so".to_owned();
        Err(StoreError::Refused { server: self.address.clone(), problem })
    }
}

/// What reads the layers over this channel.
pub(crate) fn layer_client(channel: Channel) -> LayerServiceClient<Channel> {
    LayerServiceClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// Records that a caller wants, page by page: a page of the server's may be shorter than what is asked for.
struct Wanted<T> {
    records: Vec<T>,
    limit: usize,
    more: bool,
}

impl<T> Wanted<T> {
    fn new(limit: usize) -> Self {
        Self { records: Vec::new(), limit, more: true }
    }

    /// How many to ask for; `None` where there are enough, or no more.
    fn next(&self) -> Option<u32> {
        let left = self.limit - self.records.len();
        (self.more && left > 0).then(|| u32::try_from(left).unwrap_or(u32::MAX))
    }

    fn take(&mut self, page: Vec<T>, more: bool) {
        self.more = more && !page.is_empty();
        self.records.extend(page);
    }
}

#[async_trait]
impl Store for RemoteStore {
    fn describe(&self) -> String {
        self.name.clone()
    }

    async fn declare_silver(&self, _: &str, _: &[String]) -> Result<()> {
        self.refused()
    }

    async fn declare_bronze(&self, _: JobNumber, _: &str) -> Result<()> {
        self.refused()
    }

    async fn insert_decision(&self, _: &DecisionRecord) -> Result<Insert> {
        self.refused()
    }

    async fn decision(&self, shard: ShardId) -> Result<Option<DecisionRecord>> {
        let page = self.scan_decisions(shard.job, shard.number, 1).await?;
        Ok(page.into_iter().find(|record| record.plan.shard == shard))
    }

    async fn scan_decisions(&self, job: JobNumber, mut from: u32, limit: usize) -> Result<Vec<DecisionRecord>> {
        let mut wanted = Wanted::new(limit);
        while let Some(limit) = wanted.next() {
            let request = v1::ReadShardsRequest { job_number: job.0, from_shard: from, limit };
            let page = self.call(self.layers().read_bronze(request)).await?;
            let found: Vec<DecisionRecord> = self.read(page.records)?;
            from = found.last().map_or(from, |last| last.plan.shard.number + 1);
            wanted.take(found, page.more);
        }
        Ok(wanted.records)
    }

    async fn put_spooled(&self, _: &SpooledShard) -> Result<()> {
        self.refused()
    }

    async fn spooled(&self, _: ShardId) -> Result<Option<SpooledShard>> {
        self.refused()
    }

    async fn delete_spooled(&self, _: ShardId) -> Result<()> {
        self.refused()
    }

    async fn insert_claims(&self, _: &str, _: Arc<Vec<NewClaim>>) -> Result<Vec<ClaimInsert>> {
        self.refused()
    }

    async fn read_claims(&self, silver: &str, keys: Vec<Bytes>) -> Result<Vec<Option<SilverDoc>>> {
        let mut docs = Vec::with_capacity(keys.len());
        while docs.len() < keys.len() {
            // Large documents come in several answers.
            let open: Vec<_> = keys.iter().skip(docs.len()).take(MAX_PAGE).cloned().collect();
            let request = v1::LookUpSilverRequest { silver: silver.to_owned(), keys: open };
            let documents = self.call(self.layers().look_up_silver(request)).await?.documents;
            if documents.is_empty() {
                return Err(self.unreadable("no document for a key that was asked for"));
            }
            let found: Vec<(Bytes, Option<SilverDoc>)> = self.read(documents)?;
            docs.extend(found.into_iter().map(|(_, doc)| doc));
        }
        Ok(docs)
    }

    async fn replace_claims(&self, _: &str, _: Vec<Replacement>) -> Result<Vec<bool>> {
        self.refused()
    }

    async fn scan_silver(
        &self,
        silver: &str,
        mut after: Option<Bytes>,
        limit: usize,
    ) -> Result<Vec<(Bytes, SilverDoc)>> {
        let mut wanted = Wanted::new(limit);
        while let Some(limit) = wanted.next() {
            let request = v1::ReadKeysRequest { name: silver.to_owned(), after: after.take(), limit };
            let page = self.call(self.layers().read_silver(request)).await?;
            let found: Vec<(Bytes, Option<SilverDoc>)> = self.read(page.documents)?;
            after = found.last().map(|(key, _)| key.clone());
            wanted.take(found.into_iter().filter_map(|(key, doc)| Some((key, doc?))).collect(), page.more);
        }
        Ok(wanted.records)
    }

    async fn put_dead_letters(&self, _: Vec<DeadLetter>) -> Result<()> {
        self.refused()
    }

    async fn scan_dead_letters(
        &self,
        job: Option<JobNumber>,
        mut after: Option<(ShardId, Position)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        let mut wanted = Wanted::new(limit);
        while let Some(limit) = wanted.next() {
            let (job_number, behind) = (job.map(|job| job.0), after.map(Into::into));
            let request = v1::ReadDeadLettersRequest { job_number, after: behind, limit };
            let page = self.call(self.layers().read_dead_letters(request)).await?;
            let found: Vec<DeadLetter> = self.read(page.letters)?;
            after = found.last().map(|last| (last.shard, last.position));
            wanted.take(found, page.more);
        }
        Ok(wanted.records)
    }

    async fn insert_ledger(&self, _: &LedgerEntry) -> Result<Insert> {
        self.refused()
    }

    async fn ledger(&self, shard: ShardId) -> Result<Option<LedgerEntry>> {
        let page = self.scan_ledger(shard.job, shard.number, 1).await?;
        Ok(page.into_iter().find(|entry| entry.plan.shard == shard))
    }

    async fn settled(&self, shards: &[ShardId]) -> Result<Vec<bool>> {
        let mut settled = Vec::with_capacity(shards.len());
        for shard in shards {
            settled.push(self.ledger(*shard).await?.is_some());
        }
        Ok(settled)
    }

    async fn scan_ledger(&self, job: JobNumber, mut from: u32, limit: usize) -> Result<Vec<LedgerEntry>> {
        let mut wanted = Wanted::new(limit);
        while let Some(limit) = wanted.next() {
            let request = v1::ReadShardsRequest { job_number: job.0, from_shard: from, limit };
            let page = self.call(self.layers().read_ledger(request)).await?;
            let found: Vec<LedgerEntry> = self.read(page.entries)?;
            from = found.last().map_or(from, |last| last.plan.shard.number + 1);
            wanted.take(found, page.more);
        }
        Ok(wanted.records)
    }

    async fn document(&self, kind: DocumentKind, id: &str) -> Result<Option<Document>> {
        let kind = v1::DocumentKind::from(kind).into();
        let request = v1::ReadDocumentsRequest { kind, which: Some(Which::Id(id.to_owned())), limit: 1 };
        Ok(self.read(self.call(self.layers().read_documents(request)).await?.documents)?.pop())
    }

    async fn write_document(&self, _: DocumentKind, _: Option<Stamp>, _: &Document) -> Result<bool> {
        self.refused()
    }

    async fn scan_documents(&self, kind: DocumentKind, after: Option<&str>, limit: usize) -> Result<Vec<Document>> {
        let kind = v1::DocumentKind::from(kind).into();
        let mut after = after.unwrap_or_default().to_owned();
        let mut wanted = Wanted::new(limit);
        while let Some(limit) = wanted.next() {
            let request = v1::ReadDocumentsRequest { kind, which: Some(Which::After(after.clone())), limit };
            let page = self.call(self.layers().read_documents(request)).await?;
            let found: Vec<Document> = self.read(page.documents)?;
            after = found.last().map(|last| last.id.clone()).unwrap_or_default();
            wanted.take(found, page.more);
        }
        Ok(wanted.records)
    }

    async fn delete_document(&self, _: DocumentKind, _: &str, _: Stamp) -> Result<bool> {
        self.refused()
    }

    async fn write_cells(&self, _: Vec<GoldCell>) -> Result<()> {
        self.refused()
    }

    async fn scan_cells(&self, view: &str, mut after: Option<Bytes>, limit: usize) -> Result<Vec<GoldCell>> {
        let mut wanted = Wanted::new(limit);
        while let Some(limit) = wanted.next() {
            let request = v1::ReadKeysRequest { name: view.to_owned(), after: after.take(), limit };
            let page = self.call(self.layers().read_cells(request)).await?;
            after = page.cells.last().map(|last| last.key.clone());
            let cell = |cell: v1::GoldCell| GoldCell {
                view: view.to_owned(),
                key: cell.key,
                stamp: cell.stamp.unwrap_or_default().into(),
                cell: cell.cell,
                rows: None,
            };
            wanted.take(page.cells.into_iter().map(cell).collect(), page.more);
        }
        Ok(wanted.records)
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}
