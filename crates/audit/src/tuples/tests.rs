use proptest::prelude::*;

use super::*;

fn any_tuple() -> impl Strategy<Value = Tuple> {
    (any::<[u64; 2]>(), any::<[i64; 3]>(), any::<u32>(), any::<u32>(), any::<u64>())
        .prop_map(|(key, rank, job, shard, fields)| Tuple { key, rank: Rank(rank), job, shard, fields })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_tuple_comes_back_once_and_in_its_keys_partition(
        pages in prop::collection::vec(prop::collection::vec(any_tuple(), 0..20), 0..12),
        budget_bytes in 1usize..2000,
        keys in 0u64..500,
    ) {
        let scratch = tempfile::tempdir().unwrap();
        let mut partitions = Partitions::new(scratch.path(), budget_bytes, keys, 1000);
        for (n, page) in pages.iter().enumerate() {
            let side = if n % 2 == 0 { Side::Bronze } else { Side::Silver };
            if partitions.push(side, page) {
                partitions.spill().unwrap();
            }
        }
        for (side, parity) in [(Side::Bronze, 0), (Side::Silver, 1)] {
            let mut found = Vec::new();
            for p in 0..partitions.count() {
                let from = found.len();
                partitions.read(side, p, |t| found.push(t)).unwrap();
                let count = partitions.count() as u64;
                prop_assert!(found[from..].iter().all(|t| t.key[0] % count == p as u64));
            }
            let mut wanted: Vec<Tuple> = pages.iter().skip(parity).step_by(2).flatten().copied().collect();
            let order = |t: &Tuple| (t.key, t.rank, t.job, t.shard, t.fields);
            found.sort_by_key(order);
            wanted.sort_by_key(order);
            prop_assert_eq!(found, wanted);
        }
    }
}

#[test]
fn what_fits_the_budget_makes_no_file() {
    let scratch = tempfile::tempdir().unwrap();
    let mut partitions = Partitions::new(scratch.path(), 1 << 20, 100, 1000);
    let tuple = Tuple { key: key_hash(0, b"a"), rank: Rank([1, 2, 3]), job: 4, shard: 5, fields: fields_hash(b"b") };
    assert!(!partitions.push(Side::Events, &[tuple]));
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn the_scratch_files_are_gone_afterwards() {
    let scratch = tempfile::tempdir().unwrap();
    let mut partitions = Partitions::new(scratch.path(), 1, 1, 1000);
    partitions.push(Side::Events, &[Tuple { key: [1, 2], rank: Rank([0; 3]), job: 0, shard: 0, fields: 0 }]);
    partitions.spill().unwrap();
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1);
    drop(partitions);
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
}
