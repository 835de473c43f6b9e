//! The thread that alone writes the log.
//!
//! It takes everything that is queued, writes it with one write and one sync, and then acknowledges all of it. If it
//! dies, whoever waits for it or comes later gets an error, since its channel closes; nothing that was acknowledged is
//! lost.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use ensemble_store::{JobId, forget_cached};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{
    EmbeddedLogOptions, files,
    frame::Frame,
    index::{Segment, SharedIndex},
    tail::Tail,
};
use crate::EventsError;

/// How many bytes one write takes at most, but for its last record.
const GROUP_BYTES: usize = 8 << 20;

pub(super) type Reply = oneshot::Sender<Result<(), EventsError>>;

/// What the thread is asked for. A reply that is dropped says that the thread is gone.
pub(super) enum Command {
    /// Writes a record; replies once it is durable.
    Append(Append),
    /// Remembers that a job has ended; replies once that is durable.
    JobEnded(JobId, Reply),
    /// Takes no more commands, finishes those that are queued and ends.
    Close,
    /// Panics, as a fault would.
    #[cfg(test)]
    Panic,
}

pub(super) struct Append {
    pub(super) frame: Frame,
    pub(super) reply: Reply,
    /// The record's share of the queue; free again once it is written.
    pub(super) permit: OwnedSemaphorePermit,
}

pub(super) struct Writer {
    dir: PathBuf,
    segment_bytes: u64,
    retain_bytes: Option<u64>,
    index: Arc<SharedIndex>,
    number: u64,
    tail: Tail<File>,
    group: Vec<u8>,
    /// Keeps other processes out until the last byte is written.
    _lock: File,
}

impl Writer {
    /// Goes on with the last segment, or begins one: where there is none, or where the last one is damaged.
    pub(super) fn open(
        dir: &Path,
        options: &EmbeddedLogOptions,
        index: Arc<SharedIndex>,
        lock: File,
    ) -> Result<Self, EventsError> {
        let last = index.lock().segments.last_key_value().map(|(n, s)| (*n, s.bytes, s.damaged));
        let (number, tail) = match last {
            Some((number, bytes, false)) => {
                let path = files::segment_path(dir, number);
                let file = File::options().write(true).open(&path).map_err(|e| EventsError::io("open", &path, e))?;
                (number, Tail::new(file, bytes))
            }
            last => {
                let number = last.map_or(1, |(n, ..)| n + 1);
                (number, Tail::new(create_segment(dir, number)?, 0))
            }
        };
        index.lock().segments.entry(number).or_default();
        let mut writer = Self {
            dir: dir.to_path_buf(),
            segment_bytes: options.segment_bytes.max(1),
            retain_bytes: options.retain_bytes,
            index,
            number,
            tail,
            group: Vec::new(),
            _lock: lock,
        };
        writer.index_sealed()?;
        writer.retire()?;
        Ok(writer)
    }

    /// Serves commands until the log is closed or its last handle is dropped.
    pub(super) fn run(mut self, mut commands: mpsc::Receiver<Command>) -> Result<(), EventsError> {
        let mut next = commands.blocking_recv();
        while let Some(command) = next.take() {
            match command {
                Command::Append(first) => next = self.serve_appends(first, &mut commands),
                Command::JobEnded(job, reply) => _ = reply.send(self.job_ended(job)),
                Command::Close => commands.close(),
                #[cfg(test)]
                Command::Panic => panic!("a test asked for it"),
            }
            // A closed channel still gives what is queued, then `None`.
            next = next.or_else(|| commands.blocking_recv());
        }
        self.write_index(self.number)
    }

    /// Writes `first` and all appends queued behind it; gives back the first command that is none.
    fn serve_appends(&mut self, first: Append, commands: &mut mpsc::Receiver<Command>) -> Option<Command> {
        let mut bytes = first.frame.bytes().len();
        let mut appends = vec![first];
        let mut next = None;
        while bytes < GROUP_BYTES {
            match commands.try_recv() {
                Ok(Command::Append(append)) => {
                    bytes += append.frame.bytes().len();
                    appends.push(append);
                }
                Ok(other) => {
                    next = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        let result = self.write_group(&mut appends);
        for Append { reply, permit, .. } in appends {
            drop(permit);
            // Whoever asked may have stopped waiting.
            _ = reply.send(result.as_ref().copied().map_err(EventsError::repeat));
        }
        next
    }

    fn write_group(&mut self, appends: &mut [Append]) -> Result<(), EventsError> {
        if self.tail.len() >= self.segment_bytes && !self.tail.is_broken() {
            self.begin_segment()?;
        }
        self.group.clear();
        for append in appends.iter_mut() {
            append.frame.set_durable(self.tail.len());
            self.group.extend_from_slice(append.frame.bytes());
        }
        let before = self.tail.len();
        self.tail
            .append(&self.group)
            .map_err(|(action, e)| EventsError::io(action, &files::segment_path(&self.dir, self.number), e))?;
        let mut index = self.index.lock();
        let segment = index.segments.entry(self.number).or_default();
        let mut end = before;
        for append in appends.iter() {
            end += append.frame.bytes().len() as u64;
            segment.add(append.frame.job(), end);
        }
        Ok(())
    }

    /// Seals the segment that is full and begins the next one.
    fn begin_segment(&mut self) -> Result<(), EventsError> {
        self.write_index(self.number)?;
        // The full one stays cached for whoever reads a small log back; the one before it need not.
        if let Ok(before) = File::open(files::segment_path(&self.dir, self.number.saturating_sub(1))) {
            forget_cached(&before);
        }
        let file = create_segment(&self.dir, self.number + 1)?;
        self.number += 1;
        self.tail = Tail::new(file, 0);
        self.index.lock().segments.insert(self.number, Segment::default());
        // The append that fills a segment must not fail for the want of room that retiring would have made.
        if let Err(error) = self.retire() {
            tracing::warn!(%error, "cannot retire segments of the event log; will try again with the next segment");
        }
        Ok(())
    }

    fn job_ended(&mut self, job: JobId) -> Result<(), EventsError> {
        let mut state = self.index.lock().state.clone();
        if state.ended.insert(job) {
            files::replace_json(&files::state_path(&self.dir), &state)?;
            self.index.lock().state = state;
        }
        self.retire()
    }

    /// Deletes the oldest segments while the log is larger than it should be. They are counted as retired, durably,
    /// before they go: whatever happens between, opening the log finishes it.
    fn retire(&mut self) -> Result<(), EventsError> {
        let Some(retain_bytes) = self.retain_bytes else { return Ok(()) };
        let (chosen, mut state) = {
            let index = self.index.lock();
            let chosen = index.retirable(retain_bytes, self.number);
            let state = index.state_without(&chosen);
            (chosen, state)
        };
        if state.deleting.is_empty() {
            return Ok(());
        }
        if !chosen.is_empty() {
            files::replace_json(&files::state_path(&self.dir), &state)?;
            let mut index = self.index.lock();
            index.state = state.clone();
            index.segments.retain(|number, _| !chosen.contains(number));
        }
        for number in std::mem::take(&mut state.deleting) {
            files::delete(&files::segment_path(&self.dir, number))?;
            files::delete(&files::index_path(&self.dir, number))?;
        }
        files::sync_dir(&self.dir)?;
        self.index.lock().state = state;
        tracing::info!(dir = %self.dir.display(), segments = chosen.len(), "retired segments of the event log");
        Ok(())
    }

    /// Writes the index files that are missing or behind, but for the segment that is written.
    fn index_sealed(&self) -> Result<(), EventsError> {
        let sealed: Vec<(u64, Segment)> = {
            let index = self.index.lock();
            index.segments.range(..self.number).map(|(n, s)| (*n, s.clone())).collect()
        };
        for (number, segment) in sealed {
            let path = files::index_path(&self.dir, number);
            let stored = files::read_json::<Segment>(&path).ok().flatten();
            if stored.as_ref() != Some(&segment) {
                files::replace_json(&path, &segment)?;
            }
        }
        Ok(())
    }

    fn write_index(&self, number: u64) -> Result<(), EventsError> {
        let segment = self.index.lock().segments.get(&number).cloned().unwrap_or_default();
        files::replace_json(&files::index_path(&self.dir, number), &segment)
    }
}

/// Begins an empty segment. Its number is higher than all others, so nothing that counts can be there.
fn create_segment(dir: &Path, number: u64) -> Result<File, EventsError> {
    let path = files::segment_path(dir, number);
    let file = File::options().create(true).truncate(true).write(true).open(&path);
    let file = file.map_err(|e| EventsError::io("create", &path, e))?;
    file.sync_all().map_err(|e| EventsError::io("sync", &path, e))?;
    files::sync_dir(dir)?;
    Ok(file)
}
