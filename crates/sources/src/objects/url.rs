//! How objects are named.

use std::{fmt, str::FromStr};

use object_store::path::Path;

use crate::{
    SourceError,
    files::{MATCH, WILD},
};

const SCHEME: &str = "s3://";

/// `s3://BUCKET/KEY`: an object, or, as a root, everything whose key begins with these parts. The key stands as it is,
/// without any quoting; keys that begin with a slash, or have empty parts, cannot be named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectUrl {
    bucket: String,
    key: Path,
}

impl ObjectUrl {
    pub(super) fn new(bucket: String, key: Path) -> Self {
        Self { bucket, key }
    }

    /// The name of its bucket.
    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Its name in the bucket.
    pub(super) fn key(&self) -> &Path {
        &self.key
    }

    /// `s3://BUCKET` or `s3://BUCKET/PREFIX`.
    ///
    /// # Errors
    /// Where it is no such URL.
    pub fn root(text: &str) -> Result<Self, SourceError> {
        let bad = |reason: String| SourceError::BadUrl { url: text.to_owned(), reason };
        let (bucket, key) = parts(text)?;
        if bucket.is_empty() {
            return Err(bad("it names no bucket".to_owned()));
        }
        if key.starts_with('/') {
            return Err(bad(
                "its key begins with a slash; such an object has to be copied under another name".to_owned()
            ));
        }
        let key = Path::parse(key).map_err(|e| bad(e.to_string()))?;
        Ok(Self { bucket: bucket.to_owned(), key })
    }

    /// Whether its key begins with the parts of the root's.
    pub(crate) fn is_below(&self, root: &Self) -> bool {
        self.bucket == root.bucket && self.key.prefix_matches(&root.key)
    }

    /// The last folder of a pattern that is without `*`, `?` and `[…]`, and what its matches match.
    pub(super) fn pattern(text: &str) -> Result<(Self, impl Fn(&str) -> bool + Send + use<>), SourceError> {
        let bad = |reason| SourceError::BadPattern { pattern: text.to_owned(), reason };
        let (bucket, key) = parts(text)?;
        if bucket.contains(WILD) {
            return Err(bad("a bucket is named without wildcards"));
        }
        let plain = text.find(WILD).unwrap_or(text.len());
        let folder = Self::root(text[..plain].rsplit_once('/').map_or(text, |(folder, _)| folder))?;
        let pattern = glob::Pattern::new(key).map_err(|e| bad(e.msg))?;
        Ok((folder, move |key: &str| pattern.matches_with(key, MATCH)))
    }
}

/// The names of the bucket and of what is in it.
fn parts(text: &str) -> Result<(&str, &str), SourceError> {
    let Some(rest) = text.strip_prefix(SCHEME) else {
        let reason =
            format!("only {SCHEME} URLs and paths can be read; fetch it first, or give it as standard input: -");
        return Err(SourceError::BadUrl { url: text.to_owned(), reason });
    };
    Ok(rest.split_once('/').unwrap_or((rest, "")))
}

impl FromStr for ObjectUrl {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let url = Self::root(text)?;
        if url.key.is_root() || text.ends_with('/') {
            let folder = text.trim_end_matches('/');
            let reason = format!("it names a folder; name its objects, for example {folder}/*.csv");
            return Err(SourceError::BadUrl { url: text.to_owned(), reason });
        }
        Ok(url)
    }
}

impl fmt::Display for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.bucket, self.key)
    }
}
