//! Where the layers live: bronze, silver, dead letters, the ledger, gold and the supervisor's own documents.
//!
//! [`Store`] asks of a backend only what one MongoDB document gives: *insert if absent* and *replace if the stamp
//! equals*, both acknowledged once they are durable (on a replica set: by a majority), and reads of what is durable.
//! Everything that makes a shard count exactly once stands above it, in the worker's committer.

mod clock;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod embedded;
mod error;
mod ids;
pub mod mongo;
mod once;
mod patient;
mod records;
mod secret;
mod traits;

pub use clock::{Clock, SystemClock, micros};
pub use embedded::{EmbeddedOptions, EmbeddedStore, compress_if_it_pays, forget_cached};
pub use error::{ErrorClass, StoreError};
pub use ids::{Epoch, JobId, JobNumber, Position, Rank, ShardId, Stamp, key_prefix};
pub use mongo::{MongoCollections, MongoOptions, MongoStore};
pub use once::{Retry, decide, settle};
pub use patient::{Patience, PatientStore};
pub use records::{
    Claim, ClaimInsert, DeadLetter, Decision, DecisionRecord, Document, DocumentKind, GoldCell, GoldRows, Insert,
    LedgerEntry, NewClaim, Replacement, ShardKind, ShardPlan, SilverDoc, SpooledShard,
};
pub use secret::Secret;
pub use traits::Store;
