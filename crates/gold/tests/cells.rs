//! Merging, retracting, tracking and encoding cells.

use std::collections::BTreeSet;

use ensemble_gold::{Cell, CellKey, Cells, GoldError, KeyPart, PairSums, Sums};
use proptest::{collection, prelude::*};

fn key(name: &str) -> CellKey {
    CellKey::new(&[KeyPart::Text(name.into())])
}

fn counted(count: i64) -> Cell {
    Cell {
        count,
        measures: vec![Sums { n: count, sum: i128::from(count) * 3, sum_sq: i128::from(count) * 9 }],
        pairs: vec![],
    }
}

fn one(name: &str, cell: Cell) -> Cells {
    [((0, key(name)), cell)].into_iter().collect()
}

fn any_sum() -> impl Strategy<Value = i128> {
    prop_oneof![-2i128..3, any::<i64>().prop_map(i128::from), any::<i128>().prop_map(|v| v >> 3)]
}

fn any_cell(view: u16) -> impl Strategy<Value = Cell> {
    let (measures, pairs) = [(1, 0), (0, 3), (2, 1)][usize::from(view)];
    let sums = (-2i64..3, any_sum(), any_sum()).prop_map(|(n, sum, sum_sq)| Sums { n, sum, sum_sq });
    let pair = (-2i64..3, [any_sum(), any_sum(), any_sum(), any_sum(), any_sum()])
        .prop_map(|(n, [sum_x, sum_y, sum_xx, sum_yy, sum_xy])| PairSums { n, sum_x, sum_y, sum_xx, sum_yy, sum_xy });
    (-2i64..3, collection::vec(sums, measures), collection::vec(pair, pairs))
        .prop_map(|(count, measures, pairs)| Cell { count, measures, pairs })
}

fn any_cells() -> impl Strategy<Value = Cells> {
    let cell =
        (0u16..3).prop_flat_map(|view| ("[a-c]{0,1}", any_cell(view)).prop_map(move |(k, c)| ((view, key(&k)), c)));
    collection::vec(cell, 0..8).prop_map(|cells| cells.into_iter().collect())
}

fn merged(a: &Cells, b: &Cells) -> Cells {
    let mut sum = a.clone();
    sum.merge(b).expect("small sums");
    sum
}

proptest! {
    #[test]
    fn merging_is_associative_and_commutative(a in any_cells(), b in any_cells(), c in any_cells()) {
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
    }

    #[test]
    fn subtracting_undoes_merging(a in any_cells(), b in any_cells()) {
        let mut sum = merged(&a, &b);
        sum.subtract(&b).unwrap();
        prop_assert_eq!(&sum, &a);
        sum.subtract(&a).unwrap();
        prop_assert!(sum.is_empty());
        sum.subtract(&a).unwrap();
        prop_assert_eq!(merged(&sum, &a), Cells::new());
    }

    #[test]
    fn what_changed_is_tracked(a in any_cells(), b in any_cells()) {
        let (mut sum, mut changed) = (a.clone(), BTreeSet::new());
        sum.merge_tracked(&b, &mut changed).unwrap();
        prop_assert_eq!(&sum, &merged(&a, &b));
        let ids = a.iter().chain(b.iter()).map(|(id, _)| id.clone()).collect::<BTreeSet<_>>();
        let differing = ids.into_iter().filter(|id| a.get(id) != sum.get(id)).collect::<BTreeSet<_>>();
        prop_assert_eq!(changed, differing);
    }

    #[test]
    fn cells_read_back_from_their_bytes(cells in any_cells()) {
        prop_assert_eq!(Cells::decode(&cells.encode()), Ok(cells.clone()));
        let mut loaded = Cells::new();
        for ((view, key), cell) in cells.iter() {
            loaded.insert_encoded(*view, key.as_bytes(), &cell.encode()).unwrap();
        }
        prop_assert_eq!(loaded, cells);
    }

    #[test]
    fn damaged_bytes_are_an_error_or_other_cells(
        cells in any_cells(), noise in any::<Vec<u8>>(), at in any::<prop::sample::Index>(), byte: u8,
    ) {
        let mut bytes = cells.encode();
        prop_assert!(Cells::decode(&bytes[..at.index(bytes.len())]).is_err());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = Cells::decode(&bytes);
        let _ = Cells::decode(&noise);
        let _ = Cell::decode(&noise);
    }

    #[test]
    fn an_overflow_changes_nothing(cells in any_cells(), other in any_cells()) {
        let mut state = merged(&cells, &one("~", counted(i64::MAX)));
        let before = state.clone();
        // "~" sorts behind every other key of its view, so the cells before it have been merged by then.
        let refused = merged(&other, &one("~", counted(1)));
        let mut changed = BTreeSet::new();
        prop_assert_eq!(
            state.merge_tracked(&refused, &mut changed),
            Err(GoldError::Overflow { view: 0, key: "[\"~\"]".into() })
        );
        prop_assert_eq!((state, changed), (before, BTreeSet::new()));
    }
}

#[test]
fn each_accumulator_is_checked() {
    let edge = Sums { n: 0, sum: i128::MAX, sum_sq: 0 };
    let cell = |measure| Cell { count: 1, measures: vec![measure], pairs: vec![] };
    let mut state = one("a", cell(edge));
    assert!(matches!(state.merge(&one("a", cell(Sums { sum: 1, ..edge }))), Err(GoldError::Overflow { .. })));
    assert!(matches!(state.subtract(&one("a", cell(Sums { sum: -1, ..edge }))), Err(GoldError::Overflow { .. })));
    assert_eq!(state, one("a", cell(edge)));
    let smallest = one("a", cell(Sums { sum: i128::MIN, ..edge }));
    assert!(matches!(Cells::new().subtract(&smallest), Err(GoldError::Overflow { .. })));
}

#[test]
fn a_cell_goes_only_when_every_accumulator_is_zero() {
    let mut state = one("a", counted(1));
    // Another row of the same key is retracted first: the count is 0, the sums are not.
    let other = Cell { count: 1, measures: vec![Sums { n: 1, sum: 5, sum_sq: 25 }], pairs: vec![] };
    state.subtract(&one("a", other.clone())).unwrap();
    assert_eq!(state.get(&(0, key("a"))).map(|cell| (cell.count, cell.is_zero())), Some((0, false)));
    state.merge(&one("a", other)).unwrap();
    assert_eq!(state, one("a", counted(1)));
    state.subtract(&one("a", counted(1))).unwrap();
    assert!(state.is_empty());
}

#[test]
fn cells_of_different_views_do_not_merge() {
    let mut state = one("a", counted(1));
    let other = one("a", Cell { count: 1, measures: vec![], pairs: vec![] });
    assert_eq!(state.merge(&other), Err(GoldError::Shape { view: 0, key: "[\"a\"]".into() }));
    assert_eq!(state, one("a", counted(1)));
}

#[test]
fn the_encoding_is_versioned_sorted_and_whole() {
    let cells = one("a", counted(2));
    let bytes = cells.encode();
    // Version, one cell: view 0, a key of 4 bytes, count 2, one measure with n − count = 0, 6, 18, no pairs.
    assert_eq!(bytes, [1, 1, 0, 4, 0x10, b'a', 0, 1, 4, 1, 0, 12, 36, 0]);
    assert_eq!(Cells::decode(&[2, 0]), Err(GoldError::Version { found: 2, known: 1 }));
    assert_eq!(Cells::decode(&[]), Err(GoldError::Damaged { what: "cells", remaining: 0 }));
    let twice = [&[1, 2], &bytes[2..], &bytes[2..]].concat();
    assert!(matches!(Cells::decode(&twice), Err(GoldError::Damaged { what: "cells", .. })));
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(Cells::decode(&longer), Err(GoldError::Damaged { what: "cells", remaining: 1 }));
    let zeros = Cell { count: 0, measures: vec![Sums::default()], pairs: vec![] };
    let mut loaded = cells;
    loaded.insert_encoded(0, key("a").as_bytes(), &zeros.encode()).unwrap();
    assert!(loaded.is_empty());
}
