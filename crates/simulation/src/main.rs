//! Runs seeds of the simulation and says which went wrong.

use std::{process::ExitCode, thread};

use clap::Parser;
use ensemble_simulation::{Rule, run_many};

/// How many failed seeds are named.
const NAMED: usize = 10;

/// Simulates the commit protocol: the real code on a store that yields, fails and dies.
#[derive(Debug, Parser)]
struct Args {
    /// How many seeds to run.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Leaves a rule of the protocol out, to see that it is noticed.
    #[arg(long = "break", value_name = "RULE")]
    left_out: Option<Rule>,
    /// Also says how often everything happened.
    #[arg(long)]
    tally: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let threads = thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let report = run_many(args.first, args.seeds, args.left_out, threads);
    if args.tally {
        print!("{}", report.tally);
    }
    for (seed, reason) in report.failures.iter().take(NAMED) {
        println!("seed {seed}: {reason}");
    }
    let failed = report.failures.len() as u64;
    println!("{} passed, {failed} failed", report.seeds - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
