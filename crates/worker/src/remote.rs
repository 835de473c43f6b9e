//! A worker in a process of its own: it dials its supervisor, works as long as the link holds, and dials again.
//!
//! Where the link breaks, what the worker holds is finished first: whoever is in office by then finds it in the ledger.

use std::{num::NonZeroUsize, time::Duration};

use ensemble_protocol::{
    MAX_MESSAGE_BYTES, endpoint, feed, reason_of, to_stream, v1::worker_service_client::WorkerServiceClient,
};
use tokio::sync::watch;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use crate::{Committer, WorkerArgs, WorkerError, WorkerHandle};

/// The longest that a worker waits before it dials for the first time after a broken link, and at last.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What a worker in a process of its own is made of.
pub struct RemoteWorker {
    /// Where supervisors serve workers, such as `http://127.0.0.1:7071`; the one in office takes it.
    pub supervisors: Vec<String>,
    /// The worker's name, unique among the supervisor's workers.
    pub id: String,
    /// How many bytes of shards it may hold at once.
    pub credit_bytes: u64,
    /// How many shards are judged at the same time.
    pub validators: NonZeroUsize,
    /// Folders whose files it reads itself: they are the same here and on the supervisor's machine. Absolute paths.
    pub source_roots: Vec<String>,
    /// Commits what has been judged.
    pub committer: Committer,
}

/// Why a worker has ended without having been told to.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The supervisor's address cannot be one.
    #[error("{address:?} is no address of a supervisor, such as http://127.0.0.1:7071")]
    Address {
        /// The address.
        address: String,
    },
    /// The supervisor will never take this worker.
    #[error("the supervisor at {address} refuses this worker: {reason}")]
    Refused {
        /// The supervisor's address.
        address: String,
        /// Its words.
        reason: String,
    },
    /// Actors could not be started.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

impl RemoteWorker {
    /// Works until `stop` is true, then finishes what it holds. `attached` hears which supervisor has taken it, and when
    /// none has it any more.
    ///
    /// # Errors
    /// Where no supervisor of this version will ever take it. One that is away is dialled again and again.
    pub async fn run(
        self,
        mut stop: watch::Receiver<bool>,
        attached: impl Fn(Option<&str>),
    ) -> Result<(), RemoteError> {
        let dialler = |address: &String| {
            // A worker may have nothing to say for long, and has to hear of a supervisor's end.
            let endpoint = endpoint(address).map(|endpoint| endpoint.keep_alive_while_idle(true));
            endpoint.ok_or_else(|| RemoteError::Address { address: address.clone() })
        };
        let endpoints = self.supervisors.iter().map(dialler).collect::<Result<Vec<_>, _>>()?;
        let mut failures = 0;
        let mut told = String::new();
        for (address, endpoint) in self.supervisors.iter().zip(&endpoints).cycle() {
            let link = tokio::select! {
                link = self.attach(address, endpoint) => link?,
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
            };
            let why = match link {
                Ok(link) => {
                    attached(Some(address));
                    (failures, told) = (0, String::new());
                    let why = link.last(&mut stop).await;
                    attached(None);
                    why
                }
                Err(status) => Some(status),
            };
            if *stop.borrow() {
                return Ok(());
            }
            let why = why.map_or_else(|| "it has closed the link".to_owned(), |status| describe(&status));
            if why != told {
                tracing::warn!(supervisor = address, "{why}; dialling until one answers");
                told = why;
            }
            // Full jitter: a thousand workers that lose one supervisor do not come back at once.
            let most = (FIRST_PAUSE * 2u32.saturating_pow(failures)).min(LONGEST_PAUSE);
            failures = (failures + 1).min(8);
            tokio::select! {
                () = tokio::time::sleep(most.mul_f64(fastrand::f64())) => {}
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Dials once. The inner error passes.
    async fn attach(&self, address: &str, endpoint: &Endpoint) -> Result<Result<Link, Status>, RemoteError> {
        let channel = match endpoint.connect().await {
            Ok(channel) => channel,
            Err(e) => return Ok(Err(Status::unavailable(whole(&e)))),
        };
        let (end, messages, answers) = to_stream();
        let worker = WorkerHandle::spawn(WorkerArgs {
            id: self.id.clone(),
            credit_bytes: self.credit_bytes,
            validators: self.validators,
            check_hashes: true,
            source_roots: self.source_roots.clone(),
            committer: self.committer.clone(),
            link: end,
        })
        .await?;
        // Where it is refused the link's end is dropped here, and the worker, which holds nothing, ends.
        match client(channel).attach(messages).await {
            Ok(stream) => Ok(Ok(Link { worker, pump: tokio::spawn(feed(stream.into_inner(), answers)) })),
            Err(status) if status.code() == Code::FailedPrecondition && reason_of(&status).is_some() => {
                Err(RemoteError::Refused { address: address.to_owned(), reason: status.message().to_owned() })
            }
            Err(status) => Ok(Err(status)),
        }
    }
}

fn client(channel: Channel) -> WorkerServiceClient<Channel> {
    WorkerServiceClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// A link that holds.
struct Link {
    worker: WorkerHandle,
    pump: tokio::task::JoinHandle<Option<Status>>,
}

impl Link {
    /// Works until the link breaks or `stop` is true; why it broke.
    async fn last(mut self, stop: &mut watch::Receiver<bool>) -> Option<Status> {
        tokio::select! {
            () = self.worker.ended() => return self.pump.await.ok().flatten(),
            _ = stop.wait_for(|stop| *stop) => {}
        }
        self.worker.leave();
        self.worker.ended().await;
        None
    }
}

fn describe(status: &Status) -> String {
    match status.code() {
        Code::Unavailable | Code::Unknown => status.message().to_owned(),
        code => format!("{}: {code}", status.message()),
    }
}

/// An error with its causes.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
