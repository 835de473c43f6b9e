//! A proxy between a MongoDB driver and a server that does what a replica set's bad days do.
//!
//! It reads the frames of the wire protocol, so that it can lose a reply after the server has worked, cut inside a
//! frame, wait, and answer in a server's place. What it does is a plan of [`Rule`]s, and what came about is counted:
//! a test of a fault asserts [`MongoProxy::fired`].
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use ensemble_testkit::mongo_proxy::{Fault, FaultKind, MongoProxy, Rule, Turn, When};
//!
//! let proxy = MongoProxy::start_for("mongodb://127.0.0.1:27017/?replicaSet=rs0").await?;
//! let third_insert = When::command("insert").on("spotify_clean").turn(Turn::Nth(3));
//! proxy.add(Rule::new(third_insert, Fault::DropReply));
//! // … work through proxy.uri() …
//! assert_eq!(proxy.fired_of(FaultKind::DropReply), 1);
//! # Ok(())
//! # }
//! ```
//!
//! - `hello` names the proxy as the set's one member, so that drivers stay with it, with `directConnection` or without.
//! - Frames that no rule changes are forwarded byte for byte, unread ones too. Changed replies keep their ids and lose
//!   their checksum. Compression is not offered; messages that are compressed, or longer than 48 MiB, close the
//!   connection. TLS is not spoken.
//! - It stands before one server. Nothing here replicates, elects or rolls back.
//! - Memory is bounded: a thousand connections, one frame a direction each.

mod connection;
mod counts;
mod frame;
mod hello;
mod message;
mod plan;
mod proxy;
mod rule;
mod server_error;
mod uri;

pub use self::{
    hello::HelloChange,
    proxy::MongoProxy,
    rule::{Fault, FaultKind, Rule, Switch, Turn, When},
    server_error::ServerError,
};
pub use crate::listener::Gate;

#[cfg(test)]
mod tests;
