//! What the server's and the driver's errors mean to a caller.

use mongodb::error::{Error, ErrorKind, WriteFailure};

use crate::StoreError;

/// Codes of errors that pass: no primary here, an election, a shutdown, a time limit, no majority in time, a race
/// inside the server, a cursor that is gone.
const PASSING: &[i32] = &[
    6, 7, 24, 43, 46, 50, 63, 64, 79, 89, 91, 100, 112, 117, 133, 134, 150, 175, 189, 202, 216, 237, 246, 251, 262,
    290, 314, 462, 9001, 10058, 10107, 11600, 11601, 11602, 13435, 13436,
];

/// A full disk: the server's, which somebody has to mend while callers wait.
const DISK_FULL: i32 = 14031;
const PASSING_LABELS: [&str; 4] =
    ["RetryableWriteError", "TransientTransactionError", "RetryableError", "SystemOverloadedError"];
const NO_RIGHTS: i32 = 13;
const NO_LOG_IN: [i32; 2] = [18, 8000];
const TOO_LARGE: [i32; 4] = [10334, 17419, 17420, 17280];
const DUPLICATE: [i32; 3] = [11000, 11001, 12582];

/// The most bytes of a document that the server stores.
pub(super) const MAX_DOCUMENT: usize = 16 << 20;

/// Whether a write was refused because its id is there.
pub(super) fn is_duplicate(code: i32) -> bool {
    DUPLICATE.contains(&code)
}

/// Which server, and what was tried: what an error has to say besides the server's words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) server: &'a str,
    pub(super) action: &'static str,
}

impl Attempt<'_> {
    /// It may pass, and may have worked.
    pub(super) fn unavailable(self, reason: impl std::fmt::Display) -> StoreError {
        StoreError::Unavailable(format!("{} did not {}: {reason}", self.server, self.action))
    }

    fn refused(self, problem: String) -> StoreError {
        StoreError::Refused { server: self.server.to_owned(), problem }
    }

    /// An error by the server's code for it.
    pub(super) fn by_code(self, code: i32, message: &str) -> StoreError {
        let Self { server, action } = self;
        if PASSING.contains(&code) {
            return self.unavailable(format!("{message} (code {code})"));
        }
        if code == DISK_FULL {
            return self.unavailable(format!("{message}; free some space on the server's disk"));
        }
        if code == NO_RIGHTS {
            let needs = "give the user the role readWrite on the database";
            return self.refused(format!("does not let this user {action}: {message}; {needs}"));
        }
        if NO_LOG_IN.contains(&code) {
            return self.refused(no_log_in(message));
        }
        if TOO_LARGE.contains(&code) {
            let what = format!("a document to {action}");
            return StoreError::TooLarge { what, length: MAX_DOCUMENT + 1, limit: MAX_DOCUMENT };
        }
        StoreError::Server { server: server.to_owned(), action, reason: format!("{message} (code {code})") }
    }

    /// A driver's error.
    pub(super) fn error(self, error: &Error) -> StoreError {
        if PASSING_LABELS.iter().any(|label| error.contains_label(label)) {
            return self.unavailable(error);
        }
        match &*error.kind {
            ErrorKind::Command(e) => self.by_code(e.code, &e.message),
            ErrorKind::Write(WriteFailure::WriteError(e)) => self.by_code(e.code, &e.message),
            // Whether it stays is not known.
            ErrorKind::Write(WriteFailure::WriteConcernError(e)) => self.unavailable(&e.message),
            ErrorKind::Authentication { message, .. } => self.refused(no_log_in(message)),
            ErrorKind::InvalidTlsConfig { message, .. } => self.refused(format!("cannot be reached by TLS: {message}")),
            ErrorKind::Io(_)
            | ErrorKind::ConnectionPoolCleared { .. }
            | ErrorKind::ServerSelection { .. }
            | ErrorKind::DnsResolve { .. }
            // A frame that makes no sense leaves open whether the command has worked.
            | ErrorKind::InvalidResponse { .. }
            | ErrorKind::Bson(_)
            | ErrorKind::BsonDeserialization(_) => self.unavailable(error),
            ErrorKind::Shutdown => StoreError::Closed,
            _ => {
                let Self { server, action } = self;
                StoreError::Server { server: server.to_owned(), action, reason: error.to_string() }
            }
        }
    }
}

fn no_log_in(message: &str) -> String {
    format!("refused the log-in: {message}; check user, password and authSource")
}

/// A stored document is not what was written.
pub(super) fn corrupt(what: &str, id: &str, reason: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt { what: format!("{what} {id}"), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorClass;

    #[test]
    fn codes_have_their_classes() {
        let attempt = Attempt { server: "mongodb://h/db", action: "insert claims" };
        let passing = [10107, 189, 91, 11600, 50, 64, 112, 262, 13435, 14031];
        for code in passing {
            assert_eq!(attempt.by_code(code, "words").class(), ErrorClass::Transient, "{code}");
        }
        for code in [13, 18, 8000] {
            let error = attempt.by_code(code, "words");
            assert!(
                matches!(error, StoreError::Refused { .. }) && error.class() == ErrorClass::Fatal,
                "{code}: {error}"
            );
        }
        assert!(matches!(attempt.by_code(10334, "words"), StoreError::TooLarge { .. }));
        let other = attempt.by_code(121, "words");
        assert!(matches!(other, StoreError::Server { .. }) && other.class() == ErrorClass::Fatal);
        assert_eq!(other.to_string(), "mongodb://h/db failed to insert claims: words (code 121)");
    }
}
