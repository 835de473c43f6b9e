//! Every fault, between a client that is written by hand and a server that answers from a list.

mod client;
mod fake_server;
mod faults;
mod frames;
mod gates;
mod hellos;
mod plans;

use std::time::Duration;

pub(super) use self::{client::Client, fake_server::FakeServer};
use super::MongoProxy;

/// Longer than anything here takes, on any machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// A server, a proxy before it and a client of the proxy.
async fn chain() -> (FakeServer, MongoProxy, Client) {
    let server = FakeServer::start().await;
    let proxy = MongoProxy::start(server.addr()).await.unwrap();
    let client = Client::connect(proxy.addr()).await;
    (server, proxy, client)
}

/// Asks until it is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let poll = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(DEADLINE, poll).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}
