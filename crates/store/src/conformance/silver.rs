//! Claims.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use super::{Fixture, Result, check, sample};
use crate::{ClaimInsert, NewClaim, Rank, Replacement, SilverDoc, Store, StoreError};

const SILVER: &str = "spotify_clean";

/// A key of its own for each number, the order of the keys unlike that of the numbers.
fn key(number: u64) -> Bytes {
    format!("{:016x}-{number}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15)).into()
}

/// The store, with its silver collection declared.
async fn opened(fixture: &impl Fixture) -> Result<Arc<dyn Store>> {
    let store = fixture.open().await;
    store.declare_silver(SILVER, &sample::columns()).await?;
    Ok(store)
}

/// The whole collection, page by page.
async fn all(store: &dyn Store, silver: &str, limit: usize) -> Result<Vec<(Bytes, SilverDoc)>> {
    let mut all: Vec<(Bytes, SilverDoc)> = Vec::new();
    loop {
        let after = all.last().map(|(key, _)| key.clone());
        let page = store.scan_silver(silver, after, limit).await?;
        let is_last = page.len() < limit;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

/// Inserts claims; whether each was. A document that an answer brings is the one that is read.
async fn insert(store: &dyn Store, claims: Vec<NewClaim>) -> Result<Vec<bool>> {
    let keys = claims.iter().map(|c| c.key.clone()).collect();
    let answers = store.insert_claims(SILVER, claims.into()).await?;
    let docs = store.read_claims(SILVER, keys).await?;
    for (answer, doc) in answers.iter().zip(docs) {
        if let ClaimInsert::Present(Some(found)) = answer {
            assert_eq!(Some(&**found), doc.as_ref());
        }
    }
    Ok(answers.iter().map(|answer| *answer == ClaimInsert::Inserted).collect())
}

/// In one request some keys are absent and some present; answers are in the order of the claims.
pub async fn claims_are_inserted_where_absent(fixture: &impl Fixture) {
    check(async {
        let store = opened(fixture).await?;
        let claims = |shard: u32, keys: &[u64]| -> Vec<NewClaim> {
            let claim = |k: &u64| sample::claim([1, -2, i64::MIN], sample::shard(1, shard), format!("{shard}/{k}"));
            keys.iter().map(|k| sample::new_claim(key(*k), claim(k))).collect()
        };
        assert_eq!(store.read_claims(SILVER, vec![key(1)]).await?, [None]);
        assert_eq!(insert(&*store, claims(0, &[1, 2, 3])).await?, [true; 3]);
        assert_eq!(insert(&*store, claims(1, &[9, 3, 7, 1])).await?, [true, false, true, false]);
        assert_eq!(insert(&*store, claims(0, &[1, 2, 3])).await?, [false; 3]);
        assert!(insert(&*store, Vec::new()).await?.is_empty());
        drop(store);
        let store = fixture.open().await;
        let keys = [1, 2, 3, 7, 9].map(key).to_vec();
        let fields = |doc: Option<SilverDoc>| doc.map(|d| d.live.fields);
        let stored: Vec<_> = store.read_claims(SILVER, keys).await?.into_iter().map(fields).collect();
        assert_eq!(stored, ["0/1", "0/2", "0/3", "1/7", "1/9"].map(|text| Some(sample::row(text))));
        assert_eq!(insert(&*store, claims(5, &[9, 10])).await?, [false, true]);
        Ok(())
    })
    .await;
}

/// Ten thousand claims at once, and the same once more.
pub async fn a_batch_of_ten_thousand_claims_is_inserted(fixture: &impl Fixture) {
    check(async {
        let store = opened(fixture).await?;
        let shard = sample::shard(1, 0);
        let claims: Vec<_> = (0..10_000)
            .map(|n| sample::new_claim(key(n), sample::claim([1, n as i64, 0], shard, format!("{n:115}"))))
            .collect();
        assert!(insert(&*store, claims.clone()).await? == [true; 10_000]);
        assert!(insert(&*store, claims.clone()).await? == [false; 10_000]);
        drop(store);
        let store = fixture.open().await;
        let stored = store.read_claims(SILVER, claims.iter().map(|c| c.key.clone()).collect()).await?;
        assert!(stored.into_iter().zip(claims).all(|(doc, c)| doc == Some(sample::doc(c.claim))));
        Ok(())
    })
    .await;
}

/// A hundred claimants of the same keys at once: each key has exactly one winner, who stands in the document.
pub async fn a_hundred_claimants_share_the_keys(fixture: &impl Fixture) {
    check(async {
        let store = opened(fixture).await?;
        let tasks: Vec<_> = (0..100_u32)
            .map(|claimant| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let claim = sample::claim([1, 0, i64::from(claimant)], sample::shard(1, claimant), "fields");
                    let claims: Vec<_> = (0..50).map(|n| sample::new_claim(key(n), claim.clone())).collect();
                    store.insert_claims(SILVER, claims.into()).await
                })
            })
            .collect();
        let mut winners = BTreeMap::new();
        for (claimant, task) in tasks.into_iter().enumerate() {
            let inserts = task.await.map_err(|e| StoreError::Unavailable(e.to_string()))??;
            for (n, insert) in inserts.into_iter().enumerate() {
                if insert == ClaimInsert::Inserted {
                    assert_eq!(winners.insert(n, claimant as u32), None, "key {n} has two winners");
                }
            }
        }
        assert_eq!(winners.len(), 50, "each key has a winner");
        let docs = store.read_claims(SILVER, (0..50).map(key).collect()).await?;
        for (n, doc) in docs.into_iter().enumerate() {
            assert_eq!(doc.map(|d| d.live.shard.number), winners.get(&n).copied(), "key {n}");
        }
        Ok(())
    })
    .await;
}

/// Answers stand in the order of the keys, repeats and absent keys included.
pub async fn documents_are_read_in_the_order_asked(fixture: &impl Fixture) {
    check(async {
        let store = opened(fixture).await?;
        let claim = |n: u64| sample::claim([1, n as i64, 0], sample::shard(1, 0), format!("{n}"));
        let claims: Vec<_> = (0..20).map(|n| sample::new_claim(key(n), claim(n))).collect();
        store.insert_claims(SILVER, claims.into()).await?;
        let asked = [7, 3, 99, 3, 19, 0, 100];
        let docs = store.read_claims(SILVER, asked.map(key).to_vec()).await?;
        let expected: Vec<_> = asked.into_iter().map(|n| (n < 20).then(|| sample::doc(claim(n)))).collect();
        assert_eq!(docs, expected);
        assert_eq!(store.read_claims(SILVER, Vec::new()).await?, []);
        Ok(())
    })
    .await;
}

/// A stale stamp, a stamp of another shard and an absent key are refused; displaced claims come back.
pub async fn replacements_need_the_live_stamp(fixture: &impl Fixture) {
    check(async {
        let store = opened(fixture).await?;
        let first = sample::claim([5, 0, 0], sample::shard(1, 0), "first");
        let second = sample::claim([4, -1, 0], sample::shard(2, 7), "second");
        let doc = SilverDoc { live: second.clone(), displaced: vec![first.clone()] };
        let replace = |key: &'static str, expected, doc: &SilverDoc| {
            vec![Replacement { key: Bytes::from_static(key.as_bytes()), expected, doc: doc.clone() }]
        };
        store.insert_claims(SILVER, vec![sample::new_claim("k", first.clone())].into()).await?;
        assert_eq!(store.replace_claims(SILVER, replace("absent", (first.rank, first.shard), &doc)).await?, [false]);
        assert_eq!(store.replace_claims(SILVER, replace("k", (second.rank, first.shard), &doc)).await?, [false]);
        assert_eq!(store.replace_claims(SILVER, replace("k", (first.rank, second.shard), &doc)).await?, [false]);
        assert_eq!(store.replace_claims(SILVER, replace("k", (first.rank, first.shard), &doc)).await?, [true]);
        let other = sample::doc(sample::claim([4, -1, 0], sample::shard(2, 8), "too late"));
        assert_eq!(store.replace_claims(SILVER, replace("k", (first.rank, first.shard), &other)).await?, [false]);
        drop(store);
        let store = fixture.open().await;
        let docs = store.read_claims(SILVER, vec!["absent".into(), "k".into()]).await?;
        assert_eq!(docs, [None, Some(doc)]);
        // Both at once, in the order asked.
        let third = sample::doc(sample::claim([3, 0, 0], sample::shard(3, 0), "third"));
        let both = [replace("k", (first.rank, first.shard), &third), replace("k2", (first.rank, first.shard), &third)];
        assert_eq!(store.replace_claims(SILVER, both.concat()).await?, [false, false]);
        assert_eq!(store.replace_claims(SILVER, replace("k", (second.rank, second.shard), &third)).await?, [true]);
        Ok(())
    })
    .await;
}

/// Fifty writers that read the same document: one replaces it.
pub async fn one_of_many_replacements_wins(fixture: &impl Fixture) {
    check(async {
        let store = opened(fixture).await?;
        let first = sample::claim([100, 0, 0], sample::shard(1, 0), "first");
        store
            .insert_claims(SILVER, (0..10).map(|n| sample::new_claim(key(n), first.clone())).collect::<Vec<_>>().into())
            .await?;
        let tasks: Vec<_> = (0..50_u32)
            .map(|writer| {
                let (store, expected) = (Arc::clone(&store), (first.rank, first.shard));
                let doc = sample::doc(sample::claim([50, 0, 0], sample::shard(2, writer), "next"));
                let replacements = (0..10).map(|n| Replacement { key: key(n), expected, doc: doc.clone() }).collect();
                tokio::spawn(async move { store.replace_claims(SILVER, replacements).await })
            })
            .collect();
        let mut won = vec![0; 10];
        for task in tasks {
            let results = task.await.map_err(|e| StoreError::Unavailable(e.to_string()))??;
            won.iter_mut().zip(results).for_each(|(won, replaced)| *won += u32::from(replaced));
        }
        assert_eq!(won, [1; 10]);
        Ok(())
    })
    .await;
}

/// Empty, long, with zero bytes, in every script: each key is its own, and comes back in bytewise order.
pub async fn keys_of_every_kind_are_kept(fixture: &impl Fixture) {
    check(async {
        let store = opened(fixture).await?;
        let texts = [
            "",
            "\0",
            "\0\0",
            "\0a",
            "a",
            "a\0",
            "a\0b",
            "A",
            " ",
            "  a",
            "'",
            "\"",
            "$x",
            "a.b",
            "\u{1}",
            "\u{7f}",
            "é",
            "e\u{301}",
            "日本",
            "𝄞",
            "\u{10ffff}",
            "\n",
            "\r\n",
            "../x",
            "key",
            "{\"$oid\": \"507f1f77bcf86cd799439011\"}",
            "507f1f77bcf86cd799439011",
            "_id",
            "%",
            "\\",
            "1",
            "01",
            "1.0",
            "-0",
            "null",
            "true",
            "\u{200d}",
            "\u{202e}x",
            "ß",
            "SS",
            "İ",
            "i\u{307}",
        ];
        let mut keys: Vec<Bytes> = texts.iter().map(|t| Bytes::from_static(t.as_bytes())).collect();
        keys.extend(["k".repeat(1024), "k".repeat(1023), "é".repeat(512)].map(Bytes::from));
        let claim =
            |k: &Bytes| sample::claim([1, 2, 3], sample::shard(1, 0), format!("of {}", String::from_utf8_lossy(k)));
        let claims: Vec<_> = keys.iter().map(|k| sample::new_claim(k.clone(), claim(k))).collect();
        assert_eq!(insert(&*store, claims.clone()).await?, vec![true; keys.len()]);
        assert_eq!(insert(&*store, claims).await?, vec![false; keys.len()]);
        let docs = store.read_claims(SILVER, keys.clone()).await?;
        assert!(docs.iter().zip(&keys).all(|(doc, k)| *doc == Some(sample::doc(claim(k)))));
        keys.sort();
        let scanned = all(&*store, SILVER, 4).await?;
        assert_eq!(scanned.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), keys);
        Ok(())
    })
    .await;
}

/// Pages of every size give the same documents, also where several runs and replacements lie over each other.
pub async fn silver_is_scanned_in_order_of_its_keys(fixture: &impl Fixture) {
    check(async {
        let store = opened(fixture).await?;
        let claim = |n: u64, what: &str| sample::claim([9, 0, 0], sample::shard(1, 0), format!("{what} {n}"));
        let mut expected = BTreeMap::new();
        for part in 0..5 {
            let numbers: Vec<_> = (0..40).map(|n| n * 5 + part).collect();
            let claims: Vec<_> = numbers.iter().map(|n| sample::new_claim(key(*n), claim(*n, "new"))).collect();
            store.insert_claims(SILVER, claims.into()).await?;
            expected.extend(numbers.iter().map(|n| (key(*n), sample::doc(claim(*n, "new")))));
        }
        for n in [3, 77, 150] {
            let (live, expected_stamp) = (claim(n, "newer"), claim(n, "new"));
            let doc = SilverDoc { live, displaced: vec![claim(n, "new")] };
            let expected_stamp = (expected_stamp.rank, expected_stamp.shard);
            let replacement = Replacement { key: key(n), expected: expected_stamp, doc: doc.clone() };
            assert_eq!(store.replace_claims(SILVER, vec![replacement]).await?, [true]);
            expected.insert(key(n), doc);
        }
        let expected: Vec<_> = expected.into_iter().collect();
        for limit in [1, 7, 50, 199, 200, 201, 1000] {
            assert_eq!(all(&*store, SILVER, limit).await?, expected, "in pages of {limit}");
        }
        let last = expected.last().map(|(key, _)| key.clone());
        assert_eq!(store.scan_silver(SILVER, last, 10).await?, []);
        assert_eq!(store.scan_silver("never_written", None, 10).await?, []);
        // A cursor need not be a key.
        let from = store.scan_silver(SILVER, Some(Bytes::from_static(b"8")), 1).await?;
        assert_eq!(from.first(), expected.iter().find(|(key, _)| **key > b"8"[..]));
        Ok(())
    })
    .await;
}

/// The same key in two collections is two documents.
pub async fn collections_are_apart(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        for silver in ["tracks", "albums"] {
            store.declare_silver(silver, &sample::columns()).await?;
            let claim = sample::claim([1, 0, 0], sample::shard(1, 0), silver);
            assert_eq!(
                store.insert_claims(silver, vec![sample::new_claim("k", claim)].into()).await?,
                [ClaimInsert::Inserted]
            );
        }
        for silver in ["tracks", "albums"] {
            let page = all(&*store, silver, 10).await?;
            assert_eq!(page.into_iter().map(|(_, doc)| doc.live.fields).collect::<Vec<_>>(), [sample::row(silver)]);
        }
        Ok(())
    })
    .await;
}

/// As many claims as fit into a batch of a thousand, one less and one more; and claims so large that a few fill a
/// batch.
pub async fn batches_of_every_size_are_claimed(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        for (count, length) in [(1, 1), (999, 20), (1000, 20), (1001, 20), (2001, 20), (13, 1 << 20), (3, 6 << 20)] {
            claim_and_replace(&*store, count, length).await?;
        }
        Ok(())
    })
    .await;
}

/// Claims that many keys in a collection of its own, and replaces them all.
async fn claim_and_replace(store: &dyn Store, count: i64, length: usize) -> Result {
    let silver = format!("{count}_of_{length}");
    store.declare_silver(&silver, &sample::columns()).await?;
    let shard = sample::shard(1, 0);
    let claim = |n: i64, rank| sample::claim([rank, n, 0], shard, format!("{n}{}", "x".repeat(length)));
    let key = |n: i64| Bytes::from(format!("{n:05}"));
    let claims: Arc<Vec<_>> = Arc::new((0..count).map(|n| sample::new_claim(key(n), claim(n, 2))).collect());
    let inserted = store.insert_claims(&silver, Arc::clone(&claims)).await?;
    assert!(inserted.len() == claims.len() && inserted.iter().all(|i| *i == ClaimInsert::Inserted), "{silver}");
    let again = store.insert_claims(&silver, Arc::clone(&claims)).await?;
    assert!(again.len() == claims.len() && again.iter().all(|i| *i != ClaimInsert::Inserted), "{silver}");
    let doc = |n| SilverDoc { live: claim(n, 1), displaced: vec![sample::claim([2, n, 0], shard, "before")] };
    let replacement = |n| Replacement { key: key(n), expected: (Rank([2, n, 0]), shard), doc: doc(n) };
    let replaced = store.replace_claims(&silver, (0..count).map(replacement).collect()).await?;
    assert!(replaced.len() == claims.len() && replaced.into_iter().all(|r| r), "{silver}");
    let found = all(store, &silver, 500).await?;
    assert!(found == (0..count).map(|n| (key(n), doc(n))).collect::<Vec<_>>(), "{silver}");
    Ok(())
}
