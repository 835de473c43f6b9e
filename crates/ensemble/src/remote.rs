//! A server as this command line calls it: of several addresses the one in office does what there is to do, and any of
//! them answers readers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use ensemble_gold::{GoldColumnKind, GoldRow, GoldValue};
use ensemble_protocol::{
    MAX_MESSAGE_BYTES, RemoteLog, RemoteStore, endpoint,
    v1::{self, gold_service_client::GoldServiceClient, job_service_client::JobServiceClient},
};
use ensemble_store::JobId;
use ensemble_supervisor::{JobReport, JobState, JobStatus, Totals};
use tonic::{Code, Status, transport::Channel};

use crate::{exit::Failure, stores::Stores};

/// How long a reader of gold waits for a server.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Servers over one store.
pub(crate) struct Remote {
    servers: Vec<(String, Channel)>,
    /// The one that answered last.
    at: AtomicUsize,
}

/// The rows of a view, and their columns.
pub(crate) struct GoldView {
    pub(crate) columns: Vec<(String, GoldColumnKind)>,
    pub(crate) rows: Vec<GoldRow>,
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

    /// The rows of a gold view as they are now, the first `limit` of them.
    pub(crate) async fn view(&self, view: &str, limit: Option<usize>) -> Result<GoldView, Failure> {
        let asked = limit.map_or(0, |limit| u32::try_from(limit.max(1)).unwrap_or(u32::MAX));
        let request = v1::ReadViewRequest { view: view.to_owned(), silver: String::new(), limit: asked };
        let answer = self.ask(PATIENCE, async |channel| {
            let mut gold = GoldServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
            Ok(gold.read_view(request.clone()).await?.into_inner())
        });
        let mut view = gold_view(answer.await?)?;
        view.rows.truncate(limit.unwrap_or(usize::MAX));
        Ok(view)
    }

    /// Calls a server's jobs until one answers, for `patience` at the most. The same call may come twice.
    pub(crate) async fn call<T>(
        &self,
        patience: Duration,
        call: impl AsyncFn(Jobs) -> Result<T, Status>,
    ) -> Result<T, Failure> {
        let jobs = |channel| {
            JobServiceClient::new(channel)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES)
        };
        self.ask(patience, async |channel| call(jobs(channel)).await).await
    }

    async fn ask<T>(&self, patience: Duration, ask: impl AsyncFn(Channel) -> Result<T, Status>) -> Result<T, Failure> {
        let begun = Instant::now();
        let mut attempt = 0u32;
        loop {
            let at = self.at.load(Ordering::Relaxed) % self.servers.len();
            let (address, channel) = &self.servers[at];
            let status = match ask(channel.clone()).await {
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
        // What tonic says of a message that is larger than it may be.
        Code::OutOfRange => Failure::failed(error.context("that is more than one answer holds; use: ensemble export")),
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

fn gold_view(view: v1::ReadViewResponse) -> Result<GoldView, Failure> {
    let kind = |column: v1::Column| {
        let kind = match column.kind() {
            v1::ColumnKind::Int => GoldColumnKind::Int,
            v1::ColumnKind::Float => GoldColumnKind::Float,
            v1::ColumnKind::Text => GoldColumnKind::Text,
            v1::ColumnKind::Bool => GoldColumnKind::Bool,
            v1::ColumnKind::Unspecified => return Err(unreadable("a column of gold")),
        };
        Ok((column.name, kind))
    };
    let columns: Vec<_> = view.columns.into_iter().map(kind).collect::<Result<_, _>>()?;
    let columns: Arc<[(String, GoldColumnKind)]> = columns.into();
    let value = |value: v1::Value| match value.value {
        None => GoldValue::Null,
        Some(v1::value::Value::Int(v)) => GoldValue::Int(v),
        Some(v1::value::Value::Float(v)) => GoldValue::Float(v),
        Some(v1::value::Value::Text(v)) => GoldValue::Text(v),
        Some(v1::value::Value::Bool(v)) => GoldValue::Bool(v),
    };
    let row = |row: v1::Row| GoldRow::new(Arc::clone(&columns), row.values.into_iter().map(value).collect());
    let rows = view.rows.into_iter().map(row).collect();
    Ok(GoldView { columns: columns.to_vec(), rows })
}

fn unreadable(what: &str) -> Failure {
    Failure::failed(anyhow::anyhow!("the server sent {what} that this version does not know; use the same version"))
}
