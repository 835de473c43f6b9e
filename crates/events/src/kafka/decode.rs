//! From a message back to what it was made of.

use bytes::Bytes;
use ensemble_contract::row::{Float, RowWriter, Value};
use ensemble_store::{JobId, Position, Rank};
use rdkafka::message::{Headers, Message};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::{AcceptedRow, EventType, RejectedRow};

/// An event as it was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) job: JobId,
    /// The shard's number in its job.
    pub(crate) shard: u32,
    /// As the event says it.
    pub(crate) time: String,
    pub(crate) what: What,
}

/// What an event tells.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// A row, and the names of its values.
    Accepted { row: AcceptedRow, columns: Vec<String> },
    /// A row, and its file.
    Rejected { row: RejectedRow, file: String },
    /// A shard.
    Committed(Committed),
}

/// The data of a settled shard.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Committed {
    pub(crate) contract: String,
    pub(crate) file: String,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
}

/// The data of a rejected row.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rejected {
    file: String,
    line: u64,
    offset: u64,
    rule: String,
    rules: Vec<String>,
}

/// A message is no event of ours, for this reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotAnEvent(pub(crate) &'static str);

type Result<T> = std::result::Result<T, NotAnEvent>;

/// Reads a message.
pub(crate) fn decode(message: &impl Message) -> Result<Event> {
    let header = |name| header(message, name);
    let id = header("ce_id").ok_or(NotAnEvent("it has no ce_id"))?;
    let shard = parsed(header("ce_shard"), "its ce_shard is no number")?;
    let time = header("ce_time").ok_or(NotAnEvent("it has no ce_time"))?.to_owned();
    let body = message.payload().ok_or(NotAnEvent("it has no body"))?;
    let event_type = header("ce_type").and_then(|name| EventType::ALL.into_iter().find(|t| t.name() == name));
    let (job, what) = match event_type.ok_or(NotAnEvent("its ce_type is not known"))? {
        EventType::RowAccepted => {
            let (job, position) = row_id(id)?;
            let rank = rank(header("ce_rank").ok_or(NotAnEvent("it has no ce_rank"))?)?;
            let (columns, fields) = row(body)?;
            let key = Bytes::copy_from_slice(header("ce_partitionkey").unwrap_or_default().as_bytes());
            (job, What::Accepted { row: AcceptedRow { position, rank, key, fields }, columns })
        }
        EventType::RowRejected => {
            let (job, position) = row_id(id)?;
            let Rejected { file, line, offset, rule, rules } = json(body)?;
            if offset != position.offset() {
                return Err(NotAnEvent("its offset is not the one of its id"));
            }
            (job, What::Rejected { row: RejectedRow { position, line, rule, rules }, file })
        }
        EventType::ShardCommitted => {
            let (job, number) = id.split_once("/shard/").ok_or(NotAnEvent("its ce_id is no shard's"))?;
            if parsed::<u32>(Some(number), "its ce_id is no shard's")? != shard {
                return Err(NotAnEvent("its ce_shard is not the one of its id"));
            }
            (parsed(Some(job), "its ce_id names no job")?, What::Committed(json(body)?))
        }
    };
    Ok(Event { job, shard, time, what })
}

fn header<'m>(message: &'m impl Message, name: &str) -> Option<&'m str> {
    let headers = message.headers()?;
    let value = (0..headers.count()).map(|i| headers.get(i)).find(|h| h.key == name)?.value?;
    std::str::from_utf8(value).ok()
}

fn parsed<T: std::str::FromStr>(text: Option<&str>, reason: &'static str) -> Result<T> {
    text.and_then(|text| text.parse().ok()).ok_or(NotAnEvent(reason))
}

fn json<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|_| NotAnEvent("its body is not what its type says"))
}

/// `JOB/FILE:OFFSET`.
fn row_id(id: &str) -> Result<(JobId, Position)> {
    const REASON: &str = "its ce_id is no row's";
    let (job, position) = id.split_once('/').ok_or(NotAnEvent(REASON))?;
    let (file, offset) = position.split_once(':').ok_or(NotAnEvent(REASON))?;
    Ok((parsed(Some(job), REASON)?, Position::new(parsed(Some(file), REASON)?, parsed(Some(offset), REASON)?)))
}

/// `A:B:C`.
fn rank(text: &str) -> Result<Rank> {
    let mut parts = text.split(':').map(str::parse);
    match [(); 4].map(|()| parts.next()) {
        [Some(Ok(a)), Some(Ok(b)), Some(Ok(c)), None] => Ok(Rank([a, b, c])),
        _ => Err(NotAnEvent("its ce_rank is not three integers")),
    }
}

/// The names of a row's values, and the row as it is stored.
fn row(body: &[u8]) -> Result<(Vec<String>, Bytes)> {
    let data: Map<String, Json> = json(body)?;
    let (mut columns, mut fields) = (Vec::with_capacity(data.len()), Vec::with_capacity(body.len()));
    let mut writer = RowWriter::new(&mut fields);
    for (name, value) in &data {
        match value {
            Json::Null => writer.push(Value::Null),
            Json::Bool(value) => writer.push(Value::Bool(*value)),
            Json::String(text) => writer.push(Value::Str(text)),
            Json::Number(number) => writer.push(match (number.as_i64(), number.as_f64()) {
                (Some(value), _) => Value::Int(value),
                (None, Some(value)) => Value::Float(Float::from_f64(value)),
                (None, None) => return Err(NotAnEvent("its body holds a number that no row holds")),
            }),
            Json::Object(extra) => {
                let pairs: Option<Vec<_>> = extra.iter().map(|(k, v)| Some((k.as_str(), v.as_str()?))).collect();
                let pairs = pairs.ok_or(NotAnEvent("its extra columns are no texts"))?;
                writer.push_extra(pairs.into_iter());
                continue;
            }
            Json::Array(_) => return Err(NotAnEvent("its body holds a list, which no row holds")),
        }
        columns.push(name.clone());
    }
    Ok((columns, fields.into()))
}

#[cfg(test)]
mod tests;
