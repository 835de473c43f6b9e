//! Decision records and spooled shards.

use bytes::Bytes;
use mongodb::bson::doc;
use serde::{Deserialize, Serialize};

use super::{
    names::{parts_of, shard_id},
    payload::{Packed, Payload},
    server::Server,
};
use crate::{Decision, DecisionRecord, Insert, JobNumber, ShardId, ShardPlan, SpooledShard, StoreError};

type Result<T> = std::result::Result<T, StoreError>;

/// A decision record as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "_id")]
    id: String,
    decision: Kind,
    /// Why it was set aside.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    reason: Option<String>,
    plan: ShardPlan,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    panicked: Vec<i64>,
    /// The shard's bytes, where they were at hand.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    content: Option<Payload>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Process,
    Aside,
}

/// A spooled shard as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Spooled {
    #[serde(rename = "_id")]
    id: String,
    plan: ShardPlan,
    content: Payload,
}

/// Compresses off the async threads: a shard takes a millisecond or more.
async fn pack(bytes: &Bytes) -> Result<Packed> {
    let bytes = bytes.clone();
    let packed = tokio::task::spawn_blocking(move || Packed::compressed(&bytes)).await;
    packed.map_err(|e| StoreError::Unavailable(format!("compressing a shard did not end: {e}")))
}

/// Inserts a shard's decision record where it has none: first the parts, if it needs any, then the record that counts.
pub(super) async fn insert(server: &Server, collection: &str, record: &DecisionRecord) -> Result<Insert> {
    let DecisionRecord { plan, decision } = record;
    let id = shard_id(plan.shard);
    let (kind, reason, panicked, bytes) = match decision {
        Decision::Process { bytes, panicked } => {
            (Kind::Process, None, panicked.iter().map(|at| *at as i64).collect(), Some(bytes))
        }
        Decision::Aside { reason, bytes } => (Kind::Aside, Some(reason.clone()), Vec::new(), bytes.as_ref()),
    };
    let mut content = None;
    if let Some(bytes) = bytes {
        let packed = pack(bytes).await?;
        server.put_parts(&parts_of(collection), &id, &packed).await?;
        content = Some(packed.payload);
    }
    let stored = Stored { id, decision: kind, reason, plan: plan.clone(), panicked, content };
    let inserted = server.insert_record("insert a decision record", collection, &stored).await?;
    Ok(if inserted { Insert::Inserted } else { Insert::Present })
}

/// A shard's decision record.
pub(super) async fn decision(server: &Server, collection: &str, shard: ShardId) -> Result<Option<DecisionRecord>> {
    match server.record("read a decision record", collection, &shard_id(shard)).await? {
        Some(stored) => complete(server, collection, stored).await.map(Some),
        None => Ok(None),
    }
}

/// A job's decision records in the order of their numbers.
pub(super) async fn scan(
    server: &Server,
    collection: &str,
    job: JobNumber,
    from: u32,
    limit: usize,
) -> Result<Vec<DecisionRecord>> {
    let called = ("scan decision records", "the decision record");
    let page: Vec<Stored> = server.scan_shards(called, collection, (job, from), limit).await?;
    let mut records = Vec::with_capacity(page.len());
    for stored in page {
        records.push(complete(server, collection, stored).await?);
    }
    Ok(records)
}

async fn complete(server: &Server, collection: &str, stored: Stored) -> Result<DecisionRecord> {
    let Stored { id, decision, reason, plan, panicked, content } = stored;
    let bytes = match content {
        Some(content) => Some(server.unpack(&parts_of(collection), &id, content).await?),
        None => None,
    };
    let decision = match decision {
        Kind::Process => Decision::Process {
            bytes: bytes.unwrap_or_default(),
            panicked: panicked.into_iter().map(|at| at as u64).collect(),
        },
        Kind::Aside => Decision::Aside { reason: reason.unwrap_or_default(), bytes },
    };
    Ok(DecisionRecord { plan, decision })
}

/// Keeps a shard whose source cannot be read twice.
pub(super) async fn spool(server: &Server, collection: &str, shard: &SpooledShard) -> Result<()> {
    let id = shard_id(shard.plan.shard);
    let packed = pack(&shard.bytes).await?;
    server.put_parts(&parts_of(collection), &id, &packed).await?;
    let stored = Spooled { id: id.clone(), plan: shard.plan.clone(), content: packed.payload };
    server.keep_record("spool a shard", collection, id, &stored).await
}

/// A spooled shard.
pub(super) async fn spooled(server: &Server, collection: &str, shard: ShardId) -> Result<Option<SpooledShard>> {
    let id = shard_id(shard);
    let Some(Spooled { plan, content, .. }) = server.record("read a spooled shard", collection, &id).await? else {
        return Ok(None);
    };
    let bytes = server.unpack(&parts_of(collection), &id, content).await?;
    Ok(Some(SpooledShard { plan, bytes }))
}

/// Forgets a spooled shard: first the document, so that none ever lacks its parts.
pub(super) async fn forget(server: &Server, collection: &str, shard: ShardId) -> Result<()> {
    const ACTION: &str = "forget a spooled shard";
    let id = shard_id(shard);
    server.delete(ACTION, collection, &doc! { "$eq": &id }).await?;
    server.delete(ACTION, &parts_of(collection), &Server::part_range(&id)).await
}
