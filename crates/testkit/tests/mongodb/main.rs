//! The store on MongoDB behind a proxy that does what a replica set's bad days do, at the server that
//! `ENSEMBLE_TEST_MONGODB_URI` names: a real replica set, or the stand-in of `scripts/servers`. Run with
//! `cargo test -p ensemble-testkit --features proxy --test mongodb`.
// Helpers of tests are tests as well.
#![allow(clippy::unwrap_used)]

mod lost_replies;
mod majority;
mod repeating;
mod suite;
mod support;
mod turns;
