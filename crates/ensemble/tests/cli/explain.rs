//! `ensemble explain`, and the calls by which clients ask the same.

use ensemble_protocol::v1::{
    self, ExplainKeyRequest, ExplainRowRequest, RowOutcome, explain_row_request::Place as At,
    job_service_client::JobServiceClient, value::Value as Kind,
};
use serde_json::{Value, json};
use tokio::task::block_in_place;
use tonic::Code;

use crate::{
    processes::Supervisor,
    support::{Place, THINGS},
};

const RUN: &str = "run --contract things.toml --store s";

/// Lines: header, two rows with one key, an empty one, one that is rejected, one of two lines, one without a line end.
const ROWS: &str = "id,name,score\n1,one,5\n1,uno,6\n\n,x, y \n2,\"t\"\"w\"\"\no\",7\n3,three";

fn things(keep: &str) -> Place {
    let place = Place::new();
    let name = "name = { type = \"string\", from = [\"title\", \"name\"], normalise = [\"title_case\"] }";
    let contract = THINGS.replace("name = { type = \"string\" }", name);
    place.write("things.toml", contract.replace("keep = \"first\"", &format!("keep = \"{keep}\"")));
    place
}

/// Loads a file and returns its job's id.
fn load(place: &Place, file: &str, rows: &str) -> String {
    place.write(file, rows);
    let report = place.json(&format!("{RUN} {file}"));
    assert_eq!(report["state"], "succeeded", "{report}");
    report["job"].as_str().unwrap().to_owned()
}

fn explain(place: &Place, what: &str) -> Value {
    place.json(&format!("explain {what} --store s"))
}

/// Job, file, line, offset of a row that is named.
fn named(row: &Value) -> Value {
    json!([row["job"], row["file"], row["line"], row["offset"]])
}

#[test]
fn a_rejected_row_is_told_with_what_each_column_made_of_it() {
    let place = things("first");
    let job = load(&place, "in.csv", ROWS);
    let row = explain(&place, &format!("{job} --line 5"));
    let expected = json!({
        "job": job, "file": "in.csv", "line": 5, "offset": 31, "shard": 0, "raw": ",x, y ",
        "silver": "things", "keep": "first", "key": null,
        "outcome": "rejected", "rule": "id.required", "rules": ["id.required", "score.type"], "reason": null,
        "displaced_by": null, "duplicate_of": null, "live": null,
        "columns": [
            {"column": "id", "header": "id", "raw": "", "value": null, "rule": "id.required", "judged": true},
            {"column": "name", "header": "name", "raw": "x", "value": "X", "rule": null, "judged": true},
            {"column": "score", "header": "score", "raw": " y ", "value": null, "rule": "score.type", "judged": true},
        ],
    });
    assert_eq!(row, expected);
    assert_eq!(row, explain(&place, &format!("{job} --offset 33 --file in.csv")), "any byte of it");
    assert_eq!(row["rules"], place.rejects("s")[0]["rules"], "as its dead letter has it");
    // Fields of a row that has too few are not judged, and shown as they came.
    let short = explain(&place, &format!("{job} --file #1 --line 8"));
    assert_eq!((&short["rule"], &short["raw"]), (&"row.columns".into(), &"3,three".into()));
    let columns = short["columns"].as_array().unwrap();
    assert_eq!((&columns[1]["raw"], &columns[2]["raw"]), (&"three".into(), &Value::Null));
    assert!(columns.iter().all(|column| column["judged"] == false), "{short}");
    // For people.
    let shown = place.run(&format!("explain {job} --line 5 --store s"));
    shown.says(0, "It breaks id.required, score.type");
    assert!(shown.out.contains("\" y \"  –      score.type"), "{}", shown.out);
    let csv = place.run(&format!("explain {job} --line 5 --store s --output csv")).out;
    assert!(csv.starts_with("job,file,line,offset,outcome,key,column,header,raw,value,rule\n"), "{csv}");
    assert_eq!(csv.lines().count(), 4);
}

#[test]
fn a_row_is_live_or_a_duplicate_within_its_shard_or_across_shards() {
    let place = things("first");
    let job = load(&place, "a.csv", ROWS);
    let live = explain(&place, &format!("{job} --line 7"));
    assert_eq!((&live["outcome"], &live["key"], &live["line"]), (&"live".into(), &"2".into(), &6.into()));
    assert_eq!((&live["raw"], &live["columns"][1]["value"]), (&"2,\"t\"\"w\"\"\no\",7".into(), &"T\"W\"\nO".into()));
    assert_eq!(named(&live["live"]), named(&live));

    let within = explain(&place, &format!("{job} --line 3"));
    assert_eq!((&within["outcome"], &within["key"]), (&"duplicate".into(), &"1".into()));
    assert_eq!(named(&within["duplicate_of"]), json!([job, "a.csv", 2, 14]));
    assert_eq!((&within["live"], &within["live"]["raw"]), (&within["duplicate_of"], &"1,one,5".into()));

    let other = load(&place, "b.csv", "score,id,title\n9,2,zwei\n");
    let across = explain(&place, &format!("{other} --line 2"));
    assert_eq!((&across["outcome"], &across["columns"][1]["header"]), (&"duplicate".into(), &"title".into()));
    assert_eq!(named(&across["duplicate_of"]), json!([job, "a.csv", 6, 38]));
    place.run(&format!("explain {other} --line 2 --store s")).says(0, "duplicate of and live: a.csv, line 6, byte 38");
    let key = explain(&place, "--key 2");
    assert_eq!((named(&key["live"]), &key["displaced"]), (named(&live), &json!([])));
    place.run("explain --key 2 --store s").says(0, "It has displaced no other row.");
}

#[test]
fn with_keep_last_a_row_is_displaced_by_a_later_job() {
    let place = things("last");
    let first = load(&place, "a.csv", ROWS);
    let second = load(&place, "b.csv", "id,title,score\n1,eins,9\n");
    // Within the shard the last row had the key.
    let within = explain(&place, &format!("{first} --line 2"));
    assert_eq!((&within["outcome"], &within["keep"]), (&"duplicate".into(), &"last".into()));
    assert_eq!(named(&within["duplicate_of"]), json!([first, "a.csv", 3, 22]));
    assert_eq!(named(&within["live"]), json!([second, "b.csv", 2, 15]));

    let displaced = explain(&place, &format!("{first} --line 3"));
    assert_eq!(displaced["outcome"], "displaced");
    assert_eq!((&displaced["displaced_by"], named(&displaced["live"])), (&displaced["live"], named(&within["live"])));
    let third = load(&place, "c.csv", "id,title,score\n1,un,10\n");
    let displaced = explain(&place, &format!("{first} --line 3"));
    assert_eq!(named(&displaced["displaced_by"]), json!([second, "b.csv", 2, 15]));
    assert_eq!(named(&displaced["live"]), json!([third, "c.csv", 2, 15]));

    let key = explain(&place, "--key 1 --silver things");
    assert_eq!(named(&key["live"]), json!([third, "c.csv", 2, 15]));
    assert_eq!(key["live"]["document"], json!({"id": "1", "name": "Un", "score": 10}));
    let chain: Vec<_> =
        key["displaced"].as_array().unwrap().iter().map(|row| (named(row), row["raw"].clone())).collect();
    let expected =
        [(json!([second, "b.csv", 2, 15]), "1,eins,9".into()), (json!([first, "a.csv", 3, 22]), "1,uno,6".into())];
    assert_eq!(chain, expected);
    place.run("explain --key 1 --store s").says(0, "name was Uno, score was 6");
    assert_eq!(place.run("explain --key 1 --store s --output csv").out.lines().count(), 4);

    // Silver remembers only so many; that it was displaced is still known, as its shard had lost no key.
    for n in 4..9 {
        load(&place, &format!("{n}.csv"), &format!("id,title,score\n1,number {n},{n}\n"));
    }
    let forgotten = explain(&place, &format!("{second} --line 2"));
    assert_eq!((&forgotten["outcome"], &forgotten["displaced_by"]), (&"displaced".into(), &Value::Null));
    assert_eq!((&forgotten["live"]["file"], &forgotten["live"]["line"]), (&"8.csv".into(), &2.into()));
    place.assert_verified("s");
}

#[test]
fn any_row_of_many_shards_and_files_is_found() {
    let place = things("first");
    let rows =
        |from: u32| -> String { (from..from + 400).map(|i| format!("{i},a row that is numbered {i},1\n")).collect() };
    let (a, b) = (format!("id,name,score\n{}", rows(0)), format!("id,name,score\n{}", rows(200)));
    let long = format!("long,{},1\n", "x".repeat(2 << 20));
    place.write("a.csv", format!("{a}{long}"));
    place.write("b.csv", b.trim_end());
    let report = place.json(&format!("{RUN} a.csv b.csv --shard-bytes 1024"));
    let job = report["job"].as_str().unwrap();
    let mut shards = Vec::new();
    for (file, text) in [("a.csv", &a), ("b.csv", &b)] {
        for line in [2, 57, 180, 230, 399, 401] {
            let row = explain(&place, &format!("{job} --file {file} --line {line}"));
            assert_eq!(row["raw"], text.lines().nth(line - 1).unwrap(), "{file}:{line}");
            let id: usize = row["key"].as_str().unwrap().parse().unwrap();
            let is_duplicate = file == "b.csv" && id < 400;
            // Which of two shards had the key first depends on the workers.
            let outcomes: &[&str] = if is_duplicate { &["duplicate", "displaced"] } else { &["live"] };
            assert!(outcomes.contains(&row["outcome"].as_str().unwrap()), "{row}");
            assert_eq!(row["live"]["line"], if is_duplicate { id + 2 } else { line }, "{row}");
            assert_eq!(explain(&place, &format!("{job} --file {file} --offset {}", row["offset"])), row);
            shards.push(row["shard"].as_u64().unwrap());
        }
    }
    shards.dedup();
    assert!(shards.len() > 8, "{shards:?}");
    // A record past the limit is one row, whichever of its bytes is meant.
    let row = explain(&place, &format!("{job} --file a.csv --line 402"));
    assert_eq!((&row["rule"], &row["offset"]), (&"row.too_long".into(), &a.len().into()));
    assert_eq!((&row["raw_truncated"], &row["length"]), (&true.into(), &(long.len() - 1).into()));
    for offset in [a.len() + 9, a.len() + (1 << 20), a.len() + long.len() - 1] {
        assert_eq!(explain(&place, &format!("{job} --file a.csv --offset {offset}")), row, "{offset}");
    }
    let behind = |what: &str| place.run(&format!("explain {job} --store s {what}"));
    behind("--file a.csv --line 403").says(2, "a.csv has no line 403: it ends with line 402");
    behind("--file b.csv --line 402").says(2, "b.csv has no line 402: it ends with line 401");
    let end = a.len() + long.len();
    behind(&format!("--file a.csv --offset {end}")).says(2, &format!("a.csv has no byte {end}: it has {end} bytes"));
    behind("--line 2").says(2, "has 2 files; name one of \"a.csv\", \"b.csv\"");
}

#[test]
fn what_cannot_be_explained_is_told_with_what_is_there() {
    let place = things("first");
    let refused = |what: &str, said: &str| place.run(&format!("explain {what}")).says(2, said);
    refused("--key 1 --store s", "there is no store at s");
    let job = load(&place, "in.csv", ROWS);
    refused(&format!("{job} --line 1 --store s"), "line 1 of in.csv belongs to the header, which is no row");
    refused(&format!("{job} --line 4 --store s"), "line 4 of in.csv is empty, and an empty line is no row");
    refused(&format!("{job} --offset 30 --store s"), "byte 30 of in.csv is empty");
    refused(&format!("{job} --line 9 --store s"), "in.csv has no line 9: it ends with line 8");
    let end = format!("in.csv has no byte 999: it has {} bytes", ROWS.len());
    refused(&format!("{job} --offset 999 --store s"), &end);
    refused(&format!("{job} --line 2 --file on.csv --store s"), "has no file \"on.csv\"; did you mean \"in.csv\"?");
    refused("01a1fcba-01b5-70fb-8ff8-1fc5697c5b13 --line 2 --store s", "the store has no job 01a1fcba");
    refused("--key 77 --store s", "things has no key \"77\"");
    refused("--key 1 --silver thigns --store s", "did you mean \"things\"? The store has: things");
    refused(&format!("{job} --store s"), "--line <N>|--offset <BYTES>|--key <KEY>");
    refused("--line 2 --store s", "<JOB>");
    refused(&format!("{job} --key 1 --store s"), "cannot be used with");
    // Of several collections one has to be named.
    place.write("others.toml", THINGS.replace("\"things\"", "\"others\"").replace("by_score", "others_by_score"));
    place.write("o.csv", "id,name,score\n1,a,1\n");
    place.json("run o.csv --contract others.toml --store s");
    refused("--key 1 --store s", "several silver collections; name one of: others, things");
    assert_eq!(explain(&place, "--key 1 --silver others")["live"]["file"], "o.csv");
}

#[test]
fn a_row_that_was_never_read_is_told_from_one_that_is_not_there() {
    let place = things("first");
    let rows: String = (0..200_000).map(|i| format!("{i},a,1\n")).collect();
    place.write("in.csv", format!("id,name,score\n{rows}"));
    let command = place.command(&format!("{RUN} in.csv --shard-bytes 1024 --output json"));
    let mut running = place.start_job(command, "s", "");
    running.signal("INT");
    let run = running.wait_for_end();
    assert_eq!(run.code, Some(130), "{}", run.err);
    let job = run.json()["job"].as_str().unwrap().to_owned();
    let last = format!("explain {job} --line 200001 --store s");
    place.run(&last).says(2, &format!("line 200001 of in.csv is not settled: job {job} is running"));
    assert_eq!(explain(&place, &format!("{job} --line 2"))["outcome"], "live");
    place.json(&format!("jobs cancel {job} --store s"));
    place.run(&last).says(2, "ended as cancelled before it came to it");
}

#[cfg(feature = "test-hooks")]
#[test]
fn a_row_that_panics_the_rules_is_rejected_and_judged_no_more() {
    let place = things("first");
    let contract = std::fs::read_to_string(place.path("things.toml")).unwrap();
    place.write("things.toml", format!("{contract}[test_hooks]\npanic_on = \"boom\"\n"));
    let job = load(&place, "in.csv", "id,name,score\n1,a,1\n2,boom,2\n");
    let row = explain(&place, &format!("{job} --line 3"));
    assert_eq!((&row["outcome"], &row["rule"]), (&"rejected".into(), &"row.panic".into()));
    assert_eq!((&row["columns"][1]["raw"], &row["columns"][1]["judged"]), (&"boom".into(), &false.into()));
}

/// The same over a server's store, and by its calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_explains_the_same() {
    let place = things("last");
    place.write("a.csv", ROWS);
    place.write("b.csv", "id,title,score\n1,eins,9\n");
    let (supervisor, [first, second]) = block_in_place(|| {
        let supervisor = Supervisor::start(&place, "--store served");
        let submit = format!("submit csv --contract things.toml --wait {}", supervisor.option());
        let jobs =
            ["a.csv", "b.csv"].map(|file| place.json(&format!("{submit} {file}"))["job"].as_str().unwrap().to_owned());
        (supervisor, jobs)
    });
    let mut asked: Vec<String> = [2, 3, 5, 6, 8].map(|line| format!("{first} --line {line}")).into();
    asked.extend([format!("{second} --offset 15"), "--key 1".to_owned(), "--key 2".to_owned()]);
    let server = supervisor.option();
    let there: Vec<Value> =
        block_in_place(|| asked.iter().map(|what| place.json(&format!("explain {what} {server}"))).collect());
    block_in_place(|| place.run(&format!("explain {first} --line 4 {server}")).says(2, "an empty line is no row"));

    let mut jobs = JobServiceClient::connect(format!("http://{}", supervisor.addresses[0])).await.unwrap();
    let row = |job: &str, at| ExplainRowRequest { job_id: job.to_owned(), file: String::new(), place: Some(at) };
    let mut explain = async |request: ExplainRowRequest| jobs.explain_row(request).await.map(|r| r.into_inner());
    let rejected = explain(row(&first, At::Line(5))).await.unwrap();
    assert_eq!((rejected.outcome(), rejected.rules.len(), rejected.key), (RowOutcome::Rejected, 2, None));
    let [id, name, score] = &rejected.columns[..] else { panic!("{:?}", rejected.columns) };
    assert_eq!((id.rule.as_deref(), &id.value, id.judged), (Some("id.required"), &None, true));
    assert_eq!(name.value, Some(v1::Value { value: Some(Kind::Text("X".to_owned())) }));
    assert_eq!((score.header.as_deref(), score.raw.as_deref()), (Some("score"), Some(&b" y "[..])));

    let displaced = explain(row(&first, At::Line(3))).await.unwrap();
    assert_eq!((displaced.outcome(), displaced.keep()), (RowOutcome::Displaced, v1::Keep::Last));
    let by = displaced.other.unwrap();
    assert_eq!((&by.job_id, by.line, &by.raw[..]), (&second, 2, &b"1,eins,9"[..]));
    assert_eq!(displaced.live, Some(by));
    let live = explain(row(&second, At::Offset(16))).await.unwrap();
    assert_eq!((live.outcome(), &live.live, live.other), (RowOutcome::Live, &live.row, None));
    for (request, code, said) in [
        (row(&first, At::Line(0)), Code::InvalidArgument, "line: lines count from 1"),
        (row(&first, At::Line(1)), Code::InvalidArgument, "belongs to the header"),
        (row(&first, At::Offset(999)), Code::InvalidArgument, "offset: a.csv has no byte 999"),
        (row("x", At::Line(2)), Code::InvalidArgument, "job_id"),
        (row("01a1fcba-01b5-70fb-8ff8-1fc5697c5b13", At::Line(2)), Code::NotFound, "no job"),
        (ExplainRowRequest { place: None, ..row(&first, At::Line(2)) }, Code::InvalidArgument, "name a line"),
        (
            ExplainRowRequest { file: "b.csv".to_owned(), ..row(&first, At::Line(2)) },
            Code::InvalidArgument,
            "file: job",
        ),
    ] {
        let status = explain(request).await.unwrap_err();
        assert!(status.code() == code && status.message().contains(said), "{status:?}");
        let reason = if code == Code::NotFound { "NOT_FOUND" } else { "INVALID_FIELD" };
        assert_eq!(ensemble_protocol::reason_of(&status).as_deref(), Some(reason));
    }

    let key = |key: &str, silver: &str| ExplainKeyRequest { key: key.to_owned(), silver: silver.to_owned() };
    let explained = jobs.explain_key(key("1", "")).await.unwrap().into_inner();
    let live = explained.live.unwrap();
    assert_eq!((live.row, explained.silver.as_str()), (displaced.live, "things"));
    let score = live.values.iter().find(|value| value.column == "score").unwrap();
    assert_eq!(score.value, Some(v1::Value { value: Some(Kind::Int(9)) }));
    assert_eq!(explained.displaced.iter().map(|c| c.row.as_ref().unwrap().line).collect::<Vec<_>>(), [3]);
    assert_eq!(jobs.explain_key(key("77", "")).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(jobs.explain_key(key("1", "x")).await.unwrap_err().code(), Code::InvalidArgument);

    block_in_place(|| {
        assert_eq!(supervisor.terminate(), Some(0));
        let here: Vec<Value> = asked.iter().map(|what| place.json(&format!("explain {what} --store served"))).collect();
        assert_eq!(there, here);
    });
}
