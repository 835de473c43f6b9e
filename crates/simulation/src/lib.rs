//! A deterministic simulation of the commit protocol: the real code on a store that yields, fails and dies.
//!
//! The committer, the shard table, the office, the aggregator's collection and the validation are those of the program.
//! Around them stand a [`SimStore`](ensemble_testkit::sim_store::SimStore) with a primary's and a majority's view, and
//! a scheduler that polls one future at a time, at random: workers die at any step or live on as zombies beside the
//! worker that took their shard over, shards bring their workers down, jobs are cancelled, workers are of another
//! version, supervisors die or are succeeded while they live. After some steps the weather clears, and then everything
//! must come to an end. What is left is compared with what one process would have made of the same rows in order.
//!
//! The same seed ends in the same bits. Rules of the protocol can be left out ([`Rule`], and the patches in `mutants`),
//! to see that this is noticed.

mod aggregator;
mod attempt;
mod check;
mod gold;
mod job;
mod scenario;
mod sim;
mod tally;
mod term;
mod world;

use std::{collections::BTreeMap, thread};

use clap::ValueEnum;

pub use tally::Tally;

/// A rule that can be left out without changing the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rule {
    /// A job ends only when every shard ever leased is settled.
    Settle,
    /// What decides something is read from the majority.
    Read,
    /// A write counts only when a majority has it.
    Concern,
    /// One ledger entry a shard.
    Ledger,
}

/// What came of some seeds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How many seeds were run.
    pub seeds: u64,
    /// What happened in them.
    pub tally: Tally,
    /// The seeds that went wrong, and how.
    pub failures: BTreeMap<u64, String>,
}

impl Report {
    /// Takes another report in.
    pub fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.tally.merge(&other.tally);
        self.failures.extend(other.failures);
    }
}

/// Runs one seed to its end.
///
/// # Errors
/// What went wrong, for people.
pub fn run(seed: u64, left_out: Option<Rule>) -> (Tally, Result<(), String>) {
    world::run(seed, left_out)
}

/// Runs seeds, shared among this many threads: each seed is a world of its own.
pub fn run_many(first: u64, seeds: u64, left_out: Option<Rule>, threads: u64) -> Report {
    let threads = threads.max(1);
    let share = |thread: u64| {
        let mut report = Report::default();
        for seed in (first..first + seeds).skip(thread as usize).step_by(threads as usize) {
            let (tally, end) = run(seed, left_out);
            report.seeds += 1;
            report.tally.merge(&tally);
            if let Err(reason) = end {
                report.failures.insert(seed, reason);
            }
        }
        report
    };
    let mut all = Report::default();
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || share(thread))).collect();
        for running in running {
            match running.join() {
                Ok(report) => all.merge(report),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    all
}
