//! The working role: validators, which judge the rows of a shard, and the committer, which makes a shard count exactly
//! once.
//!
//! [`Committer`] is plain code over the traits of the store and the event log; the actors around it ([`WorkerHandle`])
//! only move messages. A worker knows its supervisor by the link alone.

mod claims;
mod commit;
mod error;
mod remote;
mod validator;
mod worker;

pub use commit::{Committer, ShardWork};
pub use error::CommitError;
pub use remote::{RemoteError, RemoteWorker};
pub use worker::{WorkerArgs, WorkerError, WorkerHandle};
