//! The answer for catalogues of tracks, as one slow process gives it that reads row by row: the built-in contract's rules
//! written out by hand, and none of the program's code.

use std::{collections::BTreeMap, path::Path};

use regex::Regex;

/// A column: its type, the header names that stand for it, whether it is required, and the range of its numbers.
type Column = (&'static str, Kind, &'static [&'static str], bool, Option<(Bound, f64)>);

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Int,
    Float,
    Year,
    Bool,
}

/// The least number of a range.
#[derive(Clone, Copy)]
enum Bound {
    From(f64),
    Above(f64),
}

use Bound::{Above, From};

/// The names of silver's columns.
pub(crate) fn column_names() -> [&'static str; COLUMNS.len()] {
    COLUMNS.map(|(name, ..)| name)
}

const UNIT: Option<(Bound, f64)> = Some((From(0.0), 1.0));

const COLUMNS: [Column; 21] = [
    ("track_id", Kind::Text, &["track_id", "id", "uri", "track_uri"], true, None),
    ("track_name", Kind::Text, &["track_name", "name", "track"], true, None),
    ("artist_name", Kind::Text, &["artist_name", "artists", "track_artist", "artist"], true, None),
    ("album_name", Kind::Text, &["album_name", "track_album_name", "album"], false, None),
    ("genre", Kind::Text, &["genre", "track_genre", "playlist_genre"], false, None),
    ("popularity", Kind::Int, &["popularity", "track_popularity"], false, Some((From(0.0), 100.0))),
    (
        "year",
        Kind::Year,
        &["year", "release_date", "track_album_release_date", "album_release_date"],
        false,
        Some((From(1900.0), 2100.0)),
    ),
    ("explicit", Kind::Bool, &["explicit"], false, None),
    ("danceability", Kind::Float, &["danceability"], true, UNIT),
    ("energy", Kind::Float, &["energy"], true, UNIT),
    ("key", Kind::Int, &["key"], true, Some((From(-1.0), 11.0))),
    ("loudness", Kind::Float, &["loudness"], true, Some((From(-60.0), 10.0))),
    ("mode", Kind::Int, &["mode"], true, UNIT),
    ("speechiness", Kind::Float, &["speechiness"], true, UNIT),
    ("acousticness", Kind::Float, &["acousticness"], true, UNIT),
    ("instrumentalness", Kind::Float, &["instrumentalness"], true, UNIT),
    ("liveness", Kind::Float, &["liveness"], true, UNIT),
    ("valence", Kind::Float, &["valence"], true, UNIT),
    ("tempo", Kind::Float, &["tempo"], true, Some((Above(0.0), 1000.0))),
    ("duration_ms", Kind::Int, &["duration_ms"], true, Some((Above(0.0), 86_400_000.0))),
    ("time_signature", Kind::Int, &["time_signature"], false, Some((From(0.0), 7.0))),
];

/// What the views of genres and years sum.
pub(crate) const MEASURES: [&str; 8] =
    ["popularity", "danceability", "energy", "valence", "tempo", "loudness", "acousticness", "duration_ms"];

/// Sums of a group: rows, and each measure's sum in billionths.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) count: u64,
    pub(crate) sums: [i128; MEASURES.len()],
}

/// What comes of some files, read as one job.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) rows: u64,
    pub(crate) duplicates: u64,
    pub(crate) rejected_by_rule: BTreeMap<String, u64>,
    /// By key: each column's value as text, empty for null.
    pub(crate) silver: BTreeMap<String, Vec<String>>,
    pub(crate) genres: BTreeMap<String, Group>,
    pub(crate) years: BTreeMap<String, Group>,
}

impl Answer {
    /// Reads the files in this order; the first row of a key is live.
    pub(crate) fn of(files: &[&Path]) -> Self {
        let rules = Rules::new();
        let mut answer = Self::default();
        for file in files {
            let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(file).unwrap();
            let header: Vec<String> = reader
                .headers()
                .unwrap()
                .iter()
                .map(|name| name.trim_start_matches('\u{feff}').trim().into())
                .collect();
            let sources = COLUMNS.map(|(_, _, aliases, ..)| {
                aliases.iter().find_map(|alias| header.iter().position(|name| name == alias))
            });
            for record in reader.records() {
                let record = record.unwrap();
                answer.rows += 1;
                let verdict = match record.len() == header.len() {
                    true => rules.judge(|column| sources[column].map_or("", |at| &record[at])),
                    false => Err("row.columns".to_owned()),
                };
                match verdict {
                    Err(rule) => *answer.rejected_by_rule.entry(rule).or_default() += 1,
                    Ok(row) if answer.silver.contains_key(&row[0]) => answer.duplicates += 1,
                    Ok(row) => drop(answer.silver.insert(row[0].clone(), row)),
                }
            }
        }
        for row in answer.silver.values() {
            for (groups, column) in [(&mut answer.genres, "genre"), (&mut answer.years, "year")] {
                let key = value(row, column);
                if key.is_empty() {
                    continue;
                }
                let group = groups.entry(key.to_owned()).or_default();
                group.count += 1;
                for (sum, measure) in group.sums.iter_mut().zip(MEASURES) {
                    *sum += billionths(value(row, measure));
                }
            }
        }
        answer
    }

    pub(crate) fn rejected(&self) -> u64 {
        self.rejected_by_rule.values().sum()
    }
}

fn value<'r>(row: &'r [String], column: &str) -> &'r str {
    &row[COLUMNS.iter().position(|(name, ..)| *name == column).unwrap()]
}

struct Rules {
    number: Regex,
    year: Regex,
}

impl Rules {
    fn new() -> Self {
        Self {
            number: Regex::new(r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,9})?$").unwrap(),
            year: Regex::new(r"^([0-9]{4})(\.0+|-[0-9]{2}(-[0-9]{2})?)?$").unwrap(),
        }
    }

    /// The standardised row, or the first rule that it breaks.
    fn judge<'r>(&self, raw: impl Fn(usize) -> &'r str) -> Result<Vec<String>, String> {
        let mut row = Vec::new();
        for (at, (name, kind, _, required, range)) in COLUMNS.iter().enumerate() {
            let mut text = raw(at).trim();
            if at == 0 {
                text = text.strip_prefix("spotify:track:").unwrap_or(text);
            }
            if text.is_empty() {
                if *required {
                    return Err(format!("{name}.required"));
                }
                row.push(String::new());
                continue;
            }
            let value = self.parse(*kind, text).ok_or_else(|| format!("{name}.type"))?;
            if let Some((low, high)) = range {
                let number: f64 = value.parse().unwrap();
                let above = match low {
                    From(low) => number >= *low,
                    Above(low) => number > *low,
                };
                if !above || number > *high {
                    return Err(format!("{name}.range"));
                }
            }
            row.push(if *name == "artist_name" { title_case(&value) } else { value });
        }
        Ok(row)
    }

    /// The value in its shortest form.
    fn parse(&self, kind: Kind, text: &str) -> Option<String> {
        match kind {
            Kind::Text => Some(text.to_owned()),
            Kind::Year => Some(self.year.captures(text)?[1].to_owned()),
            Kind::Bool => match text.to_lowercase().as_str() {
                "true" | "1" => Some("true".to_owned()),
                "false" | "0" => Some("false".to_owned()),
                _ => None,
            },
            Kind::Int | Kind::Float => {
                let number: f64 = self.number.is_match(text).then(|| text.parse().ok()).flatten()?;
                // Integers of a catalogue are far below 2⁵³.
                (number.is_finite() && (kind == Kind::Float || number.fract() == 0.0)).then(|| number.to_string())
            }
        }
    }
}

/// The first character of each word upper case, the rest lower. A word is letters, marks and numbers with single
/// apostrophes inside.
fn title_case(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let in_word = |at: usize| characters.get(at).is_some_and(|c| c.is_alphanumeric());
    let mut out = String::new();
    let mut inside = false;
    for (at, c) in characters.iter().enumerate() {
        match (in_word(at), inside) {
            (true, true) => out.extend(c.to_lowercase()),
            (true, false) => out.extend(c.to_uppercase()),
            (false, _) => out.push(*c),
        }
        inside = in_word(at) || (inside && ['\'', '’'].contains(c) && in_word(at + 1));
    }
    out
}

/// The billionths of a decimal that needs no more of them; none of an empty text.
pub(crate) fn billionths(text: &str) -> i128 {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    assert!(fraction.len() <= 9, "{text} is finer than billionths");
    let magnitude: i128 = format!("0{whole}{fraction:0<9}").parse().unwrap();
    if negative { -magnitude } else { magnitude }
}

/// Some ways to be wrong, or odd and right, which a generated catalogue lacks, and a row of each of these keys: under
/// another header than it has.
pub(crate) fn odd_rows<'k>(known: impl Iterator<Item = &'k String>) -> String {
    let header = "uri,name,artists,album,playlist_genre,track_popularity,track_album_release_date,explicit,danceability,\
                  energy,key,loudness,mode,speechiness,acousticness,instrumentalness,liveness,valence,tempo,duration_ms,\
                  time_signature,note\n";
    let features = "5e-1,.25,-1,-6.5,1,0.04,1,0,0.1,+0.5,120.5,180000.0,4,x\n";
    let mut rows = format!("\u{feff}{header}");
    let mut row = |start: &str| rows.extend([start, ",", features]);
    row("spotify:track:first,One,THE o'neill band,Álbum,odd,50,1999-12-31,TRUE");
    row(" first ,Two,a duplicate,,odd,50,1999,0");
    row("second,\"Quoted, \"\"twice\"\"\",éric & ÉRIC,\u{a0},odd,100.0,2000.0,");
    row("third,Late,x,,odd,101,2000-01,1");
    row("fourth,,x,,odd,1,2000,1");
    row("fifth,No year,x,,odd,1,99,1");
    row("sixth,No flag,x,,odd,1,1999,yes");
    row("seventh,Not a number,x,,odd,1_0,1999,1");
    row("eighth,\"over\ntwo lines\",x,,,,,");
    row("ninth,Too many,x,,odd,1,1999,1,0.5");
    row(",No key,x,,odd,1,1999,1");
    for key in known {
        row(&format!("spotify:track:{key},Again,x,,odd,1,1999,1"));
    }
    rows
}
