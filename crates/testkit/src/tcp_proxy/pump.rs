//! One connection: pieces of bytes from one end to the other.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::TcpCounts;
use crate::{
    listener::{GateWatch, Serve, Way, connect},
    lock,
};

const PIECE_BYTES: usize = 64 * 1024;

/// What all connections of a proxy share.
#[derive(Debug)]
pub(super) struct Shared {
    upstream: SocketAddr,
    pub(super) delay_us: AtomicU64,
    counts: Mutex<TcpCounts>,
}

impl Serve for Shared {
    fn refused(&self) {
        self.count(|counts| counts.refused += 1);
    }

    fn cut(&self) {
        self.count(|counts| counts.cut += 1);
    }

    async fn serve(self: Arc<Self>, client: TcpStream, gate: GateWatch) {
        // An error is one side's going away, and both ends are closed.
        let _ = self.forward(client, gate).await;
    }
}

impl Shared {
    pub(super) fn new(upstream: SocketAddr) -> Self {
        Self { upstream, delay_us: AtomicU64::new(0), counts: Mutex::default() }
    }

    pub(super) fn counts(&self) -> TcpCounts {
        *lock(&self.counts)
    }

    fn count(&self, change: impl FnOnce(&mut TcpCounts)) {
        change(&mut lock(&self.counts));
    }

    async fn forward(&self, client: TcpStream, mut gate: GateWatch) -> io::Result<()> {
        gate.pass(Way::Connect, || self.count(|counts| counts.held_back += 1)).await?;
        client.set_nodelay(true)?;
        let server = connect(self.upstream).await?;
        self.count(|counts| counts.connected += 1);
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::try_join!(
            self.pump(from_client, to_server, Way::ToServer, gate.clone()),
            self.pump(from_server, to_client, Way::ToClient, gate),
        )?;
        Ok(())
    }

    async fn pump(
        &self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        way: Way,
        mut gate: GateWatch,
    ) -> io::Result<()> {
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let bytes = from.read(&mut piece).await?;
            gate.pass(way, || self.count(|counts| counts.held_back += 1)).await?;
            if bytes == 0 {
                return to.shutdown().await;
            }
            self.delay().await;
            self.count(|counts| match way {
                Way::ToClient => counts.bytes_to_client += bytes as u64,
                Way::ToServer | Way::Connect => counts.bytes_to_server += bytes as u64,
            });
            to.write_all(piece.get(..bytes).unwrap_or_default()).await?;
        }
    }

    async fn delay(&self) {
        let delay = Duration::from_micros(self.delay_us.load(Ordering::SeqCst));
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
            self.count(|counts| counts.delayed += 1);
        }
    }
}
