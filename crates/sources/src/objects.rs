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
use tokio::{
    runtime::{Builder, Runtime},
    task::AbortHandle,
};

pub use self::url::ObjectUrl;
use crate::SourceError;

/// What one request asks for: large enough that the time between requests does not count, and two of them in memory (one
/// that is read, one that is on its way) are little beside what a supervisor reads ahead.
const WINDOW_BYTES: u64 = 4 << 20;
/// What the first request asks for where only a beginning may be wanted; each one after it asks for four times as much.
const FIRST_WINDOW_BYTES: u64 = 256 << 10;
/// How long one question may take with all its repeats, a window included: 35 KB a second are enough.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a store may say nothing.
const SILENCE: Duration = Duration::from_secs(20);
/// How long it is asked again.
const RETRY: Duration = Duration::from_secs(60);
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
    /// When it was written, in microseconds since the Unix epoch; whole seconds, as not every answer has more.
    pub(crate) modified_us: i64,
    /// What identifies its content, where the store says it.
    pub(crate) etag: Option<String>,
}

impl From<ObjectMeta> for ObjectInfo {
    fn from(ObjectMeta { size, last_modified, e_tag, .. }: ObjectMeta) -> Self {
        Self { size, modified_us: last_modified.timestamp().saturating_mul(1_000_000), etag: e_tag }
    }
}

/// Looks at an object. Blocking.
pub(crate) fn head(url: &ObjectUrl) -> io::Result<ObjectInfo> {
    let (store, key) = (bucket(url.bucket())?, url.key().clone());
    let meta = ask(async move { in_time(store.head(&key)).await })?.recv()?;
    Ok(meta.into())
}

/// The objects that a pattern with `*`, `?` or `[…]` stands for, sorted by bytes. Blocking.
pub(crate) fn list(pattern: &str) -> Result<Vec<(ObjectUrl, ObjectInfo)>, SourceError> {
    let (folder, matcher) = ObjectUrl::pattern(pattern)?;
    let unreadable = |source| SourceError::ObjectUnreadable { url: pattern.to_owned(), source };
    let store = bucket(folder.bucket()).map_err(unreadable)?;
    let (name, prefix) = (folder.bucket().to_owned(), (!folder.key().is_root()).then(|| folder.key().clone()));
    let (mut found, seen) = ask(async move {
        let (mut found, mut seen) = (Vec::new(), 0);
        let mut listed = store.list(prefix.as_ref());
        while let Some(meta) = in_time(listed.try_next()).await? {
            seen += 1;
            // Nothing is what folders are marked with.
            if meta.size > 0 && matcher(meta.location.as_ref()) {
                found.push(meta);
            }
            if seen > MAX_LISTED || found.len() > Position::MAX_FILES {
                break;
            }
        }
        Ok((found, seen))
    })
    .and_then(|answer| answer.recv())
    .map_err(unreadable)?;
    if found.len() > Position::MAX_FILES {
        return Err(SourceError::TooManyFiles { count: found.len(), most: Position::MAX_FILES });
    }
    if seen > MAX_LISTED {
        return Err(SourceError::TooManyObjects { folder: folder.to_string(), most: MAX_LISTED });
    }
    found.sort_by(|a, b| a.location.cmp(&b.location));
    let url = |key: &object_store::path::Path| ObjectUrl::new(name.clone(), key.clone());
    Ok(found.into_iter().map(|meta| (url(&meta.location), meta.into())).collect())
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
        let get = async move { from.get_opts(&key, options).await?.bytes().await };
        self.coming = Some(ask(in_time(get))?);
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

/// An answer that is on its way. Whoever drops it wants it no more.
struct Answer<T> {
    said: Receiver<io::Result<T>>,
    question: AbortHandle,
}

impl<T> Answer<T> {
    /// Waits for it. Blocking, for the patience of a question at most.
    fn recv(self) -> io::Result<T> {
        self.said.recv().unwrap_or_else(|_| Err(io::Error::other("the request ended without an answer")))
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        self.question.abort();
    }
}

/// Asks on the thread of this module.
fn ask<T: Send + 'static>(question: impl Future<Output = io::Result<T>> + Send + 'static) -> io::Result<Answer<T>> {
    let runtime = RUNTIME.as_ref().map_err(|e| io::Error::new(e.kind(), e.to_string()))?;
    let (say, said) = sync_channel(1);
    let question = runtime.spawn(async move {
        // Whoever asked may have gone.
        let _ = say.send(question.await);
    });
    Ok(Answer { said, question: question.abort_handle() })
}

/// An answer of a store, or that it took too long.
async fn in_time<T>(answer: impl Future<Output = object_store::Result<T>>) -> io::Result<T> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {PATIENCE:?}"));
    tokio::time::timeout(PATIENCE, answer).await.map_err(|_| late())?.map_err(into_io)
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
    let retry = RetryConfig { backoff, max_retries: 30, retry_timeout: RETRY };
    // However long a window takes, as long as something comes.
    let client = ClientOptions::new().with_connect_timeout(Duration::from_secs(5)).with_timeout_disabled();
    AmazonS3Builder::from_env()
        .with_bucket_name(name)
        // Only an endpoint that names http:// itself is spoken to in plain text.
        .with_client_options(client.with_read_timeout(SILENCE).with_allow_http(true))
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
