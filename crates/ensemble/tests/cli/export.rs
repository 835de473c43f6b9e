//! The layers as they leave a store: they parse, and they agree with each other.

use std::{collections::BTreeMap, fs::File};

use parquet::{
    basic::Type as PhysicalType,
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};
use serde_json::Value;

use crate::{oracle::column_names, support::Place};

/// A loaded catalogue, and the job's report.
fn loaded() -> (Place, Value) {
    let place = Place::new();
    place.generate("in.csv", "--rows 4000 --duplicates 0.1 --bad 0.02");
    let report = place.json("run in.csv --store s --shard-bytes 16384");
    (place, report)
}

/// The rows of a CSV file, by column.
fn read_csv(place: &Place, name: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(place.path(name)).unwrap();
    reader.deserialize().map(|row| row.unwrap()).collect()
}

#[test]
fn silver_is_the_accepted_rows_sorted_by_key() {
    let (place, report) = loaded();
    let exported = place.json("export silver --store s --to silver.csv");
    assert_eq!(exported["rows"], report["accepted"]);
    assert_eq!(exported["bytes"], place.path("silver.csv").metadata().unwrap().len());
    let text = std::fs::read_to_string(place.path("silver.csv")).unwrap();
    assert_eq!(text.lines().next().unwrap(), column_names().join(","));

    let rows = read_csv(&place, "silver.csv");
    assert_eq!(rows.len() as u64, report["accepted"].as_u64().unwrap());
    assert!(rows.is_sorted_by(|a, b| a["track_id"].as_bytes() < b["track_id"].as_bytes()));
    // Floats are the shortest text, and what the source lacks is empty.
    let is_shortest = |text: &str| shortest(text.parse().unwrap()) == text;
    assert!(rows.iter().all(|row| is_shortest(&row["instrumentalness"]) && row["album_name"].is_empty()));
    place.run("export silver:spotify_clean --store s --to again.csv").says(0, "rows");
    assert_eq!(std::fs::read_to_string(place.path("again.csv")).unwrap(), text);
}

#[test]
fn parquet_holds_what_csv_holds_with_types() {
    let (place, _) = loaded();
    place.json("export silver --store s --to silver.csv");
    place.write("silver.parquet", "something older");
    place.json("export silver --store s --to silver.parquet");
    let rows = read_csv(&place, "silver.csv");

    let reader = SerializedFileReader::new(File::open(place.path("silver.parquet")).unwrap()).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let names: Vec<&str> = schema.columns().iter().map(|column| column.name()).collect();
    assert_eq!(names, column_names());
    let type_of = |name| schema.columns()[column_names().iter().position(|c| *c == name).unwrap()].physical_type();
    assert_eq!(type_of("track_id"), PhysicalType::BYTE_ARRAY);
    assert_eq!(type_of("year"), PhysicalType::INT64);
    assert_eq!(type_of("explicit"), PhysicalType::BOOLEAN);
    assert_eq!(type_of("tempo"), PhysicalType::DOUBLE);

    let mut count = 0;
    for (row, expected) in reader.get_row_iter(None).unwrap().zip(&rows) {
        for (name, field) in row.unwrap().get_column_iter() {
            let text = match field {
                Field::Null => String::new(),
                Field::Long(v) => v.to_string(),
                Field::Double(v) => shortest(*v),
                Field::Bool(v) => v.to_string(),
                Field::Str(v) => v.clone(),
                other => panic!("{name}: {other:?}"),
            };
            assert_eq!(text, expected[name], "{name}");
        }
        count += 1;
    }
    assert_eq!(count, rows.len());
    let names: Vec<_> = std::fs::read_dir(place.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().ends_with(".tmp")), "{names:?}");
}

#[test]
fn gold_is_what_silver_adds_up_to() {
    let (place, report) = loaded();
    place.json("export silver --store s --to silver.csv");
    let rows = read_csv(&place, "silver.csv");
    let mut expected: BTreeMap<&str, (u64, i64, i128)> = BTreeMap::new();
    for row in &rows {
        let cell = expected.entry(&row["genre"]).or_default();
        cell.0 += 1;
        cell.1 += row["popularity"].parse::<i64>().unwrap();
        cell.2 += nano(&row["tempo"]);
    }
    let view = place.json("gold analytics_genre_stats --store s");
    let view = view.as_array().unwrap();
    assert_eq!(view.len(), expected.len());
    for (cell, (genre, (count, popularity, tempo))) in view.iter().zip(&expected) {
        assert_eq!((&cell["genre"], &cell["count"]), (&(*genre).into(), &(*count).into()));
        assert_eq!(cell["sum_popularity"], popularity.to_string());
        assert_eq!(nano(cell["sum_tempo"].as_str().unwrap()), *tempo, "{genre}");
        let mean = *popularity as f64 / *count as f64;
        assert!(near(cell["mean_popularity"].as_f64().unwrap(), mean), "{genre}");
        assert!(cell["stddev_popularity"].as_f64().unwrap() >= 0.0);
    }
    for view in ["analytics_genre_stats", "analytics_yearly_trends", "mood_map", "popularity_distribution"] {
        let cells = place.json(&format!("gold {view} --store s"));
        let sum: u64 = cells.as_array().unwrap().iter().map(|cell| cell["count"].as_u64().unwrap()).sum();
        assert_eq!(Value::from(sum), report["accepted"], "{view}");
    }
}

/// The shortest text of a double.
fn shortest(value: f64) -> String {
    let (plain, scientific) = (value.to_string(), format!("{value:e}"));
    if scientific.len() < plain.len() { scientific } else { plain }
}

/// Whether two doubles are the same but for the last digits, as `serde_json` reads them.
fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-15 * a.abs().max(b.abs())
}

/// A decimal in billionths.
fn nano(text: &str) -> i128 {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    sign * format!("{whole}{fraction:0<9}").parse::<i128>().unwrap()
}

#[test]
fn gold_says_the_same_in_every_format() {
    let (place, _) = loaded();
    let views = place.json("gold --store s");
    assert_eq!(views.as_array().unwrap().len(), 6);
    assert_eq!(views[2]["by"], serde_json::json!(["valence/0.05", "energy/0.05"]));
    for view in views.as_array().unwrap() {
        let view = view["view"].as_str().unwrap();
        let json = place.json(&format!("gold {view} --store s"));
        let csv = place.run(&format!("gold {view} --store s --output csv")).out;
        place.write("view.csv", &csv);
        place.json(&format!("export gold:{view} --store s --to exported.csv"));
        assert_eq!(std::fs::read_to_string(place.path("exported.csv")).unwrap(), csv, "{view}");
        let rows = read_csv(&place, "view.csv");
        assert_eq!(rows.len(), json.as_array().unwrap().len());
        for (row, cell) in rows.iter().zip(json.as_array().unwrap()) {
            for (name, value) in cell.as_object().unwrap() {
                let text = &row[name];
                match value {
                    Value::Null => assert_eq!(text, ""),
                    Value::String(v) => assert_eq!(text, v),
                    v => assert!(near(text.parse().unwrap(), v.as_f64().unwrap()), "{view} {name}: {text} {v}"),
                }
            }
        }
        let table = place.run(&format!("gold {view} --store s --limit 2"));
        assert_eq!(table.out.lines().count(), 1 + rows.len().min(2), "{}", table.out);
        place.json(&format!("export gold:{view} --store s --to view.parquet"));
        let reader = SerializedFileReader::new(File::open(place.path("view.parquet")).unwrap()).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows() as usize, rows.len());
    }
}

#[test]
fn the_dead_letters_are_the_rejected_rows() {
    let (place, report) = loaded();
    let source = std::fs::read_to_string(place.path("in.csv")).unwrap();
    let lines: Vec<&str> = source.lines().collect();
    let rejects = place.rejects("s");
    assert_eq!(rejects.len() as u64, report["rejected"].as_u64().unwrap());
    let mut by_rule: BTreeMap<String, u64> = BTreeMap::new();
    for letter in &rejects {
        let names: Vec<&str> = letter.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["job", "file", "line", "offset", "rule", "rules", "column", "value", "raw"]);
        *by_rule.entry(letter["rule"].as_str().unwrap().to_owned()).or_default() += 1;
        assert_eq!((&letter["job"], &letter["file"]), (&report["job"], &"in.csv".into()));
        let (line, offset) = (letter["line"].as_u64().unwrap() as usize, letter["offset"].as_u64().unwrap() as usize);
        assert_eq!(letter["raw"], lines[line - 1]);
        assert!(source[offset..].starts_with(lines[line - 1]));
    }
    assert_eq!(serde_json::to_value(by_rule).unwrap(), report["rejected_by_rule"]);

    let job = report["job"].as_str().unwrap();
    let csv = place.run(&format!("rejects {job} --store s --output csv")).out;
    place.write("letters.csv", &csv);
    place.json("export rejects --store s --to exported.csv");
    assert_eq!(std::fs::read_to_string(place.path("exported.csv")).unwrap(), csv);
    let rows = read_csv(&place, "letters.csv");
    assert_eq!(rows.len(), rejects.len());
    assert!(rows.iter().zip(&rejects).all(|(row, letter)| letter["raw"] == row["raw"].as_str()));
    let table = place.run("rejects --store s --limit 3");
    table.says(0, "3 rejected rows");
    assert_eq!(table.out.lines().count(), 5);
}
