use bytes::Bytes;
use ensemble_contract::row::{Float, RowWriter};
use ensemble_store::{JobId, JobNumber, Position, Rank, ShardId};

use super::*;

mod schemas;

fn fields(write: impl FnOnce(&mut RowWriter<'_>)) -> Bytes {
    let mut out = Vec::new();
    write(&mut RowWriter::new(&mut out));
    out.into()
}

fn sample() -> ShardEvents {
    let row = fields(|w| {
        w.push(Value::Str("a\"1"));
        w.push(Value::Float(Float::from_f64(7.02e-6)));
        w.push(Value::Int(-3));
        w.push(Value::Null);
        w.push(Value::Bool(true));
        w.push_extra([("mood", "glad")].into_iter());
    });
    let position = Position::new(2, 77);
    ShardEvents {
        job: JobId(uuid::Uuid::from_u128(7)),
        shard: ShardId { job: JobNumber(4), number: 9 },
        contract: "tracks".into(),
        columns: ["track_id", "energy", "key", "genre", "explicit"].map(String::from).to_vec(),
        source: "tracks.csv".into(),
        time_us: 1_709_251_199_000_001,
        accepted: vec![AcceptedRow {
            position,
            rank: Rank::first(JobNumber(4), position),
            key: Bytes::from_static(b"a\"1"),
            fields: row,
        }],
        rejected: vec![RejectedRow {
            position: Position::new(2, 123),
            line: 5,
            rule: "tempo.range".into(),
            rules: vec!["tempo.range".into(), "key.type".into()],
        }],
    }
}

const GOLDEN: &str = r#"{"specversion":"1.0","id":"00000000-0000-0000-0000-000000000007/2:77","source":"/ensemble/jobs/00000000-0000-0000-0000-000000000007","type":"ensemble.row.accepted.v1","subject":"a\"1","time":"2024-02-29T23:59:59.000001Z","datacontenttype":"application/json","partitionkey":"a\"1","rank":"4:562949953421389:0","shard":"9","data":{"track_id":"a\"1","energy":7.02e-6,"key":-3,"genre":null,"explicit":true,"extra":{"mood":"glad"}}}
{"specversion":"1.0","id":"00000000-0000-0000-0000-000000000007/2:123","source":"/ensemble/jobs/00000000-0000-0000-0000-000000000007","type":"ensemble.row.rejected.v1","time":"2024-02-29T23:59:59.000001Z","datacontenttype":"application/json","shard":"9","data":{"file":"tracks.csv","line":5,"offset":123,"rule":"tempo.range","rules":["tempo.range","key.type"]}}
{"specversion":"1.0","id":"00000000-0000-0000-0000-000000000007/shard/9","source":"/ensemble/jobs/00000000-0000-0000-0000-000000000007","type":"ensemble.shard.committed.v1","time":"2024-02-29T23:59:59.000001Z","datacontenttype":"application/json","shard":"9","data":{"contract":"tracks","file":"tracks.csv","accepted":1,"rejected":1}}
"#;

#[test]
fn the_bytes_of_the_events_are_these() {
    let mut out = Vec::new();
    write_json_lines(&sample(), &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), GOLDEN);
}

#[test]
fn every_event_is_a_cloud_event_of_its_topic() {
    let topics: Vec<_> = expand(&sample())
        .events()
        .map(|event| {
            let event = event.unwrap();
            let json = serde_json::to_value(&event).unwrap();
            for name in json.as_object().unwrap().keys() {
                assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{name}");
            }
            assert!(json["id"].as_str().is_some_and(|id| !id.is_empty()));
            event.event_type.topic()
        })
        .collect();
    assert_eq!(topics, [TOPIC_TRACKS, TOPIC_DEAD_LETTERS, TOPIC_SHARDS]);
}

#[test]
fn a_row_that_cannot_be_read_does_not_hide_the_others() {
    let mut events = sample();
    let mut bad = events.accepted[0].clone();
    bad.fields = Bytes::from_static(&[4, 200]);
    events.accepted.insert(0, bad);
    let mut bad = events.accepted[1].clone();
    bad.key = Bytes::from_static(&[0xff]);
    events.accepted.push(bad);
    let expansion = expand(&events);
    let events: Vec<_> = expansion.events().collect();
    assert_eq!(events[0], Err(RowError::Truncated));
    assert!(events[1].is_ok());
    assert_eq!(events[2], Err(RowError::NotUtf8));
    assert_eq!(events.len(), 5);
}

#[test]
fn an_empty_key_leaves_no_empty_attribute() {
    let mut events = sample();
    events.accepted[0].key = Bytes::new();
    let expansion = expand(&events);
    let event = expansion.events().next().unwrap().unwrap();
    assert_eq!((event.subject, event.partitionkey), (None, None));
}
