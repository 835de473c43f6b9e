//! What the client sees, what the server saw, and that it was counted.

use std::{
    collections::BTreeMap,
    io,
    time::{Duration, Instant},
};

use bson::{RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};

use super::{
    super::{Fault, FaultKind, Rule, ServerError, When, frame::MORE_TO_COME},
    Client, chain, until,
};

const ERRORS: [ServerError; 7] = [
    ServerError::NotWritablePrimary,
    ServerError::PrimarySteppedDown,
    ServerError::InterruptedDueToReplStateChange,
    ServerError::ShutdownInProgress,
    ServerError::ExceededTimeLimit,
    ServerError::MaxTimeMsExpired,
    ServerError::WriteConcernFailed,
];

fn insert() -> RawDocumentBuf {
    rawdoc! { "insert": "tracks", "$db": "music", "documents": [{ "_id": 1 }] }
}

fn retryable_insert() -> RawDocumentBuf {
    rawdoc! { "insert": "tracks", "txnNumber": 7_i64, "$db": "music" }
}

fn on_insert(fault: Fault) -> Rule {
    Rule::new(When::command("insert"), fault).times(1)
}

fn once(kind: FaultKind) -> BTreeMap<FaultKind, u64> {
    BTreeMap::from([(kind, 1)])
}

/// The connection went with the fault; another one works.
async fn works_again(proxy: &super::MongoProxy) {
    let answer = Client::connect(proxy.addr()).await.call(&insert()).await;
    assert_eq!(answer.get_i32("n").unwrap(), 1);
}

#[tokio::test]
async fn without_a_rule_nothing_changes() {
    let (server, proxy, mut client) = chain().await;
    assert_eq!(client.call(&insert()).await, rawdoc! { "n": 1, "ok": 1.0 });
    assert_eq!(server.got().commands, ["insert"]);
    assert_eq!(proxy.seen(), BTreeMap::from([("insert".to_owned(), 1)]));
    assert_eq!(proxy.fired(), BTreeMap::new());
}

#[tokio::test]
async fn a_reply_is_dropped_after_the_server_has_worked() {
    let (server, proxy, mut client) = chain().await;
    proxy.add(on_insert(Fault::DropReply));
    client.send(&insert(), 0).await;
    assert!(client.is_closed().await);
    assert_eq!(server.got().commands, ["insert"]);
    assert_eq!(proxy.fired(), once(FaultKind::DropReply));
    works_again(&proxy).await;
}

#[tokio::test]
async fn a_request_that_is_cut_never_reaches_the_server_whole() {
    let (server, proxy, mut client) = chain().await;
    proxy.add(on_insert(Fault::CutRequest));
    client.send(&insert(), 0).await;
    assert!(client.is_closed().await);
    until("the server sees a part of a frame", || server.got().cut_frames == 1).await;
    assert!(server.got().commands.is_empty());
    assert_eq!(proxy.fired(), once(FaultKind::CutRequest));
    assert_eq!(proxy.seen_of("insert"), 1);
    works_again(&proxy).await;
}

#[tokio::test]
async fn a_reply_is_cut_inside_its_frame() {
    let (server, proxy, mut client) = chain().await;
    proxy.add(on_insert(Fault::CutReply));
    client.send(&insert(), 0).await;
    assert_eq!(client.read().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(server.got().commands, ["insert"]);
    assert_eq!(proxy.fired(), once(FaultKind::CutReply));
    works_again(&proxy).await;
}

#[tokio::test]
async fn requests_and_replies_are_delayed() {
    const DELAY: Duration = Duration::from_millis(80);
    for (fault, kind) in
        [(Fault::DelayRequest(DELAY), FaultKind::DelayRequest), (Fault::DelayReply(DELAY), FaultKind::DelayReply)]
    {
        let (server, proxy, mut client) = chain().await;
        proxy.add(on_insert(fault));
        let start = Instant::now();
        assert_eq!(client.call(&insert()).await.get_i32("n").unwrap(), 1);
        assert!(start.elapsed() >= DELAY);
        assert_eq!(server.got().commands, ["insert"]);
        assert_eq!(proxy.fired(), once(kind));
    }
}

#[tokio::test]
async fn the_proxy_answers_instead_of_the_server() {
    for error in ERRORS {
        let (server, proxy, mut client) = chain().await;
        proxy.add(on_insert(Fault::AnswerInstead(error)));
        let answer = client.call(&insert()).await;
        assert_failed(&answer, error);
        assert!(server.got().commands.is_empty());
        assert_eq!(proxy.fired(), once(FaultKind::AnswerInstead));
        // The connection lives on.
        assert_eq!(client.call(&insert()).await.get_i32("n").unwrap(), 1);
    }
}

#[tokio::test]
async fn the_proxy_denies_what_the_server_has_done() {
    for error in ERRORS {
        let (server, proxy, mut client) = chain().await;
        proxy.add(on_insert(Fault::AnswerAfter(error)));
        let answer = client.call(&insert()).await;
        assert_failed(&answer, error);
        assert_eq!(server.got().commands, ["insert"]);
        assert_eq!(proxy.fired(), once(FaultKind::AnswerAfter));
        assert_eq!(client.call(&insert()).await.get_i32("n").unwrap(), 1);
    }
}

fn assert_failed(answer: &RawDocument, error: ServerError) {
    assert_eq!(answer.get_f64("ok").unwrap(), 0.0);
    assert_eq!(answer.get_i32("code").unwrap(), error.code());
    assert_eq!(answer.get_str("codeName").unwrap(), error.code_name());
    assert!(!answer.get_str("errmsg").unwrap().is_empty());
    assert_eq!(labels(answer), Vec::<String>::new());
}

fn labels(answer: &RawDocument) -> Vec<String> {
    let labels = answer.get_array("errorLabels").into_iter().flatten();
    labels.map(|label| label.unwrap().as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn retryable_writes_get_the_label_with_the_errors_that_have_it() {
    for error in ERRORS {
        for fault in [Fault::AnswerInstead(error), Fault::AnswerAfter(error), Fault::WriteConcernError(error)] {
            let (_server, proxy, mut client) = chain().await;
            proxy.add(Rule::new(When::write(), fault));
            let expected: &[&str] = if error.is_retryable() { &["RetryableWriteError"] } else { &[] };
            assert_eq!(labels(&client.call(&retryable_insert()).await), expected, "{error:?}");
            // Inside of a transaction the driver does not repeat the one command.
            let mut in_transaction = retryable_insert();
            in_transaction.append(bson::cstr!("autocommit"), false);
            assert_eq!(labels(&client.call(&in_transaction).await), Vec::<String>::new());
        }
    }
}

#[tokio::test]
async fn a_write_concern_error_comes_with_what_was_written() {
    for error in [ServerError::WriteConcernFailed, ServerError::ShutdownInProgress, ServerError::PrimarySteppedDown] {
        let (server, proxy, mut client) = chain().await;
        proxy.add(on_insert(Fault::WriteConcernError(error)));
        let answer = client.call(&insert()).await;
        assert_eq!((answer.get_i32("n").unwrap(), answer.get_f64("ok").unwrap()), (1, 1.0));
        let beside = answer.get_document("writeConcernError").unwrap();
        assert_eq!(beside.get_i32("code").unwrap(), error.code());
        assert_eq!(beside.get_str("codeName").unwrap(), error.code_name());
        let timed_out = beside.get_document("errInfo").unwrap().get("wtimeout").unwrap();
        assert_eq!(timed_out.and_then(RawBsonRef::as_bool).is_some(), error == ServerError::WriteConcernFailed);
        assert_eq!(server.got().commands, ["insert"]);
        assert_eq!(proxy.fired(), once(FaultKind::WriteConcernError));
    }
}

#[tokio::test]
async fn a_write_that_failed_gets_no_write_concern_error() {
    let (_server, proxy, mut client) = chain().await;
    proxy.add(Rule::new(When::write(), Fault::WriteConcernError(ServerError::WriteConcernFailed)));
    let answer = client.call(&rawdoc! { "delete": "tracks", "$db": "music" }).await;
    assert_eq!(answer.get_i32("code").unwrap(), 13);
    assert!(answer.get("writeConcernError").unwrap().is_none());
    // Nor does a command that only reads.
    proxy.add(Rule::new(When::any(), Fault::WriteConcernError(ServerError::WriteConcernFailed)));
    assert_eq!(client.call(&rawdoc! { "find": "tracks", "$db": "music" }).await, rawdoc! { "n": 1, "ok": 1.0 });
    assert_eq!(proxy.fired(), BTreeMap::new());
}

#[tokio::test]
async fn what_a_find_has_found_is_hidden() {
    let (server, proxy, mut client) = chain().await;
    proxy.add(Rule::new(When::any(), Fault::FindNothing));
    let answer = client.call(&rawdoc! { "find": "albums", "$db": "music" }).await;
    let cursor = answer.get_document("cursor").unwrap();
    assert_eq!(cursor.to_owned(), rawdoc! { "ns": "music.albums", "firstBatch": [], "id": 0_i64 });
    assert_eq!(answer.get_f64("ok").unwrap(), 1.0);
    assert_eq!(server.got().commands, ["find"]);
    assert_eq!(proxy.fired(), once(FaultKind::FindNothing));
    // What has found nothing, and what is no find, stays as it is.
    assert_eq!(client.call(&rawdoc! { "find": "tracks", "$db": "music" }).await, rawdoc! { "n": 1, "ok": 1.0 });
    assert_eq!(client.call(&insert()).await.get_i32("n").unwrap(), 1);
    assert_eq!(proxy.fired(), once(FaultKind::FindNothing));
}

#[tokio::test]
async fn a_request_without_a_reply_meets_no_fault_of_replies() {
    let (server, proxy, mut client) = chain().await;
    proxy.add(on_insert(Fault::DropReply));
    client.send(&insert(), MORE_TO_COME).await;
    assert_eq!(client.call(&rawdoc! { "ping": 1, "$db": "admin" }).await.get_i32("n").unwrap(), 1);
    assert_eq!(server.got().commands, ["insert", "ping"]);
    assert_eq!(proxy.fired(), BTreeMap::new());
    client.send(&insert(), 0).await;
    assert!(client.is_closed().await);
    assert_eq!(proxy.fired(), once(FaultKind::DropReply));
}
