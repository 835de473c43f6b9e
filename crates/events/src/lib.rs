//! What the rest of the world is told: one event for each accepted and each rejected row, one for each settled shard.
//!
//! A worker hands over one [`ShardEvents`] a shard; a backend delivers it as CloudEvents, acknowledged, or keeps it as
//! one record that expands to CloudEvents. [`embedded`] keeps it in files of this machine, [`kafka`] delivers it to
//! Kafka, [`NoEvents`] does neither; [`expand()`] makes the events of it.

mod codec;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod embedded;
mod error;
pub mod expand;
pub mod kafka;
mod none;
mod records;
mod traits;

pub use codec::BadRecord;
pub use embedded::{EmbeddedLog, EmbeddedLogOptions};
pub use error::EventsError;
pub use expand::{CloudEvent, EventData, EventType, Expansion, expand};
pub use kafka::{KafkaLog, KafkaOptions, KafkaUrl};
pub use none::NoEvents;
pub use records::{AcceptedRow, RejectedRow, ShardEvents, ShardPart};
pub use traits::{EventLog, LogCursor, LogPage, PartPage};
