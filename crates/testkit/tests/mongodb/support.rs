//! A database of its own for each test, and a proxy before its server.

use std::{sync::Arc, time::Duration};

use ensemble_store::{MongoOptions, MongoStore};
use ensemble_testkit::mongo_proxy::{Fault, FaultKind, MongoProxy, Rule, When};
use mongodb::{Client, Database};

const VARIABLE: &str = "ENSEMBLE_TEST_MONGODB_URI";

fn uri() -> String {
    std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!(
            "{VARIABLE} is not set: these tests need a MongoDB replica set, or the stand-in: \
             scripts/servers/mongodb-install.sh; scripts/servers/mongodb-up.sh DIR PORT; \
             {VARIABLE}=mongodb://127.0.0.1:PORT/"
        )
    })
}

/// A database, which goes when this goes, and the proxy that leads to it.
pub(crate) struct Chain {
    database: String,
    pub(crate) proxy: MongoProxy,
}

impl Chain {
    pub(crate) async fn new() -> Self {
        let database = format!("ensemble_test_{}", uuid::Uuid::now_v7().simple());
        Self { database, proxy: MongoProxy::start_for(&uri()).await.unwrap() }
    }

    pub(crate) fn options(&self) -> MongoOptions {
        let mut options = MongoOptions::new(self.proxy.uri());
        options.database = Some(self.database.clone());
        options
    }

    /// The store as it is, through the proxy: nothing is repeated.
    pub(crate) async fn store(&self) -> Arc<MongoStore> {
        MongoStore::connect(self.options()).await.unwrap()
    }

    /// The same, with as much patience for a majority as this.
    pub(crate) async fn store_within(&self, operation_timeout: Duration) -> Arc<MongoStore> {
        let mut options = self.options();
        options.operation_timeout = operation_timeout;
        options.connect_timeout = operation_timeout;
        options.server_selection_timeout = operation_timeout;
        MongoStore::connect(options).await.unwrap()
    }

    /// The same database as any client has it that goes past the proxy.
    pub(crate) async fn plain(&self) -> Database {
        Client::with_uri_str(uri()).await.unwrap().database(&self.database)
    }

    /// The next command that matches meets this fault.
    pub(crate) fn next(&self, when: When, fault: Fault) {
        self.proxy.add(Rule::new(when, fault).times(1));
    }

    pub(crate) fn fired(&self, kind: FaultKind) -> u64 {
        self.proxy.fired_of(kind)
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        // Only tidying up: a database that stays behind is in nobody's way, since its name is its own.
        let drop_all = async { drop(self.plain().await.drop().await) };
        tokio::task::block_in_place(|| runtime.block_on(drop_all));
    }
}
