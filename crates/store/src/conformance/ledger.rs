//! Dead letters and the ledger.

use std::sync::Arc;

use bytes::Bytes;

use super::{Fixture, Result, check, sample};
use crate::{ErrorClass, Insert, JobNumber, StoreError};

/// The same letters again, and other ones of the same name, change nothing.
pub async fn dead_letters_are_kept_once(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        let shard = sample::shard(1, 0);
        let mut bare = sample::dead_letter(shard, 9, "");
        (bare.column, bare.value, bare.length) = (None, None, 1 << 20);
        let letters = vec![sample::dead_letter(shard, 5, "a,b\0\"c"), bare];
        store.put_dead_letters(letters.clone()).await?;
        store.put_dead_letters(letters.clone()).await?;
        store.put_dead_letters(vec![sample::dead_letter(shard, 5, "other")]).await?;
        store.put_dead_letters(Vec::new()).await?;
        drop(store);
        let store = fixture.open().await;
        assert_eq!(store.scan_dead_letters(None, None, 10).await?, letters);
        Ok(())
    })
    .await;
}

/// Pages are in the order of shard and position, of one job or of all.
pub async fn dead_letters_are_scanned_in_order(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        let mut names = Vec::new();
        for (job, number) in [(2, 300), (1, 0), (2, 0), (256, 1), (1, 256)] {
            let shard = sample::shard(job, number);
            let letters: Vec<_> = [1 << 48, 255, 0, 256].map(|p| sample::dead_letter(shard, p, "raw")).to_vec();
            names.extend(letters.iter().map(|l| (l.shard, l.position)));
            store.put_dead_letters(letters).await?;
        }
        names.sort();
        for limit in [1, 3, 20, 21] {
            let mut found: Vec<_> = Vec::new();
            loop {
                let page = store.scan_dead_letters(None, found.last().copied(), limit).await?;
                let is_last = page.len() < limit;
                found.extend(page.into_iter().map(|l| (l.shard, l.position)));
                if is_last {
                    break;
                }
            }
            assert_eq!(found, names, "in pages of {limit}");
        }
        let of_two = store.scan_dead_letters(Some(JobNumber(2)), None, 100).await?;
        assert!(of_two.len() == 8 && of_two.iter().all(|l| l.shard.job == JobNumber(2)));
        let last = of_two.last().map(|l| (l.shard, l.position));
        assert_eq!(store.scan_dead_letters(Some(JobNumber(2)), last, 10).await?, []);
        assert_eq!(store.scan_dead_letters(Some(JobNumber(3)), None, 10).await?, []);
        Ok(())
    })
    .await;
}

/// The first entry stays, also where many come at once.
pub async fn a_ledger_entry_is_inserted_once(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        let shard = sample::shard(1, 0);
        assert_eq!(store.ledger(shard).await?, None);
        let tasks: Vec<_> = (0..20)
            .map(|rows| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { store.insert_ledger(&sample::entry(shard, rows)).await })
            })
            .collect();
        let mut winners = Vec::new();
        for (rows, task) in tasks.into_iter().enumerate() {
            let insert = task.await.map_err(|e| StoreError::Unavailable(e.to_string()))??;
            winners.extend((insert == Insert::Inserted).then_some(rows as u64));
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(store.ledger(shard).await?.map(|e| e.rows), winners.first().copied());
        drop(store);
        let store = fixture.open().await;
        let stored = winners.first().map(|rows| sample::entry(shard, *rows));
        assert_eq!(store.ledger(shard).await?, stored);
        assert_eq!(store.insert_ledger(&sample::entry(shard, 99)).await?, Insert::Present);
        Ok(())
    })
    .await;
}

/// Pages keep to their job; `settled` answers in the order asked.
pub async fn ledger_entries_are_scanned_in_order(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        for (job, number) in [(1, 5), (2, 256), (2, 0), (2, 255), (2, 1), (3, 0)] {
            let mut entry = sample::entry(sample::shard(job, number), u64::from(number));
            entry.aside = (number == 1).then(|| "poison".to_owned());
            entry.delta = if number == 0 { Bytes::new() } else { entry.delta };
            assert_eq!(store.insert_ledger(&entry).await?, Insert::Inserted);
        }
        let numbers = async |from, limit| -> Result<Vec<u32>> {
            let page = store.scan_ledger(JobNumber(2), from, limit).await?;
            assert!(page.iter().all(|e| e.plan.shard.job == JobNumber(2)));
            Ok(page.iter().map(|e| e.plan.shard.number).collect())
        };
        assert_eq!(numbers(0, 10).await?, [0, 1, 255, 256]);
        assert_eq!(numbers(1, 2).await?, [1, 255]);
        assert_eq!(numbers(2, 2).await?, [255, 256]);
        assert_eq!(numbers(257, 2).await?, [0; 0]);
        let page = store.scan_ledger(JobNumber(2), 0, 2).await?;
        assert_eq!(page.iter().map(|e| e.aside.is_some()).collect::<Vec<_>>(), [false, true]);
        let asked = [(3, 0), (2, 2), (2, 1), (9, 9), (1, 5), (2, 1)].map(|(job, number)| sample::shard(job, number));
        assert_eq!(store.settled(&asked).await?, [true, false, true, false, true, true]);
        assert_eq!(store.settled(&[]).await?, [false; 0]);
        Ok(())
    })
    .await;
}

/// A delta of more than one document of 16 MiB comes back, alone and in a page.
pub async fn a_large_delta_comes_back(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        let mut large = sample::entry(sample::shard(1, 1), 1);
        large.delta = sample::noise(1, 17 << 20);
        let small = sample::entry(sample::shard(1, 2), 2);
        for entry in [&large, &small] {
            assert_eq!(store.insert_ledger(entry).await?, Insert::Inserted);
            assert_eq!(store.insert_ledger(entry).await?, Insert::Present);
        }
        drop(store);
        let store = fixture.open().await;
        assert!(store.ledger(large.plan.shard).await?.as_ref() == Some(&large));
        assert!(store.scan_ledger(JobNumber(1), 0, 10).await? == [large, small]);
        Ok(())
    })
    .await;
}

/// A closed store answers that it is closed; opened again it has everything.
pub async fn closed_stores_answer_closed(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        let shard = sample::shard(1, 0);
        store.insert_ledger(&sample::entry(shard, 1)).await?;
        store.close().await?;
        store.close().await?;
        for result in [store.ledger(shard).await.err(), store.insert_claims("s", Vec::new().into()).await.err()] {
            assert!(matches!(result, Some(StoreError::Closed)), "{result:?}");
            assert_eq!(result.map(|e| e.class()), Some(ErrorClass::Fatal));
        }
        let store = fixture.open().await;
        assert!(store.ledger(shard).await?.is_some());
        Ok(())
    })
    .await;
}
