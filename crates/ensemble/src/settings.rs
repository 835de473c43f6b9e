//! Settings: `config/default.toml`, a file, the environment and the command line, in this order, checked together.

mod places;
mod servers;
#[cfg(test)]
mod tests;

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use config::{Config, ConfigError, Environment, File, FileFormat};
use ensemble_events::EventsError;
use ensemble_store::StoreError;
use serde::{Deserialize, Serialize};

pub(crate) use places::{EventsPlace, PlaceOptions, StorePlace};
pub(crate) use servers::{KafkaSettings, MongodbSettings};

/// The commented defaults.
const DEFAULTS: &str = include_str!("../../../config/default.toml");

/// What workers hold on an embedded store, where the shards in flight are committed together: half of it takes a tenth to a
/// fifth more time.
const EMBEDDED_CREDIT: u64 = 32 << 20;
/// On MongoDB two shards have work for all commands that may be under way. Four times as much takes more than twice the
/// memory and is no faster.
const MONGODB_CREDIT: u64 = 8 << 20;

/// All settings as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) store: StoreSettings,
    pub(crate) mongodb: MongodbSettings,
    pub(crate) events: EventsSettings,
    pub(crate) kafka: KafkaSettings,
    pub(crate) job: JobSettings,
    pub(crate) workers: WorkersSettings,
    pub(crate) supervisor: SupervisorSettings,
    pub(crate) worker: WorkerSettings,
    pub(crate) leases: LeasesSettings,
    pub(crate) gold: GoldSettings,
    pub(crate) log: LogSettings,
    pub(crate) telemetry: TelemetrySettings,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreSettings {
    pub(crate) url: String,
    pub(crate) key_filter_bytes: usize,
    pub(crate) block_cache_bytes: usize,
    pub(crate) group_rows: usize,
    pub(crate) group_bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsSettings {
    pub(crate) url: String,
    pub(crate) segment_bytes: u64,
    pub(crate) retain_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobSettings {
    pub(crate) contract: String,
    pub(crate) shard_bytes: u64,
    pub(crate) record_limit_bytes: u64,
    pub(crate) read_ahead_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkersSettings {
    pub(crate) count: usize,
    pub(crate) validators: usize,
    /// 0 is what suits the store, see [`Settings::credit_bytes`].
    credit_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SupervisorSettings {
    pub(crate) listen: String,
    pub(crate) worker_listen: String,
    pub(crate) http_listen: String,
    pub(crate) office_lease_ms: u64,
    pub(crate) grace_ms: u64,
    /// Folders, separated by commas.
    pub(crate) roots: String,
    pub(crate) keep_uploads_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkerSettings {
    pub(crate) supervisor: String,
    pub(crate) id: String,
    pub(crate) http_listen: String,
    pub(crate) grace_ms: u64,
    /// Folders, separated by commas.
    pub(crate) roots: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeasesSettings {
    pub(crate) lapse_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GoldSettings {
    pub(crate) flush_interval_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogSettings {
    pub(crate) filter: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TelemetrySettings {
    pub(crate) otlp_endpoint: String,
}

/// What the command line says about settings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides {
    pub(crate) file: Option<PathBuf>,
    /// Pairs of a setting's name and its value.
    pub(crate) values: Vec<(&'static str, String)>,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("the settings cannot be read: {0}")]
    Read(#[from] ConfigError),
    #[error("the setting {name} is {value}, and must be {bounds}")]
    OutOfBounds { name: &'static str, value: String, bounds: String },
    #[error("the setting {name} is {value:?}; it names {what}")]
    Url { name: &'static str, value: String, what: &'static str },
    #[error(
        "a store on MongoDB has no place for events beside it; name one with --events: kafka://HOST:PORT, embedded:DIR or none"
    )]
    NoEvents,
    #[error("cannot read the password in {path}: {source}")]
    Password { path: String, source: std::io::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Events(#[from] EventsError),
}

impl Settings {
    /// Reads and checks the settings.
    pub(crate) fn load(overrides: &Overrides) -> Result<Self, SettingsError> {
        let mut builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
        if let Some(file) = &overrides.file {
            builder = builder.add_source(File::from(file.as_path()).format(FileFormat::Toml));
        }
        let environment = Environment::with_prefix("ENSEMBLE").prefix_separator("__").separator("__").try_parsing(true);
        builder = builder.add_source(environment);
        // `ENSEMBLE__…` parses values, which would take a password of digits for a number.
        for (variable, name) in servers::SECRETS {
            if let Ok(secret) = std::env::var(variable) {
                builder = builder.set_override(name, secret)?;
            }
        }
        for (name, value) in &overrides.values {
            builder = builder.set_override(*name, value.as_str())?;
        }
        let settings: Self = builder.build()?.try_deserialize()?;
        settings.validate()?;
        Ok(settings)
    }

    fn validate(&self) -> Result<(), SettingsError> {
        bounds("job.shard_bytes", self.job.shard_bytes, 256, 64 << 20)?;
        bounds("job.record_limit_bytes", self.job.record_limit_bytes, 1024, 64 << 20)?;
        bounds("job.read_ahead_bytes", self.job.read_ahead_bytes, 65_536, 1 << 30)?;
        bounds("workers.count", self.workers.count as u64, 0, 256)?;
        bounds("workers.validators", self.workers.validators as u64, 1, 256)?;
        if self.workers.credit_bytes > 0 {
            bounds("workers.credit_bytes", self.workers.credit_bytes, 65_536, 1 << 32)?;
        }
        bounds("supervisor.office_lease_ms", self.supervisor.office_lease_ms, 500, 600_000)?;
        bounds("supervisor.grace_ms", self.supervisor.grace_ms, 0, 3_600_000)?;
        bounds("supervisor.keep_uploads_ms", self.supervisor.keep_uploads_ms, 1000, 31_536_000_000)?;
        bounds("worker.grace_ms", self.worker.grace_ms, 0, 3_600_000)?;
        bounds("leases.lapse_ms", self.leases.lapse_ms, 1000, 3_600_000)?;
        bounds("gold.flush_interval_ms", self.gold.flush_interval_ms, 10, 60_000)?;
        bounds("events.segment_bytes", self.events.segment_bytes, 1 << 20, 4 << 30)
    }

    /// The settings as they may be shown: passwords are masked.
    pub(crate) fn masked(&self) -> Self {
        let mut shown = self.clone();
        shown.store.url = places::masked(&self.store.url);
        shown.mongodb.mask();
        shown.kafka.mask();
        shown
    }

    /// How many workers to run.
    pub(crate) fn worker_count(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.workers.count)
            .unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    /// How many bytes of shards the workers of this process hold together.
    ///
    /// # Errors
    /// Where nothing is said of it and the store's URL is wrong.
    pub(crate) fn credit_bytes(&self) -> Result<u64, SettingsError> {
        match (self.workers.credit_bytes, self.store_place()?) {
            (0, StorePlace::Embedded(_)) => Ok(EMBEDDED_CREDIT),
            (0, StorePlace::Mongodb(_)) => Ok(MONGODB_CREDIT),
            (bytes, _) => Ok(bytes),
        }
    }

    /// How long a lease holds.
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(self.leases.lapse_ms)
    }
}

fn bounds(name: &'static str, value: u64, low: u64, high: u64) -> Result<(), SettingsError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(SettingsError::OutOfBounds { name, value: value.to_string(), bounds: format!("from {low} to {high}") })
}
