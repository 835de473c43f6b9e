//! The two ends of a link: a pair of bounded channels of messages. In one process they are joined directly; over a
//! network a task on each side copies between channel and stream.

use tokio::sync::mpsc;

use crate::v1::{SupervisorMessage, WorkerMessage};

/// How many messages may wait in each direction. Shards are bounded in bytes, by the worker's credit.
const MESSAGES: usize = 256;

/// The supervisor's end.
#[derive(Debug)]
pub struct SupervisorEnd {
    /// To the worker.
    pub outgoing: mpsc::Sender<SupervisorMessage>,
    /// From the worker; ends when the worker is gone.
    pub incoming: mpsc::Receiver<WorkerMessage>,
}

/// The worker's end.
#[derive(Debug)]
pub struct WorkerEnd {
    /// To the supervisor.
    pub outgoing: mpsc::Sender<WorkerMessage>,
    /// From the supervisor; ends when the supervisor is gone.
    pub incoming: mpsc::Receiver<SupervisorMessage>,
}

/// A link within one process. The bytes of a shard are shared, not copied.
pub fn in_process() -> (SupervisorEnd, WorkerEnd) {
    let (to_worker, from_supervisor) = mpsc::channel(MESSAGES);
    let (to_supervisor, from_worker) = mpsc::channel(MESSAGES);
    (
        SupervisorEnd { outgoing: to_worker, incoming: from_worker },
        WorkerEnd { outgoing: to_supervisor, incoming: from_supervisor },
    )
}
