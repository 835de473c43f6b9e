//! What the rest of the world is told: one event for each accepted and each rejected row, one for each settled shard.
//!
//! A worker hands over one [`ShardEvents`] a shard; a backend delivers it as CloudEvents, acknowledged, or keeps it as
//! one record that expands to CloudEvents.

mod error;
mod records;
mod traits;

pub use error::EventsError;
pub use records::{AcceptedRow, RejectedRow, ShardEvents};
pub use traits::{EventLog, LogCursor, LogPage};
