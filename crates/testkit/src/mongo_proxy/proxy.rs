//! The proxy as its tests hold it.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use super::{FaultKind, Gate, Rule, connection::Shared, counts::Counts, plan::Plan, uri};
use crate::{listener::Listener, lock};

/// A proxy between a MongoDB driver and one server; see the [module](crate::mongo_proxy). Dropping it ends its
/// connections soon, [`stop`](Self::stop) before it returns.
#[derive(Debug)]
pub struct MongoProxy {
    listener: Listener,
    shared: Arc<Shared>,
    uri: String,
}

impl MongoProxy {
    /// Listens on a free port of 127.0.0.1 and forwards to this server, which need not be there yet: while it cannot be
    /// reached, connections are closed as soon as they are accepted.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        Self::before(upstream, &format!("mongodb://{upstream}/")).await
    }

    /// Stands before the first server of a connection string, which has to be the primary: nothing else can be reached
    /// through it.
    ///
    /// # Errors
    /// No port can be had; the string is no `mongodb://…`, asks for TLS (both `InvalidInput`) or names a host that
    /// cannot be resolved.
    pub async fn start_for(uri: &str) -> io::Result<Self> {
        Self::before(uri::first_server(uri).await?, uri).await
    }

    async fn before(upstream: SocketAddr, uri: &str) -> io::Result<Self> {
        let (listener, addr) = Listener::bind(0).await?;
        let uri = uri::through(uri, addr).ok_or(io::ErrorKind::InvalidInput)?;
        let plan = Mutex::new(Plan::default());
        let shared = Arc::new(Shared { upstream, addr: addr.to_string(), plan, counts: Counts::default() });
        Ok(Self { listener: Listener::start(listener, addr, shared.clone()), shared, uri })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.listener.addr()
    }

    /// The connection string that leads through it: that of [`start_for`](Self::start_for) with its address, else one
    /// without options.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Asks this rule too, after those that are there. Its turns count from now on.
    pub fn add(&self, rule: Rule) {
        lock(&self.shared.plan).add(rule);
    }

    /// Forgets all rules. What has been decided for commands under way still happens.
    pub fn clear(&self) {
        lock(&self.shared.plan).clear();
    }

    /// Sets what may pass from now on.
    pub fn set_gate(&self, gate: Gate) {
        self.listener.set_gate(gate);
    }

    /// Closes every connection that is open, soon; new ones are taken.
    pub fn cut(&self) {
        self.listener.cut();
    }

    /// How often which fault has come about; a kind that never did is absent. Counted just before a client can notice.
    pub fn fired(&self) -> BTreeMap<FaultKind, u64> {
        self.shared.counts.fired()
    }

    /// How often this fault has come about.
    pub fn fired_of(&self, kind: FaultKind) -> u64 {
        self.fired().get(&kind).copied().unwrap_or_default()
    }

    /// How many commands clients sent, by name; all names of `hello` are `hello`. Counted when the proxy has the whole
    /// command, whatever then happens to it.
    pub fn seen(&self) -> BTreeMap<String, u64> {
        self.shared.counts.seen()
    }

    /// How many commands of this name clients sent.
    pub fn seen_of(&self, command: &str) -> u64 {
        self.seen().get(command).copied().unwrap_or_default()
    }

    /// Ends all connections and gives the port up.
    pub async fn stop(self) {
        self.listener.stop().await;
    }
}
