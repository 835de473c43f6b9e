//! Blocking work of callers, a bounded number at once.

use std::sync::Arc;

use tokio::{sync::Semaphore, task::spawn_blocking};

use super::fault::Health;
use crate::StoreError;

/// Runs reads, and preparations of writes, on blocking threads.
pub(super) struct Readers {
    slots: Arc<Semaphore>,
    count: u32,
    health: Arc<Health>,
}

impl Readers {
    pub(super) fn new(count: usize, health: &Arc<Health>) -> Self {
        let count = u32::try_from(count).unwrap_or(1);
        Self { slots: Arc::new(Semaphore::new(count as usize)), count, health: Arc::clone(health) }
    }

    /// Runs `work` once there is a slot. A caller that is dropped leaves it running, in its slot.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        self.health.check()?;
        let result = spawn_blocking(move || {
            let result = work();
            drop(slot);
            result
        });
        match result.await {
            // What was read while a write failed may be what the write left half done.
            Ok(result) => self.health.check().and(result),
            Err(e) if e.is_cancelled() => Err(StoreError::Closed),
            Err(_) => Err(StoreError::Database("a read has ended unexpectedly; open the store again".to_owned())),
        }
    }

    /// Takes no more work and waits for what is running.
    pub(super) async fn close(&self) {
        // Fails where it is closed already.
        drop(self.slots.acquire_many(self.count).await);
        self.slots.close();
    }
}
