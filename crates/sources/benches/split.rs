//! Cutting and reading rows, beside the `csv` crate on the same bytes.

#![allow(clippy::unwrap_used, reason = "a benchmark that fails may stop")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ensemble_sources::csv::{Cursor, Dialect, Place, RecordKind, RecordReader, SplitOptions, Splitter};
use ensemble_store::{JobNumber, ShardId};

const ROWS: u64 = 200_000;
const START: ShardId = ShardId { job: JobNumber(1), number: 0 };

/// Rows of 20 fields, about 160 bytes each; every `quote_every`th has a quoted field.
fn rows(quote_every: u64, line_end: &str) -> Vec<u8> {
    let mut text = String::new();
    let mut noise = 1u64;
    for row in 0..ROWS {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let unit = |shift: u32| ((noise >> shift) & 0xffff) as f64 / 65536.0;
        let artist = if row % quote_every == 0 { "\"Crosby, Stills & Nash\"" } else { "Beyoncé Knowles" };
        text += &format!(
            "{row},{noise:022},{artist},Some Track Name,{},{:.4},{:.4},{},{:.3},{},{:.4},{:.4},{:.6},{:.4},{:.4},{:.3},{},{},acoustic,{}{line_end}",
            noise % 101,
            unit(1),
            unit(2),
            noise % 12,
            -60.0 * unit(3),
            noise % 2,
            unit(4),
            unit(5),
            unit(6),
            unit(7),
            unit(8),
            200.0 * unit(9),
            100_000 + noise % 200_000,
            noise % 7,
            1900 + noise % 120,
        );
    }
    text.into_bytes()
}

fn split(c: &mut Criterion) {
    for (name, bytes) in
        [("few quotes", rows(1000, "\n")), ("quotes in each row", rows(1, "\n")), ("crlf", rows(1000, "\r\n"))]
    {
        let mut group = c.benchmark_group(format!("split, {name}"));
        group.sample_size(10).throughput(Throughput::Bytes(bytes.len() as u64));
        let splitter = || {
            Splitter::new(bytes.as_slice(), SplitOptions::new("bench", Dialect::default()), Cursor::start_of(0, START))
        };
        group.bench_function("cut", |b| {
            b.iter(|| {
                let mut splitter = splitter();
                while let Some(shard) = splitter.next_unsealed().unwrap() {
                    black_box(shard);
                }
            });
        });
        group.bench_function("cut and digest", |b| {
            b.iter(|| {
                let mut splitter = splitter();
                while let Some(shard) = splitter.next_shard().unwrap() {
                    black_box(shard);
                }
            });
        });
        group.finish();
    }
}

fn read(c: &mut Criterion) {
    for (name, bytes) in
        [("few quotes", rows(1000, "\n")), ("quotes in each row", rows(1, "\n")), ("crlf", rows(1000, "\r\n"))]
    {
        let mut group = c.benchmark_group(format!("read, {name}"));
        group.sample_size(10).throughput(Throughput::Bytes(bytes.len() as u64));
        // Shard by shard, as a worker does.
        let mut shards = Vec::new();
        let mut splitter =
            Splitter::new(bytes.as_slice(), SplitOptions::new("bench", Dialect::default()), Cursor::start_of(0, START));
        while let Some(shard) = splitter.next_shard().unwrap() {
            shards.push(shard.bytes);
        }
        group.bench_function("records", |b| {
            b.iter(|| {
                let mut fields = 0;
                for shard in &shards {
                    let mut records = RecordReader::new(shard, Dialect::default(), Place { offset: 0, line: 1 }, 0);
                    while let Some(record) = records.next() {
                        if let RecordKind::Fields(record) = record.kind {
                            fields += record.fields.len();
                        }
                    }
                }
                black_box(fields)
            });
        });
        group.bench_function("csv crate", |b| {
            b.iter(|| {
                let mut fields = 0;
                let mut record = csv::ByteRecord::new();
                for shard in &shards {
                    let mut reader =
                        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(shard.as_ref());
                    while reader.read_byte_record(&mut record).unwrap() {
                        fields += record.len();
                    }
                }
                black_box(fields)
            });
        });
        group.finish();
    }
}

criterion_group!(benches, split, read);
criterion_main!(benches);
