//! Verifying what was loaded: `cargo bench -p ensemble-audit -- [ROWS [THREADS]]` (default 1,160,000 and 2).

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    fmt::Write,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use ensemble_audit::{Progress, Scope, VerifyOptions};
use ensemble_events::EmbeddedLogOptions;
use support::{Hooks, World};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Result {
    let mut numbers = std::env::args().skip(1).filter_map(|a| a.parse().ok());
    let (rows, threads) = (numbers.next().unwrap_or(1_160_000), numbers.next().unwrap_or(2));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(run(rows as u64, threads))
}

async fn run(rows: u64, threads: usize) -> Result {
    let dir = tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or_else(|_| ".".to_owned()))?;
    let world = World::within(dir, EmbeddedLogOptions::default()).await;
    let contract = ensemble_contract::builtin("tracks").ok_or("there is no contract for tracks")?;
    let csv = tracks(rows)?;
    let (bytes, start, cpu) = (csv.len(), Instant::now(), cpu_seconds());
    world.load(contract, &[&csv], Hooks { shard_bytes: 1 << 20, at_once: 8, ..Hooks::default() }).await;
    drop(csv);
    let cpu = cpu_seconds() - cpu;
    println!("load {rows} rows, {bytes} bytes: {:?}, {cpu:.2} CPU s, peak {} MB", start.elapsed(), memory("VmHWM"));
    for _ in 0..3 {
        verify(&world, threads).await?;
    }
    Ok(())
}

async fn verify(world: &World, threads: usize) -> Result {
    // Lets the peak begin anew, where the system can.
    std::fs::write("/proc/self/clear_refs", "5").unwrap_or_default();
    let (start, cpu, before) = (Instant::now(), cpu_seconds(), memory("VmRSS"));
    let seen = Mutex::new(0);
    let progress = |p: Progress| {
        let part = p.done_bytes * 8 / p.total_bytes.max(1);
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if part > *seen {
            println!("  {part}/8 after {:?}, {:.2} CPU s", start.elapsed(), cpu_seconds() - cpu);
            *seen = part;
        }
    };
    let options = VerifyOptions { threads, ..VerifyOptions::new(world.scratch()) };
    let (store, log) = (world.store.clone(), world.log.clone());
    let report = ensemble_audit::verify(store, Some(log), Scope::All, options, progress).await?;
    let cpu = cpu_seconds() - cpu;
    println!("verify: {:?}, {cpu:.2} CPU s, from {before} MB, peak {} MB", start.elapsed(), memory("VmHWM"));
    report.checks.iter().for_each(|c| println!("  {}: {} ({})", c.id, c.outcome, c.detail));
    if report.holds() { Ok(()) } else { Err(format!("{report:#?}").into()) }
}

/// Rows as the million-track data set has them; one in 200 repeats a key, one in 500 is rejected.
fn tracks(rows: u64) -> Result<String> {
    let mut csv = String::from(
        ",artist_name,track_name,track_id,popularity,year,genre,danceability,energy,key,loudness,mode,speechiness,\
         acousticness,instrumentalness,liveness,valence,tempo,duration_ms,time_signature\n",
    );
    let mut state = 1u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for n in 0..rows {
        let id = if next(200) == 0 { next(n + 1) } else { n };
        let key = u128::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15_d6e8_feb8_6659_fd93);
        let tempo = if next(500) == 0 { 0 } else { 40_000 + next(180_000) };
        writeln!(
            csv,
            "{n},artist {},song of the year {},{:022x},{},{},genre-{},0.{:03},0.{:03},{},-{}.{:03},{},0.{:04},0.{:06},\
             0.{:06},0.{:04},0.{:04},{}.{:03},{},{}",
            next(64_000),
            next(1_000_000),
            key >> 40,
            next(101),
            2000 + next(24),
            next(82),
            next(1000),
            next(1000),
            next(12),
            next(59),
            next(1000),
            next(2),
            next(10_000),
            next(1_000_000),
            next(1_000_000),
            next(10_000),
            next(10_000),
            tempo / 1000,
            tempo % 1000,
            20_000 + next(580_000),
            next(6),
        )?;
    }
    Ok(csv)
}

/// A line of this process's status, in MB.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = status.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(':'));
    value.and_then(|v| v.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// What this process has taken of the processors, where the system says it in hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
