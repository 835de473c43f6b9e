use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use tokio::sync::oneshot;

use super::{
    commit::commit,
    prepare::{self, Answer, Request},
    *,
};
use crate::{Claim, ClaimInsert, NewClaim, Rank, Replacement, ShardId, conformance::sample, embedded::layout::Layout};

fn engine(dir: &tempfile::TempDir) -> Arc<Engine> {
    Arc::new(Engine::open(Layout::open(dir.path()).unwrap(), &EmbeddedOptions::default()).unwrap())
}

/// One request of a test: claims to insert, or replacements, each of a key for a claim.
#[derive(Debug, Clone)]
enum Asked {
    Insert(BTreeMap<u8, i64>),
    Replace(BTreeMap<u8, (i64, i64)>),
}

fn asked() -> impl Strategy<Value = Asked> {
    let ranks = || 0..4_i64;
    prop_oneof![
        proptest::collection::btree_map(0..6_u8, ranks(), 1..5).prop_map(Asked::Insert),
        proptest::collection::btree_map(0..6_u8, (ranks(), ranks()), 1..5).prop_map(Asked::Replace),
    ]
}

fn claim(rank: i64) -> Claim {
    sample::claim([rank, 0, 0], sample::shard(1, rank as u32), format!("claim {rank}"))
}

fn stamp(rank: i64) -> (Rank, ShardId) {
    let claim = claim(rank);
    (claim.rank, claim.shard)
}

/// What a store does that takes the requests one after the other.
fn one_by_one(model: &mut BTreeMap<u8, i64>, asked: &Asked) -> Vec<bool> {
    match asked {
        Asked::Insert(claims) => claims
            .iter()
            .map(|(key, rank)| {
                let absent = !model.contains_key(key);
                model.entry(*key).or_insert(*rank);
                absent
            })
            .collect(),
        Asked::Replace(replacements) => replacements
            .iter()
            .map(|(key, (expected, rank))| {
                let fits = model.get(key) == Some(expected);
                if fits {
                    model.insert(*key, *rank);
                }
                fits
            })
            .collect(),
    }
}

fn request(engine: &Engine, collection: &Arc<Collection>, asked: &Asked) -> Request {
    // The answers are read off the request; nobody waits for them.
    let collection = Arc::clone(collection);
    match asked {
        Asked::Insert(claims) => {
            let claims: Vec<_> =
                claims.iter().map(|(key, rank)| NewClaim { key: vec![*key].into(), claim: claim(*rank) }).collect();
            let (rows, results) = prepare::inserts(engine, &collection, Arc::new(claims)).unwrap();
            let answer = Answer::Insert { results, reply: oneshot::channel().0 };
            Request { rows, collection, answer }
        }
        Asked::Replace(replacements) => {
            let replacement = |(key, (expected, rank)): (&u8, &(i64, i64))| Replacement {
                key: vec![*key].into(),
                expected: stamp(*expected),
                doc: sample::doc(claim(*rank)),
            };
            let replacements: Vec<_> = replacements.iter().map(replacement).collect();
            let answer = Answer::Replace { results: vec![false; replacements.len()], reply: oneshot::channel().0 };
            Request { rows: prepare::replacements(replacements).unwrap(), collection, answer }
        }
    }
}

fn results(answer: &Answer) -> Vec<bool> {
    match answer {
        Answer::Insert { results, .. } => results.iter().map(|i| *i == ClaimInsert::Inserted).collect(),
        Answer::Replace { results, .. } => results.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]

    #[test]
    fn a_group_has_the_outcome_of_its_requests_one_by_one(groups in vec(vec(asked(), 1..6), 1..5)) {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine(&dir);
        let collection = Collections::new(&engine, &EmbeddedOptions::default()).create("tracks").unwrap();
        let mut model = BTreeMap::new();
        for group in groups {
            let mut requests: Vec<_> = group.iter().map(|asked| request(&engine, &collection, asked)).collect();
            commit(&engine, &collection, &mut requests).unwrap();
            for (asked, request) in group.iter().zip(&requests) {
                prop_assert_eq!(results(&request.answer), one_by_one(&mut model, asked));
            }
        }
        let stored = collection.scan(&engine, None, 100).unwrap();
        let stored: BTreeMap<_, _> = stored.into_iter().map(|(key, doc)| (key[0], doc.live)).collect();
        prop_assert_eq!(stored, model.into_iter().map(|(key, rank)| (key, claim(rank))).collect::<BTreeMap<_, _>>());
    }
}

#[test]
fn a_collection_that_is_opened_again_knows_its_keys() {
    let dir = tempfile::tempdir().unwrap();
    let all = Asked::Insert((0..100).map(|key| (key, 1)).collect());
    for inserted in [true, false] {
        let engine = engine(&dir);
        let collection = Collections::new(&engine, &EmbeddedOptions::default()).create("tracks").unwrap();
        let mut requests = [request(&engine, &collection, &all)];
        assert_eq!(requests[0].rows.len(), if inserted { 100 } else { 0 }, "present keys need no decision");
        commit(&engine, &collection, &mut requests).unwrap();
        assert_eq!(results(&requests[0].answer), [inserted; 100]);
    }
}

#[test]
fn the_budget_of_the_filters_is_shared() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(&dir);
    let options = EmbeddedOptions { key_filter_bytes: 32 << 20, ..EmbeddedOptions::default() };
    let collections = Collections::new(&engine, &options);
    let sizes = ["a", "b", "c", "a"].map(|name| collections.create(name).unwrap().filter_bytes >> 20);
    assert_eq!(sizes, [16, 8, 4, 16]);
    assert!(collections.find("absent").unwrap().is_none());
    assert!(collections.create(&"n".repeat(300)).is_err());
}

#[test]
fn many_runs_are_merged_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(&dir);
    let options = EmbeddedOptions { silver_runs: 4, ..EmbeddedOptions::default() };
    let collection = Collections::new(&engine, &options).create("tracks").unwrap();
    for run in 0..12_u8 {
        let keys = Asked::Insert((0..20).map(|n| (n * 12 + run, i64::from(run))).collect());
        commit(&engine, &collection, &mut [request(&engine, &collection, &keys)]).unwrap();
    }
    let stored = collection.scan(&engine, None, 1000).unwrap();
    let runs: Vec<_> = stored.iter().map(|(key, doc)| (key[0] % 12, doc.live.rank.0[0])).collect();
    assert!(runs.len() == 240 && runs.iter().all(|(run, rank)| i64::from(*run) == *rank));
}

#[test]
fn a_scan_that_goes_on_sees_what_was_written_in_between() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(&dir);
    let collection = Collections::new(&engine, &EmbeddedOptions::default()).create("tracks").unwrap();
    let write = |keys: &[u8]| {
        let asked = Asked::Insert(keys.iter().map(|key| (*key, 1)).collect());
        commit(&engine, &collection, &mut [request(&engine, &collection, &asked)]).unwrap();
    };
    let page = |after: Option<u8>| -> Vec<u8> {
        let after = after.map(|key| Bytes::from(vec![key]));
        collection.scan(&engine, after.as_ref(), 2).unwrap().into_iter().map(|(key, _)| key[0]).collect()
    };
    write(&[10, 20, 30, 40, 50, 60]);
    assert_eq!((page(None), page(Some(20))), (vec![10, 20], vec![30, 40]));
    assert_eq!(page(Some(20)), [30, 40], "a page can be asked for again");
    write(&[45]);
    assert_eq!((page(Some(40)), page(Some(50))), (vec![45, 50], vec![60]));
    assert_eq!(page(Some(60)), [0; 0]);
}
