//! `LayerService`: the store as it is, for programs of this version.

use ensemble_protocol::{
    MAX_BRONZE_PAGE, MAX_PAGE, Refusal,
    v1::{self, layer_service_server::LayerService, read_documents_request::Which},
};
use ensemble_store::{DocumentKind, JobNumber};
use tonic::{Request, Response, Status, async_trait};

use super::{Desk, store_refused};

/// How many records to give: at least one, so that a page that is not the last is never empty.
fn limit(asked: u32, most: usize) -> usize {
    (asked as usize).clamp(1, most)
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
        let documents = match request.which {
            Some(Which::Id(id)) => self.store.document(kind, &id).await.map(Vec::from_iter),
            Some(Which::After(after)) => {
                let after = Some(after.as_str()).filter(|after| !after.is_empty());
                self.store.scan_documents(kind, after, limit(request.limit, MAX_PAGE)).await
            }
            None => self.store.scan_documents(kind, None, limit(request.limit, MAX_PAGE)).await,
        };
        let documents = documents.map_err(store_refused)?.into_iter().map(Into::into).collect();
        Ok(Response::new(v1::ReadDocumentsResponse { documents }))
    }

    async fn read_ledger(
        &self,
        request: Request<v1::ReadShardsRequest>,
    ) -> Result<Response<v1::ReadLedgerResponse>, Status> {
        let v1::ReadShardsRequest { job_number, from_shard, limit: asked } = request.into_inner();
        let entries = self.store.scan_ledger(JobNumber(job_number), from_shard, limit(asked, MAX_PAGE)).await;
        let entries = entries.map_err(store_refused)?.into_iter().map(Into::into).collect();
        Ok(Response::new(v1::ReadLedgerResponse { entries }))
    }

    async fn read_bronze(
        &self,
        request: Request<v1::ReadShardsRequest>,
    ) -> Result<Response<v1::ReadBronzeResponse>, Status> {
        let v1::ReadShardsRequest { job_number, from_shard, limit: asked } = request.into_inner();
        let records = self.store.scan_decisions(JobNumber(job_number), from_shard, limit(asked, MAX_BRONZE_PAGE)).await;
        let records = records.map_err(store_refused)?.into_iter().map(Into::into).collect();
        Ok(Response::new(v1::ReadBronzeResponse { records }))
    }

    async fn read_silver(
        &self,
        request: Request<v1::ReadKeysRequest>,
    ) -> Result<Response<v1::ReadSilverResponse>, Status> {
        let v1::ReadKeysRequest { name, after, limit: asked } = request.into_inner();
        let documents = self.store.scan_silver(&name, after, limit(asked, MAX_PAGE)).await.map_err(store_refused)?;
        let documents = documents.into_iter().map(|(key, doc)| (key, Some(doc)).into()).collect();
        Ok(Response::new(v1::ReadSilverResponse { documents }))
    }

    async fn look_up_silver(
        &self,
        request: Request<v1::LookUpSilverRequest>,
    ) -> Result<Response<v1::LookUpSilverResponse>, Status> {
        let v1::LookUpSilverRequest { silver, keys } = request.into_inner();
        let documents = self.store.read_claims(&silver, keys.clone()).await.map_err(store_refused)?;
        let documents = keys.into_iter().zip(documents).map(Into::into).collect();
        Ok(Response::new(v1::LookUpSilverResponse { documents }))
    }

    async fn read_dead_letters(
        &self,
        request: Request<v1::ReadDeadLettersRequest>,
    ) -> Result<Response<v1::ReadDeadLettersResponse>, Status> {
        let v1::ReadDeadLettersRequest { job_number, after, limit: asked } = request.into_inner();
        let (job, after) = (job_number.map(JobNumber), after.map(Into::into));
        let letters = self.store.scan_dead_letters(job, after, limit(asked, MAX_PAGE)).await.map_err(store_refused)?;
        Ok(Response::new(v1::ReadDeadLettersResponse { letters: letters.into_iter().map(Into::into).collect() }))
    }

    async fn read_cells(
        &self,
        request: Request<v1::ReadKeysRequest>,
    ) -> Result<Response<v1::ReadCellsResponse>, Status> {
        let v1::ReadKeysRequest { name, after, limit: asked } = request.into_inner();
        let cells = self.store.scan_cells(&name, after, limit(asked, MAX_PAGE)).await.map_err(store_refused)?;
        let cells = cells.into_iter().map(|cell| v1::GoldCell {
            key: cell.key,
            stamp: Some(cell.stamp.into()),
            cell: cell.cell,
        });
        Ok(Response::new(v1::ReadCellsResponse { cells: cells.collect() }))
    }
}
