//! Errors on the wire: one table from what is wrong to a gRPC code and its `google.rpc` details.

use std::{collections::HashMap, time::Duration};

use ensemble_store::ErrorClass;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{PROTOCOL_VERSION, v1};

/// What `ErrorInfo` calls this program.
const DOMAIN: &str = "ensemble";
/// When a call that may work later should be made again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Details travel in a header, which is bounded.
const MESSAGE_BYTES: usize = 4096;

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A field of the request is wrong; name it. Final.
    InvalidField(&'static str),
    /// There is no such job, view or upload. Final.
    NotFound,
    /// The job, upload or worker is in a state in which this cannot be done. Final.
    WrongState,
    /// An upload's bytes arrived damaged, or leave a gap: send them again from what is durable. Or the event log's stored
    /// ones are damaged.
    DamagedBytes,
    /// The store or the event log is away, or no supervisor is in office. The same call may work later.
    Unavailable,
    /// Something is wrong here that no caller can mend.
    Internal,
}

impl Refusal {
    /// What an error of this class is to a caller.
    pub fn from_class(class: ErrorClass) -> Self {
        match class {
            ErrorClass::Transient => Self::Unavailable,
            ErrorClass::Invalid => Self::WrongState,
            ErrorClass::Fatal => Self::Internal,
        }
    }

    /// The table.
    fn row(self) -> (Code, &'static str) {
        match self {
            Self::InvalidField(_) => (Code::InvalidArgument, "INVALID_FIELD"),
            Self::NotFound => (Code::NotFound, "NOT_FOUND"),
            Self::WrongState => (Code::FailedPrecondition, "WRONG_STATE"),
            Self::DamagedBytes => (Code::DataLoss, "DAMAGED_BYTES"),
            Self::Unavailable => (Code::Unavailable, "UNAVAILABLE"),
            Self::Internal => (Code::Internal, "INTERNAL"),
        }
    }

    /// The refusal as a status; `message` says what is wrong and what to do.
    pub fn status(self, message: impl std::fmt::Display) -> Status {
        let (code, reason) = self.row();
        let mut message = message.to_string();
        if message.len() > MESSAGE_BYTES {
            let end = (0..=MESSAGE_BYTES).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
            message.truncate(end);
            message.push('…');
        }
        let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
        match self {
            Self::InvalidField(field) => {
                details.add_bad_request_violation(field, &message);
                message = format!("{field}: {message}");
            }
            Self::Unavailable => {
                details.set_retry_info(Some(RETRY_AFTER));
            }
            _ => {}
        }
        Status::with_error_details(code, message, details)
    }
}

/// Why a worker that says this is refused, where it is: it is of another version.
pub fn hello_mismatch(hello: &v1::WorkerHello, engine_version: u32) -> Option<String> {
    let same = (hello.protocol_version, hello.engine_version) == (PROTOCOL_VERSION, engine_version);
    (!same).then(|| {
        format!(
            "worker {} speaks protocol {} and engine {}, and this supervisor {PROTOCOL_VERSION} and {engine_version}; \
             run the same version of the program on both sides",
            hello.worker_id, hello.protocol_version, hello.engine_version
        )
    })
}

/// The reason in a status, such as `NOT_FOUND`; none where another program has refused.
pub fn reason_of(status: &Status) -> Option<String> {
    status.get_details_error_info().filter(|info| info.domain == DOMAIN).map(|info| info.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_is_wrong_and_whether_to_try_again() {
        let status = Refusal::InvalidField("csv_files").status("name a file");
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "csv_files: name a file"));
        assert_eq!(reason_of(&status).as_deref(), Some("INVALID_FIELD"));
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!((violations[0].field.as_str(), violations[0].description.as_str()), ("csv_files", "name a file"));
        assert!(status.get_details_retry_info().is_none());

        let status = Refusal::from_class(ErrorClass::Transient).status("the store is away");
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(RETRY_AFTER));
    }

    #[test]
    fn a_message_longer_than_a_header_takes_is_cut_at_a_character() {
        let status = Refusal::Internal.status("é".repeat(MESSAGE_BYTES));
        assert!(status.message().len() < MESSAGE_BYTES + 4 && status.message().ends_with("é…"));
    }

    #[test]
    fn a_worker_of_another_version_is_told_both() {
        let mut hello =
            v1::WorkerHello { worker_id: "w".into(), protocol_version: PROTOCOL_VERSION, ..Default::default() };
        hello.engine_version = 7;
        assert_eq!(hello_mismatch(&hello, 7), None);
        let message = hello_mismatch(&hello, 8).unwrap();
        assert!(message.contains("engine 7") && message.contains("and 8"), "{message}");
    }
}
