//! A thousand seeds, each to its end.

use std::thread;

use ensemble_simulation::{Rule, run, run_many};

const SEEDS: u64 = 1_000;

/// What has to have happened in so many seeds, or they show nothing.
const EXERCISED: [&str; 33] = [
    "attempts of another version",
    "attempts that gave up",
    "attempts that saw a row panic",
    "cancelled jobs",
    "clocks set back",
    "clocks set forward",
    "contested decisions",
    "deposed cells refused",
    "deposed documents refused",
    "displaced claims",
    "entries folded during a write of gold",
    "failed writes of gold",
    "jobs that failed by their tolerance",
    "lapsed leases",
    "ledger entries refused by what no majority had",
    "lost races for a key",
    "lost replies",
    "lost replies of the event log",
    "partitions of the store",
    "pruned claims",
    "refused calls",
    "refused ledger entries",
    "repeated leases",
    "roll-backs",
    "shards of earlier terms given up unseen",
    "shards set aside",
    "shards that could not be set aside",
    "supervisors that died",
    "supervisors that were succeeded while they lived",
    "unknown outcomes",
    "vanished cells written",
    "workers brought down by their shard",
    "zombies that finished",
];

fn threads() -> u64 {
    thread::available_parallelism().map_or(1, |n| n.get() as u64)
}

#[test]
fn a_thousand_seeds_end_as_one_process_would() {
    let report = run_many(0, SEEDS, None, threads());
    println!("{}", report.tally);
    assert!(report.failures.is_empty(), "{:#?}", report.failures);
    assert_eq!(report.seeds, SEEDS);
    let idle: Vec<_> = EXERCISED.into_iter().filter(|name| report.tally.get(name) == 0).collect();
    assert!(idle.is_empty(), "never happened: {idle:?}");
}

#[test]
fn a_seed_ends_in_the_same_bits() {
    for seed in [0, 7, 1_000_003] {
        assert_eq!(run(seed, None), run(seed, None));
    }
}

/// Some seed has to go wrong.
fn is_noticed(rule: Rule) {
    const AT_ONCE: u64 = 50;
    let some_fail = |first| !run_many(first, AT_ONCE, Some(rule), threads()).failures.is_empty();
    assert!((0..SEEDS).step_by(AT_ONCE as usize).any(some_fail), "{rule:?} was left out, and all seeds went well");
}

#[test]
fn a_job_that_ends_before_its_leased_shards_are_settled_is_noticed() {
    is_noticed(Rule::Settle);
}

#[test]
fn a_decision_read_from_the_primary_is_noticed() {
    is_noticed(Rule::Read);
}

#[test]
fn a_write_that_counts_without_a_majority_is_noticed() {
    is_noticed(Rule::Concern);
}

#[test]
fn a_second_ledger_entry_of_a_shard_is_noticed() {
    is_noticed(Rule::Ledger);
}
