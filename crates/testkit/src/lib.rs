//! Generators and fakes for tests and demonstrations.

pub mod sim_store;
pub mod tracks;
