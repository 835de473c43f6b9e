//! Folding rows: equal to a plain fold, in any order and any grouping, and undone by subtracting.

#[path = "support/oracle.rs"]
mod oracle;
mod support;

use ensemble_contract::{ColumnType, Contract, Float, RowError, Value};
use ensemble_gold::{Cells, Folder, GoldError, Views};
use proptest::{collection, option, prelude::*, sample::Index};
use support::{contract, float, row, view};

const NANO: i128 = 1_000_000_000;

/// Columns of all types, of which three floats, an integer and a boolean are correlated.
fn everything() -> Contract {
    use ColumnType::{Bool, Date, Float, Int, String, Year};
    let columns = [
        ("id", String),
        ("genre", String),
        ("year", Year),
        ("live", Bool),
        ("loudness", Float),
        ("plays", Int),
        ("tempo", Float),
        ("energy", Float),
        ("released", Date),
    ];
    let views = vec![
        view("by_genre", &[(1, None)], &[4, 5, 3], &[]),
        view("by_year_and_genre", &[(2, None), (1, None)], &[6], &[]),
        view("by_bins", &[(4, Some(NANO / 20)), (5, Some(25 * NANO / 10))], &[5], &[]),
        view("by_values", &[(7, None), (3, None), (5, Some(3 * NANO))], &[], &[]),
        view("by_genre_correlated", &[(1, None)], &[], &[4, 5]),
        view("correlations", &[], &[], &[4, 5, 6, 7, 3]),
    ];
    contract(&columns, views)
}

type Fields = (Option<String>, Option<i64>, Option<bool>, [Option<(i64, u8)>; 3], Option<i64>);

fn any_fields() -> impl Strategy<Value = Fields> {
    let decimal = || option::weighted(0.8, (-15_000_000i64..15_000_000, 3u8..=9));
    (
        option::of("[ab\\x00é]{0,2}"),
        option::of(1990i64..1993),
        option::of(any::<bool>()),
        [decimal(), decimal(), decimal()],
        option::weighted(0.8, prop_oneof![-20i64..20, -10_000_000_000i64..10_000_000_000]),
    )
}

fn values((genre, year, live, [loudness, tempo, energy], plays): &Fields) -> Vec<Value<'_>> {
    let decimal =
        |d: &Option<(i64, u8)>| d.and_then(|(m, s)| Float::from_decimal(m, s)).map_or(Value::Null, Value::Float);
    vec![
        Value::Str("an id"),
        genre.as_deref().map_or(Value::Null, Value::Str),
        year.map_or(Value::Null, Value::Int),
        live.map_or(Value::Null, Value::Bool),
        decimal(loudness),
        plays.map_or(Value::Null, Value::Int),
        decimal(tempo),
        decimal(energy),
        Value::Null,
    ]
}

fn fold(views: &Views, rows: &[(Vec<u8>, i64)]) -> Cells {
    let mut folder = Folder::new(views);
    fold_into(&mut folder, rows)
}

fn fold_into(folder: &mut Folder, rows: &[(Vec<u8>, i64)]) -> Cells {
    for (row, sign) in rows {
        let folded = if *sign > 0 { folder.add(row) } else { folder.subtract(row) };
        folded.expect("a row of the contract");
    }
    folder.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn folding_equals_a_fold_without_short_cuts(
        rows in collection::vec((any_fields(), prop_oneof![3 => Just(1i64), 1 => Just(-1i64)]), 0..250),
    ) {
        let contract = everything();
        let rows: Vec<_> = rows.iter().map(|(fields, sign)| (values(fields), *sign)).collect();
        let encoded: Vec<_> = rows.iter().map(|(values, sign)| (row(values), *sign)).collect();
        prop_assert_eq!(fold(&Views::new(&contract), &encoded), oracle::fold(&contract.views, &rows));
    }

    #[test]
    fn any_order_and_any_grouping_ends_in_the_same_bytes(
        rows in collection::vec(any_fields(), 1..120),
        swaps in collection::vec(any::<(Index, Index)>(), 0..60),
        cuts in collection::vec(any::<Index>(), 0..6),
    ) {
        let views = Views::new(&everything());
        let mut rows: Vec<_> = rows.iter().map(|fields| (row(&values(fields)), 1)).collect();
        let whole = fold(&views, &rows);
        for (a, b) in swaps {
            let (a, b) = (a.index(rows.len()), b.index(rows.len()));
            rows.swap(a, b);
        }
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(rows.len())).collect();
        cuts.extend([0, rows.len()]);
        cuts.sort_unstable();
        let mut folder = Folder::new(&views);
        let mut merged = Cells::new();
        for cut in cuts.windows(2) {
            merged.merge(&fold_into(&mut folder, &rows[cut[0]..cut[1]])).unwrap();
        }
        prop_assert_eq!(merged.encode(), whole.encode());
    }

    #[test]
    fn subtracting_what_was_added_leaves_no_cell(rows in collection::vec(any_fields(), 0..120)) {
        let views = Views::new(&everything());
        let rows: Vec<_> = rows.iter().map(|fields| row(&values(fields))).collect();
        let mut folder = Folder::new(&views);
        rows.iter().for_each(|row| folder.add(row).unwrap());
        rows.iter().rev().for_each(|row| folder.subtract(row).unwrap());
        prop_assert_eq!(folder.finish(), Cells::new());
    }
}

#[test]
fn many_rows_pass_through_the_batches() {
    let contract = support::tracks();
    let views = Views::new(&contract);
    let mut random = support::Random(7);
    let rows: Vec<_> = (0..3_000).map(|_| random.track()).collect();
    let decoded: Vec<_> = rows
        .iter()
        .map(|bytes| {
            let mut row = ensemble_contract::RowRef::new(bytes);
            let values: Vec<_> = std::iter::from_fn(|| row.next_value().unwrap()).collect();
            (values, 1)
        })
        .collect();
    let signed: Vec<_> = rows.iter().map(|row| (row.clone(), 1)).collect();
    assert_eq!(fold(&views, &signed), oracle::fold(&contract.views, &decoded));
}

#[test]
fn more_correlated_columns_than_a_mask_has_bits_are_summed_pair_by_pair() {
    let names: Vec<_> = (0..70).map(|i| format!("c{i}")).collect();
    let columns: Vec<_> = names.iter().map(|name| (name.as_str(), ColumnType::Int)).collect();
    let all: Vec<_> = (0..70).collect();
    let contract = contract(&columns, vec![view("wide", &[], &[], &all)]);
    let rows: Vec<_> = (1..4i64)
        .map(|k| {
            (all.iter().map(|&i| if i % 9 == 8 { Value::Null } else { Value::Int(k * i as i64) }).collect(), k % 3 - 1)
        })
        .filter(|(_, sign)| *sign != 0)
        .collect::<Vec<(Vec<_>, _)>>();
    let encoded: Vec<_> = rows.iter().map(|(values, sign)| (row(values), *sign)).collect();
    assert_eq!(fold(&Views::new(&contract), &encoded), oracle::fold(&contract.views, &rows));
}

#[test]
fn sums_of_the_largest_values_pass_64_bits() {
    let largest = 1i64 << 44;
    let rows = (1 << 19) + 1;
    let contract = contract(&[("plays", ColumnType::Int)], vec![view("v", &[], &[0], &[])]);
    let mut folder = Folder::new(&Views::new(&contract));
    let row = row(&[Value::Int(largest)]);
    (0..rows).for_each(|_| folder.add(&row).unwrap());
    let cells = folder.finish();
    let sums = cells.of_view(0).next().unwrap().1.measures[0];
    let (n, x) = (i128::from(rows), i128::from(largest));
    assert_eq!((i128::from(sums.n), sums.sum, sums.sum_sq), (n, n * x, n * x * x));
}

#[test]
fn a_row_that_fails_leaves_no_trace_and_names_its_column() {
    let columns = [("genre", ColumnType::String), ("tempo", ColumnType::Float), ("plays", ColumnType::Int)];
    let contract = contract(&columns, vec![view("v", &[(0, None)], &[1, 2], &[])]);
    let mut folder = Folder::new(&Views::new(&contract));
    let column = |name: &str| name.to_owned();
    let cases = [
        (vec![Value::Str("a"), float(1e5), Value::Int(1)], GoldError::OutOfRange { column: column("tempo") }),
        (vec![Value::Str("a"), float(1e300), Value::Int(1)], GoldError::OutOfRange { column: column("tempo") }),
        (vec![Value::Str("a"), float(1.0), Value::Int(i64::MIN)], GoldError::OutOfRange { column: column("plays") }),
        (vec![Value::Str("a"), Value::Int(1), Value::Int(1)], GoldError::Type { column: column("tempo") }),
        (vec![Value::Bool(true), float(1.0), Value::Int(1)], GoldError::Type { column: column("genre") }),
        (vec![Value::Str("a"), float(1.0)], GoldError::Row(RowError::Truncated)),
    ];
    for (values, error) in cases {
        assert_eq!(folder.add(&row(&values)), Err(error));
    }
    assert!(folder.finish().is_empty());
    folder.add(&row(&[Value::Str("a"), float(1.0), Value::Int(1)])).unwrap();
    assert_eq!(folder.finish().len(), 1);
}

#[test]
fn a_row_whose_key_is_null_is_not_in_that_view() {
    let columns = [("genre", ColumnType::String), ("year", ColumnType::Year), ("plays", ColumnType::Int)];
    let views = vec![view("both", &[(0, None), (1, None)], &[], &[]), view("all", &[], &[2], &[])];
    let views = Views::new(&contract(&columns, views));
    let mut folder = Folder::new(&views);
    for (genre, year) in [(Value::Str("a"), Value::Null), (Value::Null, Value::Int(2000)), (Value::Null, Value::Null)] {
        folder.add(&row(&[genre, year, Value::Int(1)])).unwrap();
    }
    let cells = folder.finish();
    assert_eq!((cells.of_view(0).count(), cells.of_view(1).count()), (0, 1));
    assert_eq!(cells.of_view(1).next().unwrap().1.count, 3);
}
