//! The store on MongoDB: one database of a replica set, any number of processes.
//!
//! | collection | one document a | `_id` |
//! |---|---|---|
//! | `spotify_raw`, and each bronze collection by its name | decision record, with the shard's bytes | shard |
//! | each silver collection by its name | key: the row's values as fields, and who claims it | key |
//! | `rejected_rows` | rejected row | shard and position |
//! | `ensemble_ledger` | settled shard | shard |
//! | `ensemble_jobs`, `_counters`, `_checkpoints`, `_leases` | fenced document | its id |
//! | each gold view by its name | cell: its accumulators, and `row` (or `rows`) as readers see it | key in hex digits |
//! | `ensemble_spool` | shard of a source that cannot be read twice | shard |
//! | `ensemble_silver` | silver collection: its columns; and bronze collection, so that none is both | its name |
//! | `ensemble_bronze` | job: the collection that its bronze is in | job |
//! | `ensemble_store` | the store's format | `store` |
//! | `….parts` | part of what is too large for one document | shard, digest, number |
//!
//! A shard's id is its job and its number with zeros in front, so that the order of ids is the order in which shards
//! are scanned, and every scan is a range of ids.
//!
//! # What it rests on
//! Single documents: *insert if absent*, *replace if the stamp equals*, and reads of what a majority has. Whatever the
//! connection string says, writes are `w: majority, j: true` with a time limit, and reads are from the primary at read
//! concern `majority`. There are no transactions, no pipelines and no server-side code.
//!
//! Right after a fail-over a new primary may not know yet that a majority has what it has, so that a read may miss for
//! a moment what was acknowledged. That is harmless here: what is read decides only together with an insert or a
//! compare-and-set, or is read again.
//!
//! # Bounds
//! Every call ends: each command has a time limit at the server, at the driver and here. Requests are cut into commands
//! of at most [`MongoOptions::batch_documents`] and [`MongoOptions::batch_bytes`], and at most
//! [`MongoOptions::in_flight`] are under way. Nothing is repeated here but what waits for a majority to get what is
//! there already, with pauses and an end: repeats belong to the caller, who knows the lease's deadline.
//!
//! # Errors
//! | what | answer |
//! |---|---|
//! | no primary, network, time limit, election, shutdown, no majority in time, full disk of the server | [`Unavailable`](crate::StoreError::Unavailable): it may have worked; again |
//! | the id is there | no error: *present*, `false`, or as the trait says |
//! | a document of more than 16 MiB, a key of more than 64 KiB | [`TooLarge`](crate::StoreError::TooLarge) |
//! | wrong password, missing rights, unknown host, TLS | [`Refused`](crate::StoreError::Refused) |
//! | a silver collection that is not declared, or otherwise | [`Silver`](crate::StoreError::Silver) |
//! | a bronze collection whose name something else has | [`Bronze`](crate::StoreError::Bronze) |
//! | all else that the server says | [`Server`](crate::StoreError::Server), with its words and code |

mod bronze;
mod bronze_names;
mod command;
mod connect;
mod documents;
mod errors;
mod gold;
mod keep;
mod ledger;
mod letters;
mod migrate;
mod names;
mod options;
mod payload;
mod records;
mod server;
mod silver;
mod store;
mod writer;

pub use options::{MongoCollections, MongoOptions};
pub use store::MongoStore;
