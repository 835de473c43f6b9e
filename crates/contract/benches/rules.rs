//! How fast the built-in contract judges rows: accepted ones, and ones with a broken range.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ensemble_contract::{Binding, Contract, Judge, Record, Span, Verdict, builtin};

const HEADER: [&str; 20] = [
    "",
    "artist_name",
    "track_name",
    "track_id",
    "popularity",
    "year",
    "genre",
    "danceability",
    "energy",
    "key",
    "loudness",
    "mode",
    "speechiness",
    "acousticness",
    "instrumentalness",
    "liveness",
    "valence",
    "tempo",
    "duration_ms",
    "time_signature",
];

const WORDS: [&str; 12] =
    ["love", "night", "the", "of", "DANCE", "fire", "moon,", "\"live\"", "feat.", "señor", "東京", "o'clock"];

const ROWS: u64 = 10_000;

/// A cheap generator of well-mixed numbers, the same in every run.
struct Mix(u64);

impl Mix {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 31)) % limit
    }

    fn word(&mut self) -> &'static str {
        WORDS[self.below(WORDS.len() as u64) as usize]
    }

    /// A decimal with this many places, below `limit`.
    fn decimal(&mut self, limit: u64, places: u32) -> String {
        let scale = 10u64.pow(places);
        let value = self.below(limit * scale);
        format!("{}.{:0width$}", value / scale, value % scale, width = places as usize)
    }
}

struct Rows {
    bytes: Vec<u8>,
    fields: Vec<Span>,
}

fn rows(tempo_sign: &str) -> Rows {
    let mut mix = Mix(7);
    let mut rows = Rows { bytes: Vec::new(), fields: Vec::new() };
    for row in 0..ROWS {
        let fields = [
            row.to_string(),
            format!("artist {} {}", mix.word(), mix.below(64_000)),
            format!("{} {} {}", mix.word(), mix.word(), mix.word()),
            format!("{:022}", mix.below(u64::MAX)),
            mix.below(101).to_string(),
            (2000 + mix.below(24)).to_string(),
            format!("genre-{}", mix.below(82)),
            mix.decimal(1, 3),
            mix.decimal(1, 3),
            mix.below(12).to_string(),
            format!("-{}", mix.decimal(58, 3)),
            mix.below(2).to_string(),
            mix.decimal(1, 4),
            mix.decimal(1, 6),
            mix.decimal(1, 6),
            mix.decimal(1, 4),
            mix.decimal(1, 4),
            format!("{tempo_sign}{}", mix.decimal(180, 3)),
            (20_000 + mix.below(580_000)).to_string(),
            mix.below(6).to_string(),
        ];
        for field in fields {
            let start = rows.bytes.len() as u32;
            rows.bytes.extend_from_slice(field.as_bytes());
            rows.fields.push(Span { start, end: rows.bytes.len() as u32 });
            rows.bytes.push(b',');
        }
    }
    rows
}

fn judge_all(judge: &Judge, rows: &Rows, utf8: bool, out: &mut Vec<u8>) -> u64 {
    out.clear();
    let mut accepted = 0;
    for fields in rows.fields.chunks_exact(HEADER.len()) {
        let record = Record { bytes: &rows.bytes, fields, utf8 };
        accepted += u64::from(matches!(judge.judge(&record, out), Verdict::Accepted(_)));
    }
    accepted
}

fn rules(c: &mut Criterion) {
    let contract = Arc::new(
        Contract::parse(builtin("tracks").unwrap_or_default(), "tracks.toml").expect("the built-in contract is valid"),
    );
    let header: Vec<String> = HEADER.iter().map(|name| (*name).to_owned()).collect();
    let judge = Judge::new(contract.clone(), Binding::new(&contract, &header).expect("the header fits"));
    let (good, bad) = (rows(""), rows("-"));
    let mut out = Vec::new();
    assert!(judge_all(&judge, &good, false, &mut out) > ROWS * 99 / 100);
    assert!(judge_all(&judge, &bad, false, &mut out) < ROWS / 100);

    let mut group = c.benchmark_group("rules");
    group.throughput(Throughput::Elements(ROWS));
    for (name, rows, utf8) in
        [("accepted", &good, true), ("accepted_unknown_encoding", &good, false), ("rejected", &bad, true)]
    {
        group.bench_function(name, |b| b.iter(|| judge_all(&judge, black_box(rows), utf8, &mut out)));
    }
    group.finish();
}

criterion_group!(benches, rules);
criterion_main!(benches);
