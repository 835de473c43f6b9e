//! The answer is that of one slow process, whatever the number of workers and the size of shards.

use std::{collections::BTreeMap, fs};

use serde_json::{Map, Value};

use crate::{
    oracle::{Answer, Group, MEASURES, billionths, odd_rows},
    support::Place,
};

/// The first of the columns of audio features, which are numbers.
const FEATURES: usize = 8;

#[test]
fn every_number_of_workers_and_shard_size_gives_the_answer_of_one_slow_process() {
    let place = Place::new();
    place.generate("a.csv", "--rows 8000 --duplicates 0.1 --bad 0.02");
    let first = Answer::of(&[&place.path("a.csv")]);
    place.write("b.csv", odd_rows(first.silver.keys().take(20)));
    let answer = Answer::of(&[&place.path("a.csv"), &place.path("b.csv")]);
    assert!(
        answer.duplicates > first.duplicates + 20 && answer.rejected() > first.rejected() + 5,
        "the odd rows count"
    );

    for workers in [1, 2, 8] {
        for shard_bytes in [4 << 10, 64 << 10, 1 << 20] {
            let store = format!("{workers}-{shard_bytes}");
            let options = format!("--store {store} --workers {workers} --shard-bytes {shard_bytes}");
            let report = place.json(&format!("run a.csv b.csv {options}"));
            assert_counts(&report, &answer, &store);
            let silver = silver(&place, &store);
            let differs = silver.values().zip(answer.silver.values()).find(|(row, expected)| row != expected);
            assert_eq!((differs, silver.len()), (None, answer.silver.len()), "{store}");
            assert_gold(&place, &store, "analytics_genre_stats", "genre", &answer.genres);
            assert_gold(&place, &store, "analytics_yearly_trends", "year", &answer.years);
            place.assert_verified(&store);
        }
    }
}

fn assert_counts(report: &Value, answer: &Answer, store: &str) {
    let expected = [answer.rows, answer.silver.len() as u64, answer.duplicates, 0, answer.rejected()];
    let counts = ["rows", "accepted", "duplicates", "updated", "rejected"].map(|name| report[name].as_u64().unwrap());
    assert_eq!(counts, expected, "{store}: {report}");
    let by_rule: Map<_, _> = answer.rejected_by_rule.iter().map(|(rule, n)| (rule.clone(), (*n).into())).collect();
    assert_eq!(report["rejected_by_rule"], Value::Object(by_rule), "{store}");
}

/// Silver by key, each number in the form that [`Answer::silver`] has.
fn silver(place: &Place, store: &str) -> BTreeMap<String, Vec<String>> {
    place.json(&format!("export silver --store {store} --to silver.csv"));
    let text = fs::read(place.path("silver.csv")).unwrap();
    let rows = csv::Reader::from_reader(&text[..]).into_records();
    let plain = |(at, text): (usize, &str)| match text.parse::<f64>() {
        Ok(number) if at >= FEATURES => number.to_string(),
        _ => text.to_owned(),
    };
    let rows = rows.map(|row| row.unwrap().iter().enumerate().map(plain).collect::<Vec<_>>());
    rows.map(|row| (row[0].clone(), row)).collect()
}

/// Counts and sums to the last digit.
fn assert_gold(place: &Place, store: &str, view: &str, by: &str, expected: &BTreeMap<String, Group>) {
    let cells = place.json(&format!("gold {view} --store {store}"));
    let group = |cell: &Value| {
        let key = cell[by].as_str().map_or_else(|| cell[by].to_string(), str::to_owned);
        let sums = MEASURES.map(|measure| billionths(cell[format!("sum_{measure}")].as_str().unwrap()));
        (key, Group { count: cell["count"].as_u64().unwrap(), sums })
    };
    let groups: BTreeMap<_, _> = cells.as_array().unwrap().iter().map(group).collect();
    assert_eq!(groups, *expected, "{store} {view}");
}
