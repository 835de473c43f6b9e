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
use serde::Serialize;
use serde_json::{Map, Number, Value as Json, json};

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
pub struct CloudEvent {
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
    pub subject: Option<String>,
    /// When the shard was decided: RFC 3339, UTC, microseconds.
    pub time: String,
    /// Always `application/json`.
    pub datacontenttype: &'static str,
    /// The key, of accepted rows. Absent where the key is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitionkey: Option<String>,
    /// The claim's rank, of accepted rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<String>,
    /// The shard's number in its job.
    pub shard: String,
    /// What [`EventType`] says.
    pub data: Json,
}

/// The events of a shard: its accepted rows, its rejected rows, the shard itself.
///
/// # Errors
/// An item is an error where a row's bytes are no row, or its key is not UTF-8; the others are not affected.
pub fn expand(events: &ShardEvents) -> impl Iterator<Item = Result<CloudEvent, RowError>> {
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

impl Common<'_> {
    fn event(&self, event_type: EventType, id: String, data: Json) -> CloudEvent {
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

    fn accepted(&self, row: &AcceptedRow) -> Result<CloudEvent, RowError> {
        let key = std::str::from_utf8(&row.key).map_err(|_| RowError::NotUtf8)?;
        // CloudEvents wants attributes to be absent rather than empty.
        let key = (!key.is_empty()).then(|| key.to_owned());
        let [a, b, c] = row.rank.0;
        let id = ShardEvents::event_id(self.events.job, row.position);
        let data = row_data(&self.events.columns, &row.fields)?;
        let event = self.event(EventType::RowAccepted, id, data);
        Ok(CloudEvent { subject: key.clone(), partitionkey: key, rank: Some(format!("{a}:{b}:{c}")), ..event })
    }

    fn rejected(&self, row: &RejectedRow) -> CloudEvent {
        let data = json!({
            "file": self.events.source,
            "line": row.line,
            "offset": row.position.offset(),
            "rule": row.rule,
            "rules": row.rules,
        });
        self.event(EventType::RowRejected, ShardEvents::event_id(self.events.job, row.position), data)
    }

    fn shard(&self) -> CloudEvent {
        let data = json!({
            "contract": self.events.contract,
            "file": self.events.source,
            "accepted": self.events.accepted.len(),
            "rejected": self.events.rejected.len(),
        });
        self.event(EventType::ShardCommitted, format!("{}/shard/{}", self.job, self.shard), data)
    }
}

/// A stored row as an object: every column by its name, then `extra` where the row has an extra part.
fn row_data(columns: &[String], fields: &Bytes) -> Result<Json, RowError> {
    let mut row = RowRef::new(fields);
    let mut data = Map::with_capacity(columns.len() + 1);
    for column in columns {
        let value = row.next_value()?.ok_or(RowError::Truncated)?;
        data.insert(column.clone(), to_json(value));
    }
    let extra = row.extra()?;
    if !extra.is_empty() {
        let extra: Map<_, _> = extra.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect();
        data.insert("extra".to_owned(), extra.into());
    }
    Ok(data.into())
}

/// A double becomes the shortest decimal that reads back as the same double.
fn to_json(value: Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(v) => v.into(),
        Value::Int(v) => v.into(),
        Value::Float(v) => Number::from_f64(v.to_f64()).map_or(Json::Null, Json::Number),
        Value::Str(v) => v.into(),
    }
}

#[cfg(test)]
mod tests;
