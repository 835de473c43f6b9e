//! The end of the segment that is written.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
};

/// What a write needs of a file; tests make it fail.
pub(super) trait Media {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
    fn truncate(&mut self, len: u64) -> io::Result<()>;
}

impl Media for File {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.seek(SeekFrom::Start(offset))?;
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}

/// A file that ends with a whole, durable record.
pub(super) struct Tail<M> {
    media: M,
    len: u64,
    /// Why nothing more may be written.
    broken: Option<String>,
}

impl<M: Media> Tail<M> {
    pub(super) fn new(media: M, len: u64) -> Self {
        Self { media, len, broken: None }
    }

    /// The durable length.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Whether every later append fails.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Appends, and makes it durable. After an error the file is as long as before; where that cannot be had, or where
    /// it is unknown what a sync has left (the system forgets the dirty pages of a failed sync, so that the next one
    /// would lie), every later append fails until the log is opened again.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), (&'static str, io::Error)> {
        if let Some(reason) = &self.broken {
            return Err((
                "write",
                io::Error::other(format!("an earlier write has failed ({reason}); open the log again")),
            ));
        }
        if let Err(e) = self.media.write_at(self.len, bytes) {
            if let Err(cut) = self.media.truncate(self.len) {
                self.broken = Some(format!("{e}; cutting it off: {cut}"));
            }
            return Err(("write", e));
        }
        if let Err(e) = self.media.sync() {
            self.broken = Some(e.to_string());
            return Err(("sync", e));
        }
        self.len += bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Memory {
        bytes: Vec<u8>,
        room: usize,
        sync_fails: bool,
        truncate_fails: bool,
    }

    impl Media for &mut Memory {
        fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
            self.bytes.truncate(offset as usize);
            let fits = bytes.len().min(self.room.saturating_sub(self.bytes.len()));
            self.bytes.extend_from_slice(&bytes[..fits]);
            if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn sync(&mut self) -> io::Result<()> {
            if self.sync_fails { Err(io::Error::other("no sync")) } else { Ok(()) }
        }

        fn truncate(&mut self, len: u64) -> io::Result<()> {
            if self.truncate_fails {
                return Err(io::Error::other("no truncate"));
            }
            self.bytes.truncate(len as usize);
            Ok(())
        }
    }

    #[test]
    fn a_write_that_does_not_fit_leaves_nothing_and_a_smaller_one_goes_on() {
        let mut memory = Memory { room: 10, ..Memory::default() };
        let mut tail = Tail::new(&mut memory, 0);
        tail.append(b"12345678").unwrap();
        let (action, e) = tail.append(b"too long").unwrap_err();
        assert_eq!((action, e.kind()), ("write", io::ErrorKind::StorageFull));
        tail.append(b"9").unwrap();
        assert_eq!(tail.len(), 9);
        assert_eq!(memory.bytes, b"123456789");
    }

    #[test]
    fn a_failed_sync_or_cut_refuses_every_later_write() {
        for (sync_fails, truncate_fails) in [(true, false), (false, true)] {
            let mut memory = Memory { room: 4, sync_fails, truncate_fails, ..Memory::default() };
            let mut tail = Tail::new(&mut memory, 0);
            assert!(tail.append(if sync_fails { b"1" } else { b"12345" }).is_err());
            let (_, e) = tail.append(b"1").unwrap_err();
            assert!(e.to_string().contains("open the log again"), "{e}");
            assert_eq!(tail.len(), 0);
        }
    }
}
