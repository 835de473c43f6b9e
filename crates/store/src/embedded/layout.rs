//! The store's directory: the version file that makes it a store, and the lock that makes it one process's.

#[cfg(test)]
mod tests;

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::fault::io_error;
use crate::StoreError;

/// The format that this version reads and writes.
const FORMAT: u32 = 1;
const VERSION_FILE: &str = "store.json";
const VERSION_DRAFT: &str = "store.json.tmp";
const LOCK_FILE: &str = "LOCK";

#[derive(Serialize, Deserialize)]
struct VersionFile {
    format: u32,
    created_by: String,
}

/// A store's directory, locked for this process as long as it lives.
#[derive(Debug)]
pub(super) struct Layout {
    dir: PathBuf,
    /// Holds the lock; released when it is dropped.
    _lock: File,
}

impl Layout {
    /// Locks the store in `dir`, which is created where it is absent or empty.
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(|e| io_error("create", dir, e))?;
        let is_new = is_new(dir)?;
        let lock = lock(dir)?;
        if is_new {
            write_version(dir)?;
            sync_parent(dir);
        }
        check_version(dir)?;
        let layout = Self { dir: dir.to_owned(), _lock: lock };
        fs::create_dir_all(layout.bronze()).map_err(|e| io_error("create", &layout.bronze(), e))?;
        sync_dir(dir)?;
        Ok(layout)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the database lives.
    pub(super) fn db(&self) -> PathBuf {
        self.dir.join("db")
    }

    /// Where the segment files live.
    pub(super) fn bronze(&self) -> PathBuf {
        self.dir.join("bronze")
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| io_error("sync", dir, e))
}

/// Makes the directory's own name durable, as far as the one above it can be opened.
fn sync_parent(dir: &Path) {
    if let Some(Err(e)) = fs::canonicalize(dir).ok().and_then(|d| d.parent().map(sync_dir)) {
        tracing::warn!(dir = %dir.display(), "cannot sync the directory above: {e}");
    }
}

/// Whether `dir` is to become a store: it has no version file and nothing of anybody else's.
fn is_new(dir: &Path) -> Result<bool, StoreError> {
    let entries = fs::read_dir(dir).map_err(|e| io_error("read", dir, e))?;
    let mut stranger = None;
    for entry in entries {
        let name = entry.map_err(|e| io_error("read", dir, e))?.file_name();
        match name.to_str() {
            Some(VERSION_FILE) => return Ok(false),
            // What a process leaves that died while it created the store.
            Some(VERSION_DRAFT | LOCK_FILE) => {}
            _ => stranger = Some(name),
        }
    }
    match stranger {
        None => Ok(true),
        Some(name) => Err(StoreError::NotAStore {
            path: dir.to_owned(),
            reason: format!("it holds {} and no {VERSION_FILE}", Path::new(&name).display()),
        }),
    }
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(LOCK_FILE);
    let file =
        File::options().create(true).truncate(false).write(true).open(&path).map_err(|e| io_error("open", &path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: dir.to_owned() }),
        Err(TryLockError::Error(e)) => Err(io_error("lock", &path, e)),
    }
}

fn write_version(dir: &Path) -> Result<(), StoreError> {
    let content = VersionFile { format: FORMAT, created_by: format!("ensemble {}", env!("CARGO_PKG_VERSION")) };
    let draft = dir.join(VERSION_DRAFT);
    let write = || -> io::Result<()> {
        let mut file = File::create(&draft)?;
        file.write_all(&serde_json::to_vec(&content)?)?;
        file.sync_all()?;
        fs::rename(&draft, dir.join(VERSION_FILE))
    };
    write().map_err(|e| io_error("write", &draft, e))?;
    sync_dir(dir)
}

fn check_version(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join(VERSION_FILE);
    let text = fs::read(&path).map_err(|e| io_error("read", &path, e))?;
    let unknown = |found| StoreError::UnknownVersion { path: dir.to_owned(), found, known: FORMAT };
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(|e| StoreError::NotAStore {
        path: dir.to_owned(),
        reason: format!("{VERSION_FILE} is damaged: {e}"),
    })?;
    match value.get("format") {
        Some(format) if format.as_u64() == Some(u64::from(FORMAT)) => Ok(()),
        Some(format) => Err(unknown(format.to_string())),
        None => Err(StoreError::NotAStore {
            path: dir.to_owned(),
            reason: format!("{VERSION_FILE} does not say which format it has"),
        }),
    }
}
