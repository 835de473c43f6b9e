//! Generators and fakes for tests and demonstrations.

#[cfg(any(test, feature = "proxy"))]
mod listener;
#[cfg(any(test, feature = "proxy"))]
pub mod mongo_proxy;
#[cfg(any(test, feature = "objects"))]
pub mod object_server;
pub mod sim_store;
#[cfg(any(test, feature = "proxy"))]
pub mod tcp_proxy;
pub mod tracks;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What these locks guard is whole whenever they are free, whoever panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
