//! The published schemas, and that every event is as they say.

use serde_json::{Value as Json, json};

use super::*;
use crate::conformance::{sample_shard, shard_with_every_kind_of_text, shard_without_rows};

mod checker;

use checker::Schema;

const ENVELOPE: &str = include_str!("../../../../../docs/schemas/events/envelope.v1.json");

/// The schema of a type's data: named as the type is, without the first word.
fn schema_of(event_type: EventType) -> (&'static str, &'static str) {
    match event_type {
        EventType::RowAccepted => {
            ("row.accepted.v1", include_str!("../../../../../docs/schemas/events/row.accepted.v1.json"))
        }
        EventType::RowRejected => {
            ("row.rejected.v1", include_str!("../../../../../docs/schemas/events/row.rejected.v1.json"))
        }
        EventType::ShardCommitted => {
            ("shard.committed.v1", include_str!("../../../../../docs/schemas/events/shard.committed.v1.json"))
        }
    }
}

#[test]
fn a_type_has_the_schema_of_its_name() {
    for event_type in EventType::ALL {
        let (name, text) = schema_of(event_type);
        assert_eq!(event_type.name(), format!("ensemble.{name}"));
        assert_eq!(serde_json::to_value(event_type).unwrap(), event_type.name());
        let schema: Json = serde_json::from_str(text).unwrap();
        assert_eq!(schema["title"], event_type.name());
        assert_eq!(schema["$id"], format!("urn:ensemble:events:{name}"));
    }
}

#[test]
fn every_event_is_as_its_schemas_say() {
    let envelope = Schema::new(ENVELOPE);
    let mut empty_key = sample();
    empty_key.accepted[0].key = Bytes::new();
    let mut negative = sample();
    negative.accepted[0].rank = Rank::last(1_700_000_000_000_000, 3, Position::new(1, 5));
    let shards = [
        sample(),
        empty_key,
        negative,
        sample_shard(1, 0, 20),
        shard_with_every_kind_of_text(2, 1),
        shard_without_rows(3, 7),
    ];
    let mut seen = std::collections::BTreeMap::<_, u32>::new();
    let expansions: Vec<_> = shards.iter().map(expand).collect();
    for event in expansions.iter().flat_map(Expansion::events) {
        let event = event.unwrap();
        let whole = serde_json::to_value(&event).unwrap();
        envelope.check(&whole).unwrap_or_else(|e| panic!("{e}: {whole}"));
        let data = Schema::new(schema_of(event.event_type).1);
        data.check(&whole["data"]).unwrap_or_else(|e| panic!("{e}: {whole}"));
        *seen.entry(event.event_type.name()).or_default() += 1;
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[test]
fn the_schemas_refuse_what_is_no_event() {
    let event = |n: usize| serde_json::to_value(expand(&sample()).events().nth(n).unwrap().unwrap()).unwrap();
    let envelope = Schema::new(ENVELOPE);
    for (n, change) in [
        (0, json!({"rank": "1:2"})),
        (0, json!({"rank": null})),
        (1, json!({"rank": "1:2:3"})),
        (1, json!({"time": "yesterday"})),
        (1, json!({"id": ""})),
        (2, json!({"type": "ensemble.shard.committed.v2"})),
        (2, json!({"color": "red"})),
        (2, json!({"data": []})),
    ] {
        let mut changed = event(n);
        for (name, value) in change.as_object().unwrap() {
            changed[name] = value.clone();
        }
        assert!(envelope.check(&event(n)).is_ok());
        assert!(envelope.check(&changed).is_err(), "{changed}");
    }
    for (event_type, data) in [
        (EventType::RowAccepted, json!({"a": []})),
        (EventType::RowAccepted, json!({"extra": {"b": 1}})),
        (EventType::RowRejected, json!({"file": "f", "line": 1, "offset": 0, "rule": "r"})),
        (EventType::RowRejected, json!({"file": "f", "line": -1, "offset": 0, "rule": "r", "rules": []})),
        (EventType::RowRejected, json!({"file": "f", "line": 1, "offset": 0, "rule": "r", "rules": [1]})),
        (EventType::ShardCommitted, json!({"contract": "c", "file": "f", "accepted": 1.5, "rejected": 0})),
        (EventType::ShardCommitted, json!({"contract": "c", "file": "f", "accepted": 1, "rejected": 0, "x": 0})),
    ] {
        assert!(Schema::new(schema_of(event_type).1).check(&data).is_err(), "{data}");
    }
}
