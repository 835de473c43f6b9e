//! A database of its own for each test.

use std::sync::Arc;

use ensemble_store::{MongoOptions, MongoStore, Store, conformance::Fixture};
use mongodb::{Client, Database};

const VARIABLE: &str = "ENSEMBLE_TEST_MONGODB_URI";

/// The server's connection string.
pub(crate) fn uri() -> String {
    std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!(
            "{VARIABLE} is not set: these tests need a MongoDB replica set, or the stand-in: \
             scripts/servers/mongodb-install.sh; scripts/servers/mongodb-up.sh DIR PORT; \
             {VARIABLE}=mongodb://127.0.0.1:PORT/"
        )
    })
}

/// A database that goes when the fixture goes.
pub(crate) struct MongoFixture {
    database: String,
}

impl MongoFixture {
    pub(crate) fn new() -> Self {
        Self { database: format!("ensemble_test_{}", uuid::Uuid::now_v7().simple()) }
    }

    pub(crate) fn options(&self) -> MongoOptions {
        let mut options = MongoOptions::new(uri());
        options.database = Some(self.database.clone());
        options
    }

    pub(crate) async fn store(&self) -> Arc<MongoStore> {
        match MongoStore::connect(self.options()).await {
            Ok(store) => store,
            Err(error) => panic!("{error}"),
        }
    }

    /// The same database as any client has it.
    pub(crate) async fn plain(&self) -> Database {
        Client::with_uri_str(uri()).await.unwrap().database(&self.database)
    }
}

impl Drop for MongoFixture {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        // Only tidying up: a database that stays behind is in nobody's way, since its name is its own.
        let drop_all = async { drop(self.plain().await.drop().await) };
        tokio::task::block_in_place(|| runtime.block_on(drop_all));
    }
}

#[async_trait::async_trait]
impl Fixture for MongoFixture {
    async fn open(&self) -> Arc<dyn Store> {
        self.store().await
    }
}
