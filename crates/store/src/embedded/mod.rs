//! The embedded store: one directory, one process.
//!
//! ```text
//! DIR/store.json   which format it has          DIR/db/      the database: records, silver
//! DIR/LOCK         held by the one process      DIR/bronze/  the shards' bytes and long deltas, in segment files
//! ```
//! Three threads write. *bronze* appends bytes and writes decision records; *silver* ingests claims as sorted runs;
//! *meta* writes ledger entries, dead letters, documents and gold cells. Each takes all that is waiting as one group,
//! so that many callers share a sync. What is acknowledged when:
//!
//! | write | when it answers |
//! |---|---|
//! | decision, dead letters, forgetting a spooled shard | handed to the operating system; it survives this process |
//! | spooled shard, claims, ledger entry, document, gold cell | synced, and everything acknowledged before it too |
//!
//! Order makes this safe: before a run of claims, a ledger entry or a document can survive the loss of power, the
//! segment files and the journal up to it are synced.
//!
//! The first write that fails ends the store: every later call answers the same error, and opening it anew recovers
//! what was acknowledged.

mod bronze;
mod cached;
mod codec;
mod compress;
mod cursors;
mod engine;
mod fault;
mod filter;
mod journal;
mod layout;
mod meta;
mod options;
mod queue;
mod readers;
mod segments;
mod silver;
mod store;
#[cfg(test)]
mod tests;

pub use cached::forget_cached;
pub use compress::compress_if_it_pays;
pub use options::EmbeddedOptions;
pub use store::EmbeddedStore;
