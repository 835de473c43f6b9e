//! A file that is either complete or not there.

use std::{
    fs::{File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::exit::Failure;

/// The formats of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileFormat {
    Parquet,
    Csv,
}

/// A file to be: written under another name beside it, and renamed once it is complete. Dropped before, it is gone.
pub(crate) struct Target {
    path: PathBuf,
    draft: NamedTempFile,
}

impl FileFormat {
    /// The format that a file's name asks for.
    pub(crate) fn of(path: &Path) -> Result<Self, Failure> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        match extension.as_str() {
            "parquet" => Ok(Self::Parquet),
            "csv" => Ok(Self::Csv),
            _ => {
                let what = if path.is_dir() { "is a directory" } else { "does not tell its format" };
                let error = anyhow::anyhow!("{} {what}; name a file that ends in .parquet or .csv", path.display());
                Err(Failure::could_not_start(error))
            }
        }
    }
}

impl Target {
    /// Makes the draft.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        let refuse =
            |reason: &str| Failure::could_not_start(anyhow::anyhow!("cannot write {}: {reason}", path.display()));
        // A link stays a link: what it names is replaced.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if path.is_dir() {
            return Err(refuse("it is a directory; name a file"));
        }
        if path.exists() && !path.is_file() {
            return Err(refuse("it is not a regular file"));
        }
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("export");
        // What a new file has by default; temporary files are closed to others.
        let draft = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(".tmp")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(parent)
            .map_err(|e| refuse(&e.to_string()))?;
        Ok(Self { path, draft })
    }

    /// The draft, to be written from its beginning on.
    pub(crate) fn file(&self) -> io::Result<File> {
        self.draft.as_file().try_clone()
    }

    /// Makes the file durable under its name, in place of what stood there. Returns its size in bytes.
    pub(crate) fn complete(self) -> io::Result<u64> {
        let file = self.draft.as_file();
        file.sync_all()?;
        let bytes = file.metadata()?.len();
        self.draft.persist(&self.path).map_err(|e| e.error)?;
        Ok(bytes)
    }
}
