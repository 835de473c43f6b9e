//! Input, contracts and settings that are wrong before a row is read.

use crate::support::{Place, THINGS};

const RUN: &str = "run in.csv --contract things.toml --store s";

/// Runs with this input, which must not make a store.
fn refused(content: impl AsRef<[u8]>, message: &str) {
    let place = Place::with_things();
    place.write("in.csv", content);
    place.run(RUN).says(2, message);
    assert!(!place.exists("s"), "nothing is to be written");
}

#[test]
fn a_missing_file_is_named() {
    let place = Place::with_things();
    place.run(RUN).says(2, "error: in.csv does not exist; check the path");
    assert!(!place.exists("s"));
}

#[test]
fn a_directory_is_told_from_a_file() {
    let place = Place::with_things();
    std::fs::create_dir(place.path("in.csv")).unwrap();
    place.run(RUN).says(2, "error: in.csv is a directory; name its files, for example in.csv/*.csv");
}

#[test]
fn an_empty_file_is_refused() {
    refused("", "error: in.csv is empty; a source begins with a header line");
    refused("\n\n", "error: in.csv is empty; a source begins with a header line");
}

#[test]
fn a_header_alone_is_a_job_without_rows() {
    let place = Place::with_things();
    place.write("in.csv", "id,name,score\n");
    let report = place.json(RUN);
    assert_eq!((&report["state"], &report["rows"]), (&"succeeded".into(), &0.into()));
    assert_eq!(place.json("gold by_score --store s"), serde_json::json!([]));
    place.assert_verified("s");
}

#[test]
fn a_missing_required_column_fails_the_job_and_names_the_nearest_header() {
    let place = Place::with_things();
    place.write("in.csv", "idd,name\n1,a\n");
    let run = place.run(RUN);
    run.says(1, "in.csv: ");
    run.says(1, "id");
    run.says(1, "\"idd\"");
    let jobs = place.json("jobs --store s");
    assert_eq!((&jobs[0]["state"], &jobs[0]["rows"]), (&"failed".into(), &0.into()));
}

#[test]
fn two_columns_for_one_field_fail_the_job() {
    let place = Place::with_things();
    place.write("in.csv", "id,score,id\n1,2,3\n");
    place.run(RUN).says(1, "id");
}

#[test]
fn binary_files_are_refused_by_what_they_are() {
    refused(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "in.csv is a PNG image, not CSV text");
    refused(b"\x1f\x8b\x08\0\0\0\0\0\0\x03", "gzip");
    refused(b"id,na\0me\n1,a\n", "in.csv is not CSV text: its header holds the control byte 0x00 at offset 5");
}

#[test]
fn a_contract_that_is_wrong_is_told_with_its_place() {
    let place = Place::with_things();
    place.write("in.csv", "id\n1\n");
    place.write("things.toml", THINGS.replace("\"int\"", "\"itn\""));
    place.run(RUN).says(2, "error: things.toml:11:18: unknown type \"itn\" of column score; did you mean \"int\"?");
    place
        .run("run in.csv --contract trakcs --store s")
        .says(2, "there is no contract \"trakcs\"; did you mean \"tracks\"?");
    place.run("run in.csv --contract no.toml --store s").says(2, "cannot read the contract no.toml");
    assert!(!place.exists("s"));
}

#[test]
fn settings_that_are_unknown_or_out_of_bounds_are_named() {
    let place = Place::with_things();
    place.write("in.csv", "id\n1\n");
    place.write("settings.toml", "[job]\nshard_byte = 4096\n");
    place.run(&format!("{RUN} --config settings.toml")).says(2, "shard_byte");
    place.run(&format!("{RUN} --shard-bytes 1")).says(2, "job.shard_bytes is 1, and must be from 256");
    place.run(&format!("{RUN} --colour")).says(2, "--colour");
    assert!(!place.exists("s"));
}

#[test]
fn the_settings_in_force_are_printed_with_their_variables() {
    let place = Place::new();
    place.write("settings.toml", "[job]\nshard_bytes = 4096\n");
    let run = place.run("config print --config settings.toml");
    run.says(0, "shard_bytes = 4096");
    run.says(0, "# ENSEMBLE__JOB__SHARD_BYTES");
    // What is printed can be given back.
    place.write("again.toml", &run.out);
    assert_eq!(place.json("config print --config again.toml"), place.json("config print --config settings.toml"));
}

#[test]
fn a_share_that_is_none_is_refused() {
    Place::new().run("generate --rows 1 --bad 1.5").says(2, "--bad is 1.5, and must be a share from 0 to 1");
    Place::new().run("generate --rows 1 --duplicates=-1").says(2, "--duplicates is -1");
}

#[test]
fn the_same_seed_is_the_same_catalogue() {
    let place = Place::new();
    let run = |seed| place.run(&format!("generate --rows 100 --seed {seed}")).out;
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
    assert_eq!(run(7).lines().count(), 101);
}
