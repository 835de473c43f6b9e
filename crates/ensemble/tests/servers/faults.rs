//! What servers do on their bad days changes nothing about the answer.

use std::time::Duration;

use ensemble_testkit::mongo_proxy::{Fault, FaultKind, MongoProxy, Rule, ServerError, Turn, When};

use crate::{
    places::{Servers, assert_same_answer, assert_same_explanations},
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
    tokio::task::block_in_place(|| {
        assert_same_answer(&place, &servers.options(), "tracks.csv");
        assert_same_explanations(&place, &servers.options());
    });
}
