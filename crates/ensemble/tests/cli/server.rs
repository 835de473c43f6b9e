//! A supervisor as a process of its own, and clients that ask it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::Span,
};

use crate::{
    processes::Supervisor,
    support::{Place, Running, THINGS, pass, poll},
};

const ROWS: &str = "--rows 6000 --duplicates 0.1 --bad 0.02 --seed 9";
/// Asserts that a store has the silver and gold of an undisturbed run over the same file.
pub(crate) fn assert_like_a_run(place: &Place, store: &str, files: &str) {
    let expected = place.json(&format!("run --store expected {files}"));
    assert!(place.silver("expected") == place.silver(store), "silver differs");
    let view = "gold analytics_genre_stats --store";
    assert_eq!(place.json(&format!("{view} {store}")), place.json(&format!("{view} expected")), "gold differs");
    assert_eq!(place.rejects(store).len() as u64, expected["rejected"].as_u64().unwrap());
    place.assert_verified(store);
}

#[test]
fn a_job_over_a_server_is_a_run_and_every_command_reads_it_there() {
    let place = Place::new();
    place.generate("in.csv", ROWS);
    let supervisor = Supervisor::start(&place, "--store served");
    let server = supervisor.option();
    let mine = place.json(&format!("submit csv in.csv --wait {server} --shard-bytes 16384"));
    let theirs = place.json("run --store expected in.csv");
    for field in ["state", "rows", "accepted", "duplicates", "updated", "rejected", "rejected_by_rule", "bytes"] {
        assert_eq!(mine[field], theirs[field], "{field}");
    }
    for view in ["analytics_genre_stats", "mood_map", "correlations"] {
        let there = place.json(&format!("gold {view} {server}"));
        assert_eq!(there, place.json(&format!("gold {view} --store expected")), "{view}");
    }
    let rejects = |at: &str| {
        let run = place.run(&format!("rejects {at} --output csv"));
        assert_eq!(run.code, Some(0), "{}", run.err);
        // The job's id is another one.
        run.out.lines().map(|line| line.split_once(',').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(rejects(&server), rejects("--store expected"));
    for (at, to) in [(server.as_str(), "there.csv"), ("--store expected", "here.csv")] {
        let run = place.run(&format!("export silver {at} --to {to}"));
        assert_eq!(run.code, Some(0), "{}", run.err);
    }
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert!(read("there.csv") == read("here.csv"), "silver differs");
    let verified = place.json(&format!("verify {server}"));
    let checks = verified["checks"].as_array().unwrap();
    assert!(checks.len() == 7 && checks.iter().all(|check| check["outcome"] == "holds"), "{verified}");
    let jobs = place.json(&format!("jobs {server}"));
    assert_eq!((jobs[0]["job"].clone(), jobs[0]["state"].as_str()), (mine["job"].clone(), Some("succeeded")));
    assert_eq!(supervisor.terminate(), Some(0));
    assert_like_a_run(&place, "served", "in.csv");
}

#[test]
fn the_same_request_is_the_same_job_also_after_a_restart() {
    let place = Place::new();
    place.generate("in.csv", "--rows 300 --seed 2");
    let supervisor = Supervisor::start(&place, "--store served");
    let submit = |server: &str| place.json(&format!("submit csv in.csv --request-id mine --wait {server}"));
    let first = submit(&supervisor.option());
    assert_eq!(submit(&supervisor.option())["job"], first["job"]);
    let addresses = supervisor.kill();
    let supervisor = Supervisor::start_at(&place, "--store served", &addresses);
    assert_eq!(submit(&supervisor.option()), first, "its report too");
    let other = place.json(&format!("submit csv in.csv --wait {}", supervisor.option()));
    assert_ne!(other["job"], first["job"]);
    // A second load of the same file brings nothing but duplicates and what is rejected again.
    let sum = |job: &serde_json::Value, fields: [&str; 2]| fields.map(|f| job[f].as_u64().unwrap()).iter().sum::<u64>();
    assert_eq!(sum(&other, ["duplicates", "rejected"]), sum(&first, ["rows", "updated"]));
}

/// Clients follow a job through the death of its supervisor.
#[test]
fn a_supervisor_that_is_killed_again_and_again_loses_nothing() {
    let place = Place::new();
    place.generate("in.csv", "--rows 20000 --duplicates 0.1 --bad 0.02 --seed 4");
    let options = "--store served";
    let mut supervisor = Supervisor::start(&place, options);
    let mut command =
        place.command(&format!("submit csv in.csv --shard-bytes 2048 --wait --output json {}", supervisor.option()));
    command.env("ENSEMBLE__LOG__FILTER", "info");
    let mut client = Running::spawn(command);
    let mut killed_in_the_middle = 0;
    for pause in [300, 700, 150, 900, 400] {
        pass(Duration::from_millis(pause), || true);
        killed_in_the_middle += u32::from(client.is_running());
        let addresses = supervisor.kill();
        supervisor = Supervisor::start_at(&place, options, &addresses);
    }
    assert!(killed_in_the_middle > 2, "the job was over before it could be disturbed");
    let ended = client.wait_for_end();
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    let jobs = place.json(&format!("jobs {}", supervisor.option()));
    assert_eq!(jobs.as_array().unwrap().len(), 1, "one job, however often it was asked for: {jobs}");
    assert_eq!(supervisor.terminate(), Some(0));
    assert_like_a_run(&place, "served", "in.csv");
}

/// Standard input is sent as it comes; a supervisor that dies meanwhile has what it acknowledged.
#[test]
fn an_upload_goes_on_where_a_dead_supervisor_left_off() {
    let place = Place::new();
    place.generate("in.csv", "--rows 30000 --seed 6");
    let text = std::fs::read_to_string(place.path("in.csv")).unwrap();
    assert!(text.len() > 3 << 20, "several pieces");
    let mut supervisor = Supervisor::start(&place, "--store served");
    let mut client = place.start(&format!("submit csv - --wait --output json {}", supervisor.option()));
    let mut rest = text.as_str();
    for part in [text.len() / 3, text.len() / 3] {
        let (first, then) = rest.split_at(part);
        client.feed(first);
        rest = then;
        pass(Duration::from_millis(500), || true);
        let addresses = supervisor.kill();
        supervisor = Supervisor::start_at(&place, "--store served", &addresses);
    }
    client.feed(rest);
    let ended = client.wait();
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    assert_eq!(supervisor.terminate(), Some(0));
    assert_like_a_run(&place, "served", "in.csv");
}

/// Returns once the job is under way.
fn settles_something(place: &Place, job: &str, server: &str) {
    poll("a shard is settled", || place.json(&format!("jobs get {job} {server}"))["rows"].as_u64() > Some(0));
}

#[test]
fn a_job_is_paused_resumed_and_cancelled_and_others_go_on() {
    let place = Place::new();
    place.generate("in.csv", "--rows 30000 --duplicates 0.1 --bad 0.02 --seed 8");
    place.generate("small.csv", "--rows 100 --seed 3");
    let supervisor = Supervisor::start(&place, "--store served");
    let server = supervisor.option();
    let job = place.json(&format!("submit csv in.csv --shard-bytes 1024 {server}"));
    let id = job["job"].as_str().unwrap().to_owned();
    let state = |what: &str| place.json(&format!("jobs {what} {id} {server}"))["state"].as_str().unwrap().to_owned();
    settles_something(&place, &id, &server);
    assert_eq!(state("pause"), "paused");
    let settled = place.json(&format!("jobs get {id} {server}"))["rows"].as_u64().unwrap();
    assert!(settled < 30000, "it was paused in the middle");
    // Workers are free for others.
    let small = place.json(&format!("submit csv small.csv --wait {server}"));
    assert_eq!(small["state"], "succeeded");
    assert_eq!(state("get"), "paused");
    // It stays so over a restart.
    let addresses = supervisor.kill();
    let supervisor = Supervisor::start_at(&place, "--store served", &addresses);
    assert_eq!(state("get"), "paused");
    assert_ne!(state("resume"), "paused");
    let watched = place.run(&format!("jobs watch {id} {server} --output json"));
    assert_eq!(watched.code, Some(0), "{}{}", watched.out, watched.err);

    let other = place.json(&format!("submit csv in.csv --shard-bytes 1024 {server}"));
    let id = other["job"].as_str().unwrap().to_owned();
    assert!(
        ["stopping", "cancelled"]
            .contains(&place.json(&format!("jobs cancel {id} {server}"))["state"].as_str().unwrap())
    );
    poll("the job is cancelled", || place.json(&format!("jobs get {id} {server}"))["state"] == "cancelled");
    let refused = place.run(&format!("jobs resume {id} {server}"));
    assert_eq!(refused.code, Some(2), "{}", refused.err);
    assert!(refused.err.contains("has ended for good"), "{}", refused.err);
    assert_eq!(supervisor.terminate(), Some(0));
    place.assert_verified("served");
}

#[test]
fn a_supervisor_that_is_told_to_stop_leaves_a_job_to_the_next() {
    let place = Place::new();
    place.generate("in.csv", "--rows 30000 --duplicates 0.1 --bad 0.02 --seed 8");
    let supervisor = Supervisor::start(&place, "--store served");
    let addresses = supervisor.addresses.clone();
    let job = place.json(&format!("submit csv in.csv --shard-bytes 1024 {}", supervisor.option()));
    let id = job["job"].as_str().unwrap();
    settles_something(&place, id, &supervisor.option());
    assert_eq!(supervisor.terminate(), Some(0));
    let jobs = place.json("jobs --store served");
    assert_eq!(jobs[0]["state"], "running", "it was stopped in the middle: {jobs}");
    let supervisor = Supervisor::start_at(&place, "--store served", &addresses);
    let watched = place.run(&format!("jobs watch {id} {} --output json", supervisor.option()));
    assert_eq!(watched.code, Some(0), "{}{}", watched.out, watched.err);
    assert_eq!(supervisor.terminate(), Some(0));
    assert_like_a_run(&place, "served", "in.csv");
}

#[test]
fn rejected_rows_are_judged_again_under_a_contract_that_takes_them() {
    let place = Place::with_things();
    place.write("a.csv", "id;name;score\n1;one;5\n2;two;500\n3;\"three;\"\"3\"\"\";900\n4;four\n");
    place.write("b.csv", "score,id,name\n7,5,five\n-1,6,six\n7,7,\"never ends\n");
    place.write("wider.toml", THINGS.replace("0..=100", "0..=600"));
    let supervisor = Supervisor::start(&place, "--store served");
    let server = supervisor.option();
    let first = place.json(&format!("submit csv a.csv b.csv --contract things.toml --wait {server}"));
    assert_eq!((&first["accepted"], &first["rejected"]), (&2.into(), &5.into()), "{first}");
    let job = first["job"].as_str().unwrap();

    let replay = format!("rejects replay {job} --contract wider.toml --request-id again --wait {server}");
    let again = place.json(&replay);
    // The row without an end cannot be told from what follows it.
    assert_eq!((&again["rows"], &again["accepted"]), (&4.into(), &1.into()), "{again}");
    assert_eq!(again["rejected_by_rule"], serde_json::json!({"score.range": 2, "row.columns": 1}));
    assert_eq!(place.json(&replay)["job"], again["job"], "the same request is the same job");
    let letters = place.run(&format!("rejects {} {server} --output json", again["job"].as_str().unwrap()));
    assert!(letters.out.contains("a.csv (rejected)") && letters.out.contains("3;\\\"three;"), "{}", letters.out);
    let ranges = place.json(&format!("rejects replay {job} --rule score.range --wait {server}"));
    assert_eq!((&ranges["rows"], &ranges["rejected"]), (&3.into(), &3.into()), "{ranges}");
    let none = place.run(&format!("rejects replay {job} --rule id.required {server}"));
    none.says(2, "has rejected no row that can be replayed");
    place.run(&format!("rejects replay 01a1fcba-01b5-70fb-8ff8-1fc5697c5b13 {server}")).says(2, "there is no job");
    assert_eq!(supervisor.terminate(), Some(0));
    place.assert_verified("served");
}

/// More than a message takes, and more than a page.
#[test]
fn rejected_rows_that_are_large_are_read_page_by_page() {
    let place = Place::with_things();
    let name = "x".repeat(50_000);
    let rows: String = (0..300).map(|n| format!("{n},{name},101\n")).collect();
    place.write("in.csv", format!("id,name,score\n{rows}"));
    let supervisor = Supervisor::start(&place, "--store served");
    let server = supervisor.option();
    let job = place.json(&format!("submit csv in.csv --contract things.toml --wait {server}"));
    assert_eq!(job["rejected"], 300, "{job}");
    let letters = place.run(&format!("rejects {server} --output json"));
    assert_eq!(letters.code, Some(0), "{}", letters.err);
    assert_eq!(supervisor.terminate(), Some(0));
    assert!(letters.out == place.run("rejects --store served --output json").out, "the same as without a server");
    assert_eq!(letters.out.lines().count(), 300);
}

#[test]
fn what_cannot_be_done_is_told_with_what_to_do() {
    let place = Place::with_things();
    place.write("in.csv", "id,name,score\n1,a,5\n");
    place.write("rubbish.csv", [0u8, 1, 2, 3, 0xff, 0xfe]);
    let supervisor = Supervisor::start(&place, "--store served");
    let server = supervisor.option();
    let refused = |arguments: &str, said: &str| {
        let run = place.run(arguments);
        assert_eq!(run.code, Some(2), "{arguments}: {}{}", run.out, run.err);
        assert!(run.err.contains(said), "{arguments}: {}", run.err);
    };
    refused("submit csv in.csv", "--server http://HOST:PORT");
    refused("submit csv in.csv --server localhost:7070", "no address of a server");
    refused(&format!("submit csv missing.csv {server}"), "does not exist");
    refused(&format!("submit csv in.csv --contract trakcs {server}"), "tracks");
    refused(&format!("submit csv rubbish.csv --contract things.toml {server}"), "not CSV text");
    refused(&format!("submit csv in.csv --by-path --contract things.toml {server}"), "supervisor.roots");
    refused(&format!("submit csv in.csv --shard-bytes 1 --contract things.toml {server}"), "shard_bytes");
    refused(&format!("submit csv in.csv --weight 1000 --contract things.toml {server}"), "weight");
    refused(&format!("jobs get 01a1fcba-01b5-70fb-8ff8-1fc5697c5b13 {server}"), "there is no job");
    refused("worker --store served", "mongodb://");
    refused("supervisor --store served", "another process");
    refused(&format!("supervisor --store other --listen {}", supervisor.addresses[0]), "cannot listen on");
    // A header that does not fit is a job that fails, as in a run.
    let misfit = place.run(&format!("submit csv in.csv --wait --output json {server}"));
    assert_eq!(misfit.code, Some(1), "{}{}", misfit.out, misfit.err);
    let good = place.json(&format!("submit csv in.csv --contract things.toml --wait {server}"));
    assert_eq!((good["state"].as_str(), good["accepted"].as_u64()), (Some("succeeded"), Some(1)));
}

#[test]
fn a_supervisor_reads_files_below_its_roots_itself() {
    let place = Place::new();
    place.generate("in.csv", ROWS);
    std::fs::create_dir(place.path("shared")).unwrap();
    std::fs::rename(place.path("in.csv"), place.path("shared/in.csv")).unwrap();
    let settings = place.write("settings.toml", "[supervisor]\nroots = \"shared\"\n");
    let supervisor = Supervisor::start(&place, &format!("--store served --config {}", settings.display()));
    let server = supervisor.option();
    let job = place.json(&format!("submit csv shared/in.csv --by-path --wait {server}"));
    assert_eq!(job["state"], "succeeded");
    // `..` leads out of a root as little as a link does.
    place.generate("outside.csv", "--rows 10");
    for path in ["shared/../outside.csv", "outside.csv"] {
        let run = place.run(&format!("submit csv {path} --by-path {server}"));
        assert_eq!(run.code, Some(2), "{}", run.err);
    }
    assert_eq!(supervisor.terminate(), Some(0));
    assert_like_a_run(&place, "served", "shared/in.csv");
}

/// Takes what a process tells of itself, as a collector does.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let scopes = request.into_inner().resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        self.0.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans));
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_is_one_trace_and_what_was_done_is_measured() {
    let place = Place::new();
    place.generate("in.csv", ROWS);
    let collector = Collector::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let service = TraceServiceServer::new(collector.clone());
    let serving = tonic::transport::Server::builder().add_service(service);
    tokio::spawn(serving.serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)));
    let settings = place.write("settings.toml", format!("[telemetry]\notlp_endpoint = \"{endpoint}\"\n"));
    let measures = tokio::task::block_in_place(|| {
        let supervisor = Supervisor::start(&place, &format!("--store served --config {}", settings.display()));
        let job = place.json(&format!("submit csv in.csv --shard-bytes 65536 --wait {}", supervisor.option()));
        assert_eq!(job["state"], "succeeded");
        let measures = supervisor.http("/metrics");
        assert_eq!(supervisor.http("/readyz"), "ready\n");
        // Ending sends what has not been sent.
        assert_eq!(supervisor.terminate(), Some(0));
        (job, measures)
    });
    let (job, measures) = measures;
    for (verdict, field) in [("accepted", "accepted"), ("duplicate", "duplicates"), ("rejected", "rejected")] {
        let line = format!("ensemble_rows_total{{verdict=\"{verdict}\"}} {}", job[field]);
        assert!(measures.contains(&line), "{line} in:\n{measures}");
    }
    assert!(measures.contains("ensemble_workers 2"), "{measures}");
    assert!(measures.contains("ensemble_shard_stage_seconds_count{stage=\"claim\"}"), "{measures}");
    let spans = collector.0.lock().unwrap();
    let mut traces: BTreeMap<&[u8], Vec<&Span>> = BTreeMap::new();
    spans.iter().for_each(|span| traces.entry(&span.trace_id).or_default().push(span));
    let shards = job["shards"].as_u64().unwrap();
    let whole = traces.values().filter(|trace| {
        let names: Vec<&str> = trace.iter().map(|span| span.name.as_str()).collect();
        ["lease", "shard", "validate", "decide", "claim", "deliver", "settle", "fold"]
            .iter()
            .all(|name| names.contains(name))
    });
    assert_eq!(whole.count() as u64, shards, "each shard is one trace: {traces:?}");
    let ids: Vec<_> = spans.iter().map(|span| &span.span_id).collect();
    let orphans: Vec<_> =
        spans.iter().filter(|s| !s.parent_span_id.is_empty() && !ids.contains(&&s.parent_span_id)).collect();
    assert!(orphans.is_empty(), "{orphans:?}");
}
