//! Dead letters, ledger entries, documents and gold cells: one thread decides in the order of the requests, and one
//! sync is for all that are waiting.

mod ledger;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, mpsc::Receiver},
};

use bytes::Bytes;
use fjall::Keyspace;

use super::{
    codec::split_stamp,
    engine::{Durability, Engine, damaged},
    queue::{Queued, Reply, Writer, answer_all},
};
use crate::{Insert, Stamp, StoreError};

pub(super) use ledger::{LedgerRecord, decode_ledger, ledger};

/// The most requests, and bytes of them, that share one sync.
const GROUP: usize = 128;
const GROUP_BYTES: usize = 8 << 20;

/// Where a record lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Space {
    DeadLetters,
    Ledger,
    Documents,
    Gold,
}

impl Space {
    fn keyspace(self, engine: &Engine) -> &Keyspace {
        match self {
            Self::DeadLetters => &engine.dead_letters,
            Self::Ledger => &engine.ledger,
            Self::Documents => &engine.documents,
            Self::Gold => &engine.gold,
        }
    }
}

/// What the meta thread is asked for.
enum Request {
    /// Each where its key is absent; not synced on its own.
    DeadLetters { letters: Vec<(Bytes, Bytes)>, reply: Reply<()> },
    /// Where its key is absent.
    Ledger { key: Bytes, record: LedgerRecord, reply: Reply<Insert> },
    /// Where the stored stamp is `expected` and `stamp` is higher.
    Write { key: Bytes, expected: Option<Stamp>, stamp: Stamp, value: Bytes, reply: Reply<bool> },
    /// Where the stored stamp is `expected`.
    Delete { key: Bytes, expected: Stamp, reply: Reply<bool> },
    /// Each where the stored stamp is lower or absent.
    Cells { cells: Vec<(Bytes, Stamp, Bytes)>, reply: Reply<()> },
}

/// The handle of the meta thread.
pub(super) struct MetaWriter(Writer<Request>);

impl MetaWriter {
    pub(super) fn spawn(engine: &Arc<Engine>, queue_bytes: usize) -> Result<Self, StoreError> {
        let thread_engine = Arc::clone(engine);
        let run = move |queue: Receiver<Queued<Request>>| run(&thread_engine, &queue);
        Writer::spawn("meta", queue_bytes, Arc::clone(&engine.health), run).map(Self)
    }

    pub(super) async fn dead_letters(&self, letters: Vec<(Bytes, Bytes)>) -> Result<(), StoreError> {
        let bytes = letters.iter().map(|(key, value)| key.len() + value.len()).sum();
        self.0.call(bytes, |reply| Request::DeadLetters { letters, reply }).await
    }

    pub(super) async fn ledger(&self, key: Bytes, record: LedgerRecord) -> Result<Insert, StoreError> {
        self.0.call(record.len(), |reply| Request::Ledger { key, record, reply }).await
    }

    pub(super) async fn write(
        &self,
        key: Bytes,
        expected: Option<Stamp>,
        stamp: Stamp,
        value: Bytes,
    ) -> Result<bool, StoreError> {
        self.0.call(value.len(), |reply| Request::Write { key, expected, stamp, value, reply }).await
    }

    pub(super) async fn delete(&self, key: Bytes, expected: Stamp) -> Result<bool, StoreError> {
        self.0.call(1, |reply| Request::Delete { key, expected, reply }).await
    }

    pub(super) async fn cells(&self, cells: Vec<(Bytes, Stamp, Bytes)>) -> Result<(), StoreError> {
        let bytes = cells.iter().map(|(key, _, value)| key.len() + value.len()).sum();
        self.0.call(bytes, |reply| Request::Cells { cells, reply }).await
    }

    pub(super) fn close(&self) {
        self.0.close();
    }
}

fn run(engine: &Engine, queue: &Receiver<Queued<Request>>) {
    while let Ok(first) = queue.recv() {
        let mut group = Group::new(engine);
        let mut permits = Vec::new();
        let mut outcome = engine.health.check();
        let mut next = Some(first);
        while let Some(queued) = next.take() {
            permits.push(queued.permits);
            let applied = group.apply(queued.request, outcome.is_ok());
            outcome = outcome.and(applied);
            if permits.len() < GROUP && group.bytes < GROUP_BYTES {
                next = queue.try_recv().ok();
            }
        }
        group.finish(outcome);
    }
}

/// Requests that are applied together. The last state of each record is written once.
struct Group<'a> {
    engine: &'a Engine,
    /// `None`: to be deleted.
    pending: HashMap<(Space, Bytes), Option<Bytes>>,
    bytes: usize,
    durable: bool,
    inserts: Vec<(Reply<Insert>, Insert)>,
    flags: Vec<(Reply<bool>, bool)>,
    dones: Vec<(Reply<()>, ())>,
}

impl<'a> Group<'a> {
    fn new(engine: &'a Engine) -> Self {
        Self {
            engine,
            pending: HashMap::new(),
            bytes: 0,
            durable: false,
            inserts: Vec::new(),
            flags: Vec::new(),
            dones: Vec::new(),
        }
    }

    /// Decides one request; where `decide` is false it is only to be answered with the group's fault.
    fn apply(&mut self, request: Request, decide: bool) -> Result<(), StoreError> {
        match request {
            Request::DeadLetters { letters, reply } => {
                self.dones.push((reply, ()));
                if decide { self.dead_letters(letters) } else { Ok(()) }
            }
            Request::Cells { cells, reply } => {
                self.dones.push((reply, ()));
                if decide { self.cells(cells) } else { Ok(()) }
            }
            Request::Ledger { key, record, reply } => {
                let absent = if decide { self.get(Space::Ledger, &key).map(|v| v.is_none()) } else { Ok(false) };
                let insert = if *absent.as_ref().unwrap_or(&false) { Insert::Inserted } else { Insert::Present };
                self.inserts.push((reply, insert));
                if absent? {
                    let value = record.place(self.engine)?;
                    self.put(Space::Ledger, key, Some(value));
                    self.durable = true;
                }
                Ok(())
            }
            Request::Write { key, expected, stamp, value, reply } => {
                let stored = if decide { self.stamp(Space::Documents, &key) } else { Ok(None) };
                let fits = stored.as_ref().is_ok_and(|s| *s == expected && s.is_none_or(|s| s < stamp));
                self.flags.push((reply, fits));
                stored?;
                if fits {
                    self.put(Space::Documents, key, Some(value));
                    self.durable = true;
                }
                Ok(())
            }
            Request::Delete { key, expected, reply } => {
                let stored = if decide { self.stamp(Space::Documents, &key) } else { Ok(None) };
                let fits = stored.as_ref().is_ok_and(|s| *s == Some(expected));
                self.flags.push((reply, fits));
                stored?;
                if fits {
                    self.put(Space::Documents, key, None);
                    self.durable = true;
                }
                Ok(())
            }
        }
    }

    fn dead_letters(&mut self, letters: Vec<(Bytes, Bytes)>) -> Result<(), StoreError> {
        for (key, value) in letters {
            if self.get(Space::DeadLetters, &key)?.is_none() {
                self.put(Space::DeadLetters, key, Some(value));
            }
        }
        Ok(())
    }

    fn cells(&mut self, cells: Vec<(Bytes, Stamp, Bytes)>) -> Result<(), StoreError> {
        for (key, stamp, value) in cells {
            if self.stamp(Space::Gold, &key)?.is_none_or(|stored| stored < stamp) {
                self.put(Space::Gold, key, Some(value));
                self.durable = true;
            }
        }
        Ok(())
    }

    /// What is stored, or will be when the group is committed.
    fn get(&self, space: Space, key: &Bytes) -> Result<Option<Bytes>, StoreError> {
        match self.pending.get(&(space, key.clone())) {
            Some(pending) => Ok(pending.clone()),
            None => self.engine.get(space.keyspace(self.engine), key),
        }
    }

    fn stamp(&self, space: Space, key: &Bytes) -> Result<Option<Stamp>, StoreError> {
        let Some(value) = self.get(space, key)? else { return Ok(None) };
        split_stamp(&value).map(|(stamp, _)| Some(stamp)).map_err(|e| damaged("document", key, e))
    }

    fn put(&mut self, space: Space, key: Bytes, value: Option<Bytes>) {
        self.bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
        self.pending.insert((space, key), value);
    }

    fn finish(mut self, outcome: Result<(), StoreError>) {
        let outcome = outcome.and_then(|()| self.commit());
        let health = &self.engine.health;
        if let Err(e) = outcome {
            health.fail(&e);
        }
        answer_all(health, self.inserts);
        answer_all(health, self.flags);
        answer_all(health, self.dones);
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut batch = self.engine.database.batch();
        for ((space, key), value) in self.pending.drain() {
            let keyspace = space.keyspace(self.engine);
            match value {
                Some(value) => batch.insert(keyspace, key, value),
                None => batch.remove(keyspace, key),
            }
        }
        self.engine.commit(batch, if self.durable { Durability::Machine } else { Durability::Process })
    }
}
