//! Databases and topics of a test's own.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::support::Place;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Where one test's layers and events go.
pub(crate) struct Servers {
    /// Names the database and the topics.
    pub(crate) name: String,
    uri: String,
    pub(crate) brokers: String,
}

impl Servers {
    /// The servers that the environment names.
    pub(crate) fn named() -> Self {
        let variable = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run scripts/servers/test.sh"))
        };
        #[expect(clippy::disallowed_methods, reason = "a name that no other run has")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
        let name = format!("ensemble_test_{now}_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self { name, uri: variable("ENSEMBLE_TEST_MONGODB_URI"), brokers: variable("ENSEMBLE_TEST_KAFKA_BROKERS") }
    }

    /// The connection string as the environment has it.
    pub(crate) fn server_uri(&self) -> &str {
        &self.uri
    }

    /// The options that choose the store and the log, at this MongoDB server.
    pub(crate) fn options_at(&self, uri: &str) -> String {
        format!("--store {} --events kafka://{}/{}", with_database(uri, &self.name), self.brokers, self.name)
    }

    /// The options that choose the store and the log.
    pub(crate) fn options(&self) -> String {
        self.options_at(&self.uri)
    }
}

/// A connection string with another database.
pub(crate) fn with_database(uri: &str, database: &str) -> String {
    let (scheme, rest) = uri.split_once("://").unwrap();
    let (before, query) = rest.split_once('?').map_or((rest, None), |(before, query)| (before, Some(query)));
    let hosts = before.split('/').next().unwrap();
    let query = query.map(|q| format!("?{q}")).unwrap_or_default();
    format!("{scheme}://{hosts}/{database}{query}")
}

/// Asserts that a store has the layers that an embedded one gets from the same file.
pub(crate) fn assert_same_answer(place: &Place, options: &str, file: &str) {
    let expected = place.json(&format!("run --store expected {file}"));
    let silver = |options: &str, to: &str| {
        let run = place.run(&format!("export silver {options} --to {to}"));
        assert_eq!(run.code, Some(0), "{}", run.err);
        std::fs::read(place.path(to)).unwrap()
    };
    let (theirs, mine) = (silver("--store expected", "expected.csv"), silver(options, "silver.csv"));
    assert!(theirs == mine, "silver differs");
    let view = "analytics_genre_stats";
    assert_eq!(
        place.json(&format!("gold {view} {options}")),
        place.json(&format!("gold {view} --store expected")),
        "gold differs"
    );
    let rejects = place.run(&format!("rejects {options} --output json"));
    assert_eq!(rejects.out.lines().count() as u64, expected["rejected"].as_u64().unwrap());
    let verified = place.run(&format!("verify {options}"));
    assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.err);
}

/// Asserts that rows of the last job of one file are explained as those of the embedded store that
/// [`assert_same_answer`] has left.
pub(crate) fn assert_same_explanations(place: &Place, options: &str) {
    for line in [2, 3, 100] {
        assert_eq!(explained(place, options, line), explained(place, "--store expected", line), "line {line}");
    }
}

/// A row of the store's last job: whether it is live or rejected, its columns, and the document of its key.
///
/// Whether it lost its key before or after it had it depends on which shard was first.
fn explained(place: &Place, options: &str, line: u32) -> [serde_json::Value; 3] {
    let jobs = place.json(&format!("jobs {options}"));
    let job = jobs.as_array().unwrap().last().unwrap()["job"].as_str().unwrap().to_owned();
    let row = place.json(&format!("explain {job} --line {line} {options}"));
    let document = row["key"].as_str().map(|key| {
        let mut key = place.json(&format!("explain --key {key} {options}"));
        assert_eq!((&key["live"]["line"], &key["live"]["raw"]), (&row["live"]["line"], &row["live"]["raw"]));
        key["live"]["document"].take()
    });
    let outcome = row["outcome"].as_str().filter(|outcome| ["live", "rejected"].contains(outcome));
    [outcome.into(), row["columns"].clone(), document.into()]
}
