//! Memory is bounded by settings, whatever the input's size.

use crate::support::{Place, poll};

/// Little room for everything but the shards in flight.
const SMALL: [(&str, &str); 5] = [
    ("ENSEMBLE__JOB__SHARD_BYTES", "65536"),
    ("ENSEMBLE__STORE__KEY_FILTER_BYTES", "1048576"),
    ("ENSEMBLE__STORE__BLOCK_CACHE_BYTES", "4194304"),
    ("ENSEMBLE__STORE__GROUP_ROWS", "8000"),
    ("ENSEMBLE__STORE__GROUP_BYTES", "1048576"),
];
const MIB: u64 = 1 << 20;

/// The most memory that loading these rows takes with this much room for shards in flight, in bytes.
fn most_memory(rows: u32, in_flight: u64) -> u64 {
    let mut place = Place::new();
    place.generate("in.csv", &format!("--rows {rows} --duplicates 0.01 --bad 0.01"));
    place.environment = SMALL.map(|(name, value)| (name, value.to_owned())).into();
    for name in ["ENSEMBLE__JOB__READ_AHEAD_BYTES", "ENSEMBLE__WORKERS__CREDIT_BYTES"] {
        place.environment.push((name, in_flight.to_string()));
    }
    let (mut running, mut most) = (place.start("run in.csv --store s"), 0);
    poll("the load ends", || {
        most = most.max(running.most_memory().unwrap_or(0));
        !running.is_running()
    });
    let run = running.wait_for_end();
    assert_eq!(run.code, Some(0), "{}{}", run.out, run.err);
    most
}

/// Four times the rows are 27 MB more. A process that kept them, or what it makes of them, would take several times as much.
#[test]
fn memory_grows_with_the_settings_and_not_with_the_input() {
    if !cfg!(target_os = "linux") {
        eprintln!("WARNING: memory can be measured on Linux only");
        return;
    }
    let (few, many) = (most_memory(60_000, MIB), most_memory(240_000, MIB));
    assert!(many < few + 12 * MIB, "{few} bytes for 60,000 rows, {many} for 240,000");
    // It can be seen: with room for the whole input, the input is there.
    let free = most_memory(240_000, 1024 * MIB);
    assert!(free > many + 12 * MIB, "{many} bytes within bounds, {free} without");
}
