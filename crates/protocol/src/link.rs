//! The two ends of a link: a pair of bounded channels of messages. In one process they are joined directly; over a
//! network a task on each side copies between channel and stream.

use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{Status, Streaming};

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

/// The supervisor's end of a link whose other end is a stream of a worker's messages, and the stream of answers. The
/// link is closed once either stream has ended.
pub fn from_stream(
    hello: WorkerMessage,
    messages: Streaming<WorkerMessage>,
) -> (SupervisorEnd, impl Stream<Item = Result<SupervisorMessage, Status>> + Send + 'static) {
    let (to_worker, answers) = mpsc::channel(MESSAGES);
    let (to_supervisor, from_worker) = mpsc::channel(MESSAGES);
    tokio::spawn(async move {
        if to_supervisor.send(hello).await.is_ok()
            && let Some(status) = feed(messages, to_supervisor).await
        {
            tracing::info!(%status, "the link to a worker has broken");
        }
    });
    (SupervisorEnd { outgoing: to_worker, incoming: from_worker }, ReceiverStream::new(answers).map(Ok))
}

/// The worker's end of a link, its messages as a stream to a supervisor, and where the supervisor's answers go: see
/// [`feed`]. Dropping the last closes the link.
pub fn to_stream() -> (WorkerEnd, impl Stream<Item = WorkerMessage> + Send + 'static, mpsc::Sender<SupervisorMessage>) {
    let (outgoing, messages) = mpsc::channel(MESSAGES);
    let (answers, incoming) = mpsc::channel(MESSAGES);
    (WorkerEnd { outgoing, incoming }, ReceiverStream::new(messages), answers)
}

/// Copies messages until either side ends; returns why, where that is an error. A full channel holds the stream back.
pub async fn feed<T>(mut from: Streaming<T>, to: mpsc::Sender<T>) -> Option<Status> {
    loop {
        let message = tokio::select! {
            message = from.message() => message,
            () = to.closed() => return None,
        };
        match message {
            Ok(Some(message)) => {
                if to.send(message).await.is_err() {
                    return None;
                }
            }
            Ok(None) => return None,
            Err(status) => return Some(status),
        }
    }
}
