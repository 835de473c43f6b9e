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
