//! Rows that are wrong: they are dead letters, and the job goes on.

use serde_json::{Value, json};

use crate::support::{Place, THINGS};

/// Loads the file and returns its report and its dead letters.
fn load(content: impl AsRef<[u8]>) -> (Value, Vec<Value>) {
    let place = Place::with_things();
    place.write("in.csv", content);
    let report = place.json("run in.csv --contract things.toml --store s");
    assert_eq!(report["state"], "succeeded", "{report}");
    place.assert_verified("s");
    (report, place.rejects("s"))
}

#[test]
fn a_rejected_row_is_told_with_all_that_is_needed_to_find_it() {
    let (report, rejects) = load("id,name,score\n1,a,5\n2,b,101\n,c,x\n");
    let job = &report["job"];
    let expected = json!([
        {"job": job, "file": "in.csv", "line": 3, "offset": 20, "rule": "score.range", "rules": ["score.range"],
         "column": "score", "value": "101", "raw": "2,b,101"},
        {"job": job, "file": "in.csv", "line": 4, "offset": 28, "rule": "id.required",
         "rules": ["id.required", "score.type"], "column": "id", "value": "", "raw": ",c,x"},
    ]);
    assert_eq!(Value::from(rejects), expected);
    assert_eq!(report["rejected_by_rule"], json!({"id.required": 1, "score.range": 1}));
}

#[test]
fn rows_with_too_few_or_too_many_fields_are_rejected() {
    let (report, rejects) = load("id,name,score\n1,a\n2,b,3\n3,c,4,5\n");
    assert_eq!((&report["rows"], &report["accepted"]), (&3.into(), &1.into()));
    let raw: Vec<_> = rejects.iter().map(|r| (&r["rule"], &r["raw"], &r["column"])).collect();
    let (rule, none) = ("row.columns".into(), Value::Null);
    assert_eq!(raw, [(&rule, &"1,a".into(), &none), (&rule, &"3,c,4,5".into(), &none)]);
}

#[test]
fn an_unterminated_quote_costs_one_line() {
    let (report, rejects) = load("id,name,score\n1,\"a,1\n2,b,2\n3,c,3\n");
    assert_eq!((&report["accepted"], &report["rejected"]), (&2.into(), &1.into()));
    assert_eq!(
        (&rejects[0]["rule"], &rejects[0]["raw"], &rejects[0]["line"]),
        (&"row.unterminated_quote".into(), &"1,\"a,1".into(), &2.into())
    );
}

#[test]
fn a_line_past_the_limit_is_one_rejected_row_that_is_cut_off() {
    let long = format!("2,{},7", "x".repeat(3 << 20));
    let (report, rejects) = load(format!("id,name,score\n1,a,1\n{long}\n3,c,3\n"));
    assert_eq!((&report["rows"], &report["accepted"]), (&3.into(), &2.into()));
    let letter = &rejects[0];
    assert_eq!((&letter["rule"], &letter["line"]), (&"row.too_long".into(), &3.into()));
    assert_eq!((&letter["raw_truncated"], &letter["length"]), (&true.into(), &long.len().into()));
    assert_eq!(letter["raw"].as_str().unwrap(), &long[..64 << 10]);
}

#[test]
fn nul_bytes_in_a_row_are_judged_like_any_other_character() {
    let (report, rejects) = load("id,name,score\n1,a\0b,1\n2,b,\0\n");
    assert_eq!((&report["accepted"], &report["rejected"]), (&1.into(), &1.into()));
    assert_eq!((&rejects[0]["rule"], &rejects[0]["value"]), (&"score.type".into(), &"\0".into()));
}

#[test]
fn bytes_that_are_no_utf_8_are_kept_as_base64() {
    let (report, rejects) = load(b"id,name,score\n1,M\xf6tley,1\n2,b,2\n");
    assert_eq!((&report["accepted"], &report["rejected"]), (&1.into(), &1.into()));
    assert_eq!((&rejects[0]["rule"], &rejects[0]["raw_base64"]), (&"row.encoding".into(), &"MSxN9nRsZXksMQ==".into()));
    assert!(rejects[0].get("raw").is_none());
}

#[test]
fn a_job_past_its_tolerance_fails_and_says_why() {
    let place = Place::new();
    let limits = "[limits]\nmax_reject_ratio = 0.05\nafter_rows = 100\n\n[columns]";
    place.write("things.toml", THINGS.replace("[columns]", limits));
    let rows: String = (0..500).map(|i| format!("{i},a,{}\n", if i % 10 == 0 { 101 } else { 1 })).collect();
    place.write("in.csv", format!("id,name,score\n{rows}"));
    let run = place.run("run in.csv --contract things.toml --store s --shard-bytes 1024 --output json");
    run.says(1, "rows were rejected, more than the contract's max_reject_ratio of 0.05");
    let report = run.json();
    assert_eq!(report["state"], "failed");
    assert!(report["reason"].as_str().unwrap().contains("max_reject_ratio"), "{report}");
    // What was leased is settled and counts.
    assert_eq!(place.rejects("s").len() as u64, report["rejected"].as_u64().unwrap());
    place.assert_verified("s");
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_command_quietly() {
    let place = Place::with_things();
    let rows: String = (0..9000).map(|i| format!("{i},a,101\n")).collect();
    place.write("in.csv", format!("id,name,score\n{rows}"));
    place.json("run in.csv --contract things.toml --store s");
    for command in [
        "rejects --store s --output json",
        "rejects --store s --output csv",
        "rejects --store s",
        "generate --rows 1000000",
    ] {
        let mut shell = std::process::Command::new("sh");
        // The exit code of the command itself stands behind what `head` lets through.
        let script = format!("{{ {} {command}; echo \"code $?\" >&2; }} | head -n 1", env!("CARGO_BIN_EXE_ensemble"));
        shell.args(["-c", &script]).current_dir(place.path(""));
        let run = crate::support::Running::spawn(shell).wait();
        assert_eq!(run.err, "code 0\n", "{command}");
        assert_eq!(run.out.lines().count(), 1, "{command}");
    }
}
