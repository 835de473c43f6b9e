//! One event as a Kafka message: CloudEvents' Kafka protocol binding, version 1.0, in binary content mode.
//!
//! The attributes are headers `ce_NAME`, except `datacontenttype`, which is `content-type`; the body is the event's data
//! as JSON. Where traces are kept there is `traceparent` beside them, the header of W3C trace context: an event is part
//! of its shard's trace.

use std::borrow::Cow;

use rdkafka::message::{Header, OwnedHeaders};

use crate::{CloudEvent, EventType, ShardEvents};

/// How many headers an event has at most.
const HEADERS: usize = 11;
/// Room for the data of most rows, in bytes.
const BODY: usize = 1 << 10;

/// A message without its topic.
#[derive(Debug)]
pub(super) struct Message<'a> {
    /// What decides on the partition, and with it what the event stays in order with; `None` is any partition.
    pub(super) key: Option<Cow<'a, str>>,
    pub(super) headers: OwnedHeaders,
    pub(super) body: Vec<u8>,
}

impl<'a> Message<'a> {
    /// # Errors
    /// Where the data are no JSON, which [`expand`](crate::expand()) never makes.
    pub(super) fn new(
        event: CloudEvent<'a>,
        shard: &ShardEvents,
        traceparent: Option<&str>,
    ) -> serde_json::Result<Self> {
        let mut body = Vec::with_capacity(BODY);
        serde_json::to_writer(&mut body, &event.data)?;
        Ok(Self { headers: headers(&event, traceparent), key: key(event, shard), body })
    }
}

/// An accepted row has its own key: all events of a key are in one partition. The dead letters of a shard stay together
/// and in order, and so do the shards of a job.
fn key<'a>(event: CloudEvent<'a>, shard: &ShardEvents) -> Option<Cow<'a, str>> {
    match event.event_type {
        EventType::RowAccepted => event.partitionkey.map(Cow::Borrowed),
        EventType::RowRejected => Some(format!("{}/{}", shard.job, shard.shard.number).into()),
        EventType::ShardCommitted => Some(shard.job.to_string().into()),
    }
}

fn headers(event: &CloudEvent<'_>, traceparent: Option<&str>) -> OwnedHeaders {
    let attributes = [
        ("content-type", Some(event.datacontenttype)),
        ("ce_specversion", Some(event.specversion)),
        ("ce_id", Some(&event.id)),
        ("ce_source", Some(event.source)),
        ("ce_type", Some(event.event_type.name())),
        ("ce_subject", event.subject),
        ("ce_time", Some(event.time)),
        ("ce_partitionkey", event.partitionkey),
        ("ce_rank", event.rank.as_deref()),
        ("ce_shard", Some(event.shard)),
        ("traceparent", traceparent),
    ];
    let present = attributes.into_iter().filter_map(|(key, value)| Some((key, value?)));
    present.fold(OwnedHeaders::new_with_capacity(HEADERS), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(value) })
    })
}

#[cfg(test)]
mod tests;
