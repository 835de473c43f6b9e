//! The event log in files of this machine: what `run` uses, and what a cluster of one machine needs no broker for.
//!
//! An append is encoded and compressed on a blocking thread, then written by the log's own thread together with all
//! others that wait (see `writer`). Records lie one after the other in segments (see `frame` for their bytes, `files`
//! for the directory). What waits is bounded in bytes.

mod files;
mod frame;
mod index;
mod reader;
mod recovery;
mod tail;
mod writer;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use ensemble_store::JobId;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::spawn_blocking,
};

use self::{
    frame::Frame,
    index::SharedIndex,
    writer::{Append, Command, Writer},
};
use crate::{EventLog, EventsError, LogCursor, LogPage, ShardEvents, codec};

/// How many commands may wait, however small.
const QUEUE_COMMANDS: usize = 1024;
/// What one permit of the queue stands for.
const PERMIT_BYTES: usize = 1024;

type WriterThread = JoinHandle<Result<(), EventsError>>;

/// How an embedded log is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedLogOptions {
    /// A segment of this size is full: the next record begins a new one. Default 64 MiB.
    pub segment_bytes: u64,
    /// A log larger than this retires its oldest segments, as soon as every job with records in them has ended. `None`,
    /// the default, keeps all.
    pub retain_bytes: Option<u64>,
    /// How many bytes of events, before compression, may wait to be written; at least 1 MiB. One append that is larger
    /// waits until it is alone. Default 32 MiB.
    pub queue_bytes: usize,
}

impl Default for EmbeddedLogOptions {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, retain_bytes: None, queue_bytes: 32 << 20 }
    }
}

/// An event log in a directory of this machine.
///
/// One process at a time has it open. Dropping the last handle writes what was appended and waits for it, as
/// [`EventLog::close`] does; only `close` tells of errors.
pub struct EmbeddedLog {
    dir: PathBuf,
    index: Arc<SharedIndex>,
    queue: Arc<Semaphore>,
    queue_permits: usize,
    closed: AtomicBool,
    /// `None` only while dropping.
    commands: Option<mpsc::Sender<Command>>,
    thread: Arc<Mutex<Option<WriterThread>>>,
}

impl std::fmt::Debug for EmbeddedLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedLog").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl EmbeddedLog {
    /// Opens the log in `dir`, which is created where it is absent. Reads at most the last segment, unless segments
    /// have lost their index files. Blocks: on a runtime, call it from `spawn_blocking`.
    ///
    /// # Errors
    /// `Locked` while another process has it open, `UnknownVersion`, `Corrupt` where the list of ended jobs is damaged
    /// (a damaged record shows when it is read), `Io` and `Full`.
    pub fn open(dir: &Path, options: EmbeddedLogOptions) -> Result<Arc<Self>, EventsError> {
        fs::create_dir_all(dir).map_err(|e| EventsError::io("create", dir, e))?;
        let lock = files::lock(dir)?;
        files::check_version(dir)?;
        let index = Arc::new(SharedIndex::new(recovery::recover(dir)?));
        let writer = Writer::open(dir, &options, index.clone(), lock)?;
        let (sender, receiver) = mpsc::channel(QUEUE_COMMANDS);
        let thread = thread::Builder::new().name("event-log".into()).spawn(move || writer.run(receiver));
        let thread = thread.map_err(|e| EventsError::io("start the writer thread of", dir, e))?;
        let queue_permits = options.queue_bytes.clamp(1 << 20, u32::MAX as usize).div_ceil(PERMIT_BYTES);
        Ok(Arc::new(Self {
            dir: dir.to_path_buf(),
            index,
            queue: Arc::new(Semaphore::new(queue_permits)),
            queue_permits,
            closed: AtomicBool::new(false),
            commands: Some(sender),
            thread: Arc::new(Mutex::new(Some(thread))),
        }))
    }

    fn check_open(&self) -> Result<(), EventsError> {
        if self.closed.load(Ordering::Acquire) { Err(EventsError::Closed) } else { Ok(()) }
    }

    async fn send(&self, command: Command) -> Result<(), EventsError> {
        let Some(commands) = &self.commands else { return Err(EventsError::Closed) };
        commands.send(command).await.map_err(|_| self.check_open().err().unwrap_or_else(|| self.writer_is_gone()))
    }

    fn writer_is_gone(&self) -> EventsError {
        let source = io::Error::other("the writer thread has ended unexpectedly; open the log again");
        EventsError::Io { action: "write", path: self.dir.clone(), source }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        action: &'static str,
        work: impl FnOnce() -> Result<T, EventsError> + Send + 'static,
    ) -> Result<T, EventsError> {
        spawn_blocking(work).await.unwrap_or_else(|e| Err(EventsError::io(action, &self.dir, io::Error::other(e))))
    }
}

#[async_trait::async_trait]
impl EventLog for EmbeddedLog {
    fn describe(&self) -> String {
        format!("embedded:{}", self.dir.display())
    }

    async fn append(&self, events: Arc<ShardEvents>) -> Result<(), EventsError> {
        self.check_open()?;
        let permits = codec::size_hint(&events).div_ceil(PERMIT_BYTES).min(self.queue_permits) as u32;
        let permit = self.queue.clone().acquire_many_owned(permits).await.map_err(|_| EventsError::Closed)?;
        let frame = self.blocking("encode events for", move || Frame::encode(&events)).await?;
        let (reply, answer) = oneshot::channel();
        self.send(Command::Append(Append { frame, reply, permit })).await?;
        answer.await.unwrap_or_else(|_| Err(self.writer_is_gone()))
    }

    async fn scan(&self, after: LogCursor, limit: usize) -> Result<Option<LogPage>, EventsError> {
        self.check_open()?;
        let (dir, index) = (self.dir.clone(), self.index.clone());
        self.blocking("read", move || reader::read_page(&dir, &index, after, limit.max(1)).map(Some)).await
    }

    async fn retired(&self) -> Result<Vec<(JobId, u64)>, EventsError> {
        self.check_open()?;
        Ok(self.index.lock().state.retired.iter().map(|(job, records)| (*job, *records)).collect())
    }

    async fn job_ended(&self, job: JobId) -> Result<(), EventsError> {
        self.check_open()?;
        let (reply, answer) = oneshot::channel();
        self.send(Command::JobEnded(job, reply)).await?;
        answer.await.unwrap_or_else(|_| Err(self.writer_is_gone()))
    }

    async fn close(&self) -> Result<(), EventsError> {
        self.closed.store(true, Ordering::Release);
        // Refused where the thread is gone already; joining it says why.
        _ = self.send(Command::Close).await;
        let (thread, dir) = (self.thread.clone(), self.dir.clone());
        self.blocking("close", move || join(&thread, &dir)).await
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        // The thread ends once the channel has no sender and is empty.
        self.commands = None;
        if let Err(error) = join(&self.thread, &self.dir) {
            tracing::warn!(%error, "the event log was not closed properly");
        }
    }
}

/// Waits for the thread to end. A second caller waits for the first, and then there is nothing to do.
fn join(thread: &Mutex<Option<WriterThread>>, dir: &Path) -> Result<(), EventsError> {
    let mut thread = thread.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(handle) = thread.take() else { return Ok(()) };
    handle.join().unwrap_or_else(|_| {
        Err(EventsError::io("close", dir, io::Error::other("the writer thread has ended unexpectedly")))
    })
}

#[cfg(test)]
mod tests;
