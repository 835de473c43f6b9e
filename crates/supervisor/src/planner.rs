//! The planner: reads a job's source on a thread of its own and cuts it into shards.
//!
//! It reads ahead as far as the window has room, in bytes: each shard takes a permit with it that is given back when the
//! shard goes to a worker.

use std::{io::Read, sync::Arc, time::Duration};

use bytes::Bytes;
use ensemble_sources::{
    Change, PartError, SourceError, SourceFile,
    csv::{Cursor, PlannedShard, SplitOptions, Splitter},
};
use ensemble_store::{ErrorClass, JobNumber, ShardId, ShardKind, ShardPlan, Store};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};

use crate::{JobRecord, PinnedFile, PinnedUpload, Source, uploads};

/// How long a source that cannot be read for now rests before it is tried again.
pub(crate) const SOURCE_REST: Duration = Duration::from_secs(5);
/// How often a resting planner looks whether anybody still wants its shards.
const LOOK: Duration = Duration::from_millis(100);
/// A permit of the window stands for this many bytes.
const PERMIT_BYTES: u64 = 1024;

/// The read-ahead of one job, in bytes.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    permits: Arc<Semaphore>,
    most: u32,
}

impl Window {
    pub(crate) fn new(bytes: u64) -> Self {
        let most = u32::try_from(bytes / PERMIT_BYTES).unwrap_or(u32::MAX).clamp(1, 1 << 28);
        Self { permits: Arc::new(Semaphore::new(most as usize)), most }
    }

    /// Ends the planner at its next shard.
    pub(crate) fn close(&self) {
        self.permits.close();
    }

    /// Lets time pass; `false` once closed. Blocking.
    fn rest(&self, time: Duration) -> bool {
        let begun = std::time::Instant::now();
        while begun.elapsed() < time && !self.permits.is_closed() {
            std::thread::park_timeout(LOOK);
        }
        !self.permits.is_closed()
    }

    /// Waits for room; `None` once closed. A shard larger than the window takes all of it.
    fn acquire(&self, runtime: &Handle, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let permits = u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX).clamp(1, self.most);
        runtime.block_on(Arc::clone(&self.permits).acquire_many_owned(permits)).ok()
    }
}

/// What the planner says.
pub(crate) enum Planned {
    /// The next shard.
    Shard(PlannedShard, OwnedSemaphorePermit),
    /// The source has ended and has this many shards.
    Ended(u32),
    /// The source cannot be read on for now, for this reason: it is tried again.
    Waits(String),
    /// The source cannot be read on.
    Failed(SourceError),
}

/// Reads a job's source from a place on.
pub struct SourceReader {
    job: JobNumber,
    files: Vec<PinnedFile>,
    stream: Option<Box<dyn Read + Send>>,
    /// Where uploads are.
    store: Option<Arc<dyn Store>>,
    shard_bytes: usize,
    record_limit_bytes: usize,
}

impl SourceReader {
    /// The source of `job`; `stream` is standard input, where that is the source.
    pub fn new(job: &JobRecord, stream: Option<Box<dyn Read + Send>>) -> Self {
        let bytes = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        Self {
            job: job.number,
            files: match &job.source {
                Source::Files(files) => files.clone(),
                Source::StandardInput(file) => vec![file.clone()],
            },
            stream,
            store: None,
            shard_bytes: bytes(job.shard_bytes),
            record_limit_bytes: bytes(job.record_limit_bytes),
        }
    }

    /// Reads uploads from this store; [`SourceReader::read`] has to run inside the runtime that the store works in.
    pub fn with_uploads(self, store: Arc<dyn Store>) -> Self {
        Self { store: Some(store), ..self }
    }

    /// Gives the shards from number `from` on to `take`, beginning to read behind `after`, an earlier shard behind which
    /// reading can begin (`None`: at the source's beginning). Ends early where `take` answers `false`. Returns how many
    /// shards the source has; `None` where it ended early.
    ///
    /// # Errors
    /// Where a file cannot be read, or is not what it was when the job began. Blocking.
    pub fn read(
        &mut self,
        after: Option<&ShardPlan>,
        from: u32,
        mut take: impl FnMut(PlannedShard) -> bool,
    ) -> Result<Option<u32>, SourceError> {
        let first = ShardId { job: self.job, number: 0 };
        let mut at = after.and_then(Cursor::after).unwrap_or_else(|| Cursor::start_of(0, first));
        if after.is_some_and(|plan| plan.last_of_file) {
            at = Cursor::start_of(at.file + 1, at.next_shard);
        }
        let mut stream = self.stream.take();
        for (number, pinned) in (0u32..).zip(&self.files).skip(at.file as usize) {
            if number != at.file {
                at = Cursor::start_of(number, at.next_shard);
            }
            let reader: Box<dyn Read + Send> = match (&pinned.file, &pinned.upload, &self.store) {
                (Some(file), _, _) => file.open_at(at.offset)?,
                (None, Some(PinnedUpload { id, length }), Some(store)) => {
                    Box::new(uploads::Reader::new(Arc::clone(store), id, *length, at.offset))
                }
                _ => stream.take().ok_or(SourceError::NoInput)?,
            };
            let mut splitter = Splitter::new(reader, self.options(pinned), at);
            let read = read_file(&mut splitter, from, &mut take);
            at = splitter.cursor();
            // Whatever has become of reading a file that is another one by now: that is why.
            if matches!(read, Ok(true) | Err(SourceError::Read { .. }))
                && let Some(file) = &pinned.file
                && let Some(change) = file.changed()?
            {
                return Err(file.change_error(change));
            }
            if !read? {
                return Ok(None);
            }
        }
        Ok(Some(at.next_shard.number))
    }

    /// Whether its bytes can be read once more.
    fn is_repeatable(&self) -> bool {
        self.files.iter().all(|pinned| pinned.file.is_some() || pinned.upload.is_some())
    }

    fn options(&self, pinned: &PinnedFile) -> SplitOptions {
        SplitOptions {
            shard_bytes: self.shard_bytes,
            record_limit_bytes: self.record_limit_bytes,
            header_bytes: pinned.preamble.header_bytes,
            expected_size: pinned.size(),
            ..SplitOptions::new(pinned.name.as_str(), pinned.preamble.dialect)
        }
    }
}

/// Gives the shards of one file from number `from` on to `take`; whether it wants those of the next file too.
fn read_file(
    splitter: &mut Splitter<Box<dyn Read + Send>>,
    from: u32,
    take: &mut impl FnMut(PlannedShard) -> bool,
) -> Result<bool, SourceError> {
    splitter.skip_to(from)?;
    while let Some(shard) = splitter.next_shard()? {
        if !take(shard) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Runs the planner on a blocking thread; what it says goes to `say`, which answers `false` where nobody listens.
pub(crate) fn spawn_planner(
    mut reader: SourceReader,
    mut after: Option<ShardPlan>,
    mut from: u32,
    window: Window,
    say: impl Fn(Planned) -> bool + Send + 'static,
) {
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let ended = loop {
            let begin = after.clone();
            let ended = reader.read(begin.as_ref(), from, |shard| {
                let plan = shard.plan.clone();
                let permit = window.acquire(&runtime, plan.length);
                let taken = permit.is_some_and(|permit| say(Planned::Shard(shard, permit)));
                from = plan.shard.number.saturating_add(u32::from(taken));
                if taken && plan.kind != ShardKind::Piece {
                    after = Some(plan);
                }
                taken
            });
            match ended {
                Err(e) if e.class() == ErrorClass::Transient && reader.is_repeatable() => {
                    if !(say(Planned::Waits(e.to_string())) && window.rest(SOURCE_REST)) {
                        return;
                    }
                }
                ended => break ended,
            }
        };
        match ended {
            Ok(Some(shards)) => say(Planned::Ended(shards)),
            Ok(None) => false,
            Err(e) => say(Planned::Failed(e)),
        };
    });
}

/// Reads a shard's bytes out of an upload again. Blocking.
///
/// # Errors
/// Where the store refuses, or the bytes are not those that were planned.
pub(crate) fn read_upload_again(
    store: Arc<dyn Store>,
    upload: &PinnedUpload,
    plan: &ShardPlan,
) -> Result<Bytes, SourceError> {
    let mut bytes = Vec::new();
    let read =
        uploads::Reader::new(store, &upload.id, upload.length, plan.offset).take(plan.length).read_to_end(&mut bytes);
    let name = || format!("upload {}", upload.id);
    read.map_err(|source| SourceError::Read { file: name(), offset: plan.offset, source })?;
    if ShardPlan::digest_of(&bytes) != plan.digest {
        let change = Change::Size { was: plan.length, now: bytes.len() as u64 };
        return Err(SourceError::Changed { file: name(), change });
    }
    Ok(bytes.into())
}

/// Reads a shard's bytes again. Blocking.
///
/// # Errors
/// Where the file cannot be read, or its bytes are not those that were planned.
pub(crate) fn read_again(file: &SourceFile, plan: &ShardPlan) -> Result<Bytes, SourceError> {
    let error = match file.canonical.read_shard(plan) {
        Ok(bytes) => return Ok(bytes),
        Err(error) => error,
    };
    let (change, now_us) = (file.changed()?, file.modified_us);
    Err(match (change, error) {
        (Some(change), _) => file.change_error(change),
        (None, PartError::Read { offset, source, .. }) => SourceError::Read { file: file.path.clone(), offset, source },
        (None, PartError::Other { .. }) => file.change_error(Change::Modified { was_us: file.modified_us, now_us }),
    })
}
