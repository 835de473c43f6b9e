//! The store on MongoDB, at the server that `ENSEMBLE_TEST_MONGODB_URI` names: a real replica set, or the stand-in of
//! `scripts/servers`. Run with `cargo test -p ensemble-store --all-features --test mongodb`.

mod documents;
mod refusals;
mod silver;
mod support;

/// The suite for every backend.
mod suite {
    ensemble_store::conformance_tests!(crate::support::MongoFixture::new());
}
