use ensemble_contract::row::RowRef;
use proptest::prelude::*;
use rdkafka::{
    Timestamp,
    message::{Header, OwnedHeaders, OwnedMessage},
};

use super::*;
use crate::{
    ShardEvents,
    conformance::{sample_shard, shard_with_every_kind_of_text},
    expand,
    expand::rfc3339,
};

/// What a consumer gets for each event of a shard.
fn messages(shard: &ShardEvents) -> Vec<OwnedMessage> {
    expand(shard)
        .events()
        .map(|event| {
            let message = crate::kafka::message::Message::new(event.unwrap(), shard, None).unwrap();
            owned(message.body, message.headers)
        })
        .collect()
}

fn owned(body: Vec<u8>, headers: OwnedHeaders) -> OwnedMessage {
    OwnedMessage::new(Some(body), None, "t".into(), Timestamp::NotAvailable, 0, 0, Some(headers))
}

#[test]
fn what_was_written_is_read() {
    for shard in [sample_shard(1, 3, 4), shard_with_every_kind_of_text(2, 0)] {
        let (mut accepted, mut rejected, mut committed) = (Vec::new(), Vec::new(), Vec::new());
        for message in messages(&shard) {
            let event = decode(&message).unwrap();
            assert_eq!((event.job, event.shard, event.time), (shard.job, shard.shard.number, rfc3339(shard.time_us)));
            match event.what {
                What::Accepted { row, columns } => {
                    assert_eq!(columns, shard.columns);
                    accepted.push(row);
                }
                What::Rejected { row, file } => {
                    assert_eq!(file, shard.source);
                    rejected.push(row);
                }
                What::Committed(data) => committed.push(data),
            }
        }
        assert_eq!((accepted, rejected), (shard.accepted.clone(), shard.rejected.clone()));
        let (accepted, rejected) = (shard.accepted.len() as u64, shard.rejected.len() as u64);
        let data = Committed { contract: shard.contract, file: shard.source, accepted, rejected };
        assert_eq!(committed, [data]);
    }
}

#[test]
fn other_messages_are_told_apart() {
    let message = |changed: &str, to: Option<&str>| {
        let original = messages(&sample_shard(1, 0, 1)).remove(0);
        let headers = original.headers().unwrap();
        let mut changes = OwnedHeaders::new();
        for header in headers.iter() {
            let value = if header.key == changed { to.map(str::as_bytes) } else { header.value };
            changes = changes.insert(Header { key: header.key, value });
        }
        owned(original.payload().unwrap().to_vec(), changes)
    };
    assert!(decode(&message("", None)).is_ok());
    for (header, value, says) in [
        ("ce_id", None, "no ce_id"),
        ("ce_id", Some("1/2"), "no row's"),
        ("ce_id", Some("00000000-0000-0000-0000-000000000007/2:x"), "no row's"),
        ("ce_type", Some("ensemble.row.accepted.v2"), "not known"),
        ("ce_rank", Some("1:2"), "three integers"),
        ("ce_rank", Some("1:2:3:4"), "three integers"),
        ("ce_shard", Some("-1"), "no number"),
        ("ce_type", Some("ensemble.shard.committed.v1"), "no shard's"),
        ("ce_type", Some("ensemble.row.rejected.v1"), "not what its type says"),
    ] {
        let NotAnEvent(reason) = decode(&message(header, value)).unwrap_err();
        assert!(reason.contains(says), "{header} {value:?}: {reason}");
    }
}

proptest! {
    /// JSON keeps every double and every integer: what is read back is the stored row, byte for byte.
    #[test]
    fn numbers_come_back_to_the_last_bit(floats in prop::collection::vec(any::<f64>(), 0..20), ints in prop::collection::vec(any::<i64>(), 0..20)) {
        let floats: Vec<f64> = floats.into_iter().filter(|v| v.is_finite()).collect();
        let mut fields = Vec::new();
        let mut writer = RowWriter::new(&mut fields);
        floats.iter().for_each(|v| writer.push(Value::Float(Float::from_f64(*v))));
        ints.iter().for_each(|v| writer.push(Value::Int(*v)));
        let mut shard = sample_shard(1, 0, 1);
        shard.columns = (0..floats.len() + ints.len()).map(|n| format!("c{n}")).collect();
        shard.accepted[0].fields = fields.clone().into();
        let event = decode(&messages(&shard)[0]).unwrap();
        let What::Accepted { row, .. } = event.what else { panic!() };
        prop_assert_eq!(&row.fields[..], &fields[..]);
        prop_assert!(RowRef::new(&row.fields).next_value().is_ok());
    }
}
