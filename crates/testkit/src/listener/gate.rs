//! Whether anything passes a proxy.

use std::io;

use tokio::sync::watch;

/// What may pass a proxy. It holds for connections that are open as well as for new ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Gate {
    /// Everything passes.
    #[default]
    Open,
    /// New connections are reset as soon as they are accepted; those that are open live on.
    Refuse,
    /// Connections are accepted and nothing is forwarded, as behind a network that is gone. What was held back goes on
    /// its way when the gate opens.
    BlackHole,
    /// What clients send reaches the server; what it answers is held back until the gate opens.
    OneWay,
}

/// What wants to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Connect,
    ToServer,
    ToClient,
}

impl Gate {
    fn lets_pass(self, way: Way) -> bool {
        match self {
            Self::Open | Self::Refuse => true,
            Self::BlackHole => false,
            Self::OneWay => way != Way::ToClient,
        }
    }
}

/// One connection's view of the gate.
#[derive(Debug, Clone)]
pub(crate) struct GateWatch(watch::Receiver<Gate>);

impl GateWatch {
    pub(crate) fn new(gate: watch::Receiver<Gate>) -> Self {
        Self(gate)
    }

    /// Returns when the gate lets this pass; calls `held` once where it did not at first.
    ///
    /// # Errors
    /// The proxy is gone.
    pub(crate) async fn pass(&mut self, way: Way, held: impl FnOnce()) -> io::Result<()> {
        if self.0.borrow_and_update().lets_pass(way) {
            return Ok(());
        }
        held();
        self.0.wait_for(|gate| gate.lets_pass(way)).await.map(|_| ()).map_err(io::Error::other)
    }
}
