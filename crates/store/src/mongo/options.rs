//! What can be set about a store on MongoDB.

use std::{collections::BTreeSet, time::Duration};

use crate::{Secret, StoreError};

/// The largest command that is sent: the server takes 16 MiB and a little for what stands around the documents.
const MAX_BATCH_BYTES: usize = 15 << 20;

/// The names of the collections that are not named by contracts. Silver collections and gold views have their own
/// names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MongoCollections {
    /// Decision records with the shards' bytes, of jobs whose contracts name this collection, and of those that have
    /// not been declared.
    pub bronze: String,
    /// Rejected rows.
    pub rejected: String,
    /// One entry a settled shard.
    pub ledger: String,
    /// Job documents.
    pub jobs: String,
    /// Counters and layouts.
    pub counters: String,
    /// The aggregator's checkpoints.
    pub checkpoints: String,
    /// Who is in office.
    pub leases: String,
    /// Which job a request became.
    pub requests: String,
    /// Uploads, in pieces.
    pub uploads: String,
    /// Shards of sources that cannot be read twice, until they are settled.
    pub spool: String,
    /// The columns of each silver collection.
    pub silver: String,
    /// Where each job's bronze is.
    pub bronze_names: String,
    /// The store's format.
    pub store: String,
}

impl Default for MongoCollections {
    fn default() -> Self {
        Self {
            bronze: "spotify_raw".to_owned(),
            rejected: "rejected_rows".to_owned(),
            ledger: "ensemble_ledger".to_owned(),
            jobs: "ensemble_jobs".to_owned(),
            counters: "ensemble_counters".to_owned(),
            checkpoints: "ensemble_checkpoints".to_owned(),
            leases: "ensemble_leases".to_owned(),
            requests: "ensemble_requests".to_owned(),
            uploads: "ensemble_uploads".to_owned(),
            spool: "ensemble_spool".to_owned(),
            silver: "ensemble_silver".to_owned(),
            bronze_names: "ensemble_bronze".to_owned(),
            store: "ensemble_store".to_owned(),
        }
    }
}

impl MongoCollections {
    /// All of them.
    pub(super) fn all(&self) -> [&str; 13] {
        [
            &self.bronze,
            &self.rejected,
            &self.ledger,
            &self.jobs,
            &self.counters,
            &self.checkpoints,
            &self.leases,
            &self.requests,
            &self.uploads,
            &self.spool,
            &self.silver,
            &self.bronze_names,
            &self.store,
        ]
    }

    /// Whether a silver collection or a view may not have this name: one of these has it, or keeps its parts under it.
    pub(super) fn is_taken(&self, name: &str) -> bool {
        self.all().into_iter().any(|own| name == own || name.strip_suffix(".parts") == Some(own))
    }
}

/// Settings of a [`MongoStore`](super::MongoStore). None of them changes what is stored but the names of the
/// collections.
#[derive(Debug, Clone)]
pub struct MongoOptions {
    /// The connection string, `mongodb://host:port,host:port/database?…`. Its write concern, read concern and read
    /// preference do not count: writes are always acknowledged by a majority and its journals, and reads return what a
    /// majority has, from the primary. Pool size and timeouts are those below.
    pub uri: Secret,
    /// Replaces the connection string's user name.
    pub user: Option<String>,
    /// Replaces the connection string's password.
    pub password: Option<Secret>,
    /// Replaces the connection string's database; `ensemble` where neither names one.
    pub database: Option<String>,
    /// The collections' names.
    pub collections: MongoCollections,
    /// How long one connection may take to be made, TLS and log-in included; 100 ms to
    /// [`MongoOptions::operation_timeout`].
    pub connect_timeout: Duration,
    /// How long to look for a primary; 100 ms to [`MongoOptions::operation_timeout`].
    pub server_selection_timeout: Duration,
    /// How long one command may take, looking for a server included, before it counts as failed; 1 s to 10 min, and
    /// shorter than a lease, so that a command that hangs is repeated within it.
    pub operation_timeout: Duration,
    /// The most connections to one server; at least [`MongoOptions::in_flight`], at most 1,000.
    pub max_pool_size: u32,
    /// How many commands of this store are under way at once, those of one large request included; 1 to 1,000. Callers
    /// wait beyond it.
    pub in_flight: usize,
    /// The most documents in one command; 1 to 1,000.
    pub batch_documents: usize,
    /// The most bytes of documents in one command; 64 KiB to 15 MiB. A larger document goes alone.
    pub batch_bytes: usize,
}

impl MongoOptions {
    /// The default settings for the server at `uri`.
    pub fn new(uri: impl Into<String>) -> Self {
        Self {
            uri: Secret::new(uri),
            user: None,
            password: None,
            database: None,
            collections: MongoCollections::default(),
            connect_timeout: Duration::from_secs(4),
            server_selection_timeout: Duration::from_secs(5),
            operation_timeout: Duration::from_secs(10),
            max_pool_size: 32,
            in_flight: 8,
            batch_documents: 1_000,
            batch_bytes: 4 << 20,
        }
    }

    /// Checks the settings against their ranges and against each other. `lease` is how long a worker's lease lasts
    /// without a heartbeat.
    ///
    /// # Errors
    /// [`StoreError::Setting`] for the first one that cannot be.
    pub fn validate(&self, lease: Duration) -> Result<(), StoreError> {
        self.check()?;
        if self.operation_timeout >= lease {
            let problem = format!("({:?}) has to be shorter than a lease ({lease:?})", self.operation_timeout);
            return Err(StoreError::Setting { setting: "operation_timeout", problem });
        }
        Ok(())
    }

    /// What can be told without knowing how long a lease is.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let outer = self.operation_timeout;
        let wrong = |setting, problem: String| Err(StoreError::Setting { setting, problem });
        if !(Duration::from_secs(1)..=Duration::from_secs(600)).contains(&outer) {
            return wrong("operation_timeout", format!("is {outer:?}; it may be 1 s to 600 s"));
        }
        for (setting, inner) in
            [("connect_timeout", self.connect_timeout), ("server_selection_timeout", self.server_selection_timeout)]
        {
            if inner < Duration::from_millis(100) || inner > outer {
                return wrong(setting, format!("is {inner:?}; it may be 100 ms to the operation_timeout ({outer:?})"));
            }
        }
        if !(1..=1_000).contains(&self.in_flight) {
            return wrong("in_flight", format!("is {}; it may be 1 to 1,000", self.in_flight));
        }
        let pool = self.max_pool_size as usize;
        if pool < self.in_flight || pool > 1_000 {
            return wrong("max_pool_size", format!("is {pool}; it may be in_flight ({}) to 1,000", self.in_flight));
        }
        if !(1..=1_000).contains(&self.batch_documents) {
            return wrong("batch_documents", format!("is {}; it may be 1 to 1,000", self.batch_documents));
        }
        if !(64 << 10..=MAX_BATCH_BYTES).contains(&self.batch_bytes) {
            return wrong("batch_bytes", format!("is {}; it may be 64 KiB to 15 MiB", self.batch_bytes));
        }
        self.check_names()
    }

    fn check_names(&self) -> Result<(), StoreError> {
        let wrong = |problem| Err(StoreError::Setting { setting: "collections", problem });
        let mut seen = BTreeSet::new();
        for name in self.collections.all() {
            if !is_collection_name(name) {
                return wrong(format!("has the name {name:?}, which MongoDB does not take"));
            }
            if !seen.insert(name) {
                return wrong(format!("gives the name {name} twice"));
            }
        }
        match seen.iter().find(|name| name.strip_suffix(".parts").is_some_and(|own| seen.contains(own))) {
            Some(name) => wrong(format!("has the name {name}, under which the parts of another one are kept")),
            None => Ok(()),
        }
    }
}

/// Whether MongoDB takes a collection of this name.
pub(super) fn is_collection_name(name: &str) -> bool {
    let is_odd = name.is_empty() || name.starts_with('.') || name.ends_with('.') || name.contains("..");
    !is_odd && name.len() <= 200 && !name.starts_with("system.") && !name.contains(['$', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(15);

    #[test]
    fn the_defaults_fit_together() {
        MongoOptions::new("mongodb://localhost").validate(LEASE).unwrap();
    }

    #[test]
    fn settings_that_contradict_each_other_are_named() {
        let second = Duration::from_secs;
        type Spoil = fn(&mut MongoOptions);
        let cases: [(&str, Spoil); 12] = [
            ("operation_timeout", |o| o.operation_timeout = LEASE),
            ("operation_timeout", |o| o.operation_timeout = Duration::ZERO),
            ("connect_timeout", |o| o.connect_timeout = Duration::from_secs(11)),
            ("connect_timeout", |o| o.connect_timeout = Duration::ZERO),
            ("server_selection_timeout", |o| o.server_selection_timeout = Duration::from_secs(11)),
            ("in_flight", |o| o.in_flight = 0),
            ("max_pool_size", |o| o.max_pool_size = 7),
            ("batch_documents", |o| o.batch_documents = 1_001),
            ("batch_bytes", |o| o.batch_bytes = 16 << 20),
            ("collections", |o| o.collections.ledger = o.collections.jobs.clone()),
            ("collections", |o| o.collections.ledger = "a$b".to_owned()),
            ("collections", |o| o.collections.ledger = "spotify_raw.parts".to_owned()),
        ];
        for (at, (expected, spoil)) in cases.into_iter().enumerate() {
            let mut options = MongoOptions::new("mongodb://localhost");
            spoil(&mut options);
            let error = options.validate(LEASE).unwrap_err();
            assert!(matches!(&error, StoreError::Setting { setting, .. } if *setting == expected), "{at}: {error}");
        }
        assert!(MongoOptions::new("mongodb://localhost").validate(second(5)).is_err());
    }

    #[test]
    fn secrets_are_not_printed() {
        let mut options = MongoOptions::new("mongodb://u:hush@localhost");
        options.password = Some(Secret::new("hush"));
        assert!(!format!("{options:?}").contains("hush"));
    }

    #[test]
    fn names_of_the_store_itself_are_taken() {
        let names = MongoCollections::default();
        assert!(names.is_taken("rejected_rows") && names.is_taken("spotify_raw.parts"));
        assert!(!names.is_taken("spotify_clean") && !names.is_taken("parts"));
    }
}
