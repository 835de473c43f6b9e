//! Decision records and spooled shards.

use bytes::Bytes;

use super::{Fixture, Result, check, sample};
use crate::{Decision, DecisionRecord, Insert, JobNumber, ShardKind};

/// The first decision stays, whoever comes later with whatever.
pub async fn a_decision_is_inserted_once(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        let shard = sample::shard(1, 0);
        let first = sample::process(shard, &Bytes::from_static(b"a,b\n1,2\n"));
        let aside = Decision::Aside { reason: "poison".to_owned(), bytes: None };
        let second = DecisionRecord { plan: first.plan.clone(), decision: aside };
        assert_eq!(store.decision(shard).await?, None);
        assert_eq!(store.insert_decision(&first).await?, Insert::Inserted);
        assert_eq!(store.insert_decision(&second).await?, Insert::Present);
        assert_eq!(store.insert_decision(&first).await?, Insert::Present);
        assert_eq!(store.decision(shard).await?, Some(first.clone()));
        drop(store);
        let store = fixture.open().await;
        assert_eq!(store.decision(shard).await?, Some(first));
        assert_eq!(store.insert_decision(&second).await?, Insert::Present);
        Ok(())
    })
    .await;
}

/// Shards that are set aside, with and without their bytes, and one that is empty.
pub async fn aside_decisions_keep_their_reason(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        let contents = [None, Some(Bytes::new()), Some(Bytes::from_static(b"x"))];
        for (number, bytes) in contents.into_iter().enumerate() {
            let mut plan = sample::plan(sample::shard(1, number as u32), bytes.as_deref().unwrap_or_default());
            plan.kind = ShardKind::LastPiece {
                record_offset: 12,
                record_length: 3 << 20,
                record_line: 2,
                head: Bytes::from_static(b"\x00\xff head"),
            };
            let decision = Decision::Aside { reason: format!("it killed {number} workers – “x”"), bytes };
            let record = DecisionRecord { plan, decision };
            assert_eq!(store.insert_decision(&record).await?, Insert::Inserted);
            assert_eq!(store.decision(record.plan.shard).await?, Some(record));
        }
        Ok(())
    })
    .await;
}

/// Jobs whose bronze is in collections of their own, and one that nobody has declared, are apart and stay where they are.
pub async fn jobs_may_have_bronze_of_their_own(fixture: &impl Fixture) {
    check(async {
        let record =
            |job, text: &'static str| sample::process(sample::shard(job, 0), &Bytes::from_static(text.as_bytes()));
        let records = [record(1, "one"), record(2, "two"), record(3, "three")];
        let store = fixture.open().await;
        // A question before the declaration does not decide anything.
        assert_eq!(store.decision(sample::shard(1, 0)).await?, None);
        for job in [1, 2] {
            store.declare_bronze(JobNumber(job), &format!("raw-{job}")).await?;
            store.declare_bronze(JobNumber(job), &format!("raw-{job}")).await?;
        }
        for record in &records {
            assert_eq!(store.insert_decision(record).await?, Insert::Inserted);
            assert_eq!(store.insert_decision(record).await?, Insert::Present);
        }
        drop(store);
        let store = fixture.open().await;
        for (job, record) in (1..).zip(&records) {
            assert_eq!(store.decision(sample::shard(job, 0)).await?.as_ref(), Some(record));
            assert_eq!(&store.scan_decisions(JobNumber(job), 0, 10).await?, std::slice::from_ref(record));
        }
        Ok(())
    })
    .await;
}

/// Pages begin where they are asked to, keep to their job and are in order, whatever the order of insertion.
pub async fn decisions_are_scanned_in_order(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        for number in [300, 1, 256, 0, 2, 255] {
            for job in [1, 2, 256] {
                let bytes = Bytes::from(format!("{job}/{number}"));
                store.insert_decision(&sample::process(sample::shard(job, number), &bytes)).await?;
            }
        }
        let numbers = async |from, limit| -> Result<Vec<u32>> {
            let page = store.scan_decisions(JobNumber(2), from, limit).await?;
            assert!(page.iter().all(|r| r.plan.shard.job == JobNumber(2)));
            Ok(page.iter().map(|r| r.plan.shard.number).collect())
        };
        assert_eq!(numbers(0, 100).await?, [0, 1, 2, 255, 256, 300]);
        assert_eq!(numbers(0, 6).await?, [0, 1, 2, 255, 256, 300]);
        assert_eq!(numbers(1, 2).await?, [1, 2]);
        assert_eq!(numbers(3, 2).await?, [255, 256]);
        assert_eq!(numbers(301, 2).await?, [0; 0]);
        assert_eq!(store.scan_decisions(JobNumber(3), 0, 10).await?, []);
        Ok(())
    })
    .await;
}

/// Chunks of 8 MiB, one that can be compressed and one that cannot.
pub async fn a_large_chunk_of_bronze_comes_back(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        let noise = sample::noise(1, 8 << 20);
        let text = Bytes::from("track,artist,1970,0.5\n".repeat((8 << 20) / 22));
        for (number, bytes) in [noise, text].into_iter().enumerate() {
            let record = sample::process(sample::shard(1, number as u32), &bytes);
            assert_eq!(store.insert_decision(&record).await?, Insert::Inserted);
            assert!(store.decision(record.plan.shard).await? == Some(record), "chunk {number} comes back");
        }
        Ok(())
    })
    .await;
}

/// A repeat changes nothing; the decision with the same bytes stands when the spooled shard is forgotten.
pub async fn spooled_shards_are_kept_until_forgotten(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        let shard = sample::shard(4, 2);
        let spooled = sample::spooled(shard, &Bytes::from_static(b"line\nline\n"));
        assert_eq!(store.spooled(shard).await?, None);
        store.put_spooled(&spooled).await?;
        store.put_spooled(&spooled).await?;
        drop(store);
        let store = fixture.open().await;
        assert_eq!(store.spooled(shard).await?, Some(spooled.clone()));
        let decision = sample::process(shard, &spooled.bytes);
        assert_eq!(store.insert_decision(&decision).await?, Insert::Inserted);
        store.delete_spooled(shard).await?;
        store.delete_spooled(shard).await?;
        assert_eq!(store.spooled(shard).await?, None);
        assert_eq!(store.decision(shard).await?, Some(decision));
        Ok(())
    })
    .await;
}

/// Chunks just under and over what one document of 16 MiB holds, decided, spooled and set aside.
pub async fn chunks_of_more_than_sixteen_mib_come_back(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        for (number, length) in [(16 << 20) - 1, 16 << 20, 17 << 20].into_iter().enumerate() {
            let shard = sample::shard(1, number as u32);
            let bytes = sample::noise(number as u64, length);
            let spooled = sample::spooled(shard, &bytes);
            store.put_spooled(&spooled).await?;
            store.put_spooled(&spooled).await?;
            assert!(store.spooled(shard).await?.as_ref() == Some(&spooled), "{length} bytes come back from the spool");
            let mut record = sample::process(shard, &bytes);
            if number == 1 {
                record.decision = Decision::Aside { reason: "poison".to_owned(), bytes: Some(bytes) };
            }
            assert_eq!(store.insert_decision(&record).await?, Insert::Inserted);
            assert_eq!(store.insert_decision(&record).await?, Insert::Present);
            store.delete_spooled(shard).await?;
            assert!(store.spooled(shard).await?.is_none());
            assert!(store.decision(shard).await? == Some(record), "{length} bytes come back from bronze");
        }
        let lengths = |record: DecisionRecord| match record.decision {
            Decision::Process { bytes, .. } | Decision::Aside { bytes: Some(bytes), .. } => bytes.len(),
            Decision::Aside { bytes: None, .. } => 0,
        };
        let page = store.scan_decisions(JobNumber(1), 1, 10).await?;
        assert_eq!(page.into_iter().map(lengths).collect::<Vec<_>>(), [16 << 20, 17 << 20]);
        Ok(())
    })
    .await;
}

/// Where two attempts bring different bytes for a shard, the first decision comes back with its own.
pub async fn large_chunks_of_different_attempts_are_apart(fixture: &impl Fixture) {
    check(async {
        let store = fixture.open().await;
        let shard = sample::shard(1, 0);
        let [first, second] = [1, 2].map(|seed| sample::process(shard, &sample::noise(seed, 17 << 20)));
        assert_eq!(store.insert_decision(&first).await?, Insert::Inserted);
        assert_eq!(store.insert_decision(&second).await?, Insert::Present);
        assert!(store.decision(shard).await? == Some(first), "the first attempt's bytes stand");
        Ok(())
    })
    .await;
}
