//! Why a source cannot be read, or not to its end.

use std::io;

use ensemble_store::ErrorClass;

use crate::{Change, Location};

/// An error of a source. Every message names the source and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No input was named.
    #[error("no input is named; name one or more files, or - for standard input")]
    NoInput,
    /// There is no such file.
    #[error("{path} does not exist; check the path")]
    Missing {
        /// The path as given.
        path: String,
    },
    /// The path is a directory.
    #[error("{path} is a directory; name its files, for example {path}/*.csv")]
    Directory {
        /// The path as given, without a slash at the end.
        path: String,
    },
    /// The path is a pipe, a socket or a device.
    #[error("{path} is not a regular file; give it as standard input instead: - < {path}")]
    NotAFile {
        /// The path as given.
        path: String,
    },
    /// The file exists but cannot be opened.
    #[error("cannot open {path}: {source}; make it readable for this user")]
    Unreadable {
        /// The path as given.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The object cannot be read.
    #[error(
        "cannot read {url}: {source}; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL \
         (AWS_SKIP_SIGNATURE=true for a public bucket)"
    )]
    ObjectUnreadable {
        /// The URL as given.
        url: String,
        /// Why not.
        source: io::Error,
    },
    /// A pattern would have to be compared with more keys than it may.
    #[error("there are more than {most} objects below {folder}; write more of the keys before the first * ? [")]
    TooManyObjects {
        /// What they lie below.
        folder: String,
        /// How many there may be.
        most: usize,
    },
    /// The argument looks like a URL and is none that can be read.
    #[error("{url} cannot be read: {reason}")]
    BadUrl {
        /// The argument.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The path is not UTF-8, so a job could not record it.
    #[error("the path {path} is not valid UTF-8; rename the file")]
    PathNotUtf8 {
        /// The path with replacement characters.
        path: String,
    },
    /// The argument is not a pattern.
    #[error("{pattern} is not a pattern: {reason}; quote * ? [ ] in a name as [*] [?] [[] []]")]
    BadPattern {
        /// The argument.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The pattern matches nothing.
    #[error("no file matches {pattern}; check the pattern, and quote * ? [ ] in a name as [*] [?] [[] []]")]
    NoMatch {
        /// The argument.
        pattern: String,
    },
    /// Two arguments name the same file, so all its rows would be duplicates.
    #[error("{second} is the same file as {first}; name it once")]
    Twice {
        /// The path that came first, as given.
        first: String,
        /// The path that came later, as given.
        second: String,
    },
    /// Standard input stands beside other inputs, or twice.
    #[error("- (standard input) has to be the only input; name the other inputs in a job of their own")]
    StdinNotAlone,
    /// More files than a job can number.
    #[error(
        "{count} files are named, and a job takes at most {most}; split them over several jobs, or join small files"
    )]
    TooManyFiles {
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// Nothing, or nothing but empty lines.
    #[error("{file} is empty; a source begins with a header line")]
    Empty {
        /// The source.
        file: String,
    },
    /// The source begins with the byte order mark of UTF-16 or UTF-32.
    #[error("{file} is UTF-16; convert it to UTF-8 first: iconv -f UTF-16 -t UTF-8")]
    Utf16 {
        /// The source.
        file: String,
    },
    /// The source begins like a known binary format.
    #[error("{file} is {what}, not CSV text; {advice}")]
    Binary {
        /// The source.
        file: String,
        /// The format, with its article.
        what: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// The header holds a byte that no text holds.
    #[error(
        "{file} is not CSV text: its header holds the control byte {byte:#04x} at offset {offset}; \
             a binary file, or text in another encoding: convert it to CSV in UTF-8 first"
    )]
    ControlByte {
        /// The source.
        file: String,
        /// The byte.
        byte: u8,
        /// Its place in the source.
        offset: u64,
    },
    /// The header is not UTF-8.
    #[error(
        "the header of {file} is not valid UTF-8; convert the file first, for example: iconv -f WINDOWS-1252 -t UTF-8"
    )]
    HeaderNotUtf8 {
        /// The source.
        file: String,
    },
    /// The header does not end within the limit of a record.
    #[error("the header of {file} is longer than {limit_bytes} bytes; check that it is CSV text with line ends")]
    HeaderTooLong {
        /// The source.
        file: String,
        /// The limit of a record.
        limit_bytes: usize,
    },
    /// The source ends inside a quoted header name.
    #[error("the header of {file} opens a quote that is never closed; close it")]
    HeaderUnterminated {
        /// The source.
        file: String,
    },
    /// The file is not what it was when the job began.
    #[error("{file} has changed while it was read: {change}; submit it again once nobody writes to it")]
    Changed {
        /// The source.
        file: String,
        /// What shows it.
        change: Change,
    },
    /// The operating system could not read on.
    #[error("cannot read {file} at offset {offset}: {source}; see to the disk or the connection, then try again")]
    Read {
        /// The source.
        file: String,
        /// How far it was read.
        offset: u64,
        /// Why not.
        source: io::Error,
    },
    /// The shards of the job cannot be numbered any more.
    #[error("{file} would need more than 4294967295 shards in one job; raise the shard size, or split the source")]
    TooManyShards {
        /// The source.
        file: String,
    },
}

impl SourceError {
    /// Why a file or an object cannot be opened.
    pub(crate) fn open(name: &str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path: name.to_owned() },
            _ if Location::is_url(name) => Self::ObjectUnreadable { url: name.to_owned(), source },
            _ => Self::Unreadable { path: name.to_owned(), source },
        }
    }

    /// `Invalid` where the source cannot be started, `Fatal` where it failed on the way; `Transient` is for a read that
    /// may succeed when it is repeated from the last cursor.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Changed { .. } | Self::TooManyShards { .. } => ErrorClass::Fatal,
            Self::Read { .. } => ErrorClass::Transient,
            Self::ObjectUnreadable { source, .. } if source.kind() != io::ErrorKind::PermissionDenied => {
                ErrorClass::Transient
            }
            _ => ErrorClass::Invalid,
        }
    }
}
