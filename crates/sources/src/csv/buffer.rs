//! A reader with a window of bytes that are not used up yet.

use std::{
    io::{ErrorKind, Read},
    sync::Arc,
};

use crate::{Change, SourceError};

/// The bytes from the current shard's start on, as far as they are read.
#[derive(Debug)]
pub(super) struct Buffer<R> {
    reader: R,
    name: Arc<str>,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// The offset in the source of the byte at `end`.
    offset: u64,
    expected_size: Option<u64>,
    read_bytes: usize,
    whole: bool,
    changed: Option<Change>,
}

impl<R: Read> Buffer<R> {
    /// Room for `capacity` bytes; `reader` stands at `offset`.
    pub(super) fn new(reader: R, name: Arc<str>, offset: u64, capacity: usize) -> Self {
        let read_bytes = 1;
        let bytes = vec![0; capacity];
        Self {
            reader,
            name,
            bytes,
            start: 0,
            end: 0,
            offset,
            expected_size: None,
            read_bytes,
            whole: false,
            changed: None,
        }
    }

    /// The most that one read asks for.
    pub(super) fn read_bytes(mut self, bytes: usize) -> Self {
        self.read_bytes = bytes.max(1);
        self
    }

    /// The size that the source has to have, if known.
    pub(super) fn expect(mut self, size: Option<u64>) -> Self {
        self.expected_size = size;
        self
    }

    /// The window.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Whether the source ends behind the window.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// The room for the window.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Drops the window's first `count` bytes.
    pub(super) fn take(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Makes the window longer by one read, at least one byte; `false` at the end of the source. May be called again
    /// after an error; a source that has changed stays so.
    pub(super) fn read_more(&mut self) -> Result<bool, SourceError> {
        if self.whole {
            return Ok(false);
        }
        self.check_changed()?;
        self.make_room();
        let room = self.bytes.len().min(self.end + self.read_bytes);
        let count = loop {
            match self.reader.read(&mut self.bytes[self.end..room]) {
                Ok(count) => break count,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(SourceError::Read { file: self.name.to_string(), offset: self.offset, source });
                }
            }
        };
        self.changed = self.change_shown_by(count);
        self.check_changed()?;
        self.end += count;
        self.offset += count as u64;
        self.whole = count == 0;
        Ok(count > 0)
    }

    fn make_room(&mut self) {
        if self.end == self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.bytes.len() {
            // The window is as large as the splitter needs it; a longer one is bounded by the record limit as well.
            self.bytes.resize(self.end + self.read_bytes, 0);
        }
    }

    /// A source of a known size must neither end before it nor go on behind it.
    fn change_shown_by(&self, count: usize) -> Option<Change> {
        let was = self.expected_size?;
        let now = self.offset + count as u64;
        (now > was || (count == 0 && now < was)).then_some(Change::Size { was, now })
    }

    fn check_changed(&self) -> Result<(), SourceError> {
        match self.changed {
            Some(change) => Err(SourceError::Changed { file: self.name.to_string(), change }),
            None => Ok(()),
        }
    }
}
