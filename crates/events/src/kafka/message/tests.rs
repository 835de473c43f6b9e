use ensemble_contract::row::{RowWriter, Value};
use ensemble_store::{JobId, JobNumber, Position, Rank, ShardId};
use rdkafka::message::Headers;

use super::*;
use crate::{AcceptedRow, RejectedRow, expand};

fn sample() -> ShardEvents {
    let position = Position::new(2, 77);
    let mut fields = Vec::new();
    let mut row = RowWriter::new(&mut fields);
    row.push(Value::Str("key \"é\""));
    row.push(Value::Int(3));
    ShardEvents {
        job: JobId(uuid::Uuid::from_u128(7)),
        shard: ShardId { job: JobNumber(4), number: 9 },
        contract: "tracks".into(),
        columns: vec!["track_id".into(), "popularity".into()],
        source: "tracks.csv".into(),
        time_us: 1_709_251_199_000_001,
        accepted: vec![AcceptedRow {
            position,
            rank: Rank::first(JobNumber(4), position),
            key: "key \"é\"".into(),
            fields: fields.into(),
        }],
        rejected: vec![RejectedRow {
            position: Position::new(2, 123),
            line: 5,
            rule: "tempo.range".into(),
            rules: vec!["tempo.range".into()],
        }],
    }
}

/// Key, headers and body, one a line.
fn text(message: &Message<'_>) -> String {
    let headers = message.headers.iter().map(|h| format!("{}: {}\n", h.key, String::from_utf8_lossy(h.value.unwrap())));
    let body = String::from_utf8_lossy(&message.body);
    format!("{:?}\n{}{body}\n", message.key, headers.collect::<String>())
}

const GOLDEN: &str = r#"Some("key \"é\"")
content-type: application/json
ce_specversion: 1.0
ce_id: 00000000-0000-0000-0000-000000000007/2:77
ce_source: /ensemble/jobs/00000000-0000-0000-0000-000000000007
ce_type: ensemble.row.accepted.v1
ce_subject: key "é"
ce_time: 2024-02-29T23:59:59.000001Z
ce_partitionkey: key "é"
ce_rank: 4:562949953421389:0
ce_shard: 9
{"track_id":"key \"é\"","popularity":3}
Some("00000000-0000-0000-0000-000000000007/9")
content-type: application/json
ce_specversion: 1.0
ce_id: 00000000-0000-0000-0000-000000000007/2:123
ce_source: /ensemble/jobs/00000000-0000-0000-0000-000000000007
ce_type: ensemble.row.rejected.v1
ce_time: 2024-02-29T23:59:59.000001Z
ce_shard: 9
{"file":"tracks.csv","line":5,"offset":123,"rule":"tempo.range","rules":["tempo.range"]}
Some("00000000-0000-0000-0000-000000000007")
content-type: application/json
ce_specversion: 1.0
ce_id: 00000000-0000-0000-0000-000000000007/shard/9
ce_source: /ensemble/jobs/00000000-0000-0000-0000-000000000007
ce_type: ensemble.shard.committed.v1
ce_time: 2024-02-29T23:59:59.000001Z
ce_shard: 9
{"contract":"tracks","file":"tracks.csv","accepted":1,"rejected":1}
"#;

#[test]
fn the_messages_of_a_shard_are_these() {
    let shard = sample();
    let expansion = expand(&shard);
    let messages = expansion.events().map(|event| text(&Message::new(event.unwrap(), &shard, None).unwrap()));
    assert_eq!(messages.collect::<String>(), GOLDEN);
}

#[test]
fn an_empty_key_is_none() {
    let mut shard = sample();
    shard.accepted[0].key = bytes::Bytes::new();
    let expansion = expand(&shard);
    let event = expansion.events().next().unwrap().unwrap();
    assert_eq!(Message::new(event, &shard, None).unwrap().key, None);
}
