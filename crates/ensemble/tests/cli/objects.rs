//! Objects of an object store as sources: they are files that are somewhere else.

use std::fs;

use ensemble_testkit::object_server::{ObjectFault, ObjectServer};

use crate::{
    processes::Supervisor,
    server::assert_like_a_run,
    support::{Place, Running, THINGS, poll},
};

const ROWS: &str = "--rows 3000 --duplicates 0.1 --bad 0.02";
const SHARDS: &str = "--shard-bytes 16384";

/// A bucket with two catalogues, which are files of the place too.
fn catalogues() -> (ObjectServer, Place) {
    let server = ObjectServer::start().unwrap();
    let place = Place::with_environment(server.environment());
    for (name, seed) in [("a.csv", 3), ("b.csv", 4)] {
        place.generate(name, &format!("{ROWS} --seed {seed}"));
        server.put("catalogue", &format!("2026/{name}"), fs::read(place.path(name)).unwrap());
    }
    (server, place)
}

#[test]
fn objects_are_read_as_files_are() {
    let (server, place) = catalogues();
    server.put("catalogue", "2026/notes.txt", "nothing");
    server.put("catalogue", "2025/c.csv", "nothing");
    let job = place.json(&format!("run s3://catalogue/2026/*.csv --store objects {SHARDS}"));
    assert_eq!(job["state"], "succeeded");
    assert_like_a_run(&place, "objects", "a.csv b.csv");
    let reject = &place.rejects("objects")[0];
    assert!(reject["file"].as_str().unwrap().starts_with("s3://catalogue/2026/"), "{reject}");
}

#[test]
fn answers_that_fail_or_break_off_are_asked_for_again() {
    let (server, place) = catalogues();
    server.fail_next(2, ObjectFault::Unavailable);
    server.fail_next(3, ObjectFault::Cut);
    place.json(&format!("run s3://catalogue/2026/a.csv s3://catalogue/2026/b.csv --store objects {SHARDS}"));
    assert_eq!(server.fired(), 5, "every fault has fired");
    assert_like_a_run(&place, "objects", "a.csv b.csv");
}

#[test]
fn a_killed_job_over_an_object_is_resumed() {
    let (_server, place) = catalogues();
    let command = format!("run s3://catalogue/2026/*.csv --store objects {SHARDS} --output json");
    let mut started = place.start_job(place.command(&command), "objects", "");
    started.kill();
    let mut resumed = Running::spawn(place.command(&command));
    let resumed = resumed.wait_for_end();
    assert_eq!(resumed.code, Some(0), "{}", resumed.err);
    assert!(resumed.err.contains("resuming job"), "{}", resumed.err);
    assert_like_a_run(&place, "objects", "a.csv b.csv");
}

/// More rows than the first two requests bring.
fn things(rows: u32, name: &str) -> String {
    let rows = (0..rows).map(|n| format!("{n},{name},{}\n", n % 101));
    std::iter::once("id,name,score\n".to_owned()).chain(rows).collect()
}

#[test]
fn an_object_that_is_replaced_while_it_is_read_fails_its_job() {
    let server = ObjectServer::start().unwrap();
    let place = Place::with_environment(server.environment());
    place.write("things.toml", THINGS);
    server.put("catalogue", "things.csv", things(120_000, "before"));
    // Two requests look at the beginning; the job reads on with the same two and one more.
    server.put_after(4, "catalogue", "things.csv", things(120_000, "behind"));
    let run = place.run("run s3://catalogue/things.csv --contract things.toml --store objects --output json");
    assert_eq!(run.code, Some(1), "{}{}", run.out, run.err);
    let said = "s3://catalogue/things.csv has changed while it was read: it was written to";
    assert!(run.err.contains(said), "{}", run.err);
    place.assert_verified("objects");
    // No row of the other object has come in.
    let silver = String::from_utf8(place.silver("objects")).unwrap();
    assert!(silver.lines().count() > 1 && !silver.contains("behind"));
}

/// Credentials run out and are renewed, say.
#[test]
fn a_job_whose_object_cannot_be_read_for_a_while_stalls_and_goes_on() {
    let server = ObjectServer::start().unwrap();
    let place = Place::with_environment(server.environment());
    let settings = place.write("settings.toml", "[supervisor]\nroots = \"s3://catalogue\"\n");
    place.write("things.toml", THINGS);
    place.write("things.csv", things(120_000, "one"));
    server.put("catalogue", "things.csv", fs::read(place.path("things.csv")).unwrap());
    let supervisor = Supervisor::start(&place, &format!("--store served --config {}", settings.display()));
    // The client looks at it, and the supervisor at its beginning.
    server.fail_after(2, 2, ObjectFault::Forbidden);
    let submit =
        format!("submit csv s3://catalogue/things.csv --by-path --contract things.toml {}", supervisor.option());
    let job = place.json(&submit);
    let get = format!("jobs get {} {}", job["job"].as_str().unwrap(), supervisor.option());
    let mut stalled = None;
    poll("the job ends", || {
        let job = place.json(&get);
        stalled = stalled.take().or_else(|| job["stalled"].as_str().map(str::to_owned));
        job["state"] == "succeeded"
    });
    assert_eq!(server.fired(), 2, "every fault has fired");
    let stalled = stalled.expect("the job says what it waits for");
    assert!(stalled.contains("cannot read s3://catalogue/things.csv"), "{stalled}");
    assert_eq!(supervisor.terminate(), Some(0));
    place.json("run --store expected things.csv --contract things.toml");
    assert!(place.silver("served") == place.silver("expected"), "silver differs");
    place.assert_verified("served");
}

#[test]
fn what_cannot_be_read_says_what_to_do() {
    let (server, mut place) = catalogues();
    let refused = |place: &Place, arguments: &str, says: &str| {
        let run = place.run(arguments);
        assert_eq!(run.code, Some(2), "{arguments}: {}{}", run.out, run.err);
        assert!(run.err.contains(says), "{arguments}: {}", run.err);
        assert!(!place.exists("objects"), "{arguments}: nothing is written");
    };
    refused(&place, "run s3://catalogue/2026/c.csv --store objects", "s3://catalogue/2026/c.csv does not exist");
    refused(&place, "run s3://catalogue/20*/c*.csv --store objects", "no file matches s3://catalogue/20*/c*.csv");
    refused(&place, "run s3://catalogue/2026/ --store objects", "for example s3://catalogue/2026/*.csv");
    refused(&place, "run https://host/a.csv --store objects", "only s3:// URLs and paths can be read");
    server.put("catalogue", "empty.csv", "");
    refused(&place, "run s3://catalogue/empty.csv --store objects", "is empty; a source begins with a header line");
    place.environment.push(("AWS_ACCESS_KEY_ID", "somebody".to_owned()));
    refused(&place, "run s3://catalogue/2026/a.csv --store objects", "check AWS_ACCESS_KEY_ID");
    drop(server);
    refused(&place, "run s3://catalogue/2026/a.csv --store objects", "cannot read s3://catalogue/2026/a.csv");
}

#[test]
fn a_supervisor_reads_objects_below_its_roots_and_others_are_uploaded() {
    let (_server, place) = catalogues();
    let settings = place.write("settings.toml", "[supervisor]\nroots = \"s3://catalogue/2026\"\n");
    let serve = |store: &str| Supervisor::start(&place, &format!("--store {store} --config {}", settings.display()));
    let supervisor = serve("served");
    let server = supervisor.option();
    let job = place.json(&format!("submit csv s3://catalogue/2026/*.csv --by-path --wait {server} {SHARDS}"));
    assert_eq!(job["state"], "succeeded");
    assert_eq!(supervisor.terminate(), Some(0));
    assert_like_a_run(&place, "served", "a.csv b.csv");

    let supervisor = serve("uploaded");
    let server = supervisor.option();
    let job = place.json(&format!("submit csv s3://catalogue/2026/*.csv --wait {server} {SHARDS}"));
    assert_eq!(job["state"], "succeeded");
    assert_eq!(supervisor.terminate(), Some(0));
    fs::remove_dir_all(place.path("expected")).unwrap();
    assert_like_a_run(&place, "uploaded", "a.csv b.csv");
}

#[test]
fn only_what_lies_below_a_root_is_anybodys_business() {
    let (server, place) = catalogues();
    server.put("catalogue", "2025/a.csv", fs::read(place.path("a.csv")).unwrap());
    let settings = place.write("settings.toml", "[supervisor]\nroots = \"s3://catalogue/2026, .\"\n");
    let supervisor = Supervisor::start(&place, &format!("--store served --config {}", settings.display()));
    let option = supervisor.option();
    let run = place.run(&format!("submit csv s3://catalogue/2025/a.csv --by-path {option}"));
    assert_eq!(run.code, Some(2), "{}", run.err);
    assert!(run.err.contains("supervisor.roots (s3://catalogue/2026, /"), "{}", run.err);
    assert_eq!((server.looks(), server.reads()), (1, 0), "the client has looked at it, and the supervisor has not");
    assert_eq!(supervisor.terminate(), Some(0));
}
