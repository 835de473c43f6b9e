use std::collections::{HashMap, HashSet};

use super::*;

fn catalogue(rows: u64) -> TrackCatalogue {
    TrackCatalogue { rows, duplicates: 0.0, bad: 0.0, genres: 82, seed: 42 }
}

fn text(catalogue: &TrackCatalogue) -> String {
    let mut out = Vec::new();
    catalogue.write_to(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn rows(text: &str) -> Vec<csv::StringRecord> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.records().map(|r| r.unwrap()).collect()
}

fn column(name: &str) -> usize {
    HEADER.trim_end().split(',').position(|c| c == name).unwrap()
}

fn number(row: &csv::StringRecord, name: &str) -> f64 {
    row[column(name)].parse().unwrap()
}

fn mean(rows: &[csv::StringRecord], name: &str) -> f64 {
    rows.iter().map(|r| number(r, name)).sum::<f64>() / rows.len() as f64
}

/// FNV-1a: a hash that needs no other crate.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn a_catalogue_is_the_same_everywhere_and_for_ever() {
    let catalogue = TrackCatalogue { duplicates: 0.1, bad: 0.05, genres: 100, ..catalogue(2_000) };
    let written = text(&catalogue);
    assert_eq!(written, text(&catalogue));
    assert_eq!(written.lines().take(4).collect::<Vec<_>>(), GOLDEN);
    assert_eq!(fnv(written.as_bytes()), 492_229_194_977_530_164);
    assert_ne!(written, text(&TrackCatalogue { seed: 43, ..catalogue }));
}

const GOLDEN: [&str; 4] = [
    ",artist_name,track_name,track_id,popularity,year,genre,danceability,energy,key,loudness,mode,speechiness,acousticness,instrumentalness,liveness,valence,tempo,duration_ms,time_signature",
    "0,Beatriz Cole,Wooden Echoes - Remastered 2013,d2E3lUwoRs9aOQuemC7vKx,17,2012,techno,0.645,0.582,0,-9.411,1,0.4531,0.166,0.0,0.139,0.559,133.25,158346,4",
    "1,Søren Yamada,Don't Run My Eyes,cn18yXMyGWM8DMmxAwcJyg,29,2022,drum-and-bass,0.477,0.864,2,-4.986,1,0.0329,0.00439,0.645,0.193,0.288,169.51,209371,5",
    "2,Juno Whitlock,我的空,cQ0vlIW4mA1lyfX0eqDjeB,27,2020,soul,0.683,0.639,4,-8.55,1,0.0266,9.93e-06,0.106,0.668,0.56,113.572,229412,4",
];

#[test]
fn every_row_has_the_twenty_columns() {
    let catalogue = TrackCatalogue { duplicates: 0.1, bad: 0.2, ..catalogue(20_000) };
    let written = text(&catalogue);
    assert!(written.starts_with(HEADER) && written.ends_with('\n') && !written.contains('\r'));
    let rows = rows(&written);
    assert_eq!(rows.len(), 20_000);
    for (n, row) in rows.iter().enumerate() {
        assert_eq!(row.len(), 20);
        assert_eq!(row[0], n.to_string());
        assert!(row[3].len() == 22 && row[3].bytes().all(|b| b.is_ascii_alphanumeric()), "{}", &row[3]);
    }
    assert_eq!(text(&TrackCatalogue { rows: 0, ..catalogue }), HEADER);
}

#[test]
fn values_look_like_those_of_real_tracks() {
    let rows = rows(&text(&catalogue(20_000)));
    for (name, low, high) in [
        ("popularity", 0.0, 100.0),
        ("year", 2000.0, 2023.0),
        ("danceability", 0.0, 1.0),
        ("energy", 0.0, 1.0),
        ("key", 0.0, 11.0),
        ("loudness", -60.0, 5.0),
        ("mode", 0.0, 1.0),
        ("speechiness", 0.0, 1.0),
        ("acousticness", 0.0, 1.0),
        ("instrumentalness", 0.0, 1.0),
        ("liveness", 0.0, 1.0),
        ("valence", 0.0, 1.0),
        ("tempo", 40.0, 230.0),
        ("duration_ms", 30_000.0, 1_800_000.0),
        ("time_signature", 1.0, 5.0),
    ] {
        for row in &rows {
            assert!((low..=high).contains(&number(row, name)), "{name} {}", &row[column(name)]);
        }
    }
    for (name, low, high) in [
        ("popularity", 14.0, 23.0),
        ("year", 2011.0, 2012.0),
        ("energy", 0.58, 0.70),
        ("danceability", 0.5, 0.6),
        ("loudness", -10.0, -8.0),
        ("tempo", 115.0, 127.0),
        ("duration_ms", 220_000.0, 270_000.0),
        ("acousticness", 0.2, 0.4),
        ("instrumentalness", 0.15, 0.35),
    ] {
        assert!((low..high).contains(&mean(&rows, name)), "{name} {}", mean(&rows, name));
    }
}

#[test]
fn names_hold_everything_that_breaks_a_careless_reader() {
    let rows = rows(&text(&catalogue(5_000)));
    for part in [",", "\"", "'", "é", "ø", "山田", "너의"] {
        let found = rows.iter().filter(|r| r[1].contains(part) || r[2].contains(part)).count();
        assert!(found > 0, "{part}");
    }
    assert!(rows.iter().all(|r| !r[1].is_empty() && !r[2].is_empty()));
    let artists: HashSet<&str> = rows.iter().map(|r| &r[1]).collect();
    assert!(artists.len() > 1_500, "{}", artists.len());
}

#[test]
fn ids_are_unique_but_for_repeats_of_earlier_tracks() {
    let all = |share| {
        let written = text(&TrackCatalogue { duplicates: share, ..catalogue(20_000) });
        rows(&written)
    };
    let ids: HashSet<String> = all(0.0).iter().map(|r| r[3].to_owned()).collect();
    assert_eq!(ids.len(), 20_000);
    let mut first: HashMap<String, csv::StringRecord> = HashMap::new();
    let mut repeats = 0;
    for row in all(0.2) {
        let Some(original) = first.get(&row[3]) else {
            first.insert(row[3].to_owned(), row);
            continue;
        };
        repeats += 1;
        for name in ["artist_name", "track_name", "year", "tempo", "duration_ms"] {
            assert_eq!(original[column(name)], row[column(name)]);
        }
    }
    assert!((3_800..4_200).contains(&repeats), "{repeats}");
    let ids: HashSet<String> = all(1.0).iter().map(|r| r[3].to_owned()).collect();
    assert_eq!(ids.len(), 1);
}

#[test]
fn the_share_of_bad_rows_is_as_asked_and_mostly_a_tempo_of_zero() {
    let bad = |share| {
        let rows = rows(&text(&TrackCatalogue { bad: share, ..catalogue(20_000) }));
        let mut found: HashMap<&str, usize> = HashMap::new();
        for row in &rows {
            let faults = [
                ("tempo", &row[column("tempo")] == "0.0"),
                ("names", row[1].is_empty() && row[2].is_empty()),
                ("energy", &row[column("energy")] == "1.2"),
                ("text", row[column("loudness")].parse::<f64>().is_err()),
                ("popularity", &row[column("popularity")] == "101"),
                ("duration", &row[column("duration_ms")] == "0"),
            ];
            faults.iter().filter(|(_, is)| *is).for_each(|(name, _)| *found.entry(name).or_default() += 1);
        }
        found
    };
    assert!(bad(0.0).is_empty());
    let found = bad(0.1);
    let total: usize = found.values().sum();
    assert!((1_850..2_150).contains(&total), "{found:?}");
    assert_eq!(found.len(), 6, "{found:?}");
    assert!(found["tempo"] * 10 > total * 6, "{found:?}");
    assert_eq!(bad(7.0).values().sum::<usize>(), 20_000);
    assert!(bad(f64::NAN).is_empty());
}

#[test]
fn there_are_as_many_genres_as_asked() {
    for (asked, has) in [(0, 1), (1, 1), (82, 82), (120, 120)] {
        let rows = rows(&text(&TrackCatalogue { genres: asked, ..catalogue(5_000) }));
        let genres: HashSet<&str> = rows.iter().map(|r| &r[6]).collect();
        assert_eq!(genres.len(), has);
        assert_eq!(genres.contains("genre-83") && genres.contains("genre-120"), asked == 120);
        assert!(!genres.contains("genre-82"));
    }
}
