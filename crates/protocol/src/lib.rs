//! The messages between supervisor and workers, generated from `proto/ensemble/v1`, and their conversions to the types
//! of the store.

mod convert;
mod link;

pub use convert::ConvertError;
pub use link::{SupervisorEnd, WorkerEnd, in_process};

/// Version 1 of the messages.
#[allow(clippy::all, missing_docs, unreachable_pub, rust_2018_idioms, reason = "generated")]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/ensemble.v1.rs"));
}

/// The version of the link between supervisor and worker: both sides must have the same.
pub const PROTOCOL_VERSION: u32 = 1;
