//! Decision records and spooled shards: who writes them, and how they point at their bytes.
//!
//! One thread appends the bytes to the segment files and then writes the records, so *insert if absent* needs no lock.
//! A decision is not synced on its own: a sync of the segments stands before whatever may rely on it (see
//! [`Engine::commit`]), and a record whose bytes did not make it is dropped at the next opening.

mod record;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc::Receiver},
};

use bytes::Bytes;
use fjall::Keyspace;

use super::{
    codec::shard_key,
    engine::{Durability, Engine, damaged},
    queue::{Queued, Reply, Writer, answer_all},
    segments::{Location, Packed},
};
use crate::{Decision, DecisionRecord, Insert, ShardId, ShardPlan, SpooledShard, StoreError};

pub(super) use record::location;

/// The most requests that share one write of the journal.
const GROUP: usize = 64;

/// Bytes for the segment files.
enum Payload {
    /// To be appended.
    New(Packed),
    /// There already, under a spooled shard.
    Stored(Location),
}

/// What the bronze thread is asked for.
enum Request {
    Decide { shard: ShardId, record: DecisionRecord, payload: Option<Payload>, reply: Reply<Insert> },
    Spool { plan: ShardPlan, payload: Payload, reply: Reply<()> },
    Forget { shard: ShardId, reply: Reply<()> },
}

/// The handle of the bronze thread.
pub(super) struct BronzeWriter(Writer<Request>);

impl BronzeWriter {
    pub(super) fn spawn(engine: &Arc<Engine>, queue_bytes: usize) -> Result<Self, StoreError> {
        let thread_engine = Arc::clone(engine);
        let run = move |queue: Receiver<Queued<Request>>| run(&thread_engine, &queue);
        Writer::spawn("bronze", queue_bytes, Arc::clone(&engine.health), run).map(Self)
    }

    pub(super) async fn decide(&self, prepared: Prepared) -> Result<Insert, StoreError> {
        let Prepared { shard, record, payload } = prepared;
        self.0.call(payload_len(payload.as_ref()), |reply| Request::Decide { shard, record, payload, reply }).await
    }

    pub(super) async fn spool(&self, plan: ShardPlan, packed: Packed) -> Result<(), StoreError> {
        let payload = Payload::New(packed);
        self.0.call(payload_len(Some(&payload)), |reply| Request::Spool { plan, payload, reply }).await
    }

    pub(super) async fn forget(&self, shard: ShardId) -> Result<(), StoreError> {
        self.0.call(1, |reply| Request::Forget { shard, reply }).await
    }

    pub(super) fn close(&self) {
        self.0.close();
    }
}

fn payload_len(payload: Option<&Payload>) -> usize {
    match payload {
        Some(Payload::New(packed)) => packed.len(),
        Some(Payload::Stored(_)) | None => 1,
    }
}

/// A decision record whose bytes are compressed, or found among the spooled ones.
pub(super) struct Prepared {
    shard: ShardId,
    /// Without its bytes.
    record: DecisionRecord,
    payload: Option<Payload>,
}

impl Prepared {
    /// Does the work that needs no order. Blocks. `None`: the shard has a record already.
    pub(super) fn new(engine: &Engine, mut record: DecisionRecord) -> Result<Option<Self>, StoreError> {
        let shard = record.plan.shard;
        if engine.get(&engine.bronze, &shard_key(shard))?.is_some() {
            return Ok(None);
        }
        let bytes = match &mut record.decision {
            Decision::Process { bytes, .. } => Some(std::mem::take(bytes)),
            Decision::Aside { bytes, .. } => bytes.take(),
        };
        let payload = match bytes {
            None => None,
            Some(bytes) => Some(match spooled_location(engine, &record.plan, bytes.len())? {
                Some(location) => Payload::Stored(location),
                None => Payload::New(Packed::new(&bytes)?),
            }),
        };
        Ok(Some(Self { shard, record, payload }))
    }
}

/// Where the same bytes lie under the spooled shard.
fn spooled_location(engine: &Engine, plan: &ShardPlan, length: usize) -> Result<Option<Location>, StoreError> {
    let key = shard_key(plan.shard);
    let Some(value) = engine.get(&engine.spool, &key)? else { return Ok(None) };
    let (spooled, location) = record::decode_spooled(&value).map_err(|e| damaged("spooled shard", &key, e))?;
    Ok((spooled.digest == plan.digest && location.raw as usize == length).then_some(location))
}

/// A shard's decision record. Blocks.
pub(super) fn decision(engine: &Engine, shard: ShardId) -> Result<Option<DecisionRecord>, StoreError> {
    let key = shard_key(shard);
    engine.get(&engine.bronze, &key)?.map(|value| decode_decision(engine, &key, &value)).transpose()
}

/// Reads a decision record and its bytes.
pub(super) fn decode_decision(engine: &Engine, key: &[u8], value: &[u8]) -> Result<DecisionRecord, StoreError> {
    let read = |location: Option<Location>| location.map(|l| engine.segments.read(&l)).transpose();
    let (mut record, location) = record::decode(value).map_err(|e| damaged("decision record", key, e))?;
    match &mut record.decision {
        Decision::Process { bytes, .. } => *bytes = read(location)?.unwrap_or_default(),
        Decision::Aside { bytes, .. } => *bytes = read(location)?,
    }
    Ok(record)
}

/// A spooled shard. Blocks.
pub(super) fn spooled(engine: &Engine, shard: ShardId) -> Result<Option<SpooledShard>, StoreError> {
    let key = shard_key(shard);
    let Some(value) = engine.get(&engine.spool, &key)? else { return Ok(None) };
    let (plan, location) = record::decode_spooled(&value).map_err(|e| damaged("spooled shard", &key, e))?;
    Ok(Some(SpooledShard { plan, bytes: engine.segments.read(&location)? }))
}

fn run(engine: &Engine, queue: &Receiver<Queued<Request>>) {
    while let Ok(first) = queue.recv() {
        let mut group = Group { engine, records: BTreeMap::new(), spooled: BTreeMap::new(), durable: false };
        let (mut inserts, mut dones) = (Vec::new(), Vec::new());
        let mut outcome = engine.health.check();
        let mut permits = Vec::new();
        for queued in std::iter::once(first).chain(queue.try_iter().take(GROUP - 1)) {
            permits.push(queued.permits);
            // Nobody is answered before the fault that answers everybody is known.
            let applied = match queued.request {
                Request::Decide { shard, record, payload, reply } => {
                    let insert = match outcome.is_ok() {
                        true => group.decide(shard, &record, payload),
                        false => Ok(Insert::Present),
                    };
                    inserts.push((reply, *insert.as_ref().unwrap_or(&Insert::Present)));
                    insert.map(drop)
                }
                Request::Spool { plan, payload, reply } => {
                    dones.push((reply, ()));
                    if outcome.is_ok() { group.spool(&plan, payload) } else { Ok(()) }
                }
                Request::Forget { shard, reply } => {
                    dones.push((reply, ()));
                    group.spooled.insert(shard_key(shard), None);
                    Ok(())
                }
            };
            outcome = outcome.and(applied);
        }
        if let Err(e) = outcome.and_then(|()| group.commit()) {
            engine.health.fail(&e);
        }
        answer_all(&engine.health, inserts);
        answer_all(&engine.health, dones);
    }
}

/// Requests that are applied together. The last state of each record is written once.
struct Group<'a> {
    engine: &'a Engine,
    records: BTreeMap<[u8; 12], Vec<u8>>,
    /// `None`: to be forgotten.
    spooled: BTreeMap<[u8; 12], Option<Vec<u8>>>,
    durable: bool,
}

impl Group<'_> {
    fn decide(
        &mut self,
        shard: ShardId,
        record: &DecisionRecord,
        payload: Option<Payload>,
    ) -> Result<Insert, StoreError> {
        let key = shard_key(shard);
        if self.records.contains_key(&key) || self.engine.get(&self.engine.bronze, &key)?.is_some() {
            return Ok(Insert::Present);
        }
        let location = payload.map(|p| self.place(p)).transpose()?;
        self.records.insert(key, record::encode(record, location)?);
        Ok(Insert::Inserted)
    }

    fn spool(&mut self, plan: &ShardPlan, payload: Payload) -> Result<(), StoreError> {
        let key = shard_key(plan.shard);
        self.durable = true;
        let present = match self.spooled.get(&key) {
            Some(pending) => pending.is_some(),
            None => self.engine.get(&self.engine.spool, &key)?.is_some(),
        };
        if !present {
            let location = self.place(payload)?;
            self.spooled.insert(key, Some(record::encode_spooled(plan, location)?));
        }
        Ok(())
    }

    fn place(&self, payload: Payload) -> Result<Location, StoreError> {
        match payload {
            Payload::New(packed) => self.engine.segments.append(&packed),
            Payload::Stored(location) => Ok(location),
        }
    }

    fn commit(self) -> Result<(), StoreError> {
        let mut batch = self.engine.database.batch();
        for (key, value) in self.records {
            batch.insert(&self.engine.bronze, Bytes::copy_from_slice(&key), value);
        }
        for (key, value) in self.spooled {
            match value {
                Some(value) => batch.insert(&self.engine.spool, Bytes::copy_from_slice(&key), value),
                None => remove(&mut batch, &self.engine.spool, &key),
            }
        }
        let durability = if self.durable { Durability::Machine } else { Durability::Process };
        self.engine.commit(batch, durability)
    }
}

fn remove(batch: &mut fjall::OwnedWriteBatch, keyspace: &Keyspace, key: &[u8]) {
    batch.remove(keyspace, Bytes::copy_from_slice(key));
}
