//! The messages between supervisor, workers and clients, generated from `proto/ensemble/v1`, and their conversions to
//! the types of the store.

mod convert;
mod dial;
mod layers;
mod link;
mod remote_log;
mod remote_store;
mod status;

pub use convert::ConvertError;
pub use dial::{KEEPALIVE, endpoint};

pub use link::{SupervisorEnd, WorkerEnd, feed, from_stream, in_process, to_stream};
pub use remote_log::RemoteLog;
pub use remote_store::RemoteStore;
pub use status::{Refusal, hello_mismatch, reason_of};

/// Version 1 of the messages.
#[allow(clippy::all, missing_docs, unreachable_pub, rust_2018_idioms, reason = "generated")]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/ensemble.v1.rs"));
}

/// The files of `proto/ensemble/v1` as an encoded `FileDescriptorSet`, for reflection.
pub const FILE_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The version of the link between supervisor and worker: both sides must have the same.
pub const PROTOCOL_VERSION: u32 = 2;

/// The largest message that either side of the link takes: a shard and what is said of it.
pub const MAX_MESSAGE_BYTES: usize = 256 << 20;

/// The most records of a page of the layers.
pub const MAX_PAGE: usize = 10_000;

/// The largest shard that a job served over the network may ask for, in bytes, with its longest record.
pub const MAX_SHARD_BYTES: u64 = 64 << 20;
