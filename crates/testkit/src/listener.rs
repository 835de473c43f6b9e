//! What the proxies share: they listen, bound their connections, open and close a gate, cut what is open and end.

mod gate;

use std::{
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::{JoinHandle, JoinSet},
};

pub use self::gate::Gate;
pub(crate) use self::gate::{GateWatch, Way};

/// Connections at one time; the kernel holds back the others.
const MAX_CONNECTIONS: usize = 1024;
/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait when the process has no socket left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What a proxy does with the connections that it gets.
pub(crate) trait Serve: Send + Sync + 'static {
    /// A connection was refused.
    fn refused(&self);
    /// A connection was cut.
    fn cut(&self);
    /// Serves one client until either side is done. May be dropped at any await.
    fn serve(self: Arc<Self>, client: TcpStream, gate: GateWatch) -> impl Future<Output = ()> + Send;
}

/// A port of 127.0.0.1 and the task that accepts from it. Dropping it ends the task and all its connections.
#[derive(Debug)]
pub(crate) struct Listener {
    addr: SocketAddr,
    gate: watch::Sender<Gate>,
    cuts: watch::Sender<u64>,
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Listener {
    /// Binds a port of 127.0.0.1: this one, or any that is free where it is 0.
    pub(crate) async fn bind(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    }

    /// Begins to accept.
    pub(crate) fn start<S: Serve>(listener: TcpListener, addr: SocketAddr, serve: Arc<S>) -> Self {
        let (gate, gate_seen) = watch::channel(Gate::Open);
        let (cuts, cuts_seen) = watch::channel(0);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(accept(listener, serve, gate_seen, cuts_seen, stopped));
        Self { addr, gate, cuts, task, stop }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn set_gate(&self, gate: Gate) {
        self.gate.send_replace(gate);
    }

    /// Closes every connection that is open now.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Ends all connections and returns when they have ended and the port is free.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        // The task returns nothing; that it panicked has been printed, and its connections went with it.
        let _ = self.task.await;
    }
}

async fn accept<S: Serve>(
    listener: TcpListener,
    serve: Arc<S>,
    gate: watch::Receiver<Gate>,
    cuts: watch::Receiver<u64>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((client, _)) if *gate.borrow() == Gate::Refuse => refuse(&*serve, client),
                Ok((client, _)) => {
                    let mut cuts = cuts.clone();
                    cuts.mark_unchanged();
                    connections.spawn(until_cut(serve.clone(), client, GateWatch::new(gate.clone()), cuts));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// The client gets a reset. The port itself stays bound: it could not be had back for certain.
fn refuse(serve: &impl Serve, client: TcpStream) {
    // Where the client has gone already there is nothing to reset.
    let _ = client.set_zero_linger();
    drop(client);
    serve.refused();
}

async fn until_cut<S: Serve>(serve: Arc<S>, client: TcpStream, gate: GateWatch, mut cuts: watch::Receiver<u64>) {
    tokio::select! {
        () = serve.clone().serve(client, gate) => {}
        Ok(()) = cuts.changed() => serve.cut(),
    }
}

/// Connects to a server within five seconds, and sends small writes at once.
pub(crate) async fn connect(upstream: SocketAddr) -> io::Result<TcpStream> {
    let server = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(upstream)).await??;
    server.set_nodelay(true)?;
    Ok(server)
}
