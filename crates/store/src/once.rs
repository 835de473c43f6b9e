//! *Inserts or finds*: the two records of a shard that exist once, whoever writes them first.
//!
//! A refused insert decides nothing by itself: what refused it may not be durable yet, and may be rolled back. Only
//! what a read returns counts.

use std::time::Duration;

use crate::{Clock, DecisionRecord, ErrorClass, Insert, LedgerEntry, Store, StoreError, micros};

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Bounds the repeats of one piece of work: pauses that double from 2 ms to 500 ms, until a deadline that progress moves.
#[derive(Clone)]
pub struct Retry<'a> {
    clock: &'a dyn Clock,
    /// How long it may go on without progress.
    patience_us: i64,
    /// By the monotonic clock.
    deadline_us: i64,
    pause: Duration,
}

impl<'a> Retry<'a> {
    /// Repeats for as long as this, from now on.
    pub fn within(clock: &'a dyn Clock, patience: Duration) -> Self {
        let patience_us = micros(patience);
        let deadline_us = clock.monotonic_us().saturating_add(patience_us);
        Self { clock, patience_us, deadline_us, pause: FIRST_PAUSE }
    }

    /// A part of the work is done: what follows has as long as all had at first. Work that a slow store takes long for
    /// is not given up as long as it goes on.
    pub fn progressed(&mut self) {
        self.deadline_us = self.clock.monotonic_us().saturating_add(self.patience_us);
        self.pause = FIRST_PAUSE;
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// [`StoreError::GaveUp`] with `reason` once the deadline has passed. Cancel-safe.
    pub async fn pause(&mut self, reason: &str) -> Result<(), StoreError> {
        if self.clock.monotonic_us() >= self.deadline_us {
            return Err(StoreError::GaveUp(reason.to_owned()));
        }
        self.clock.sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }

    /// Calls `operation` again while it fails with a transient error.
    ///
    /// # Errors
    /// The first error that is not transient, or [`StoreError::GaveUp`] at the deadline.
    pub async fn run<T, F>(&mut self, operation: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            match operation().await {
                Err(e) if e.class() == ErrorClass::Transient => self.pause(&e.to_string()).await?,
                other => return other,
            }
        }
    }
}

/// Inserts a shard's decision record, or finds the one that came first: that one is to be obeyed.
///
/// # Errors
/// Those of the store; transient ones only once `retry` has given up.
pub async fn decide(
    store: &dyn Store,
    retry: &mut Retry<'_>,
    mine: DecisionRecord,
) -> Result<DecisionRecord, StoreError> {
    loop {
        if retry.run(|| store.insert_decision(&mine)).await? == Insert::Inserted {
            return Ok(mine);
        }
        if let Some(first) = retry.run(|| store.decision(mine.plan.shard)).await? {
            return Ok(first);
        }
        retry.pause("the decision record that came first is not durable yet").await?;
    }
}

/// Inserts a shard's ledger entry, or finds the one that came first: that one counts.
///
/// # Errors
/// Those of the store; transient ones only once `retry` has given up.
pub async fn settle(store: &dyn Store, retry: &mut Retry<'_>, mine: LedgerEntry) -> Result<LedgerEntry, StoreError> {
    loop {
        if retry.run(|| store.insert_ledger(&mine)).await? == Insert::Inserted {
            return Ok(mine);
        }
        if let Some(first) = retry.run(|| store.ledger(mine.plan.shard)).await? {
            return Ok(first);
        }
        retry.pause("the ledger entry that came first is not durable yet").await?;
    }
}
