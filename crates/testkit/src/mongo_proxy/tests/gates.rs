//! What happens to connections as a whole.

use bson::{RawDocumentBuf, rawdoc};

use super::{
    super::{
        FaultKind, Gate, MongoProxy,
        frame::{Frame, OP_COMPRESSED},
    },
    Client, chain, until,
};

fn ping() -> RawDocumentBuf {
    rawdoc! { "ping": 1, "$db": "admin" }
}

#[tokio::test]
async fn new_connections_are_refused_and_open_ones_live_on() {
    let (_server, proxy, mut client) = chain().await;
    client.call(&ping()).await;
    proxy.set_gate(Gate::Refuse);
    assert!(Client::connect(proxy.addr()).await.is_closed().await);
    assert_eq!(proxy.fired_of(FaultKind::Refused), 1);
    client.call(&ping()).await;
    proxy.set_gate(Gate::Open);
    Client::connect(proxy.addr()).await.call(&ping()).await;
    assert_eq!(proxy.fired_of(FaultKind::Refused), 1);
}

#[tokio::test]
async fn a_black_hole_takes_and_gives_nothing() {
    let (server, proxy, mut open) = chain().await;
    open.call(&ping()).await;
    proxy.set_gate(Gate::BlackHole);
    let in_open = open.send(&ping(), 0).await;
    let mut new = Client::connect(proxy.addr()).await;
    let in_new = new.send(&ping(), 0).await;
    until("a message and a connection are held", || proxy.fired_of(FaultKind::HeldBack) == 2).await;
    assert_eq!(server.got().commands, ["ping"]);
    proxy.set_gate(Gate::Open);
    open.reply_to(in_open).await;
    new.reply_to(in_new).await;
    assert_eq!(server.got().commands, ["ping", "ping", "ping"]);
}

#[tokio::test]
async fn one_way_the_server_works_and_its_reply_waits() {
    let (server, proxy, mut client) = chain().await;
    proxy.set_gate(Gate::OneWay);
    let id = client.send(&ping(), 0).await;
    until("the reply is held", || proxy.fired_of(FaultKind::HeldBack) == 1).await;
    assert_eq!(server.got().commands, ["ping"]);
    proxy.set_gate(Gate::Open);
    client.reply_to(id).await;
}

#[tokio::test]
async fn a_cut_closes_what_is_open_and_nothing_else() {
    let (_server, proxy, mut first) = chain().await;
    let mut second = Client::connect(proxy.addr()).await;
    first.call(&ping()).await;
    second.call(&ping()).await;
    proxy.cut();
    assert!(first.is_closed().await);
    assert!(second.is_closed().await);
    Client::connect(proxy.addr()).await.call(&ping()).await;
    assert_eq!(proxy.fired_of(FaultKind::Cut), 2);
}

#[tokio::test]
async fn connections_end_with_the_proxy() {
    let (_server, proxy, mut client) = chain().await;
    client.call(&ping()).await;
    proxy.stop().await;
    assert!(client.is_closed().await);

    let (_server, proxy, mut client) = chain().await;
    client.call(&ping()).await;
    drop(proxy);
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn without_a_server_connections_are_closed() {
    // A port that no test is given.
    let proxy = MongoProxy::start(([127, 0, 0, 1], 1).into()).await.unwrap();
    assert!(Client::connect(proxy.addr()).await.is_closed().await);
}

#[tokio::test]
async fn what_cannot_be_read_closes_the_connection() {
    let compressed = Frame::new(1, 0, OP_COMPRESSED, b"anything").bytes().to_vec();
    let too_long = [(48 * 1024 * 1024 + 1_i32).to_le_bytes(), [0; 4], [0; 4], 2013_i32.to_le_bytes()].concat();
    let too_short = [15_i32.to_le_bytes(), [0; 4], [0; 4], 2013_i32.to_le_bytes()].concat();
    for bytes in [compressed, too_long, too_short] {
        let (server, proxy, mut client) = chain().await;
        client.write(&bytes).await.unwrap();
        assert!(client.is_closed().await);
        until("it is counted", || proxy.fired_of(FaultKind::Unreadable) == 1).await;
        assert!(server.got().commands.is_empty());
    }
}
