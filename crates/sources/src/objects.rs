//! Objects of S3, and of whatever speaks its protocol, read in ranges.
//!
//! Reading blocks, as everything in this crate does; the requests run on a thread of this module's own, so it does not
//! matter where a caller stands. The environment says who reads, and where: the `AWS_…` variables that other tools know
//! (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`,
//! `AWS_SKIP_SIGNATURE`; web identities, and the identity of a container or a machine, work too).

mod url;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io::{self, Read},
    ops::Range,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        mpsc::{Receiver, sync_channel},
    },
    time::Duration,
};

use bytes::{Buf, Bytes};
use ensemble_store::Position;
use futures::TryStreamExt;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig,
    aws::AmazonS3Builder,
};
use tokio::runtime::{Builder, Runtime};

pub use self::url::ObjectUrl;
use crate::SourceError;

/// What one request asks for: large enough that the time between requests does not count, and two of them in memory (one
/// that is read, one that is on its way) are little beside what a supervisor reads ahead.
const WINDOW_BYTES: u64 = 8 << 20;
/// What the first request asks for where only a beginning may be wanted; each one after it asks for four times as much.
const FIRST_WINDOW_BYTES: u64 = 256 << 10;
/// How long one question may take with all its repeats, a window included.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many objects a pattern may have to be compared with.
const MAX_LISTED: usize = 1_000_000;

static BUCKETS: LazyLock<Mutex<HashMap<String, Arc<dyn ObjectStore>>>> = LazyLock::new(Mutex::default);
static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    Builder::new_multi_thread().worker_threads(1).thread_name("ensemble-objects").enable_all().build()
});

/// What an object is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectInfo {
    /// In bytes.
    pub(crate) size: u64,
    /// When it was written, in microseconds since the Unix epoch.
    pub(crate) modified_us: i64,
    /// What identifies its content, where the store says it.
    pub(crate) etag: Option<String>,
}

/// Looks at an object. Blocking.
pub(crate) fn head(url: &ObjectUrl) -> io::Result<ObjectInfo> {
    let (store, key) = (bucket(url.bucket())?, url.key().clone());
    let ObjectMeta { size, last_modified, e_tag, .. } =
        ask(async move { store.head(&key).await.map_err(into_io) })?.recv()?;
    Ok(ObjectInfo { size, modified_us: last_modified.timestamp_micros(), etag: e_tag })
}

/// The objects that a pattern with `*`, `?` or `[…]` stands for, sorted by bytes. Blocking.
pub(crate) fn list(pattern: &str) -> Result<Vec<ObjectUrl>, SourceError> {
    let (folder, matcher) = ObjectUrl::pattern(pattern)?;
    let unreadable = |source| SourceError::ObjectUnreadable { url: pattern.to_owned(), source };
    let store = bucket(folder.bucket()).map_err(unreadable)?;
    let name = folder.bucket().to_owned();
    let mut found = ask(async move {
        let (mut found, mut seen) = (Vec::new(), 0);
        let mut listed = store.list((!folder.key().is_root()).then(|| folder.key()));
        while let Some(meta) = listed.try_next().await.map_err(into_io)? {
            seen += 1;
            if matcher(meta.location.as_ref()) {
                found.push(meta.location);
            }
            if seen >= MAX_LISTED || found.len() > Position::MAX_FILES {
                let message = format!("it stands for more than {} objects of {seen} and more", Position::MAX_FILES);
                return Err(io::Error::new(io::ErrorKind::QuotaExceeded, message));
            }
        }
        Ok(found)
    })
    .and_then(|answer| answer.recv())
    .map_err(unreadable)?;
    found.sort();
    Ok(found.into_iter().map(|key| ObjectUrl::new(name.clone(), key)).collect())
}

/// Reads a range of an object, a window at a time, with the next one on its way.
pub(crate) struct ObjectReader {
    from: Arc<dyn ObjectStore>,
    key: object_store::path::Path,
    /// Only this version is read.
    etag: Option<String>,
    /// What has not been asked for yet.
    rest: Range<u64>,
    window_bytes: u64,
    window: Bytes,
    coming: Option<Answer<Bytes>>,
}

impl ObjectReader {
    /// Reads this version of an object from the beginning of `range` on, as far as anybody wants it.
    pub(crate) fn stream(url: &ObjectUrl, etag: Option<&str>, range: Range<u64>) -> io::Result<Self> {
        Self::new(url, etag, range, FIRST_WINDOW_BYTES)
    }

    /// Reads `range`, or as much of it as there is, of whatever version there is.
    pub(crate) fn part(url: &ObjectUrl, range: Range<u64>) -> io::Result<Self> {
        Self::new(url, None, range, WINDOW_BYTES)
    }

    fn new(url: &ObjectUrl, etag: Option<&str>, range: Range<u64>, window_bytes: u64) -> io::Result<Self> {
        let mut reader = Self {
            from: bucket(url.bucket())?,
            key: url.key().clone(),
            etag: etag.map(str::to_owned),
            rest: range,
            window_bytes,
            window: Bytes::new(),
            coming: None,
        };
        reader.ask_on()?;
        Ok(reader)
    }

    /// Asks for the next window, if there is one.
    fn ask_on(&mut self) -> io::Result<()> {
        let end = self.rest.end.min(self.rest.start.saturating_add(self.window_bytes));
        self.window_bytes = WINDOW_BYTES.min(4 * self.window_bytes);
        let range = std::mem::replace(&mut self.rest.start, end)..end;
        if range.is_empty() {
            self.coming = None;
            return Ok(());
        }
        let (from, key, if_match) = (Arc::clone(&self.from), self.key.clone(), self.etag.clone());
        let options = GetOptions { range: Some(GetRange::Bounded(range)), if_match, ..GetOptions::default() };
        self.coming = Some(ask(async move {
            let part = from.get_opts(&key, options).await.map_err(into_io)?;
            part.bytes().await.map_err(into_io)
        })?);
        Ok(())
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.window.is_empty() {
            let Some(coming) = self.coming.take() else { return Ok(0) };
            self.window = coming.recv()?;
            self.ask_on()?;
        }
        let length = buffer.len().min(self.window.len());
        self.window.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// An answer that is on its way.
struct Answer<T>(Receiver<io::Result<T>>);

impl<T> Answer<T> {
    /// Waits for it. Blocking, for the patience of a question at most.
    fn recv(self) -> io::Result<T> {
        self.0.recv().unwrap_or_else(|_| Err(io::Error::other("the request ended without an answer")))
    }
}

/// Asks on the thread of this module.
fn ask<T: Send + 'static>(question: impl Future<Output = io::Result<T>> + Send + 'static) -> io::Result<Answer<T>> {
    let runtime = RUNTIME.as_ref().map_err(|e| io::Error::new(e.kind(), e.to_string()))?;
    let (answer, answered) = sync_channel(1);
    runtime.spawn(async move {
        let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {PATIENCE:?}"));
        let said = tokio::time::timeout(PATIENCE, question).await.unwrap_or_else(|_| Err(late()));
        // Whoever asked may have gone.
        let _ = answer.send(said);
    });
    Ok(Answer(answered))
}

/// The client for one bucket; a process has one of each, which keeps its connections.
fn bucket(name: &str) -> io::Result<Arc<dyn ObjectStore>> {
    let mut buckets = BUCKETS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(store) = buckets.get(name) {
        return Ok(Arc::clone(store));
    }
    let store: Arc<dyn ObjectStore> = Arc::new(open(name).map_err(into_io)?);
    buckets.insert(name.to_owned(), Arc::clone(&store));
    Ok(store)
}

fn open(name: &str) -> object_store::Result<object_store::aws::AmazonS3> {
    // Whoever was first has chosen.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let backoff = BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() };
    let retry = RetryConfig { backoff, max_retries: 10, retry_timeout: Duration::from_secs(20) };
    let client = ClientOptions::new().with_connect_timeout(Duration::from_secs(5));
    AmazonS3Builder::from_env()
        .with_bucket_name(name)
        // Only an endpoint that names http:// itself is spoken to in plain text.
        .with_client_options(client.with_allow_http(true))
        .with_retry(retry)
        .build()
}

/// As the errors of files.
fn into_io(error: object_store::Error) -> io::Error {
    use object_store::Error;
    let kind = match &error {
        Error::NotFound { .. } => io::ErrorKind::NotFound,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        Error::Precondition { .. } => io::ErrorKind::StaleNetworkFileHandle,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
