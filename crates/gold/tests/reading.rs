//! Reading views: labels, order, hidden cells, exact numbers.

mod support;

use ensemble_contract::{ColumnType, Contract, Value};
use ensemble_gold::{Cells, Folder, GoldColumnKind, GoldRow, GoldValue, Views};
use proptest::{collection, prelude::*};
use serde_json::{Value as Json, json};
use support::{contract, float, row, view};

const NANO: i128 = 1_000_000_000;

fn small() -> Contract {
    use ColumnType::{Bool, Float, Int, String};
    let columns = [("genre", String), ("valence", Float), ("popularity", Int), ("live", Bool)];
    let views = vec![
        view("by_genre", &[(0, None)], &[1, 2], &[]),
        view("by_valence", &[(1, Some(NANO / 20))], &[], &[]),
        view("by_popularity", &[(2, Some(5 * NANO))], &[3], &[]),
        view("by_halves", &[(2, Some(NANO / 2))], &[], &[]),
        view("by_live_and_valence", &[(3, None), (1, None)], &[], &[]),
        view("correlations", &[], &[], &[1, 2, 3]),
        view("correlations_by_live", &[(3, None)], &[], &[2, 1]),
    ];
    contract(&columns, views)
}

fn fold(views: &Views, rows: &[[Value<'_>; 4]]) -> Cells {
    let mut folder = Folder::new(views);
    rows.iter().for_each(|values| folder.add(&row(values)).expect("a row of the contract"));
    folder.finish()
}

fn read(views: &Views, view: &str, cells: &Cells) -> Json {
    views.rows(view, cells).expect("a view").iter().map(|row| Json::Object(row.to_json())).collect()
}

fn four() -> [[Value<'static>; 4]; 4] {
    [
        [Value::Str("pop"), float(0.35), Value::Int(10), Value::Bool(true)],
        [Value::Str("pop"), float(0.1), Value::Null, Value::Bool(false)],
        [Value::Str("Zouk"), float(-0.2), Value::Int(-1), Value::Bool(true)],
        [Value::Null, float(0.349999999), Value::Int(14), Value::Null],
    ]
}

#[test]
fn measures_have_mean_deviation_and_exact_sum() {
    let views = Views::new(&small());
    let cells = fold(&views, &four());
    let expected = json!([
        {"genre": "Zouk", "count": 1, "mean_valence": -0.2, "stddev_valence": 0.0, "sum_valence": "-0.2",
         "mean_popularity": -1.0, "stddev_popularity": 0.0, "sum_popularity": "-1"},
        {"genre": "pop", "count": 2, "mean_valence": 0.225, "stddev_valence": 0.125, "sum_valence": "0.45",
         "mean_popularity": 10.0, "stddev_popularity": 0.0, "sum_popularity": "10"},
    ]);
    assert_eq!(read(&views, "by_genre", &cells), expected);
    // The order of the fields is part of the answer.
    assert_eq!(
        serde_json::to_string(&read(&views, "by_genre", &cells)).unwrap(),
        serde_json::to_string(&expected).unwrap()
    );
}

#[test]
fn bins_are_labelled_by_their_lower_edge_and_sorted_by_number() {
    let views = Views::new(&small());
    let cells = fold(&views, &four());
    let labels = |view, column| -> Vec<_> {
        views.rows(view, &cells).unwrap().iter().map(|row| row.get(column).unwrap().clone()).collect()
    };
    let floats = |values: &[f64]| values.iter().copied().map(GoldValue::Float).collect::<Vec<_>>();
    let ints = |values: &[i64]| values.iter().copied().map(GoldValue::Int).collect::<Vec<_>>();
    // 0.35 is the lower edge of its own bin, although 0.35 / 0.05 is below 7 in doubles.
    assert_eq!(labels("by_valence", "valence"), floats(&[-0.2, 0.1, 0.3, 0.35]));
    assert_eq!(labels("by_popularity", "popularity"), ints(&[-5, 10]));
    assert_eq!(labels("by_popularity", "count"), ints(&[1, 2]));
    assert_eq!(labels("by_halves", "popularity"), floats(&[-1.0, 10.0, 14.0]));
    let bools = [false, true, true].map(GoldValue::Bool);
    assert_eq!(labels("by_live_and_valence", "live"), bools);
    assert_eq!(labels("by_live_and_valence", "valence"), floats(&[0.1, -0.2, 0.35]));
}

#[test]
fn a_measure_without_a_value_has_nulls() {
    let views = Views::new(&small());
    let cells = fold(&views, &[[Value::Str("a"), Value::Null, Value::Null, Value::Null]]);
    let expected = json!([
        {"genre": "a", "count": 1, "mean_valence": null, "stddev_valence": null, "sum_valence": "0",
         "mean_popularity": null, "stddev_popularity": null, "sum_popularity": "0"},
    ]);
    assert_eq!(read(&views, "by_genre", &cells), expected);
}

#[test]
fn a_boolean_measure_is_a_share() {
    let views = Views::new(&small());
    let rows = [true, true, false, true].map(|live| [Value::Null, Value::Null, Value::Int(1), Value::Bool(live)]);
    let rows = views.rows("by_popularity", &fold(&views, &rows)).unwrap();
    assert_eq!(rows[0].get("mean_live"), Some(&GoldValue::Float(0.75)));
}

#[test]
fn correlations_are_one_row_a_pair_in_the_contracts_order() {
    let views = Views::new(&small());
    let cells = fold(&views, &four());
    let (valence, popularity) = ([0.35, -0.2, 0.349999999], [10.0, -1.0, 14.0]);
    let mean = |v: [f64; 3]| v.iter().sum::<f64>() / 3.0;
    let product = |a: [f64; 3], b: [f64; 3]| (0..3).map(|i| (a[i] - mean(a)) * (b[i] - mean(b))).sum::<f64>();
    let expected = product(valence, popularity) / (product(valence, valence) * product(popularity, popularity)).sqrt();
    let rows = views.rows("correlations", &cells).unwrap();
    let pairs: Vec<_> = rows.iter().map(|row| row.values()[..3].to_vec()).collect();
    let pair = |a: &str, b: &str, n| vec![GoldValue::Text(a.into()), GoldValue::Text(b.into()), GoldValue::Int(n)];
    assert_eq!(pairs, [pair("valence", "popularity", 3), pair("valence", "live", 3), pair("popularity", "live", 2)]);
    let Some(GoldValue::Float(r)) = rows[0].get("r") else { panic!("no r") };
    assert!((r - expected).abs() < 1e-15, "{r} {expected}");
    // Both rows that have a popularity and say whether they are live are live.
    assert_eq!(rows[2].get("r"), Some(&GoldValue::Null));
    let by_live = read(&views, "correlations_by_live", &cells);
    let expected = json!([
        {"live": false, "field_a": "popularity", "field_b": "valence", "n": 0, "r": null},
        {"live": true, "field_a": "popularity", "field_b": "valence", "n": 2, "r": 1.0},
    ]);
    assert_eq!(by_live, expected);
}

#[test]
fn readers_hide_a_cell_whose_count_is_not_above_zero() {
    let views = Views::new(&small());
    let [first, second, ..] = four();
    let mut cells = fold(&views, &[first]);
    cells.subtract(&fold(&views, &[second])).unwrap();
    let (key, cell) = cells.of_view(0).next().unwrap();
    assert_eq!((cell.count, cell.is_zero()), (0, false));
    assert_eq!(views.cell_rows(0, key, cell), []);
    assert_eq!(views.rows("by_genre", &cells), Some(vec![]));
    // All of it is there again once the counts are back.
    cells.merge(&fold(&views, &[second])).unwrap();
    assert_eq!(cells, fold(&views, &[first]));
    assert_eq!(views.rows("by_genre", &cells).unwrap().len(), 1);
}

#[test]
fn views_are_found_by_name_and_position() {
    let views = Views::new(&small());
    assert_eq!((views.len(), views.index("by_valence"), views.name(1)), (7, Some(1), Some("by_valence")));
    assert_eq!((views.index("nothing"), views.name(7), views.rows("nothing", &Cells::new())), (None, None, None));
    assert_eq!(views.rows("by_genre", &Cells::new()), Some(vec![]));
    assert_eq!(views.names().last(), Some("correlations_by_live"));
    assert_eq!(views.columns("nothing"), []);
}

#[test]
fn columns_tell_their_kinds() {
    use GoldColumnKind::{Bool, Float, Int, Text};
    let views = Views::new(&small());
    let columns = |view| views.columns(view);
    let named = |columns: &[(&str, _)]| columns.iter().map(|(n, k)| ((*n).to_owned(), *k)).collect::<Vec<_>>();
    assert_eq!(columns("by_valence"), named(&[("valence", Float), ("count", Int)]));
    let shares =
        [("popularity", Int), ("count", Int), ("mean_live", Float), ("stddev_live", Float), ("sum_live", Text)];
    assert_eq!(columns("by_popularity"), named(&shares));
    assert_eq!(columns("by_halves"), named(&[("popularity", Float), ("count", Int)]));
    let pairs = [("live", Bool), ("field_a", Text), ("field_b", Text), ("n", Int), ("r", Float)];
    assert_eq!(columns("correlations_by_live"), named(&pairs));
}

fn get(rows: &[GoldRow], column: &str) -> f64 {
    match rows[0].get(column) {
        Some(GoldValue::Float(value)) => *value,
        other => panic!("{column} is {other:?}"),
    }
}

proptest! {
    #[test]
    fn statistics_agree_with_two_passes_over_doubles(values in collection::vec((-2_000i64..2_000, -90i64..90), 2..60)) {
        let views = Views::new(&small());
        let rows: Vec<_> = values
            .iter()
            .map(|(v, p)| [Value::Str("a"), float(*v as f64 / 1000.0), Value::Int(*p), Value::Null])
            .collect();
        let cells = fold(&views, &rows);
        let n = values.len() as f64;
        let columns = [values.iter().map(|v| v.0 as f64 / 1000.0).collect(), values.iter().map(|v| v.1 as f64).collect()];
        let mean = |v: &Vec<f64>| v.iter().sum::<f64>() / n;
        let product = |a: &Vec<f64>, b: &Vec<f64>| -> f64 {
            let (ma, mb) = (mean(a), mean(b));
            a.iter().zip(b).map(|(x, y)| (x - ma) * (y - mb)).sum::<f64>() / n
        };
        let by_genre = views.rows("by_genre", &cells).unwrap();
        for (values, name) in columns.iter().zip(["valence", "popularity"]) {
            let (mean_name, deviation_name) = (format!("mean_{name}"), format!("stddev_{name}"));
            prop_assert!((get(&by_genre, &mean_name) - mean(values)).abs() < 1e-12);
            prop_assert!((get(&by_genre, &deviation_name).powi(2) - product(values, values)).abs() < 1e-9);
        }
        let [x, y] = &columns;
        if product(x, x) > 1e-6 && product(y, y) > 1e-6 {
            let r = product(x, y) / (product(x, x) * product(y, y)).sqrt();
            prop_assert!((get(&views.rows("correlations", &cells).unwrap(), "r") - r).abs() < 1e-9);
        }
    }
}
