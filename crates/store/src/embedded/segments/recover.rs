//! Finding out at opening how far the segments can be trusted.

use std::{
    fs::{self, File},
    io::{BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::{HEADER, Location, MAGIC, Mark, Segments, checksum, segment_numbers, segment_path};
use crate::{
    StoreError,
    embedded::{fault::io_error, layout::sync_dir},
};

/// Segments that were looked through, and not yet changed.
pub(in crate::embedded) struct Recovered {
    dir: PathBuf,
    end: Mark,
}

impl Recovered {
    /// Looks through the chunks from `synced` on, up to which everything is known to be durable, to the first one that
    /// is torn or damaged, or to the end.
    pub(in crate::embedded) fn scan(dir: &Path, synced: Mark) -> Result<Self, StoreError> {
        let numbers = segment_numbers(dir)?;
        let mut end = synced;
        loop {
            let path = segment_path(dir, end.segment);
            let length = match fs::metadata(&path) {
                Ok(metadata) => metadata.len(),
                Err(_) if end.offset == 0 => break,
                Err(e) => return Err(io_error("open", &path, e)),
            };
            if length < end.offset {
                return Err(StoreError::Corrupt {
                    what: path.display().to_string(),
                    reason: format!("it has {length} bytes, and {} were made durable", end.offset),
                });
            }
            end.offset = last_valid(&path, end.offset, length)?;
            if end.offset < length || !numbers.contains(&(end.segment + 1)) {
                break;
            }
            end = Mark { segment: end.segment + 1, offset: 0 };
        }
        Ok(Self { dir: dir.to_owned(), end })
    }

    /// Whether a chunk is wholly there.
    pub(in crate::embedded) fn holds(&self, location: &Location) -> bool {
        location.end() <= self.end
    }

    /// Cuts the rest off and goes on behind what is valid. To be called once no record points at the rest.
    pub(in crate::embedded) fn cut(self, limit: u64) -> Result<Segments, StoreError> {
        let Self { dir, end } = self;
        for number in segment_numbers(&dir)? {
            let path = segment_path(&dir, number);
            if number > end.segment {
                fs::remove_file(&path).map_err(|e| io_error("remove", &path, e))?;
            } else if number == end.segment {
                let cut = || -> std::io::Result<()> {
                    let file = File::options().write(true).open(&path)?;
                    if file.metadata()?.len() > end.offset {
                        tracing::warn!(file = %path.display(), at = end.offset, "cut off a torn end");
                        file.set_len(end.offset)?;
                    }
                    file.sync_all()
                };
                cut().map_err(|e| io_error("cut", &path, e))?;
            }
        }
        sync_dir(&dir)?;
        Ok(Segments::new(&dir, limit, end))
    }
}

/// The end of the last valid chunk that is reached from `offset` without a gap.
fn last_valid(path: &Path, mut offset: u64, length: u64) -> Result<u64, StoreError> {
    let failed = |e| io_error("read", path, e);
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let mut header = [0; HEADER];
    let mut stored = Vec::new();
    while length - offset >= HEADER as u64 {
        file.read_exact(&mut header).map_err(failed)?;
        let (magic, rest) = header.split_at(4);
        let word = |at: usize| rest.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
        let (raw, size) = (word(0), word(4));
        let sum = u64::from(word(8)) | u64::from(word(12)) << 32;
        if magic != MAGIC || u64::from(size) > length - offset - HEADER as u64 {
            break;
        }
        stored.clear();
        (&mut file).take(u64::from(size)).read_to_end(&mut stored).map_err(failed)?;
        if checksum(raw, &stored) != sum {
            break;
        }
        offset += HEADER as u64 + u64::from(size);
    }
    Ok(offset)
}
