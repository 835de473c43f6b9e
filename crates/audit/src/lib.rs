//! Verification: recomputes every invariant from what is stored, in bounded memory.
//!
//! [`verify`] trusts nothing that was counted on the way. It goes once over bronze, once over silver and once over the
//! event log, judges every row again, and joins what it finds by key on disk where memory is short:
//!
//! ```text
//! ledger ──▶ counts, stamps, open shards                                 I1 I7
//! bronze ──▶ hash, judge ──┬─▶ dead letters, merged shard by shard       I4 I5
//!                          └─▶ one tuple a claim ──┐
//! silver ──▶ fold ─▶ gold, compared                │                     I3
//!        └─▶ one tuple a document ─────────────────┼─▶ join by key hash  I2 I6
//! events ──▶ one tuple an accepted row ────────────┘
//! ```
//! It only reads. Nothing else should write to the store meanwhile: what is committed between two passes shows up as a
//! difference.

mod audit;
mod bronze;
mod error;
mod events;
mod explain;
mod gold;
mod jobs;
mod join;
mod ledger;
mod letters;
mod pages;
mod pipeline;
mod plans;
mod progress;
mod replay;
mod report;
mod silver;
mod stamps;
mod tuples;

pub use audit::{Scope, VerifyOptions, verify};
pub use error::AuditError;
pub use progress::Progress;
pub use report::{Check, Outcome, Report};
