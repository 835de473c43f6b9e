//! `kill -9`, again and again: the answer is that of an undisturbed run.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{Place, Running, bronze_bytes, pass};

/// How often the process is killed; the environment may ask for more.
const KILLS: &str = "ENSEMBLE_KILLS";
const DEFAULT_KILLS: u32 = 10;
const ROWS_PER_KILL: u64 = 1200;
const TOTALS: [&str; 8] =
    ["state", "rows", "accepted", "duplicates", "updated", "rejected", "rejected_by_rule", "bytes"];

/// Starts the job in many small shards of which workers hold few at once, so that there is always something settled and
/// something open.
fn start(place: &Place, store: &str) -> Running {
    let mut command = place.command(&format!("run in.csv --store {store} --shard-bytes 1024 --output json"));
    command.env("ENSEMBLE__WORKERS__CREDIT_BYTES", "65536");
    Running::spawn(command)
}

/// Kills a run of the job at a random moment: `within` its start, or, every other time, `within` its first work.
/// `false` where it was over before.
fn killed(place: &Place, number: u32, random: &mut Random, within: Duration) -> bool {
    let store = place.path("killed");
    let before = bronze_bytes(&store);
    let mut running = start(place, "killed");
    if number.is_multiple_of(2) {
        pass(Duration::from_secs(2), || running.is_running() && bronze_bytes(&store) == before);
    }
    pass(Duration::from_micros(random.below(within.as_micros() as u64)), || running.is_running());
    let is_running = running.is_running();
    running.kill();
    is_running
}

#[test]
fn a_job_that_is_killed_again_and_again_ends_like_an_undisturbed_one() {
    let kills: u32 = std::env::var(KILLS).map_or(DEFAULT_KILLS, |text| text.parse().unwrap());
    let rows = u64::from(kills) * ROWS_PER_KILL;
    let place = Place::new();
    place.generate("in.csv", &format!("--rows {rows} --duplicates 0.1 --bad 0.02"));
    let begun = Instant::now();
    let undisturbed = start(&place, "undisturbed").wait().json();
    // On average, all kills together leave the job about the time that it needs, and each start costs some of it.
    let within = begun.elapsed() * 2 / kills;

    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut hits, mut settled) = (0, 0);
    for number in 0..kills {
        if !killed(&place, number, &mut random, within) {
            break;
        }
        let jobs = place.exists("killed/store.json").then(|| place.json("jobs --store killed"));
        // A kill behind the job's end leaves nothing to resume: the same command would begin a new job.
        if jobs.as_ref().is_some_and(|jobs| jobs[0]["state"] == "succeeded") {
            break;
        }
        if let Some(now) = jobs.and_then(|jobs| jobs[0]["rows"].as_u64()).filter(|now| *now < rows) {
            assert!(now >= settled, "what is settled stays settled: {now} after {settled}");
            hits += u32::from(now > settled);
            settled = now;
        }
    }
    if place.json("jobs --store killed")[0]["state"] != "succeeded" {
        let run = start(&place, "killed").wait();
        assert_eq!(run.code, Some(0), "{}{}", run.out, run.err);
    }
    let jobs = place.json("jobs --store killed");
    assert_eq!(jobs.as_array().unwrap().len(), 1, "one job, however often it was killed: {jobs}");
    eprintln!(
        "{hits} of {kills} kills hit the job while it settled rows; {settled} of {rows} rows were settled by then"
    );
    assert!(hits >= 2 && settled < rows, "only {hits} of {kills} kills hit the job");

    let totals = |report: &Value| TOTALS.map(|field| report[field].clone());
    assert_eq!(totals(&jobs[0]), totals(&undisturbed));
    assert_equal_layers(&place);
    place.assert_verified("killed");
}

fn assert_equal_layers(place: &Place) {
    let export = |store: &str, name: &str| {
        place.json(&format!("export silver --store {store} --to {name}"));
        fs::read(place.path(name)).unwrap()
    };
    for format in ["csv", "parquet"] {
        let name = format!("silver.{format}");
        assert!(export("killed", &name) == export("undisturbed", &name), "{name} differs");
    }
    for view in place.json("gold --store undisturbed").as_array().unwrap() {
        let view = view["view"].as_str().unwrap();
        let gold = |store: &str| place.json(&format!("gold {view} --store {store}"));
        assert_eq!(gold("killed"), gold("undisturbed"), "{view}");
    }
    let rejects = |store: &str| {
        let mut letters = place.rejects(store);
        letters.iter_mut().for_each(|letter| letter["job"] = Value::Null);
        letters
    };
    assert_eq!(rejects("killed"), rejects("undisturbed"));
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
