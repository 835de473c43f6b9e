//! The ports of a supervisor's process.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use ensemble_protocol::KEEPALIVE;
use ensemble_supervisor::{Desk, routes, worker_routes};
use ensemble_telemetry::render_measures;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};

use crate::{exit::Failure, settings::SupervisorSettings};

/// How long open calls may take once the process is to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Ports that are taken, and not served yet.
pub(crate) struct Servers {
    public: TcpListener,
    workers: TcpListener,
    http: TcpListener,
}

/// Ports that are served.
pub(crate) struct Serving {
    addresses: [SocketAddr; 3],
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Servers {
    /// Takes the ports.
    pub(crate) async fn bind(settings: &SupervisorSettings) -> Result<Self, Failure> {
        Ok(Self {
            public: bind("supervisor.listen", &settings.listen).await?,
            workers: bind("supervisor.worker_listen", &settings.worker_listen).await?,
            http: bind("supervisor.http_listen", &settings.http_listen).await?,
        })
    }

    /// Serves them.
    pub(crate) async fn serve(self, desk: &Arc<Desk>) -> Serving {
        let Self { public, workers, http } = self;
        let address = |listener: &TcpListener| listener.local_addr().unwrap_or_else(|_| ([0, 0, 0, 0], 0).into());
        let addresses = [address(&public), address(&workers), address(&http)];
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_grpc(public, routes(desk).await, stopped.clone()));
        tasks.spawn(serve_grpc(workers, worker_routes(desk), stopped.clone()));
        tasks.spawn(serve_health(http, desk.is_ready(), stopped));
        Serving { addresses, stop, tasks }
    }
}

impl Serving {
    /// Where clients are served.
    pub(crate) fn public(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Ends them; calls that are open have a moment.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_TIMEOUT, ended).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

impl fmt::Display for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [public, workers, http] = self.addresses;
        write!(f, "grpc {public} workers {workers} http {http}")
    }
}

/// Takes a port; `setting` is where it was named.
pub(crate) async fn bind(setting: &str, address: &str) -> Result<TcpListener, Failure> {
    let wrong = |e| anyhow::anyhow!("cannot listen on {address} (the setting {setting}): {e}");
    TcpListener::bind(address).await.map_err(|e| Failure::could_not_start(wrong(e)))
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // A sender that is gone has stopped too.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn serve_grpc(listener: TcpListener, routes: Routes, stop: watch::Receiver<bool>) {
    // Here and not at the server, which sets nothing on connections that it has not accepted itself. Without it each answer
    // waits 40 ms for the client's delayed acknowledgement.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, stopped(stop));
    if let Err(error) = server.await {
        tracing::error!(%error, "a port is no longer served");
    }
}

/// `/healthz`: the process is alive, whatever else is not. `/readyz`: it does what it is for. `/metrics`: what it has
/// done, as Prometheus reads it.
pub(crate) async fn serve_health(listener: TcpListener, is_ready: watch::Receiver<bool>, stop: watch::Receiver<bool>) {
    let ready = async |State(is_ready): State<watch::Receiver<bool>>| match *is_ready.borrow() {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "waiting\n"),
    };
    let router = Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(async || render_measures()))
        .with_state(is_ready);
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped(stop)).await {
        tracing::error!(%error, "health is no longer served");
    }
}
