//! From the events of one shard to CloudEvents 1.0, in the JSON format's structured mode: one object an event.
//!
//! The attributes' values are stable under a repeat of the shard, `time` excepted where the shard is decided again.
//! Besides the core attributes there are `partitionkey` (the partitioning extension) and two extensions of our own:
//! `rank`, three integers joined by `:` and compared as numbers from left to right (of two events with one key the
//! lower one is right), and `shard`, the shard's number in its job, as text.

mod time;

use std::io;

use ensemble_contract::row::{RowError, RowRef, Value};
use ensemble_store::Rank;
use serde::{Serialize, Serializer, ser::SerializeMap};

pub use self::time::{parse_rfc3339, rfc3339};
use crate::{AcceptedRow, RejectedRow, ShardEvents};

/// Where accepted rows go.
pub const TOPIC_TRACKS: &str = "spotify.tracks";
/// Where rejected rows go.
pub const TOPIC_DEAD_LETTERS: &str = "ensemble.dead_letters";
/// Where settled shards go.
pub const TOPIC_SHARDS: &str = "ensemble.shards";

/// What an event tells: CloudEvents' `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum EventType {
    /// A row holds a key. The data are its standardised columns by name, and `extra` where the contract keeps unknown
    /// columns: an object of texts.
    #[serde(rename = "ensemble.row.accepted.v1")]
    RowAccepted,
    /// A row broke a rule. The data are `file`, `line`, `offset`, `rule` (the first that failed) and `rules` (all).
    #[serde(rename = "ensemble.row.rejected.v1")]
    RowRejected,
    /// A shard is through. The data are `contract`, `file`, `accepted` and `rejected`: how many events of either kind
    /// the shard has.
    #[serde(rename = "ensemble.shard.committed.v1")]
    ShardCommitted,
}

impl EventType {
    /// Every type.
    pub const ALL: [Self; 3] = [Self::RowAccepted, Self::RowRejected, Self::ShardCommitted];

    /// CloudEvents' `type`, as this type serialises.
    pub fn name(self) -> &'static str {
        match self {
            Self::RowAccepted => "ensemble.row.accepted.v1",
            Self::RowRejected => "ensemble.row.rejected.v1",
            Self::ShardCommitted => "ensemble.shard.committed.v1",
        }
    }

    /// The topic, under its default name.
    pub fn topic(self) -> &'static str {
        match self {
            Self::RowAccepted => TOPIC_TRACKS,
            Self::RowRejected => TOPIC_DEAD_LETTERS,
            Self::ShardCommitted => TOPIC_SHARDS,
        }
    }
}

/// One event; serialises as the JSON object of CloudEvents' structured mode. Absent attributes are left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CloudEvent<'a> {
    /// Always `1.0`.
    pub specversion: &'static str,
    /// For a row [`ShardEvents::event_id`], for a shard `JOB/shard/N`. The same whenever the event is delivered.
    pub id: String,
    /// `/ensemble/jobs/JOB`.
    pub source: &'a str,
    /// What it tells.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// The key, of accepted rows. Absent where the key is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<&'a str>,
    /// When the shard was decided: RFC 3339, UTC, microseconds.
    pub time: &'a str,
    /// Always `application/json`.
    pub datacontenttype: &'static str,
    /// The key, of accepted rows. Absent where the key is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitionkey: Option<&'a str>,
    /// The claim's rank, of accepted rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<String>,
    /// The shard's number in its job.
    pub shard: &'a str,
    /// What [`EventType`] says.
    pub data: EventData<'a>,
}

/// The data of an event; serialises as the JSON object that [`EventType`] describes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum EventData<'a> {
    /// An accepted row.
    Row(RowData<'a>),
    /// A rejected row.
    Rejected {
        /// The source file's name.
        file: &'a str,
        /// The record's first line.
        line: u64,
        /// The record's first byte in the file.
        offset: u64,
        /// The first rule that failed.
        rule: &'a str,
        /// All rules that failed.
        rules: &'a [String],
    },
    /// A shard.
    Shard {
        /// The contract's name.
        contract: &'a str,
        /// The source file's name.
        file: &'a str,
        /// How many events of accepted rows it has.
        accepted: usize,
        /// How many events of rejected rows it has.
        rejected: usize,
    },
}

/// A stored row, as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct RowData<'a> {
    columns: &'a [String],
    values: Vec<Value<'a>>,
    extra: Vec<(&'a str, &'a str)>,
}

/// What the events of a shard have in common, and what makes them.
#[derive(Debug)]
pub struct Expansion<'a> {
    source: String,
    time: String,
    shard: String,
    of: &'a ShardEvents,
}

/// Gets ready to make the events of a shard.
pub fn expand(shard: &ShardEvents) -> Expansion<'_> {
    Expansion {
        source: format!("/ensemble/jobs/{}", shard.job),
        time: rfc3339(shard.time_us),
        shard: shard.shard.number.to_string(),
        of: shard,
    }
}

/// Writes the events of a shard as JSON lines.
///
/// # Errors
/// Those of `out`, and `InvalidData` at a row that [`expand`] has an error for; what stands before it is written.
pub fn write_json_lines(events: &ShardEvents, out: &mut impl io::Write) -> io::Result<()> {
    for event in expand(events).events() {
        let event = event.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        serde_json::to_writer(&mut *out, &event)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

impl Expansion<'_> {
    /// The events: of the accepted rows, of the rejected rows, of the shard itself.
    ///
    /// # Errors
    /// An item is an error where a row's bytes are no row, or its key is not UTF-8; the others are not affected.
    pub fn events(&self) -> impl Iterator<Item = Result<CloudEvent<'_>, RowError>> {
        let ShardEvents { accepted, rejected, .. } = self.of;
        let accepted = accepted.iter().map(|row| self.accepted(row));
        let rejected = rejected.iter().map(|row| Ok(self.rejected(row)));
        accepted.chain(rejected).chain(std::iter::once_with(|| Ok(self.shard())))
    }

    fn event<'e>(&'e self, event_type: EventType, id: String, data: EventData<'e>) -> CloudEvent<'e> {
        CloudEvent {
            specversion: "1.0",
            id,
            source: &self.source,
            event_type,
            subject: None,
            time: &self.time,
            datacontenttype: "application/json",
            partitionkey: None,
            rank: None,
            shard: &self.shard,
            data,
        }
    }

    fn accepted<'e>(&'e self, row: &'e AcceptedRow) -> Result<CloudEvent<'e>, RowError> {
        let key = std::str::from_utf8(&row.key).map_err(|_| RowError::NotUtf8)?;
        // CloudEvents wants attributes to be absent rather than empty.
        let key = (!key.is_empty()).then_some(key);
        let id = ShardEvents::event_id(self.of.job, row.position);
        let data = EventData::Row(RowData::new(&self.of.columns, &row.fields)?);
        let event = self.event(EventType::RowAccepted, id, data);
        Ok(CloudEvent { subject: key, partitionkey: key, rank: Some(rank(row.rank)), ..event })
    }

    fn rejected<'e>(&'e self, row: &'e RejectedRow) -> CloudEvent<'e> {
        let data = EventData::Rejected {
            file: &self.of.source,
            line: row.line,
            offset: row.position.offset(),
            rule: &row.rule,
            rules: &row.rules,
        };
        self.event(EventType::RowRejected, ShardEvents::event_id(self.of.job, row.position), data)
    }

    fn shard(&self) -> CloudEvent<'_> {
        let data = EventData::Shard {
            contract: &self.of.contract,
            file: &self.of.source,
            accepted: self.of.accepted.len(),
            rejected: self.of.rejected.len(),
        };
        self.event(EventType::ShardCommitted, format!("{}/shard/{}", self.of.job, self.shard), data)
    }
}

/// Three integers joined by `:`.
fn rank(Rank([a, b, c]): Rank) -> String {
    let mut parts = [(); 3].map(|()| itoa::Buffer::new());
    let [first, second, third] = &mut parts;
    [first.format(a), ":", second.format(b), ":", third.format(c)].concat()
}

impl<'a> RowData<'a> {
    fn new(columns: &'a [String], fields: &'a [u8]) -> Result<Self, RowError> {
        let mut row = RowRef::new(fields);
        // Collecting results would not know how many there will be.
        let mut values = Vec::with_capacity(columns.len());
        for _ in columns {
            values.push(row.next_value()?.ok_or(RowError::Truncated)?);
        }
        Ok(Self { columns, values, extra: row.extra()? })
    }
}

/// As an object: every column by its name, then `extra` where the row has an extra part.
impl Serialize for RowData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        for (column, value) in self.columns.iter().zip(&self.values) {
            object.serialize_entry(column, &Field(*value))?;
        }
        if !self.extra.is_empty() {
            object.serialize_entry("extra", &Extra(&self.extra))?;
        }
        object.end()
    }
}

struct Field<'a>(Value<'a>);

/// A double becomes the shortest decimal that reads back as the same double.
impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(v) => serializer.serialize_bool(v),
            Value::Int(v) => serializer.serialize_i64(v),
            Value::Float(v) => serializer.serialize_f64(v.to_f64()),
            Value::Str(v) => serializer.serialize_str(v),
        }
    }
}

struct Extra<'a>(&'a [(&'a str, &'a str)]);

impl Serialize for Extra<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

#[cfg(test)]
mod tests;
