//! Looking at jobs, and steering those that stand still.

use serde_json::Value;

use crate::support::Place;

/// A store with one interrupted job, and its id.
fn interrupted() -> (Place, String) {
    let place = Place::new();
    place.generate("in.csv", "--rows 12000 --bad 0.01");
    let command = place.command("run in.csv --store s --shard-bytes 1024 --output json");
    let mut running = place.start_job(command, "s", "");
    running.signal("INT");
    let run = running.wait_for_end();
    assert_eq!(run.code, Some(130), "{}", run.err);
    let id = run.json()["job"].as_str().unwrap().to_owned();
    (place, id)
}

fn get(place: &Place, id: &str) -> Value {
    place.json(&format!("jobs get {id} --store s"))
}

#[test]
fn a_paused_job_is_resumed_to_the_same_end() {
    let (place, id) = interrupted();
    assert_eq!(place.json(&format!("jobs pause {id} --store s"))["state"], "paused");
    assert_eq!(place.json(&format!("jobs pause {id} --store s"))["state"], "paused", "once more changes nothing");
    let before = get(&place, &id);
    assert!(before["rows"].as_u64().unwrap() < 12_000, "{before}");
    assert!(before["ended_at"].is_null() && before["created_at"].as_str().unwrap().ends_with('Z'), "{before}");

    let report = place.json(&format!("jobs resume {id} --store s"));
    assert_eq!(
        (&report["state"], &report["rows"], &report["job"]),
        (&"succeeded".into(), &12_000.into(), &id.as_str().into())
    );
    let after = get(&place, &id);
    for field in ["rows", "accepted", "duplicates", "updated", "rejected", "rejected_by_rule", "bytes", "store"] {
        assert_eq!(after[field], report[field], "{field}");
    }
    assert_eq!(after["files"], serde_json::json!(["in.csv"]));
    place.assert_verified("s");
    for action in ["pause", "resume", "cancel"] {
        place
            .run(&format!("jobs {action} {id} --store s"))
            .says(2, &format!("job {id} is succeeded and has ended for good"));
    }
}

#[test]
fn the_same_run_goes_on_with_a_paused_job() {
    let (place, id) = interrupted();
    place.json(&format!("jobs pause {id} --store s"));
    let run = place.run("run in.csv --store s --output json");
    run.says(0, &format!("resuming job {id}"));
    assert_eq!(run.json()["rows"], 12_000);
    place.assert_verified("s");
}

#[test]
fn a_cancelled_job_keeps_what_is_settled() {
    let (place, id) = interrupted();
    let report = place.json(&format!("jobs cancel {id} --store s"));
    assert_eq!(report["state"], "cancelled");
    assert!(report["rows"].as_u64().unwrap() < 12_000, "{report}");
    place.assert_verified("s");
    // The same command is a new job then; what the cancelled one took stays its own.
    let again = place.json("run in.csv --store s");
    assert_eq!((&again["state"], &again["rows"]), (&"succeeded".into(), &12_000.into()));
    let of = |field: &str| again[field].as_u64().unwrap();
    assert_eq!(of("accepted") + of("duplicates") + of("rejected"), 12_000);
    assert_eq!(place.json("jobs --store s").as_array().unwrap().len(), 2);
    place.assert_verified("s");
}

#[test]
fn jobs_are_listed_for_people_programs_and_spreadsheets() {
    let (place, id) = interrupted();
    let run = place.run("jobs --store s");
    run.says(0, "interrupted");
    run.says(0, &format!("go on with: ensemble jobs resume {id} --store s"));
    let list = place.json("jobs list --store s");
    assert_eq!(list, place.json("jobs --store s list"));
    assert_eq!((&list[0]["job"], &list[0]["contract"]), (&id.as_str().into(), &"tracks".into()));
    let csv = place.run("jobs --store s --output csv").out;
    assert!(csv.starts_with("job,state,contract,files,rows,"), "{csv}");
    assert_eq!(csv.lines().count(), 2);
    place.run(&format!("jobs get {id} --store s")).says(0, "contract    tracks");
    place.run("jobs get 7 --store s").says(2, "invalid value '7' for '<JOB>'");
}
