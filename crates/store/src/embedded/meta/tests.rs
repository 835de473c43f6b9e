use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::*;
use crate::{
    EmbeddedOptions,
    conformance::{EmbeddedFixture, Fixture, sample},
    embedded::{
        codec::{document_value, shard_key},
        engine::Engine,
        layout::Layout,
    },
};

fn engine(dir: &tempfile::TempDir) -> Arc<Engine> {
    Arc::new(Engine::open(Layout::open(dir.path()).unwrap(), &EmbeddedOptions::default()).unwrap())
}

fn ask<T>(request: impl FnOnce(Reply<T>) -> Request) -> (Request, oneshot::Receiver<Result<T, StoreError>>) {
    let (reply, answer) = oneshot::channel();
    (request(reply), answer)
}

#[tokio::test]
async fn requests_of_one_group_are_decided_one_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(&dir);
    let key = Bytes::from_static(b"\x01id");
    let value = |version| document_value(&sample::document("id", sample::stamp(1, version), "body"));
    let write = |expected: Option<u64>, version| {
        let (key, expected) = (key.clone(), expected.map(|v| sample::stamp(1, v)));
        let (stamp, value) = (sample::stamp(1, version), value(version));
        ask(|reply| Request::Write { key, expected, stamp, value, reply })
    };
    let delete =
        |version| ask(|reply| Request::Delete { key: key.clone(), expected: sample::stamp(1, version), reply });
    let shard = sample::shard(1, 0);
    let ledger_of = |rows| {
        let record = LedgerRecord::new(&sample::entry(shard, rows)).unwrap();
        ask(|reply| Request::Ledger { key: Bytes::copy_from_slice(&shard_key(shard)), record, reply })
    };
    let steps = [
        (write(None, 1), true),
        (write(None, 2), false),
        (write(Some(1), 2), true),
        (write(Some(1), 3), false),
        (delete(1), false),
        (delete(2), true),
        (delete(2), false),
        (write(Some(2), 3), false),
        (write(None, 7), true),
    ];
    let mut group = Group::new(&engine);
    let entries = [(ledger_of(1), Insert::Inserted), (ledger_of(2), Insert::Present)];
    let (mut flags, mut inserts) = (Vec::new(), Vec::new());
    for ((request, answer), expected) in steps {
        group.apply(request, true).unwrap();
        flags.push((answer, expected));
    }
    for ((request, answer), expected) in entries {
        group.apply(request, true).unwrap();
        inserts.push((answer, expected));
    }
    group.finish(Ok(()));
    for (step, (answer, expected)) in flags.into_iter().enumerate() {
        assert_eq!(answer.await.unwrap().unwrap(), expected, "step {step}");
    }
    for (answer, expected) in inserts {
        assert_eq!(answer.await.unwrap().unwrap(), expected);
    }
    assert_eq!(engine.get(&engine.documents, &key).unwrap(), Some(value(7)));
    assert_eq!(ledger(&engine, shard).unwrap(), Some(sample::entry(shard, 1)));
}

#[tokio::test]
async fn a_fault_of_the_group_is_everybodys_answer() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(&dir);
    let mut group = Group::new(&engine);
    let (request, answer) = ask(|reply| Request::DeadLetters {
        letters: vec![(Bytes::from_static(b"key"), Bytes::from_static(b"value"))],
        reply,
    });
    group.apply(request, true).unwrap();
    group.finish(Err(StoreError::Full { path: dir.path().to_owned() }));
    assert!(matches!(answer.await.unwrap(), Err(StoreError::Full { .. })));
    assert_eq!(engine.get(&engine.dead_letters, b"key").unwrap(), None);
    assert!(matches!(engine.health.check(), Err(StoreError::Full { .. })));
}

#[tokio::test]
async fn a_delta_of_any_length_comes_back() {
    let fixture = EmbeddedFixture::new();
    let entries: Vec<_> = [0, 1, 1024, 1025, 40_000, 3 << 20]
        .into_iter()
        .enumerate()
        .map(|(number, length)| {
            let mut entry = sample::entry(sample::shard(1, number as u32), 1);
            entry.delta = (0..length).map(|n: u64| ((n * n) >> 5) as u8).collect();
            entry
        })
        .collect();
    let store = fixture.open().await;
    for entry in &entries {
        assert_eq!(store.insert_ledger(entry).await.unwrap(), Insert::Inserted);
    }
    drop(store);
    let store = fixture.open().await;
    assert!(store.scan_ledger(entries[0].plan.shard.job, 0, 10).await.unwrap() == entries);
    assert_eq!(store.ledger(entries[4].plan.shard).await.unwrap().as_ref(), Some(&entries[4]));
}
