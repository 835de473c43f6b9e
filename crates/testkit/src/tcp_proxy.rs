//! A proxy between any two ends of TCP: it forwards bytes, late or one way or not at all, and cuts connections.
//!
//! For protocols of which it need not understand anything, such as gRPC. Of Kafka it carries only what clients send to
//! the address that they were given: a broker names its *advertised* listeners in its metadata and clients then go
//! there. So start the proxy first, with the broker's port to come, and the broker with
//! `advertised.listeners=PLAINTEXT://` and [`TcpProxy::addr`]; one proxy for each broker.

mod pump;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use self::pump::Shared;
pub use crate::listener::Gate;
use crate::listener::Listener;

/// A proxy before one server; see the [module](crate::tcp_proxy). Dropping it ends its connections soon,
/// [`stop`](Self::stop) before it returns.
#[derive(Debug)]
pub struct TcpProxy {
    listener: Listener,
    shared: Arc<Shared>,
}

/// How often what came about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpCounts {
    /// Connections that reached the server.
    pub connected: u64,
    /// Connections that were reset under [`Gate::Refuse`].
    pub refused: u64,
    /// Connections that were closed by [`TcpProxy::cut`].
    pub cut: u64,
    /// Connections, and pieces of up to 64 KiB, that a gate held back.
    pub held_back: u64,
    /// Pieces that were delayed.
    pub delayed: u64,
    /// Bytes that the server got.
    pub bytes_to_server: u64,
    /// Bytes that clients got.
    pub bytes_to_client: u64,
}

impl TcpProxy {
    /// Listens on a free port of 127.0.0.1 and forwards to this server, which need not be there yet: while it cannot be
    /// reached, connections are closed as soon as they are accepted.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        Self::start_at(0, upstream).await
    }

    /// The same on this port of 127.0.0.1.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn start_at(port: u16, upstream: SocketAddr) -> io::Result<Self> {
        let (listener, addr) = Listener::bind(port).await?;
        let shared = Arc::new(Shared::new(upstream));
        Ok(Self { listener: Listener::start(listener, addr, shared.clone()), shared })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.listener.addr()
    }

    /// Every piece of up to 64 KiB, in either direction, waits this long from now on. It bounds the throughput of a
    /// connection as well. Zero: no delay.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.delay_us.store(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Sets what may pass from now on.
    pub fn set_gate(&self, gate: Gate) {
        self.listener.set_gate(gate);
    }

    /// Closes every connection that is open, soon; new ones are taken.
    pub fn cut(&self) {
        self.listener.cut();
    }

    /// What has come about.
    pub fn counts(&self) -> TcpCounts {
        self.shared.counts()
    }

    /// Ends all connections and gives the port up.
    pub async fn stop(self) {
        self.listener.stop().await;
    }
}

#[cfg(test)]
mod tests;
