//! A writer thread behind a bounded queue: callers wait asynchronously for room, the thread waits for requests.

#[cfg(test)]
mod tests;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::fault::{Health, io_error};
use crate::StoreError;

/// How many requests wait at most.
const SLOTS: usize = 256;

/// Where a writer thread answers.
pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// A request with its place in the queue, which is given back when it is dropped.
pub(super) struct Queued<R> {
    pub(super) request: R,
    pub(super) permits: Permits,
}

/// A place in the queue and the request's bytes in its budget.
pub(super) struct Permits {
    _slot: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

/// A named thread and the queue that feeds it. Dropping it lets the thread finish what is queued, and waits for it.
pub(super) struct Writer<R> {
    name: &'static str,
    health: Arc<Health>,
    sender: Mutex<Option<SyncSender<Queued<R>>>>,
    slots: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    max_bytes: usize,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl<R: Send + 'static> Writer<R> {
    /// Starts `run` on a thread of its own. It ends when the queue is closed and empty; a panic becomes the store's
    /// fault.
    pub(super) fn spawn(
        name: &'static str,
        max_bytes: usize,
        health: Arc<Health>,
        run: impl FnOnce(Receiver<Queued<R>>) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (sender, receiver) = sync_channel(SLOTS);
        let thread_health = Arc::clone(&health);
        let thread = std::thread::Builder::new()
            .name(format!("store-{name}"))
            .spawn(move || {
                if catch_unwind(AssertUnwindSafe(|| run(receiver))).is_err() {
                    thread_health.fail(&ended(name));
                }
            })
            .map_err(|e| io_error("start a thread for", std::path::Path::new(name), e))?;
        Ok(Self {
            name,
            health,
            sender: Mutex::new(Some(sender)),
            slots: Arc::new(Semaphore::new(SLOTS)),
            bytes: Arc::new(Semaphore::new(max_bytes)),
            max_bytes,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Waits for room, hands the request over and waits for the answer. A caller that is dropped while it waits for
    /// the answer leaves the request in the queue.
    pub(super) async fn call<T>(&self, bytes: usize, request: impl FnOnce(Reply<T>) -> R) -> Result<T, StoreError> {
        let permits = self.reserve(bytes).await?;
        let (reply, answer) = oneshot::channel();
        self.send(Queued { request: request(reply), permits })?;
        match answer.await {
            Ok(result) => result,
            Err(_) => Err(self.health.check().err().unwrap_or_else(|| ended(self.name))),
        }
    }

    async fn reserve(&self, bytes: usize) -> Result<Permits, StoreError> {
        self.health.check()?;
        let bytes = u32::try_from(bytes.clamp(1, self.max_bytes)).unwrap_or(u32::MAX);
        let closed = |_| StoreError::Closed;
        Ok(Permits {
            _slot: Arc::clone(&self.slots).acquire_owned().await.map_err(closed)?,
            _bytes: Arc::clone(&self.bytes).acquire_many_owned(bytes).await.map_err(closed)?,
        })
    }

    fn send(&self, queued: Queued<R>) -> Result<(), StoreError> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = sender.as_ref().ok_or(StoreError::Closed)?;
        // The slot that the request holds keeps the channel from being full: what fails is a thread that has ended.
        sender.try_send(queued).map_err(|_| self.health.check().err().unwrap_or_else(|| ended(self.name)))
    }

    /// Takes no more requests, finishes those that wait, and waits for the thread. Blocks.
    pub(super) fn close(&self) {
        self.slots.close();
        self.bytes.close();
        drop(self.sender.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic was caught inside and kept as the store's fault.
            drop(thread.join());
        }
    }
}

impl<R> Drop for Writer<R> {
    fn drop(&mut self) {
        self.slots.close();
        drop(self.sender.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(thread.join());
        }
    }
}

fn ended(name: &str) -> StoreError {
    StoreError::Database(format!("the {name} writer has ended unexpectedly; open the store again"))
}

/// Answers everyone in a group: each with its own result, or all with the store's fault.
pub(super) fn answer_all<T>(health: &Health, replies: Vec<(Reply<T>, T)>) {
    for (reply, result) in replies {
        // A caller that has gone away does not want its answer.
        drop(reply.send(health.check().map(|()| result)));
    }
}
