//! The data of a replica set: the primary's, the majority's, and the log between them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use ensemble_store::{
    DeadLetter, DecisionRecord, Document, DocumentKind, GoldCell, Insert, LedgerEntry, Position, ShardId, SilverDoc,
    SpooledShard, StoreError,
};

use super::{Broken, Random, SimCounts, Weather};

/// Names a document; documents of one kind stand together, in the order in which they are scanned.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Decision(ShardId),
    Spooled(ShardId),
    Silver(String, Bytes),
    Letter(ShardId, Position),
    /// The number is 0, unless a second entry was taken.
    Ledger(ShardId, u32),
    Document(DocumentKind, String),
    Cell(String, Bytes),
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Decision(DecisionRecord),
    Spooled(SpooledShard),
    Silver(SilverDoc),
    Letter(DeadLetter),
    Ledger(LedgerEntry),
    Document(Document),
    Cell(GoldCell),
}

/// What a document's type is called among the values.
pub(super) trait Record: Clone {
    fn of(value: &Value) -> Option<&Self>;
}

macro_rules! record {
    ($($name:ident => $ty:ty),+ $(,)?) => {
        $(
            impl Record for $ty {
                fn of(value: &Value) -> Option<&Self> {
                    if let Value::$name(record) = value { Some(record) } else { None }
                }
            }

            impl From<$ty> for Value {
                fn from(record: $ty) -> Self {
                    Self::$name(record)
                }
            }
        )+
    };
}

record!(
    Decision => DecisionRecord,
    Spooled => SpooledShard,
    Silver => SilverDoc,
    Letter => DeadLetter,
    Ledger => LedgerEntry,
    Document => Document,
    Cell => GoldCell,
);

/// The documents as somebody sees them.
#[derive(Debug, Default)]
pub(super) struct View(BTreeMap<Key, Arc<Value>>);

impl View {
    pub(super) fn get<T: Record>(&self, key: &Key) -> Option<&T> {
        self.0.get(key).and_then(|v| T::of(v))
    }

    /// All from a key on; of other types too, so the caller has to end it.
    pub(super) fn from(&self, from: Key) -> impl Iterator<Item = (&Key, &Value)> {
        self.0.range(from..).map(|(k, v)| (k, &**v))
    }

    fn put(&mut self, key: Key, value: Option<Arc<Value>>) {
        match value {
            Some(value) => self.0.insert(key, value),
            None => self.0.remove(&key),
        };
    }
}

#[derive(Debug)]
pub(super) struct Replica {
    pub(super) local: View,
    pub(super) majority: View,
    /// What the majority lacks, oldest first.
    lag: VecDeque<(Key, Option<Arc<Value>>)>,
    /// Writes that the majority has.
    durable: u64,
    /// Who is primary; one more at each fail-over.
    pub(super) term: u64,
    /// Ledger entries in the order in which the majority got them.
    pub(super) appeared: Vec<LedgerEntry>,
    pub(super) random: Random,
    pub(super) weather: Weather,
    pub(super) broken: Broken,
    pub(super) counts: SimCounts,
    pub(super) closed: bool,
}

impl Replica {
    pub(super) fn new(random: Random, weather: Weather, broken: Broken) -> Self {
        Self {
            local: View::default(),
            majority: View::default(),
            lag: VecDeque::new(),
            durable: 0,
            term: 0,
            appeared: Vec::new(),
            random,
            weather,
            broken,
            counts: SimCounts::default(),
            closed: false,
        }
    }

    /// What reads return.
    pub(super) fn readable(&self) -> &View {
        if self.broken.read { &self.local } else { &self.majority }
    }

    /// How many writes there have been, without those that were rolled back.
    pub(super) fn written(&self) -> u64 {
        self.durable + self.lag.len() as u64
    }

    /// Whether the first `written` writes count.
    pub(super) fn is_acknowledged(&self, written: u64) -> bool {
        written <= self.durable || self.broken.concern
    }

    pub(super) fn put(&mut self, key: Key, value: Option<Value>) {
        let value = value.map(Arc::new);
        self.local.put(key.clone(), value.clone());
        self.lag.push_back((key, value));
    }

    pub(super) fn insert_if_absent(&mut self, key: Key, value: impl Into<Value>) -> Insert {
        if self.local.0.contains_key(&key) {
            return Insert::Present;
        }
        self.put(key, Some(value.into()));
        Insert::Inserted
    }

    /// The majority gets the next write; `false` where it has them all.
    pub(super) fn replicate(&mut self) -> bool {
        let Some((key, value)) = self.lag.pop_front() else { return false };
        if let (Key::Ledger(..), Some(Value::Ledger(entry))) = (&key, value.as_deref()) {
            self.appeared.push(entry.clone());
        }
        self.majority.put(key, value);
        self.durable += 1;
        true
    }

    /// The majority elects another primary, which has what the majority has.
    pub(super) fn fail_over(&mut self) {
        self.term += 1;
        if self.lag.is_empty() {
            return;
        }
        self.counts.roll_backs += 1;
        self.counts.rolled_back_writes += self.lag.len() as u64;
        for (key, _) in std::mem::take(&mut self.lag) {
            let kept = self.majority.0.get(&key).cloned();
            self.local.put(key, kept);
        }
    }

    /// A call comes in.
    pub(super) fn admit(&mut self) -> Result<(), StoreError> {
        if self.closed {
            return Err(StoreError::Closed);
        }
        if self.random.chance(self.weather.refuse) {
            self.counts.refused_calls += 1;
            return Err(StoreError::Unavailable("the call was refused".to_owned()));
        }
        Ok(())
    }

    /// A call waits once more.
    pub(super) fn lingers(&mut self) -> bool {
        self.random.chance(self.weather.linger)
    }

    pub(super) fn unknown(&mut self) -> StoreError {
        self.counts.unknown_outcomes += 1;
        StoreError::Unavailable("the primary changed before a majority had the write".to_owned())
    }
}
