//! `LayerService`: the store as it is, for programs of this version.

use ensemble_events::{EventsError, LogCursor, PartPage};
use ensemble_protocol::{
    MAX_PAGE, Refusal,
    v1::{self, layer_service_server::LayerService, read_documents_request::Which},
};
use ensemble_store::{DocumentKind, JobNumber};
use prost::Message;
use tonic::{Request, Response, Status, async_trait};

use super::{Desk, store_refused};

/// What a page may hold, besides its first record.
const PAGE_BYTES: usize = 4 << 20;
/// How many records are read before it is known how large they are.
const FIRST_STEP: usize = 4;

/// A page: at most as many records as were asked for, and at most [`PAGE_BYTES`] of them behind the first one.
///
/// A few are read first, and then as many as still fit by what they are like, so that no more than a page or two is in
/// memory.
struct Page<M> {
    messages: Vec<M>,
    bytes: usize,
    most: usize,
    step: usize,
    /// There is something behind the last one.
    more: bool,
    is_full: bool,
}

impl<M: Message> Page<M> {
    fn new(asked: u32) -> Self {
        let most = (asked as usize).clamp(1, MAX_PAGE);
        Self { messages: Vec::new(), bytes: 0, most, step: FIRST_STEP.min(most), more: true, is_full: false }
    }

    /// How many records to read that follow on those that were taken; `None` where the page is complete.
    fn next(&self) -> Option<usize> {
        (self.more && !self.is_full).then_some(self.step)
    }

    /// Takes what was read.
    fn take(&mut self, found: impl ExactSizeIterator<Item = impl Into<M>>) {
        self.more = found.len() >= self.step;
        for message in found.map(Into::into) {
            let length = message.encoded_len();
            if !self.messages.is_empty() && self.bytes + length > PAGE_BYTES {
                (self.more, self.is_full) = (true, true);
                return;
            }
            self.bytes += length;
            self.messages.push(message);
        }
        let average = (self.bytes / self.messages.len().max(1)).max(1);
        let left = self.most - self.messages.len();
        self.is_full = left == 0;
        self.step = (PAGE_BYTES.saturating_sub(self.bytes) / average).clamp(1, left.max(1));
    }
}

#[async_trait]
impl LayerService for Desk {
    async fn describe_store(
        &self,
        _: Request<v1::DescribeStoreRequest>,
    ) -> Result<Response<v1::DescribeStoreResponse>, Status> {
        Ok(Response::new(v1::DescribeStoreResponse { store: self.store.describe() }))
    }

    async fn read_documents(
        &self,
        request: Request<v1::ReadDocumentsRequest>,
    ) -> Result<Response<v1::ReadDocumentsResponse>, Status> {
        let request = request.into_inner();
        let kind = request.kind().try_into().map_err(|e| Refusal::InvalidField("kind").status(e))?;
        if kind == DocumentKind::Upload {
            return Err(Refusal::InvalidField("kind").status("uploads are not read back"));
        }
        let mut page = Page::new(request.limit);
        let mut after = match request.which {
            Some(Which::Id(id)) => {
                let document = self.store.document(kind, &id).await.map_err(store_refused)?;
                let documents = document.into_iter().map(Into::into).collect();
                return Ok(Response::new(v1::ReadDocumentsResponse { documents, more: false }));
            }
            Some(Which::After(after)) if !after.is_empty() => Some(after),
            _ => None,
        };
        while let Some(limit) = page.next() {
            let found = self.store.scan_documents(kind, after.as_deref(), limit).await.map_err(store_refused)?;
            after = found.last().map(|last| last.id.clone());
            page.take(found.into_iter());
        }
        Ok(Response::new(v1::ReadDocumentsResponse { documents: page.messages, more: page.more }))
    }

    async fn read_ledger(
        &self,
        request: Request<v1::ReadShardsRequest>,
    ) -> Result<Response<v1::ReadLedgerResponse>, Status> {
        let v1::ReadShardsRequest { job_number, from_shard, limit: asked } = request.into_inner();
        let (mut page, mut from) = (Page::new(asked), from_shard);
        while let Some(limit) = page.next() {
            let found = self.store.scan_ledger(JobNumber(job_number), from, limit).await.map_err(store_refused)?;
            from = found.last().map_or(from, |last| last.plan.shard.number + 1);
            page.take(found.into_iter());
        }
        Ok(Response::new(v1::ReadLedgerResponse { entries: page.messages, more: page.more }))
    }

    async fn read_bronze(
        &self,
        request: Request<v1::ReadShardsRequest>,
    ) -> Result<Response<v1::ReadBronzeResponse>, Status> {
        let v1::ReadShardsRequest { job_number, from_shard, limit: asked } = request.into_inner();
        let (mut page, mut from) = (Page::new(asked), from_shard);
        while let Some(limit) = page.next() {
            let found = self.store.scan_decisions(JobNumber(job_number), from, limit).await.map_err(store_refused)?;
            from = found.last().map_or(from, |last| last.plan.shard.number + 1);
            page.take(found.into_iter());
        }
        Ok(Response::new(v1::ReadBronzeResponse { records: page.messages, more: page.more }))
    }

    async fn read_silver(
        &self,
        request: Request<v1::ReadKeysRequest>,
    ) -> Result<Response<v1::ReadSilverResponse>, Status> {
        let v1::ReadKeysRequest { name, mut after, limit: asked } = request.into_inner();
        let mut page = Page::new(asked);
        while let Some(limit) = page.next() {
            let found = self.store.scan_silver(&name, after.take(), limit).await.map_err(store_refused)?;
            after = found.last().map(|(key, _)| key.clone());
            page.take(found.into_iter().map(|(key, doc)| (key, Some(doc))));
        }
        Ok(Response::new(v1::ReadSilverResponse { documents: page.messages, more: page.more }))
    }

    async fn look_up_silver(
        &self,
        request: Request<v1::LookUpSilverRequest>,
    ) -> Result<Response<v1::LookUpSilverResponse>, Status> {
        let v1::LookUpSilverRequest { silver, keys } = request.into_inner();
        let mut page = Page::new(u32::try_from(keys.len()).unwrap_or(u32::MAX));
        while let Some(limit) = page.next() {
            let keys: Vec<_> = keys.iter().skip(page.messages.len()).take(limit).cloned().collect();
            let found = self.store.read_claims(&silver, keys.clone()).await.map_err(store_refused)?;
            page.take(keys.into_iter().zip(found));
        }
        Ok(Response::new(v1::LookUpSilverResponse { documents: page.messages }))
    }

    async fn read_dead_letters(
        &self,
        request: Request<v1::ReadDeadLettersRequest>,
    ) -> Result<Response<v1::ReadDeadLettersResponse>, Status> {
        let v1::ReadDeadLettersRequest { job_number, after, limit: asked } = request.into_inner();
        let (job, mut after) = (job_number.map(JobNumber), after.map(Into::into));
        let mut page = Page::new(asked);
        while let Some(limit) = page.next() {
            let found = self.store.scan_dead_letters(job, after, limit).await.map_err(store_refused)?;
            after = found.last().map(|last| (last.shard, last.position));
            page.take(found.into_iter());
        }
        Ok(Response::new(v1::ReadDeadLettersResponse { letters: page.messages, more: page.more }))
    }

    async fn read_cells(
        &self,
        request: Request<v1::ReadKeysRequest>,
    ) -> Result<Response<v1::ReadCellsResponse>, Status> {
        let v1::ReadKeysRequest { name, mut after, limit: asked } = request.into_inner();
        let mut page = Page::new(asked);
        while let Some(limit) = page.next() {
            let found = self.store.scan_cells(&name, after.take(), limit).await.map_err(store_refused)?;
            after = found.last().map(|last| last.key.clone());
            page.take(found.into_iter());
        }
        Ok(Response::new(v1::ReadCellsResponse { cells: page.messages, more: page.more }))
    }

    async fn describe_events(
        &self,
        _: Request<v1::DescribeEventsRequest>,
    ) -> Result<Response<v1::DescribeEventsResponse>, Status> {
        let retired = self.events.retired().await.map_err(log_refused)?.into_iter();
        let retired = retired.map(|(job, batches)| v1::RetiredEvents { job_id: job.to_string(), batches }).collect();
        Ok(Response::new(v1::DescribeEventsResponse { log: self.events.describe(), retired }))
    }

    async fn read_events(
        &self,
        request: Request<v1::ReadEventsRequest>,
    ) -> Result<Response<v1::ReadEventsResponse>, Status> {
        let v1::ReadEventsRequest { after, limit: asked, single } = request.into_inner();
        let after = after.unwrap_or_default().into();
        let answer = if single { self.single_events(after).await? } else { self.event_batches(after, asked).await? };
        let unreadable = v1::ReadEventsResponse::default;
        Ok(Response::new(answer.unwrap_or_else(unreadable)))
    }
}

/// A damaged log is told apart: whoever verifies reports it and goes on.
fn log_refused(error: EventsError) -> Status {
    match error {
        EventsError::Corrupt { .. } => Refusal::DamagedBytes.status(error),
        error => Refusal::from_class(error.class()).status(error),
    }
}

impl Desk {
    /// Batches behind a place; `None` where the log does not keep them.
    async fn event_batches(&self, mut at: LogCursor, asked: u32) -> Result<Option<v1::ReadEventsResponse>, Status> {
        let (mut batches, mut bytes, mut more) = (Vec::<v1::EventBatch>::new(), 0, true);
        // One by one, as only a page says where to read on.
        while more && bytes < PAGE_BYTES && batches.len() < (asked as usize).clamp(1, MAX_PAGE) {
            let Some(page) = self.events.scan(at, 1).await.map_err(log_refused)? else { return Ok(None) };
            more = !page.records.is_empty();
            at = page.next;
            for batch in page.records.into_iter().map(v1::EventBatch::from) {
                bytes += batch.encoded_len();
                batches.push(batch);
            }
        }
        let next = Some(at.into());
        Ok(Some(v1::ReadEventsResponse { readable: true, batches, next, more, ..Default::default() }))
    }

    /// Single events behind a place, by shard; `None` where the log does not keep them so.
    async fn single_events(&self, after: LogCursor) -> Result<Option<v1::ReadEventsResponse>, Status> {
        let Some(page) = self.events.scan_parts(after, PAGE_BYTES).await.map_err(log_refused)? else { return Ok(None) };
        let PartPage { parts, foreign, removed, next } = page;
        let (batches, more) = (parts.into_iter().map(Into::into).collect(), next.is_some());
        let next = next.map(Into::into);
        Ok(Some(v1::ReadEventsResponse { readable: true, batches, foreign, removed, next, more }))
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use bytes::Bytes;
    use ensemble_contract::row::{RowWriter, Value};
    use ensemble_events::NoEvents;
    use ensemble_store::{Claim, EmbeddedOptions, EmbeddedStore, NewClaim, Rank, ShardId, Store};

    use super::*;
    use crate::service::DeskOptions;

    /// Fills a page with records of these sizes; how many were read at once at the most, and how many there are.
    fn fill(asked: u32, sizes: &[usize]) -> (Page<v1::StoredDocument>, usize) {
        let (mut page, mut at, mut most) = (Page::new(asked), 0, 0);
        while let Some(step) = page.next() {
            let found = &sizes[at..sizes.len().min(at + step)];
            at += found.len();
            most = most.max(found.iter().sum());
            page.take(
                found.iter().map(|size| v1::StoredDocument { body: vec![0; *size].into(), ..Default::default() }),
            );
        }
        (page, most)
    }

    #[test]
    fn a_page_is_bounded_in_records_and_in_bytes() {
        for (asked, sizes, length, more) in [
            (5, vec![1; 3], 3, false),
            (5, vec![1; 5], 5, true),
            (5, vec![1; 9], 5, true),
            (0, vec![1; 9], 1, true),
            (10, vec![], 0, false),
            // The first one is there whatever its size.
            (10, vec![PAGE_BYTES * 3, 1], 1, true),
            (10_000, vec![64 << 10; 500], 63, true),
        ] {
            let (page, most) = fill(asked, &sizes);
            assert_eq!((page.messages.len(), page.more), (length, more), "{asked} of {}", sizes.len());
            assert!(most <= PAGE_BYTES.max(sizes.iter().take(FIRST_STEP).sum()), "{most} bytes at once");
        }
        // Records that grow are found out one step later.
        let (page, most) = fill(10_000, &[[100; 100].as_slice(), &[1 << 20; 100]].concat());
        assert_eq!((page.messages.len(), page.more), (103, true));
        assert!(most > PAGE_BYTES);
    }

    #[tokio::test]
    async fn large_documents_are_looked_up_in_several_answers() {
        let dir = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(dir.path(), EmbeddedOptions::default()).unwrap();
        store.declare_silver("s", &["c".to_owned()]).await.unwrap();
        let shard = ShardId { job: JobNumber(1), number: 0 };
        let mut fields = Vec::new();
        RowWriter::new(&mut fields).push(Value::Str(&"x".repeat(1 << 20)));
        let claim = Claim { rank: Rank([1, 0, 0]), shard, fields: fields.into() };
        let keys: Vec<Bytes> = (0..10).map(|n| format!("key {n}").into()).collect();
        let claims = keys.iter().map(|key| NewClaim { key: key.clone(), claim: claim.clone() }).collect();
        store.insert_claims("s", Arc::new(claims)).await.unwrap();
        let options = DeskOptions {
            shard_bytes: 1 << 20,
            record_limit_bytes: 1 << 20,
            roots: Vec::new(),
            keep_uploads: Duration::from_secs(1),
        };
        let desk = Desk::new(store, Arc::new(NoEvents::default()), options);
        let (mut found, mut answers) = (Vec::new(), 0);
        while found.len() < keys.len() {
            let request = v1::LookUpSilverRequest { silver: "s".to_owned(), keys: keys[found.len()..].to_vec() };
            let answer = desk.look_up_silver(Request::new(request)).await.unwrap().into_inner();
            assert!(answer.encoded_len() <= PAGE_BYTES + (1 << 10));
            found.extend(answer.documents.into_iter().map(|document| {
                assert!(document.live.is_some());
                document.key
            }));
            answers += 1;
        }
        assert_eq!((found, answers), (keys, 4));
        let none = v1::LookUpSilverRequest { silver: "s".to_owned(), keys: Vec::new() };
        assert!(desk.look_up_silver(Request::new(none)).await.unwrap().into_inner().documents.is_empty());
    }
}
