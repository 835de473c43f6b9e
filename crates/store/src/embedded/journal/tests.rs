use std::fs;

use bytes::Bytes;

use crate::{
    EmbeddedOptions, EmbeddedStore, Insert, Store,
    conformance::{EmbeddedFixture, Fixture, sample},
};

/// Overwrites what lies in the newest journal behind the first `marker`.
fn damage(fixture: &EmbeddedFixture, marker: &[u8], with: &[u8]) {
    let path = super::newest(&fixture.dir().join("db")).unwrap().unwrap();
    let mut journal = fs::read(&path).unwrap();
    let at = journal.windows(marker.len()).position(|w| w == marker).unwrap() + marker.len();
    journal[at..at + with.len()].copy_from_slice(with);
    fs::write(&path, journal).unwrap();
}

#[tokio::test]
async fn a_batch_with_a_hole_is_cut_off_and_all_before_it_stays() {
    let fixture = EmbeddedFixture::new();
    let store = fixture.open().await;
    for number in 0..3 {
        store.insert_ledger(&sample::entry(sample::shard(1, number), 5)).await.unwrap();
    }
    let mut letter = sample::dead_letter(sample::shard(1, 0), 5, "");
    letter.raw = Bytes::from([b"here it is torn:".to_vec(), b"x".repeat(20_000)].concat());
    store.put_dead_letters(vec![letter.clone()]).await.unwrap();
    drop(store);
    damage(&fixture, b"here it is torn:", &[0; 4096]);
    for _ in 0..2 {
        let store = EmbeddedStore::open(fixture.dir(), EmbeddedOptions::default()).unwrap();
        let settled = store.settled(&[0, 1, 2].map(|n| sample::shard(1, n))).await.unwrap();
        assert_eq!(settled, [true; 3]);
    }
    let store = fixture.open().await;
    assert_eq!(store.scan_dead_letters(None, None, 10).await.unwrap(), []);
    store.put_dead_letters(vec![letter.clone()]).await.unwrap();
    assert_eq!(store.insert_ledger(&sample::entry(sample::shard(1, 3), 5)).await.unwrap(), Insert::Inserted);
    drop(store);
    let store = fixture.open().await;
    assert_eq!(store.scan_dead_letters(None, None, 10).await.unwrap(), [letter]);
    assert!(store.ledger(sample::shard(1, 3)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_torn_end_of_the_journal_is_no_hindrance() {
    for with in [&[0_u8; 64][..], &[255; 64], &[1; 64]] {
        let fixture = EmbeddedFixture::new();
        let store = fixture.open().await;
        store.insert_ledger(&sample::entry(sample::shard(1, 0), 5)).await.unwrap();
        store.put_dead_letters(vec![sample::dead_letter(sample::shard(1, 0), 5, "the last letter")]).await.unwrap();
        drop(store);
        // The end marker follows the letter's bytes.
        damage(&fixture, b"the last letter", with);
        let store = fixture.open().await;
        assert!(store.ledger(sample::shard(1, 0)).await.unwrap().is_some());
        assert_eq!(store.scan_dead_letters(None, None, 10).await.unwrap(), []);
    }
}
