//! Deciding a group of requests, and writing what comes of it as one sorted run.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use fjall::Slice;

use super::{
    Collection,
    prepare::{Request, Row, Rows},
};
use crate::{
    Rank, ShardId, StoreError,
    embedded::{
        codec::{decode_live_stamp, silver_key},
        engine::{Engine, damaged},
    },
};

/// A row of a group: its key's prefix, its request and its place in the request's rows.
type Entry = (u64, u32, u32);

/// Decides the requests, all to `collection`, as if they came one after the other, and makes the outcome durable.
pub(super) fn commit(engine: &Engine, collection: &Collection, requests: &mut [Request]) -> Result<(), StoreError> {
    let order = sorted(requests);
    let mut winners = Vec::with_capacity(order.len());
    let mut written = Vec::with_capacity(order.len());
    let same = |a: &Entry, b: &Entry| a.0 == b.0 && key(requests, *a) == key(requests, *b);
    let hashes = order.iter().map(|entry| row(requests, *entry).map_or(0, |(_, row)| row.hash));
    let mut maybe_stored = collection.filter(engine)?.may_contain_each(hashes).into_iter();
    for same_key in order.chunk_by(same) {
        let maybe_stored = maybe_stored.by_ref().take(same_key.len()).last().unwrap_or(true);
        winners.extend(decide(engine, collection, requests, same_key, maybe_stored, &mut written)?);
    }
    ingest(engine, collection, requests, &winners)?;
    for (_, request, at) in written {
        if let Some(request) = requests.get_mut(request as usize)
            && let Some(index) = request.rows.get(at as usize).map(|row| row.index)
        {
            request.answer.wrote(index);
        }
    }
    Ok(())
}

fn row(requests: &[Request], (_, request, row): Entry) -> Option<(&Rows, &Row)> {
    let rows = &requests.get(request as usize)?.rows;
    Some((rows, rows.get(row as usize)?))
}

fn key(requests: &[Request], entry: Entry) -> Option<&Bytes> {
    row(requests, entry).map(|(rows, row)| rows.key(row))
}

/// All rows in the order of their keys, and rows of one key in the order of the requests.
fn sorted(requests: &[Request]) -> Vec<Entry> {
    let mut order: Vec<Entry> = Vec::with_capacity(requests.iter().map(|r| r.rows.len()).sum());
    for (number, request) in requests.iter().enumerate() {
        let entries = request.rows.iter().enumerate().map(|(at, row)| (row.prefix, number as u32, at as u32));
        order.extend(entries);
    }
    // Each request is a sorted run already, which this sort (stable, and it merges runs) makes use of.
    order.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| key(requests, *a).cmp(&key(requests, *b))));
    order
}

/// Applies the rows of one key in their order. Notes each that is written, and answers the one that stays.
fn decide(
    engine: &Engine,
    collection: &Collection,
    requests: &[Request],
    entries: &[Entry],
    maybe_stored: bool,
    written: &mut Vec<Entry>,
) -> Result<Option<Entry>, StoreError> {
    let Some((rows, first)) = entries.first().and_then(|e| row(requests, *e)) else { return Ok(None) };
    let mut live = if maybe_stored { stored_stamp(engine, collection, &silver_key(rows.key(first))?)? } else { None };
    let mut winner = None;
    for entry in entries {
        let Some((rows, row)) = row(requests, *entry) else { continue };
        if rows.expected(row) == live {
            live = Some(rows.stamp(row));
            winner = Some(*entry);
            written.push(*entry);
        }
    }
    Ok(winner)
}

fn stored_stamp(engine: &Engine, collection: &Collection, key: &[u8]) -> Result<Option<(Rank, ShardId)>, StoreError> {
    let stamp = |value: Bytes| decode_live_stamp(&value).map_err(|e| damaged("silver document", key, e));
    engine.get(&collection.keyspace, key)?.map(stamp).transpose()
}

/// Writes the documents as one run. Finishing it syncs its tables, their directory and the list of tables; the sync
/// before it is for the decision records, which must not be younger than the claims that rest on them.
fn ingest(engine: &Engine, collection: &Collection, requests: &[Request], winners: &[Entry]) -> Result<(), StoreError> {
    if winners.is_empty() {
        return Ok(());
    }
    let mut ingestion = collection.keyspace.start_ingestion().map_err(|e| engine.failed(e))?;
    // The sync takes its time: it runs while the rows are written.
    let (written, synced) = std::thread::scope(|scope| {
        let sync = scope.spawn(|| engine.barrier());
        let write = |(rows, row): (&Rows, &Row)| {
            let (key, value) = rows.record(row)?;
            ingestion.write(Slice::from(key), Slice::from(value)).map_err(|e| engine.failed(e))
        };
        let written = winners.iter().filter_map(|entry| row(requests, *entry)).try_for_each(write);
        (written, sync.join())
    });
    written?;
    synced.unwrap_or_else(|_| Err(StoreError::Database("a sync has ended unexpectedly".to_owned())))?;
    ingestion.finish().map_err(|e| engine.failed(e))?;
    let written = || {
        collection.written.fetch_add(1, Ordering::AcqRel);
    };
    engine.cursors.forget(collection.keyspace.id(), written);
    let hashes = winners.iter().filter_map(|entry| row(requests, *entry)).map(|(_, row)| row.hash);
    collection.filter(engine)?.put_all(hashes);
    Ok(())
}
