//! The log's directory: names, small documents that are replaced whole, the format and the lock.
//!
//! | file | what |
//! |---|---|
//! | `log.json` | the directory's format |
//! | `log.lock` | locked while a process has the log open |
//! | `state.json` | which jobs have ended, what has been retired |
//! | `0000000001.seg` | a segment: records one after the other |
//! | `0000000001.json` | the segment's index: how far it is durable, and how many records of which jobs it holds |

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::EventsError;

/// The format of the directory that this version reads and writes.
pub(super) const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Version {
    format: serde_json::Value,
}

pub(super) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:010}.seg"))
}

pub(super) fn index_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:010}.json"))
}

pub(super) fn state_path(dir: &Path) -> PathBuf {
    dir.join("state.json")
}

/// The numbers of the segments that are there, in no order.
pub(super) fn list_segments(dir: &Path) -> Result<Vec<u64>, EventsError> {
    let read = |e| EventsError::io("list", dir, e);
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(read)? {
        let name = entry.map_err(read)?.file_name();
        numbers.extend(name.to_str().and_then(|n| n.strip_suffix(".seg")).and_then(|n| n.parse::<u64>().ok()));
    }
    Ok(numbers)
}

/// Locks the directory until the file is dropped.
pub(super) fn lock(dir: &Path) -> Result<File, EventsError> {
    let path = dir.join("log.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|e| EventsError::io("open", &path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EventsError::Locked { path: dir.to_path_buf() }),
        Err(TryLockError::Error(e)) => Err(EventsError::io("lock", &path, e)),
    }
}

/// Reads the directory's format, or writes it into a directory that holds no segment yet.
pub(super) fn check_version(dir: &Path) -> Result<(), EventsError> {
    let path = dir.join("log.json");
    let unknown =
        |found: &str| EventsError::UnknownVersion { path: dir.to_path_buf(), found: found.to_owned(), known: FORMAT };
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return if list_segments(dir)?.is_empty() {
                replace_json(&path, &Version { format: FORMAT.into() })
            } else {
                Err(unknown("none"))
            };
        }
        Err(e) => return Err(EventsError::io("read", &path, e)),
    };
    match serde_json::from_slice::<Version>(&text) {
        Ok(v) if v.format == FORMAT => Ok(()),
        Ok(v) => Err(unknown(&v.format.to_string())),
        Err(_) => Err(unknown("unreadable")),
    }
}

/// Reads a document; `None` where it is absent.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, EventsError> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|e| EventsError::Corrupt {
            path: path.to_path_buf(),
            offset: 0,
            reason: e.to_string(),
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(EventsError::io("read", path, e)),
    }
}

/// Replaces a document: whatever happens, the file holds the old one or the new one, and the new one once this is `Ok`.
pub(super) fn replace_json(path: &Path, document: &impl Serialize) -> Result<(), EventsError> {
    let temporary = path.with_extension("tmp");
    let text = serde_json::to_vec(document).map_err(|e| EventsError::io("encode", path, e.into()))?;
    let mut file = File::create(&temporary).map_err(|e| EventsError::io("create", &temporary, e))?;
    file.write_all(&text).map_err(|e| EventsError::io("write", &temporary, e))?;
    file.sync_all().map_err(|e| EventsError::io("sync", &temporary, e))?;
    fs::rename(&temporary, path).map_err(|e| EventsError::io("rename", &temporary, e))?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// Makes the names of created, renamed and deleted files durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), EventsError> {
    // Elsewhere a directory cannot be opened as a file, and the file system keeps names durable by itself.
    if cfg!(unix) {
        File::open(dir).and_then(|d| d.sync_all()).map_err(|e| EventsError::io("sync", dir, e))?;
    }
    Ok(())
}

/// Deletes a file that may be gone already.
pub(super) fn delete(path: &Path) -> Result<(), EventsError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(EventsError::io("delete", path, e)),
        _ => Ok(()),
    }
}
