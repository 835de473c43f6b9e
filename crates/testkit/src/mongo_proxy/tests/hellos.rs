//! What `hello` says through the proxy.

use bson::{RawDocument, RawDocumentBuf, rawdoc};

use super::{
    super::{
        Fault, FaultKind, HelloChange, MongoProxy, Rule, ServerError, When,
        frame::{EXHAUST_ALLOWED, OP_REPLY},
        message::{has, reply_document},
    },
    Client, chain,
};

fn hello() -> RawDocumentBuf {
    rawdoc! { "hello": 1, "$db": "admin" }
}

fn assert_is_the_proxys(answer: &RawDocument, proxy: &MongoProxy) {
    let addr = proxy.addr().to_string();
    let hosts: Vec<_> = answer.get_array("hosts").unwrap().into_iter().map(|h| h.unwrap().as_str().unwrap()).collect();
    assert_eq!(hosts, [addr.as_str()]);
    assert_eq!((answer.get_str("me").unwrap(), answer.get_str("primary").unwrap()), (addr.as_str(), addr.as_str()));
    for absent in ["topologyVersion", "compression", "passives"] {
        assert!(!has(answer, absent), "{absent}");
    }
    assert_eq!(answer.get_str("setName").unwrap(), "rs0");
    assert_eq!(answer.get_i32("maxWireVersion").unwrap(), 21);
}

#[tokio::test]
async fn the_proxy_is_the_sets_one_member() {
    let (_server, proxy, mut client) = chain().await;
    for command in [hello(), rawdoc! { "isMaster": 1, "$db": "admin" }, rawdoc! { "ismaster": 1, "$db": "admin" }] {
        assert_is_the_proxys(&client.call(&command).await, &proxy);
    }
    assert_eq!(proxy.seen_of("hello"), 3);
    assert!(proxy.fired().is_empty());
}

#[tokio::test]
async fn legacy_requests_get_legacy_replies() {
    let (server, proxy, mut client) = chain().await;
    for command in [rawdoc! { "isMaster": 1 }, rawdoc! { "$query": { "isMaster": 1 }, "$readPreference": {} }] {
        let id = client.send_legacy(&command).await;
        let frame = client.read().await.unwrap().unwrap();
        assert_eq!((frame.op(), frame.response_to()), (OP_REPLY, id));
        assert_is_the_proxys(reply_document(&frame).unwrap(), &proxy);
    }
    proxy.add(Rule::new(When::hello(), Fault::AnswerInstead(ServerError::ShutdownInProgress)));
    let id = client.send_legacy(&rawdoc! { "isMaster": 1 }).await;
    let frame = client.read().await.unwrap().unwrap();
    assert_eq!((frame.op(), frame.response_to()), (OP_REPLY, id));
    assert_eq!(reply_document(&frame).unwrap().get_i32("code").unwrap(), 91);
    assert_eq!(server.got().commands, ["hello", "hello"]);
}

#[tokio::test]
async fn a_server_may_not_push() {
    let (server, _proxy, mut client) = chain().await;
    let id = client.send(&hello(), EXHAUST_ALLOWED).await;
    client.reply_to(id).await;
    assert_eq!(server.got().flags, [0]);
}

#[tokio::test]
async fn a_rule_changes_what_hello_says() {
    let (_server, proxy, mut client) = chain().await;
    let changes = vec![
        HelloChange::SetName("another".to_owned()),
        HelloChange::MaxWriteBatchSize(1),
        HelloChange::MaxBsonObjectSize(2),
        HelloChange::MaxMessageSizeBytes(3),
        HelloChange::WireVersions(4, 5),
    ];
    proxy.add(Rule::new(When::hello(), Fault::ChangeHello(changes)).times(1));
    let answer = client.call(&hello()).await;
    assert_eq!(answer.get_str("setName").unwrap(), "another");
    for (name, value) in [
        ("maxWriteBatchSize", 1),
        ("maxBsonObjectSize", 2),
        ("maxMessageSizeBytes", 3),
        ("minWireVersion", 4),
        ("maxWireVersion", 5),
    ] {
        assert_eq!(answer.get_i32(name).unwrap(), value, "{name}");
    }
    assert_eq!(proxy.fired_of(FaultKind::ChangeHello), 1);
    assert_is_the_proxys(&client.call(&hello()).await, &proxy);
    assert_eq!(proxy.fired_of(FaultKind::ChangeHello), 1);
}

#[tokio::test]
async fn a_primary_steps_down_by_rule() {
    let (_server, proxy, mut client) = chain().await;
    proxy.add(Rule::new(When::hello(), Fault::ChangeHello(vec![HelloChange::NotWritablePrimary])));
    for command in [hello(), rawdoc! { "isMaster": 1, "$db": "admin" }] {
        let answer = client.call(&command).await;
        assert!(!answer.get_bool("isWritablePrimary").unwrap());
        assert!(!answer.get_bool("ismaster").unwrap());
        assert!(answer.get_bool("secondary").unwrap());
        assert!(!has(&answer, "primary"));
    }
    assert_eq!(proxy.fired_of(FaultKind::ChangeHello), 2);
    proxy.clear();
    assert_is_the_proxys(&client.call(&hello()).await, &proxy);
}

#[tokio::test]
async fn monitors_are_spared_unless_a_rule_names_them() {
    let (_server, proxy, mut client) = chain().await;
    proxy.add(Rule::new(When::any(), Fault::DropReply));
    assert_is_the_proxys(&client.call(&hello()).await, &proxy);
    client.send(&rawdoc! { "ping": 1, "$db": "admin" }, 0).await;
    assert!(client.is_closed().await);
    proxy.add(Rule::new(When::hello(), Fault::DropReply));
    let mut client = Client::connect(proxy.addr()).await;
    client.send(&hello(), 0).await;
    assert!(client.is_closed().await);
    assert_eq!(proxy.fired_of(FaultKind::DropReply), 2);
}
