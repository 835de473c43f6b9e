//! Loading silver as workers would: a decision with its bytes, claims, a ledger entry a shard.
//!
//! `cargo bench -p ensemble-store -- [ROWS [SHARDS AT ONCE]]` (default 1,160,000 and 8). Reports each phase's rows a second, CPU seconds (with
//! the making of the rows) and the peak of resident memory so far.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use bytes::{BufMut, Bytes, BytesMut};
use ensemble_store::{
    Claim, ClaimInsert, Decision, DecisionRecord, EmbeddedOptions, EmbeddedStore, JobNumber, LedgerEntry, NewClaim,
    Position, Rank, Replacement, ShardId, ShardKind, ShardPlan, SilverDoc, Store,
};

const SHARD_ROWS: u64 = 7_000;
const FIELDS: usize = 115;
const SILVER: &str = "spotify_clean";

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Result {
    let mut numbers = std::env::args().skip(1).filter_map(|a| a.parse().ok());
    let (rows, tasks) = (numbers.next().unwrap_or(1_160_000), numbers.next().unwrap_or(8));
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(run(rows, tasks as u32))
}

async fn run(rows: u64, tasks: u32) -> Result {
    let dir = tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or_else(|_| ".".to_owned()))?;
    let store = EmbeddedStore::open(dir.path(), EmbeddedOptions::default())?;
    phase("load", rows, load(&store, 1, rows, tasks)).await?;
    for page in [1_000, 10_000] {
        phase(&format!("scan in pages of {page}"), rows, scan(&store, page, rows)).await?;
    }
    phase("repeat, all present", rows, load(&store, 2, rows, tasks)).await?;
    phase("replace a tenth", rows / 10, replace(&store, rows / 10)).await?;
    phase("scan again", rows, scan(&store, 10_000, rows)).await?;
    store.close().await?;
    let start = Instant::now();
    let store = EmbeddedStore::open(dir.path(), EmbeddedOptions::default())?;
    println!("reopen: {:?}", start.elapsed());
    phase("first claim after reopening", rows, load(&store, 3, 1, 1)).await?;
    let start = Instant::now();
    for n in 0..100 {
        insert(&store, ShardId { job: JobNumber(4), number: n }, 1 << 40 | u64::from(n), 1).await?;
    }
    println!("a single claim on an idle store: {:?}", start.elapsed() / 100);
    store.close().await?;
    Ok(())
}

async fn phase(name: &str, rows: u64, work: impl Future<Output = Result>) -> Result {
    let (start, cpu) = (Instant::now(), cpu_seconds());
    work.await?;
    let seconds = start.elapsed().as_secs_f64();
    let (rate, cpu) = (rows as f64 / seconds, cpu_seconds() - cpu);
    println!("{name}: {seconds:.2} s, {rate:.0} rows/s, {cpu:.2} CPU s, peak {} MB", peak_mb());
    Ok(())
}

/// Concurrent tasks share the shards of a job.
async fn load(store: &Arc<EmbeddedStore>, job: u64, rows: u64, tasks: u32) -> Result {
    let shards = rows.div_ceil(SHARD_ROWS) as u32;
    let tasks: Vec<_> = (0..tasks)
        .map(|task| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                for number in (task..shards).step_by(tasks as usize) {
                    let first = u64::from(number) * SHARD_ROWS;
                    let shard = ShardId { job: JobNumber(job), number };
                    commit(&store, shard, first, SHARD_ROWS.min(rows - first)).await?;
                }
                Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await?.map_err(|e: Box<dyn std::error::Error + Send + Sync>| e)?;
    }
    Ok(())
}

async fn commit(store: &EmbeddedStore, shard: ShardId, first: u64, rows: u64) -> Result {
    let plan = plan(shard);
    let mut bytes = BytesMut::with_capacity(1 << 20);
    for n in first..first + rows {
        bytes.extend_from_slice(&key(n));
        bytes.extend_from_slice(&fields(n));
    }
    let decision = Decision::Process { bytes: bytes.freeze(), panicked: Vec::new() };
    store.insert_decision(&DecisionRecord { plan: plan.clone(), decision }).await?;
    let claims = insert(store, shard, first, rows).await?;
    let entry = LedgerEntry {
        plan,
        aside: None,
        rows,
        claims,
        duplicates: rows - claims,
        displaced_same: 0,
        updated: 0,
        rejected_by_rule: BTreeMap::new(),
        delta: (0..30_000_u64).map(|n| (n.wrapping_mul(first | 1) >> 7) as u8).collect(),
        settled_at_us: 0,
    };
    store.insert_ledger(&entry).await?;
    Ok(())
}

async fn insert(store: &EmbeddedStore, shard: ShardId, first: u64, rows: u64) -> Result<u64> {
    let claims: Vec<_> = (first..first + rows).map(|n| NewClaim { key: key(n), claim: claim(shard, n) }).collect();
    let inserts = store.insert_claims(SILVER, claims.into()).await?;
    Ok(inserts.iter().filter(|i| **i == ClaimInsert::Inserted).count() as u64)
}

async fn replace(store: &EmbeddedStore, rows: u64) -> Result {
    for first in (0..rows).step_by(SHARD_ROWS as usize) {
        let replacement = |n: u64| {
            let old = claim(ShardId { job: JobNumber(1), number: (n / SHARD_ROWS) as u32 }, n);
            let live = claim(ShardId { job: JobNumber(9), number: 0 }, n);
            let expected = (old.rank, old.shard);
            Replacement { key: key(n), expected, doc: SilverDoc { live, displaced: vec![old] } }
        };
        let replacements = (first..rows.min(first + SHARD_ROWS)).map(replacement).collect();
        let replaced = store.replace_claims(SILVER, replacements).await?;
        assert!(replaced.into_iter().all(|r| r), "each document has the stamp that it was written with");
    }
    Ok(())
}

async fn scan(store: &EmbeddedStore, page: usize, rows: u64) -> Result {
    let (mut count, mut after) = (0, None);
    loop {
        let docs = store.scan_silver(SILVER, after, page).await?;
        count += docs.len() as u64;
        after = docs.last().map(|(key, _)| key.clone());
        if docs.len() < page {
            assert_eq!(count, rows);
            return Ok(());
        }
    }
}

fn claim(shard: ShardId, n: u64) -> Claim {
    Claim { rank: Rank::first(shard.job, Position(n * 160)), shard, fields: fields(n) }
}

/// 22 characters that look like noise, as a track's id does.
fn key(n: u64) -> Bytes {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut noise = u128::from(n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    let mut key = BytesMut::with_capacity(22);
    for _ in 0..22 {
        noise = noise.rotate_left(29) ^ (noise >> 64);
        key.put_u8(DIGITS[(noise as u64 % 62) as usize]);
    }
    key.freeze()
}

fn fields(n: u64) -> Bytes {
    let mut fields = BytesMut::with_capacity(FIELDS);
    fields.put_slice(b"Some Track Name\0An Artist;Another\0acoustic\0");
    let mut noise = n.wrapping_mul(0xD134_2543_DE82_EF95) | 1;
    while fields.len() < FIELDS {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        fields.put_u8((noise >> 57) as u8);
    }
    fields.freeze()
}

fn plan(shard: ShardId) -> ShardPlan {
    ShardPlan {
        shard,
        file: 0,
        offset: 0,
        length: 1 << 20,
        first_line: 1,
        next_line: 1,
        header_bytes: 0,
        last_of_file: false,
        kind: ShardKind::Records,
        digest: [7; 32],
    }
}

/// User and system time of this process, of all threads.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = after_name.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<f64>().ok()).sum();
    ticks / 100.0
}

fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1000
}
