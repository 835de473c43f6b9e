//! Reading back in pages, for logs that can be read back.

use super::{Place, sample_shard};
use crate::{LogCursor, ShardEvents};

/// Nothing appended, nothing read.
pub async fn an_empty_log_has_an_empty_page(place: &dyn Place) {
    let log = place.open().await;
    if let Some(page) = log.scan(LogCursor::default(), 10).await.unwrap() {
        assert_eq!(page.records, []);
        let again = log.scan(page.next, 10).await.unwrap().unwrap();
        assert_eq!(again.records, []);
    }
    log.close().await.unwrap();
}

/// Whatever the page's size, every record comes once; all pages but the last are full; every cursor leads to what is
/// behind it.
pub async fn pages_of_every_size_agree(place: &dyn Place) {
    let log = place.open().await;
    let shards: Vec<ShardEvents> = (0..12).map(|n| sample_shard(1, n, u64::from(n))).collect();
    for shard in &shards {
        log.append(shard.clone().into()).await.unwrap();
    }
    for limit in 1..=13 {
        let (mut at, mut after) = (0, LogCursor::default());
        loop {
            let Some(page) = log.scan(after, limit).await.unwrap() else { return };
            assert_eq!(page.records, shards[at..shards.len().min(at + limit)], "limit {limit}, from {at}");
            assert!(page.next >= after);
            at += page.records.len();
            after = page.next;
            if page.records.len() < limit {
                break;
            }
        }
        assert_eq!(at, shards.len());
    }
    log.close().await.unwrap();
}

/// A reader that has come to the end reads on from there once there is more.
pub async fn a_cursor_stays_good_while_the_log_grows(place: &dyn Place) {
    let log = place.open().await;
    let mut after = LogCursor::default();
    for number in 0..10 {
        log.append(sample_shard(1, number, 2).into()).await.unwrap();
        let Some(page) = log.scan(after, 100).await.unwrap() else { return };
        assert_eq!(page.shards().map(|s| s.number).collect::<Vec<_>>(), [number]);
        after = page.next;
    }
    log.close().await.unwrap();
    let log = place.open().await;
    assert_eq!(log.scan(after, 100).await.unwrap().unwrap().records, []);
    log.close().await.unwrap();
}
