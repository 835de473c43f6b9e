//! A password.

use std::{fmt, path::Path};

use crate::EventsError;

/// A text that is never shown: its `Debug` is `***`, and it has no `Display`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Reads a secret from a file, without the line end that editors leave there. Blocks.
    ///
    /// # Errors
    /// `Io` where the file cannot be read as UTF-8. Mend the file before trying again.
    pub fn read(path: &Path) -> Result<Self, EventsError> {
        let text = std::fs::read_to_string(path).map_err(|e| EventsError::io("read", path, e))?;
        Ok(Self(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text itself, for the one place that needs it.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_and_not_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter2 \r\n").unwrap();
        let secret = Secret::read(file.path()).unwrap();
        assert_eq!(secret.expose(), "hunter2 ");
        assert_eq!(format!("{secret:?}"), "***");
        let error = Secret::read(Path::new("/nowhere/at all")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/at all"), "{error}");
    }
}
