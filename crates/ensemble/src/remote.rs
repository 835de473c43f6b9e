//! A server as this command line calls it: of several addresses the one in office answers.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use ensemble_protocol::{
    MAX_MESSAGE_BYTES, RemoteLog, RemoteStore, endpoint,
    v1::{self, job_service_client::JobServiceClient},
};
use ensemble_store::JobId;
use ensemble_supervisor::{JobReport, JobState, JobStatus, Totals};
use tonic::{Code, Status, transport::Channel};

use crate::{exit::Failure, stores::Stores};

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Servers over one store.
pub(crate) struct Remote {
    servers: Vec<(String, Channel)>,
    /// The one that answered last.
    at: AtomicUsize,
}

pub(crate) type Jobs = JobServiceClient<Channel>;

impl Remote {
    /// The servers at these addresses, separated by commas. Nothing is dialled yet. Inside a runtime.
    pub(crate) fn new(addresses: &str) -> Result<Self, Failure> {
        let servers = addresses.split(',').map(|address| {
            let address = address.trim();
            let wrong = || anyhow::anyhow!("{address:?} is no address of a server, such as http://127.0.0.1:7070");
            let endpoint = endpoint(address).ok_or_else(|| Failure::could_not_start(wrong()))?;
            Ok((address.to_owned(), endpoint.connect_lazy()))
        });
        Ok(Self { servers: servers.collect::<Result<_, _>>()?, at: AtomicUsize::new(0) })
    }

    /// The layers and the events of the first server that answers.
    pub(crate) async fn stores(&self) -> Result<Stores, Failure> {
        let mut refused = None;
        for (address, channel) in &self.servers {
            match RemoteStore::open(channel.clone(), address).await {
                Ok(store) => {
                    let events = RemoteLog::open(channel.clone(), address).await.map_err(Failure::could_not_start)?;
                    return Ok(Stores { store, events });
                }
                Err(e) => refused = Some(e),
            }
        }
        Err(match refused {
            Some(e) => Failure::could_not_start(e),
            None => Failure::could_not_start(anyhow::anyhow!("no server is named")),
        })
    }

    /// Asks until a server answers, for `patience` at the most. The same call may come twice.
    pub(crate) async fn call<T>(
        &self,
        patience: Duration,
        call: impl AsyncFn(Jobs) -> Result<T, Status>,
    ) -> Result<T, Failure> {
        let begun = Instant::now();
        let mut attempt = 0u32;
        loop {
            let at = self.at.load(Ordering::Relaxed) % self.servers.len();
            let (address, channel) = &self.servers[at];
            let jobs = JobServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES);
            let status = match call(jobs).await {
                Ok(answer) => return Ok(answer),
                Err(status) => status,
            };
            let may_pass = is_passing(&status);
            // Each server is asked once, however short the patience is.
            let asked_all = attempt as usize + 1 >= self.servers.len();
            if !may_pass || (asked_all && begun.elapsed() >= patience) {
                return Err(failure(address, &status));
            }
            self.at.store(at + 1, Ordering::Relaxed);
            attempt += 1;
            if asked_all {
                let most = Duration::from_millis(50).saturating_mul(2u32.saturating_pow(attempt.min(8)));
                tokio::time::sleep(most.min(LONGEST_PAUSE).mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            }
        }
    }
}

/// Whether the same call may work later or elsewhere.
pub(crate) fn is_passing(status: &Status) -> bool {
    // A connection that breaks in the middle of an answer is told as unknown or cancelled by the transport.
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded)
        || (status.code() == Code::Internal && status.message().contains("h2"))
}

fn failure(address: &str, status: &Status) -> Failure {
    let error = anyhow::anyhow!("{address}: {}", status.message());
    match status.code() {
        Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition | Code::Unavailable => {
            Failure::could_not_start(error)
        }
        _ => Failure::failed(error),
    }
}

/// What can be done with a job over the network, as the same report that a job of this process has.
pub(crate) fn report(job: &v1::Job) -> Result<JobReport, Failure> {
    let status = status(job)?;
    Ok(JobReport::new(&status, job.ignored_columns.clone(), job.store.clone()))
}

/// A job as a watcher in its own process sees it.
pub(crate) fn status(job: &v1::Job) -> Result<JobStatus, Failure> {
    let id: JobId = job.job_id.parse().map_err(|_| unreadable("a job's id"))?;
    let state = JobState::try_from(job.state()).map_err(|_| unreadable("a job's state"))?;
    let counts = job.counts.clone().unwrap_or_default();
    // Only sums of these are ever shown.
    let totals = Totals {
        shards: counts.shards,
        bytes: counts.bytes,
        rows: counts.rows,
        claims: counts.accepted + counts.updated,
        duplicates: counts.duplicates,
        updated: counts.updated,
        rejected_by_rule: counts.rejected_by_rule.into_iter().collect(),
        ..Totals::default()
    };
    let goes_on = matches!(state, JobState::Queued | JobState::Running);
    let aborted = goes_on && job.reason.is_some();
    Ok(JobStatus {
        id,
        number: ensemble_store::JobNumber(job.job_number),
        state,
        totals,
        source_bytes: job.source_bytes,
        active_us: (job.active_seconds * 1e6) as u64,
        reason: job.reason.clone(),
        stalled: job.stalled.clone(),
        over: state.is_terminal() || aborted,
        aborted,
    })
}

fn unreadable(what: &str) -> Failure {
    Failure::failed(anyhow::anyhow!("the server sent {what} that this version does not know; use the same version"))
}
