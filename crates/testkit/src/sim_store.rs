//! A store and an event log that yield, fail, lose replies and roll back, as a seed wants it.
//!
//! [`SimStore`] behaves as a replica set: writes happen on a primary and count once a majority has them, reads return
//! what a majority has, and a fail-over throws away what only the old primary had. Nothing here uses a timer or a
//! thread: a call waits by returning `Pending` once, so that whoever polls the futures decides what happens when, and
//! the same seed and the same polls end in the same bits.

mod clock;
mod counts;
mod events;
mod random;
mod replica;
mod store;
mod write;

pub use clock::{SimClock, yield_now};
pub use counts::SimCounts;
pub use events::SimEvents;
pub use random::Random;
pub use store::SimStore;

/// How often calls fail. All rates are probabilities from 0 to 1, for one call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weather {
    /// A call fails before it has done anything.
    pub refuse: f64,
    /// A write is done, and its answer never arrives.
    pub lose_reply: f64,
    /// A call waits once more before it goes on; also between the parts of a batch.
    pub linger: f64,
    /// A write that waits for its majority replicates by itself: nobody else has to.
    pub self_replicating: bool,
}

impl Weather {
    /// Nothing fails, and nobody has to replicate.
    pub const CALM: Self = Self { refuse: 0.0, lose_reply: 0.0, linger: 0.0, self_replicating: true };
}

/// The rules of the store that are broken on purpose, to see that it is noticed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Broken {
    /// Reads return what the primary has.
    pub read: bool,
    /// A write counts before a majority has it.
    pub concern: bool,
    /// A second ledger entry of a shard is taken as well.
    pub ledger: bool,
}

#[cfg(test)]
mod tests;
