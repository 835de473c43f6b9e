//! The ledger: one readable document a settled shard.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{
    names::{parts_of, shard_id},
    payload::{Packed, Payload},
    server::Server,
};
use crate::{Insert, JobNumber, LedgerEntry, ShardId, ShardPlan, StoreError};

type Result<T> = std::result::Result<T, StoreError>;

/// How many shards one query asks for.
const SHARDS_AT_ONCE: usize = 1_000;

/// A ledger entry as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "_id")]
    id: String,
    plan: ShardPlan,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    aside: Option<String>,
    rows: u64,
    claims: u64,
    duplicates: u64,
    displaced_same: u64,
    updated: u64,
    /// A list, since a rule's name holds a dot and so could not be asked for as a field.
    rejected_by_rule: Vec<Rejected>,
    settled_at_us: i64,
    delta: Payload,
}

#[derive(Debug, Serialize, Deserialize)]
struct Rejected {
    rule: String,
    rows: u64,
}

/// Inserts a shard's entry where it has none: first the parts of its delta, if it needs any, then the entry that
/// counts.
pub(super) async fn insert(server: &Server, collection: &str, entry: &LedgerEntry) -> Result<Insert> {
    let id = shard_id(entry.plan.shard);
    let packed = Packed::plain(&entry.delta);
    server.put_parts(&parts_of(collection), &id, &packed).await?;
    let rejected = |(rule, rows): (&String, &u64)| Rejected { rule: rule.clone(), rows: *rows };
    let stored = Stored {
        id,
        plan: entry.plan.clone(),
        aside: entry.aside.clone(),
        rows: entry.rows,
        claims: entry.claims,
        duplicates: entry.duplicates,
        displaced_same: entry.displaced_same,
        updated: entry.updated,
        rejected_by_rule: entry.rejected_by_rule.iter().map(rejected).collect(),
        settled_at_us: entry.settled_at_us,
        delta: packed.payload,
    };
    let inserted = server.insert_record("insert a ledger entry", collection, &stored).await?;
    Ok(if inserted { Insert::Inserted } else { Insert::Present })
}

/// A shard's entry.
pub(super) async fn entry(server: &Server, collection: &str, shard: ShardId) -> Result<Option<LedgerEntry>> {
    match server.record("read a ledger entry", collection, &shard_id(shard)).await? {
        Some(stored) => complete(server, collection, stored).await.map(Some),
        None => Ok(None),
    }
}

/// Whether each of these shards has an entry.
pub(super) async fn settled(server: &Server, collection: &str, shards: &[ShardId]) -> Result<Vec<bool>> {
    server.check()?;
    let ids: Vec<String> = shards.iter().map(|shard| shard_id(*shard)).collect();
    let mut found = HashSet::new();
    for part in ids.chunks(SHARDS_AT_ONCE) {
        found.extend(server.present("look for ledger entries", collection, part.to_vec()).await?);
    }
    Ok(ids.iter().map(|id| found.contains(id)).collect())
}

/// A job's entries in the order of their numbers.
pub(super) async fn scan(
    server: &Server,
    collection: &str,
    job: JobNumber,
    from: u32,
    limit: usize,
) -> Result<Vec<LedgerEntry>> {
    let called = ("scan the ledger", "the ledger entry");
    let page: Vec<Stored> = server.scan_shards(called, collection, (job, from), limit).await?;
    let mut entries = Vec::with_capacity(page.len());
    for stored in page {
        entries.push(complete(server, collection, stored).await?);
    }
    Ok(entries)
}

async fn complete(server: &Server, collection: &str, stored: Stored) -> Result<LedgerEntry> {
    let delta = server.unpack(&parts_of(collection), &stored.id, stored.delta).await?;
    let rejected = stored.rejected_by_rule.into_iter().map(|Rejected { rule, rows }| (rule, rows));
    Ok(LedgerEntry {
        plan: stored.plan,
        aside: stored.aside,
        rows: stored.rows,
        claims: stored.claims,
        duplicates: stored.duplicates,
        displaced_same: stored.displaced_same,
        updated: stored.updated,
        rejected_by_rule: rejected.collect::<BTreeMap<_, _>>(),
        delta,
        settled_at_us: stored.settled_at_us,
    })
}
