//! Errors of the machine below: what they are called, and that after the first one nothing is written any more.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use crate::StoreError;

/// An error of the file system; a full disk is told apart.
pub(super) fn io_error(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    if is_full(&source) {
        return StoreError::Full { path: path.to_owned() };
    }
    StoreError::Io { action, path: path.to_owned(), source }
}

/// Whether the disk (or the user's part of it) is full.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The first write that failed. What the database and the files hold in memory can then differ from what is on the
/// disk, so nothing is read or written any more until the store is opened anew.
#[derive(Debug)]
pub(super) struct Health {
    dir: PathBuf,
    fault: OnceLock<Fault>,
}

/// A [`StoreError`] that many callers can be given.
#[derive(Debug, Clone)]
enum Fault {
    Full(PathBuf),
    Io { action: &'static str, path: PathBuf, kind: io::ErrorKind, text: String },
    Database(String),
}

impl Health {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), fault: OnceLock::new() }
    }

    /// The error that every call answers, if there is one.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.fault.get().map_or(Ok(()), |fault| Err(fault.to_error()))
    }

    /// Keeps the first error of a write; later ones are consequences. Answers the one that is kept.
    pub(super) fn fail(&self, error: &StoreError) -> StoreError {
        self.fault.get_or_init(|| Fault::of(error, &self.dir)).to_error()
    }

    /// An error of the database. It says of a background thread that failed only *that* it failed, so ask the disk.
    pub(super) fn database(&self, error: &fjall::Error) -> StoreError {
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(e) = cause {
            if e.downcast_ref::<io::Error>().is_some_and(is_full) {
                return StoreError::Full { path: self.dir.clone() };
            }
            cause = e.source();
        }
        if matches!(error, fjall::Error::Poisoned) {
            if let Err(e) = self.check() {
                return e;
            }
            if self.probe().is_err_and(|e| is_full(&e)) {
                return StoreError::Full { path: self.dir.clone() };
            }
        }
        StoreError::Database(format!("{error:?}"))
    }

    /// Whether some bytes can still be written.
    fn probe(&self) -> io::Result<()> {
        let path = self.dir.join("probe.tmp");
        let written = std::fs::write(&path, vec![0; 1 << 20]);
        std::fs::remove_file(&path)?;
        written
    }
}

impl Fault {
    fn of(error: &StoreError, dir: &Path) -> Self {
        match error {
            StoreError::Full { .. } => Self::Full(dir.to_owned()),
            StoreError::Io { action, path, source } => {
                Self::Io { action, path: path.clone(), kind: source.kind(), text: source.to_string() }
            }
            StoreError::Database(text) => Self::Database(text.clone()),
            other => Self::Database(other.to_string()),
        }
    }

    fn to_error(&self) -> StoreError {
        match self.clone() {
            Self::Full(path) => StoreError::Full { path },
            Self::Io { action, path, kind, text } => {
                StoreError::Io { action, path, source: io::Error::new(kind, text) }
            }
            Self::Database(text) => StoreError::Database(text),
        }
    }
}
