//! Signals, standard input, and files that change: jobs that another process has to settle.

use std::fs;

use serde_json::Value;

use crate::support::{Place, Running};

/// A catalogue that takes a while in shards as small as this.
const CATALOGUE: &str = "--rows 12000 --duplicates 0.05 --bad 0.01";
const SLOWLY: &str = "run in.csv --store s --shard-bytes 1024 --output json";
const QUICKLY: &str = "run in.csv --store s --output json";

fn with_catalogue() -> Place {
    let place = Place::new();
    place.generate("in.csv", CATALOGUE);
    place
}

/// Starts the job, and returns once it is in the middle.
fn started(place: &Place) -> Running {
    place.start_job(place.command(SLOWLY), "s", "")
}

fn states(place: &Place) -> Vec<Value> {
    let jobs = place.json("jobs --store s");
    jobs.as_array().unwrap().iter().map(|job| job["state"].clone()).collect()
}

#[test]
fn the_first_interrupt_finishes_what_is_held_and_the_same_command_goes_on() {
    let place = with_catalogue();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut running = started(&place);
        running.signal(signal);
        let run = running.wait_for_end();
        run.says(code, "finishing what the workers hold; once more to stop at once");
        let report = run.json();
        assert_eq!(report["state"], "running");
        assert!(report["rows"].as_u64().unwrap() < 12_000, "interrupted too late: {report}");
    }
    assert_eq!(states(&place), ["running"]);
    let run = place.run(QUICKLY);
    run.says(0, "resuming job");
    assert_eq!(run.json()["rows"], 12_000);
    assert_eq!(states(&place), ["succeeded"]);
    place.assert_verified("s");
}

#[test]
fn the_second_signal_ends_the_process_at_once() {
    let place = with_catalogue();
    let mut running = started(&place);
    // Both are there when it wakes up.
    running.signal("STOP");
    running.signal("INT");
    running.signal("TERM");
    running.signal("CONT");
    let run = running.wait_for_end();
    assert!(matches!(run.code, Some(130 | 143)), "{:?} {}", run.code, run.err);
    assert_eq!(run.out, "", "it has no time for a report");
    let run = place.run(QUICKLY);
    run.says(0, "resuming job");
    assert_eq!(run.json()["rows"], 12_000);
    place.assert_verified("s");
}

#[test]
fn a_file_that_changed_since_its_job_was_killed_is_a_new_job() {
    let place = with_catalogue();
    let mut running = started(&place);
    running.kill();
    let more = place.run("generate --rows 10 --seed 9 --bad 0").out;
    place.append("in.csv", more.split_once('\n').unwrap().1);
    let mut running = started(&place);
    // While the old job is being settled, or in the middle of the new one, or between the two.
    running.kill();
    let killed = running.wait_for_end();
    let text = fs::read_to_string(place.path("in.csv")).unwrap();
    let half = text[..text.len() / 2].rfind('\n').unwrap() + 1;
    place.write("in.csv", &text[..half]);

    let run = place.run(QUICKLY);
    assert_eq!(run.code, Some(0), "{}", run.err);
    let said = killed.err + &run.err;
    assert!(
        said.contains("has failed: a file has changed since the job began; what it had leased is settled"),
        "{said}"
    );
    let report = run.json();
    assert_eq!(report["rows"].as_u64().unwrap(), text[..half].lines().count() as u64 - 1);
    let states = states(&place);
    let (last, earlier) = states.split_last().unwrap();
    assert!(last == "succeeded" && !earlier.is_empty() && earlier.iter().all(|s| s == "failed"), "{states:?}");
    place.assert_verified("s");
}

#[test]
fn a_file_that_grows_while_it_is_read_fails_the_job_once_it_is_settled() {
    let place = with_catalogue();
    let mut command = place.command(SLOWLY);
    // So little is read ahead that the end of the file is far away.
    command.env("ENSEMBLE__JOB__READ_AHEAD_BYTES", "65536");
    let mut running = place.start_job(command, "s", "");
    place.append("in.csv", "1,a,b\n");
    let run = running.wait_for_end();
    run.says(1, "in.csv has changed while it was read");
    let report = run.json();
    assert_eq!(report["state"], "failed");
    assert_eq!(place.json(&format!("jobs get {} --store s", report["job"].as_str().unwrap()))["rows"], report["rows"]);
    place.assert_verified("s");
    // It is not what it was, and it is read as it is.
    let run = place.run(QUICKLY);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert_eq!(run.json()["rejected_by_rule"]["row.columns"], 1);
    assert_eq!(states(&place), ["failed", "succeeded"]);
}

#[test]
fn standard_input_is_loaded_like_a_file() {
    let place = with_catalogue();
    let text = fs::read_to_string(place.path("in.csv")).unwrap();
    let mut running = place.start("run - --store piped --output json");
    running.feed(&text);
    let piped = running.wait().json();
    let report = place.json("run in.csv --store s");
    for field in ["state", "rows", "accepted", "duplicates", "rejected_by_rule", "bytes"] {
        assert_eq!(piped[field], report[field], "{field}");
    }
    assert_eq!(place.rejects("piped")[0]["file"], "standard input");
    place.assert_verified("piped");
}

#[test]
fn standard_input_that_was_interrupted_is_settled_by_whoever_comes_next() {
    let place = with_catalogue();
    let text = fs::read_to_string(place.path("in.csv")).unwrap();
    let interrupt = || {
        let command = place.command("run - --store s --shard-bytes 4096 --output json");
        let mut running = place.start_job(command, "s", &text[..text.len() / 2]);
        running.signal("INT");
        let run = running.wait_for_end();
        run.says(130, "finishing what the workers hold");
        run.json()["job"].as_str().unwrap().to_owned()
    };
    let first = interrupt();
    let run = place.run(QUICKLY);
    run.says(0, &format!("job {first} has failed: standard input cannot be read again"));
    assert_eq!(states(&place), ["failed", "succeeded"]);

    let second = interrupt();
    let run = place.run(&format!("jobs resume {second} --store s --output json"));
    run.says(1, "standard input cannot be read again");
    assert_eq!(run.json()["state"], "failed");
    assert_eq!(states(&place), ["failed", "succeeded", "failed"]);
    place.assert_verified("s");
}
