//! What servers do on their bad days changes nothing about the answer.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use ensemble_testkit::mongo_proxy::{Fault, FaultKind, Gate, MongoProxy, Rule, ServerError, Turn, When};

use crate::{
    places::{Servers, assert_same_answer},
    support::Place,
};

const ROWS: &str = "--rows 4000 --duplicates 0.1 --bad 0.02 --seed 5";

/// Commands get lost, answers get lost, primaries step down and majorities do not answer, at random.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_sets_bad_days_change_nothing() {
    let (servers, place) = (Servers::named(), Place::new());
    place.generate("tracks.csv", ROWS);
    let proxy = MongoProxy::start_for(servers.server_uri()).await.unwrap();
    let faults = [
        Fault::DropReply,
        Fault::CutRequest,
        Fault::CutReply,
        Fault::DelayReply(Duration::from_millis(30)),
        Fault::AnswerInstead(ServerError::NotWritablePrimary),
        Fault::AnswerInstead(ServerError::ExceededTimeLimit),
        Fault::AnswerAfter(ServerError::PrimarySteppedDown),
        Fault::AnswerAfter(ServerError::ShutdownInProgress),
        Fault::WriteConcernError(ServerError::WriteConcernFailed),
    ];
    let kinds: Vec<FaultKind> = faults.iter().map(Fault::kind).collect();
    // Not before the store is open: what fails at the start ends the command, and it should.
    for (seed, fault) in (1..).zip(faults) {
        let turn = Turn::Chance { probability: 0.02, seed };
        for command in ["insert", "update", "find", "delete"] {
            if matches!(fault, Fault::WriteConcernError(_)) && command == "find" {
                continue;
            }
            let when = When::command(command).turn(turn);
            proxy.add(Rule::new(when, fault.clone()));
        }
    }
    let options = servers.options_at(proxy.uri());
    let command = format!("run {options} --shard-bytes 4096 --output json tracks.csv");
    let run = tokio::task::block_in_place(|| place.run(&command));
    assert_eq!(run.code, Some(0), "{}{}", run.out, run.err);
    for kind in kinds {
        assert!(proxy.fired_of(kind) > 0, "{kind:?} never happened: {:?}", proxy.fired());
    }
    tokio::task::block_in_place(|| assert_same_answer(&place, &servers.options(), "tracks.csv"));
}

/// A database that is away for longer than a lease holds the job up, which says so, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_for_longer_than_a_lease_stalls_the_job() {
    let (servers, place) = (Servers::named(), Place::new());
    place.generate("tracks.csv", ROWS);
    let proxy = MongoProxy::start_for(servers.server_uri()).await.unwrap();
    let options = servers.options_at(proxy.uri());
    let mut command = place.command(&format!("run {options} --shard-bytes 4096 --output json tracks.csv"));
    for (name, value) in [("LEASES__LAPSE_MS", 3000), ("MONGODB__OPERATION_TIMEOUT_MS", 1500)] {
        command.env(format!("ENSEMBLE__{name}"), value.to_string());
    }
    for name in ["MONGODB__CONNECT_TIMEOUT_MS", "MONGODB__SERVER_SELECTION_TIMEOUT_MS", "KAFKA__DELIVERY_TIMEOUT_MS"] {
        command.env(format!("ENSEMBLE__{name}"), "1000");
    }
    let (mut child, lines) = spawn_with_lines(command);
    // In the middle: some shards are in the ledger.
    let in_the_middle = || proxy.seen_of("insert") > 60;
    for _ in 0..2400 {
        if in_the_middle() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert!(in_the_middle(), "the job did not get going");
    proxy.set_gate(Gate::BlackHole);
    let stalled = wait_for_line(&lines, "Stalled: ", Duration::from_secs(60));
    // Longer than the lease, from when it is known to be away.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(child.try_wait().unwrap().is_none(), "the job gave up");
    proxy.set_gate(Gate::Open);
    let goes_on = wait_for_line(&lines, "the job goes on", Duration::from_secs(60));
    assert!(stalled && goes_on, "stalled: {stalled}, goes on: {goes_on}");
    let status = tokio::task::block_in_place(|| child.wait().unwrap());
    assert_eq!(status.code(), Some(0));
    assert!(proxy.fired_of(FaultKind::HeldBack) > 0);
    tokio::task::block_in_place(|| assert_same_answer(&place, &servers.options(), "tracks.csv"));
}

fn spawn_with_lines(mut command: Command) -> (std::process::Child, mpsc::Receiver<String>) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (sender, lines) = mpsc::sync_channel(1024);
    let stderr = BufReader::new(child.stderr.take().unwrap());
    std::thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            eprintln!("{line}");
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    (child, lines)
}

fn wait_for_line(lines: &mpsc::Receiver<String>, what: &str, within: Duration) -> bool {
    let deadline = std::time::Instant::now() + within;
    tokio::task::block_in_place(|| {
        while let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(std::time::Instant::now())) {
            if line.contains(what) {
                return true;
            }
        }
        false
    })
}
