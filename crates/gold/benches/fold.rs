//! How fast rows are folded and deltas are merged, encoded and decoded. `cargo bench -p ensemble-gold`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use ensemble_gold::{Cells, Folder, GoldError, Views};

/// About what a shard of 1 MiB holds.
const SHARD_ROWS: usize = 8_000;
const SHARDS: usize = 5;

fn fold(views: &Views, rows: &[Vec<u8>]) -> Result<Cells, GoldError> {
    let mut folder = Folder::new(views);
    for row in rows {
        folder.add(row)?;
    }
    Ok(folder.finish())
}

fn main() -> Result<(), GoldError> {
    let views = Views::new(&support::tracks());
    let mut random = support::Random(1);
    let rows: Vec<_> = (0..SHARD_ROWS * SHARDS).map(|_| random.track()).collect();
    let deltas = rows.chunks(SHARD_ROWS).map(|rows| fold(&views, rows)).collect::<Result<Vec<_>, _>>()?;
    let encoded: Vec<_> = deltas.iter().map(Cells::encode).collect();
    let cells: usize = deltas.iter().map(Cells::len).sum();

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("rows");
    group.throughput(Throughput::Elements(rows.len() as u64));
    let mut folder = Folder::new(&views);
    group.bench_function("fold", |b| {
        b.iter(|| {
            for row in &rows {
                let _ = folder.add(black_box(row));
            }
            folder.finish()
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("cells");
    group.throughput(Throughput::Elements(cells as u64));
    group.bench_function("merge", |b| {
        let merge = |mut state: Cells| {
            for delta in &deltas {
                let _ = state.merge(black_box(delta));
            }
            state
        };
        b.iter_batched(|| deltas.first().cloned().unwrap_or_default(), merge, BatchSize::SmallInput);
    });
    group.bench_function("encode", |b| b.iter(|| deltas.iter().map(|d| d.encode().len()).sum::<usize>()));
    group.bench_function("decode", |b| b.iter(|| encoded.iter().filter_map(|e| Cells::decode(e).ok()).count()));
    group.finish();
    criterion.final_summary();
    Ok(())
}
