use std::{fs, path::PathBuf};

use bytes::Bytes;

use crate::{
    Insert, StoreError,
    conformance::{EmbeddedFixture, Fixture, sample},
};

fn segment(fixture: &EmbeddedFixture, number: u32) -> PathBuf {
    fixture.dir().join(format!("bronze/{number:010}.seg"))
}

/// Cuts bytes off the end of a segment, as the loss of power does.
fn cut(fixture: &EmbeddedFixture, bytes: u64) {
    let file = fs::File::options().write(true).open(segment(fixture, 1)).unwrap();
    file.set_len(file.metadata().unwrap().len() - bytes).unwrap();
}

fn content(number: u32) -> Bytes {
    Bytes::from(format!("shard {number}\n").repeat(200))
}

#[tokio::test]
async fn a_decision_whose_bytes_are_lost_was_never_made() {
    let fixture = EmbeddedFixture::new();
    let store = fixture.open().await;
    let records = [0, 1, 2].map(|n| sample::process(sample::shard(1, n), &content(n)));
    for record in &records[..2] {
        store.insert_decision(record).await.unwrap();
    }
    store.insert_ledger(&sample::entry(sample::shard(1, 0), 1)).await.unwrap();
    store.insert_decision(&records[2]).await.unwrap();
    drop(store);
    cut(&fixture, 3);
    let store = fixture.open().await;
    for record in &records[..2] {
        assert_eq!(store.decision(record.plan.shard).await.unwrap().as_ref(), Some(record));
    }
    assert_eq!(store.decision(records[2].plan.shard).await.unwrap(), None);
    assert_eq!(store.insert_decision(&records[2]).await.unwrap(), Insert::Inserted);
    drop(store);
    let store = fixture.open().await;
    assert_eq!(store.scan_decisions(records[0].plan.shard.job, 0, 9).await.unwrap(), records);
}

#[tokio::test]
async fn what_a_claim_rests_on_is_durable_before_it() {
    let fixture = EmbeddedFixture::new();
    let store = fixture.open().await;
    let record = sample::process(sample::shard(1, 0), &content(0));
    store.insert_decision(&record).await.unwrap();
    let claim = sample::claim([1, 0, 0], sample::shard(1, 0), "fields");
    store.insert_claims("tracks", vec![sample::new_claim("key", claim)].into()).await.unwrap();
    store.insert_ledger(&sample::entry(sample::shard(1, 0), 1)).await.unwrap();
    drop(store);
    // Bytes behind the mark that the entry was written with may be torn; those before it may not.
    fs::OpenOptions::new().append(true).open(segment(&fixture, 1)).map(drop).unwrap();
    cut(&fixture, 1);
    let opened = crate::EmbeddedStore::open(fixture.dir(), crate::EmbeddedOptions::default());
    assert!(matches!(opened.err(), Some(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn a_damaged_chunk_is_noticed_when_it_is_read() {
    let fixture = EmbeddedFixture::new();
    let store = fixture.open().await;
    let records = [0, 1].map(|n| sample::process(sample::shard(1, n), &content(n)));
    for record in &records {
        store.insert_decision(record).await.unwrap();
    }
    let mut bytes = fs::read(segment(&fixture, 1)).unwrap();
    bytes[30] ^= 1;
    fs::write(segment(&fixture, 1), bytes).unwrap();
    let error = store.decision(records[0].plan.shard).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { what, .. } if what.contains("0000000001.seg")), "{error}");
    assert_eq!(store.decision(records[1].plan.shard).await.unwrap().as_ref(), Some(&records[1]));
}

#[tokio::test]
async fn a_spooled_shard_and_its_decision_share_their_bytes() {
    let fixture = EmbeddedFixture::new();
    let store = fixture.open().await;
    let shard = sample::shard(1, 0);
    store.put_spooled(&sample::spooled(shard, &content(0))).await.unwrap();
    let length = fs::metadata(segment(&fixture, 1)).unwrap().len();
    store.insert_decision(&sample::process(shard, &content(0))).await.unwrap();
    assert_eq!(fs::metadata(segment(&fixture, 1)).unwrap().len(), length);
    // Other bytes are other bytes.
    let other = sample::shard(1, 1);
    store.put_spooled(&sample::spooled(other, &content(1))).await.unwrap();
    let decision = sample::process(other, &content(2));
    store.insert_decision(&decision).await.unwrap();
    assert_eq!(store.decision(other).await.unwrap(), Some(decision));
}
