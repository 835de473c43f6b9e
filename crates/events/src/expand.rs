//! From the events of one shard to CloudEvents 1.0, in the JSON format's structured mode: one object an event.
//!
//! The attributes' values are stable under a repeat of the shard, `time` excepted where the shard is decided again.
//! Besides the core attributes there are `partitionkey` (the partitioning extension) and two extensions of our own:
//! `rank`, three integers joined by `:` and compared as numbers from left to right (of two events with one key the
//! lower one is right), and `shard`, the shard's number in its job, as text.

mod time;

use std::io;

use bytes::Bytes;
use ensemble_contract::row::{RowError, RowRef, Value};
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
    pub source: String,
    /// What it tells.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// The key, of accepted rows. Absent where the key is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<&'a str>,
    /// When the shard was decided: RFC 3339, UTC, microseconds.
    pub time: String,
    /// Always `application/json`.
    pub datacontenttype: &'static str,
    /// The key, of accepted rows. Absent where the key is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitionkey: Option<&'a str>,
    /// The claim's rank, of accepted rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<String>,
    /// The shard's number in its job.
    pub shard: String,
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

/// A stored row that can be read to its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowData<'a> {
    columns: &'a [String],
    fields: &'a [u8],
}

/// The events of a shard: its accepted rows, its rejected rows, the shard itself.
///
/// # Errors
/// An item is an error where a row's bytes are no row, or its key is not UTF-8; the others are not affected.
pub fn expand(events: &ShardEvents) -> impl Iterator<Item = Result<CloudEvent<'_>, RowError>> {
    let common = Common {
        job: events.job.to_string(),
        time: rfc3339(events.time_us),
        shard: events.shard.number.to_string(),
        events,
    };
    let rows = events.accepted.len() + events.rejected.len();
    (0..=rows).map(move |n| match events.accepted.get(n) {
        Some(row) => common.accepted(row),
        None => {
            Ok(events.rejected.get(n - events.accepted.len()).map_or_else(|| common.shard(), |r| common.rejected(r)))
        }
    })
}

/// Writes the events of a shard as JSON lines.
///
/// # Errors
/// Those of `out`, and `InvalidData` at a row that [`expand`] has an error for; what stands before it is written.
pub fn write_json_lines(events: &ShardEvents, out: &mut impl io::Write) -> io::Result<()> {
    for event in expand(events) {
        let event = event.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        serde_json::to_writer(&mut *out, &event)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// What the events of a shard have in common.
struct Common<'a> {
    job: String,
    time: String,
    shard: String,
    events: &'a ShardEvents,
}

impl<'a> Common<'a> {
    fn event(&self, event_type: EventType, id: String, data: EventData<'a>) -> CloudEvent<'a> {
        CloudEvent {
            specversion: "1.0",
            id,
            source: format!("/ensemble/jobs/{}", self.job),
            event_type,
            subject: None,
            time: self.time.clone(),
            datacontenttype: "application/json",
            partitionkey: None,
            rank: None,
            shard: self.shard.clone(),
            data,
        }
    }

    fn accepted(&self, row: &'a AcceptedRow) -> Result<CloudEvent<'a>, RowError> {
        let key = std::str::from_utf8(&row.key).map_err(|_| RowError::NotUtf8)?;
        // CloudEvents wants attributes to be absent rather than empty.
        let key = (!key.is_empty()).then_some(key);
        let [a, b, c] = row.rank.0;
        let id = ShardEvents::event_id(self.events.job, row.position);
        let data = EventData::Row(RowData::new(&self.events.columns, &row.fields)?);
        let event = self.event(EventType::RowAccepted, id, data);
        Ok(CloudEvent { subject: key, partitionkey: key, rank: Some(format!("{a}:{b}:{c}")), ..event })
    }

    fn rejected(&self, row: &'a RejectedRow) -> CloudEvent<'a> {
        let data = EventData::Rejected {
            file: &self.events.source,
            line: row.line,
            offset: row.position.offset(),
            rule: &row.rule,
            rules: &row.rules,
        };
        self.event(EventType::RowRejected, ShardEvents::event_id(self.events.job, row.position), data)
    }

    fn shard(&self) -> CloudEvent<'a> {
        let data = EventData::Shard {
            contract: &self.events.contract,
            file: &self.events.source,
            accepted: self.events.accepted.len(),
            rejected: self.events.rejected.len(),
        };
        self.event(EventType::ShardCommitted, format!("{}/shard/{}", self.job, self.shard), data)
    }
}

impl<'a> RowData<'a> {
    fn new(columns: &'a [String], fields: &'a Bytes) -> Result<Self, RowError> {
        let mut row = RowRef::new(fields);
        for _ in columns {
            row.next_value()?.ok_or(RowError::Truncated)?;
        }
        row.extra()?;
        Ok(Self { columns, fields })
    }
}

/// As an object: every column by its name, then `extra` where the row has an extra part.
impl Serialize for RowData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let unreadable = <S::Error as serde::ser::Error>::custom::<RowError>;
        let mut row = RowRef::new(self.fields);
        let mut object = serializer.serialize_map(None)?;
        for column in self.columns {
            let value = row.next_value().map_err(unreadable)?.unwrap_or(Value::Null);
            object.serialize_entry(column, &Field(value))?;
        }
        let extra = row.extra().map_err(unreadable)?;
        if !extra.is_empty() {
            object.serialize_entry("extra", &Extra(&extra))?;
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
