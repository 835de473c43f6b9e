//! The errors that a replica set answers with, as its members word them.

use bson::{RawArrayBuf, RawDocument, RawDocumentBuf, rawdoc};

use super::message::changed;

/// An error that a member of a replica set answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServerError {
    /// 10107: the member is no primary (any more).
    NotWritablePrimary,
    /// 189: the primary stepped down while it worked.
    PrimarySteppedDown,
    /// 11602: the member changed its state and interrupted what it did.
    InterruptedDueToReplStateChange,
    /// 91: the member shuts down.
    ShutdownInProgress,
    /// 262: the member ran into a limit of its own.
    ExceededTimeLimit,
    /// 50: the member ran into the limit that the client gave.
    MaxTimeMsExpired,
    /// 64: the write is done, and the members that were to acknowledge it did not do so in time.
    WriteConcernFailed,
}

impl ServerError {
    /// The number that drivers go by.
    pub fn code(self) -> i32 {
        match self {
            Self::NotWritablePrimary => 10107,
            Self::PrimarySteppedDown => 189,
            Self::InterruptedDueToReplStateChange => 11602,
            Self::ShutdownInProgress => 91,
            Self::ExceededTimeLimit => 262,
            Self::MaxTimeMsExpired => 50,
            Self::WriteConcernFailed => 64,
        }
    }

    /// The name that goes with the number.
    pub fn code_name(self) -> &'static str {
        match self {
            Self::NotWritablePrimary => "NotWritablePrimary",
            Self::PrimarySteppedDown => "PrimarySteppedDown",
            Self::InterruptedDueToReplStateChange => "InterruptedDueToReplStateChange",
            Self::ShutdownInProgress => "ShutdownInProgress",
            Self::ExceededTimeLimit => "ExceededTimeLimit",
            Self::MaxTimeMsExpired => "MaxTimeMSExpired",
            Self::WriteConcernFailed => "WriteConcernFailed",
        }
    }

    /// Whether a server puts the label `RetryableWriteError` beside it, where the command is a retryable write: one
    /// with a transaction number and outside of a transaction. Of the time limits, the client's own is none of these.
    pub fn is_retryable(self) -> bool {
        match self {
            Self::NotWritablePrimary
            | Self::PrimarySteppedDown
            | Self::InterruptedDueToReplStateChange
            | Self::ShutdownInProgress
            | Self::ExceededTimeLimit => true,
            Self::MaxTimeMsExpired | Self::WriteConcernFailed => false,
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::NotWritablePrimary => "not primary",
            Self::PrimarySteppedDown | Self::InterruptedDueToReplStateChange => "operation was interrupted",
            Self::ShutdownInProgress => "The server is in quiesce mode and will shut down",
            Self::ExceededTimeLimit | Self::MaxTimeMsExpired => "operation exceeded time limit",
            Self::WriteConcernFailed => "waiting for replication timed out",
        }
    }

    /// The answer to a command that failed with it.
    pub(super) fn answer(self, retryable_write: bool) -> RawDocumentBuf {
        let mut answer =
            rawdoc! { "ok": 0.0, "errmsg": self.message(), "code": self.code(), "codeName": self.code_name() };
        self.label(&mut answer, retryable_write);
        answer
    }

    /// The answer to a write that was done, with what went wrong behind it. Labels go beside it, not into it.
    pub(super) fn beside(self, answer: &RawDocument, retryable_write: bool) -> Option<RawDocumentBuf> {
        let mut error = rawdoc! { "code": self.code(), "codeName": self.code_name(), "errmsg": self.message() };
        let concern = rawdoc! { "w": "majority", "j": true, "wtimeout": 0, "provenance": "clientSupplied" };
        let mut info = rawdoc! { "writeConcern": concern };
        if self == Self::WriteConcernFailed {
            info.append(bson::cstr!("wtimeout"), true);
        }
        error.append(bson::cstr!("errInfo"), info);
        let mut with = rawdoc! { "writeConcernError": error };
        self.label(&mut with, retryable_write);
        changed(answer, &[], &with)
    }

    fn label(self, answer: &mut RawDocumentBuf, retryable_write: bool) {
        if retryable_write && self.is_retryable() {
            answer.append(bson::cstr!("errorLabels"), RawArrayBuf::from_iter(["RetryableWriteError"]));
        }
    }
}
