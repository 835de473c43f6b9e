//! Where the layers and the events live, as URLs say it.

use std::path::{Path, PathBuf};

use ensemble_events::KafkaUrl;

use super::{Settings, SettingsError};
use crate::output::quoted;

/// Where the layers live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StorePlace {
    /// A directory of this machine.
    Embedded(PathBuf),
    /// A MongoDB replica set, by its connection string, which may hold a password.
    Mongodb(String),
}

/// Where events go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EventsPlace {
    /// A directory of this machine.
    Embedded(PathBuf),
    /// A Kafka cluster.
    Kafka(KafkaUrl),
    /// Nowhere.
    None,
}

/// What a person types to name a store and its events again.
pub(crate) struct PlaceOptions {
    store: PathBuf,
    events: Option<String>,
}

impl PlaceOptions {
    /// For commands that read the store.
    pub(crate) fn store(&self) -> String {
        format!("--store {}", quoted(&self.store))
    }

    /// For commands that need the events too.
    pub(crate) fn both(&self) -> String {
        match &self.events {
            Some(events) => format!("{} --events {}", self.store(), quoted(Path::new(events))),
            None => self.store(),
        }
    }
}

impl Settings {
    /// Where the layers live.
    pub(crate) fn store_place(&self) -> Result<StorePlace, SettingsError> {
        let url = &self.store.url;
        if url.starts_with("mongodb://") || url.starts_with("mongodb+srv://") {
            return Ok(StorePlace::Mongodb(url.clone()));
        }
        let what = "a directory, embedded:DIR, or mongodb://HOST:PORT/DATABASE";
        embedded_dir("store.url", url, what).map(StorePlace::Embedded)
    }

    /// Where events go: by default beside an embedded store.
    ///
    /// # Errors
    /// [`SettingsError::NoEvents`] for a store that has no place beside it, where nothing is named.
    pub(crate) fn events_place(&self) -> Result<EventsPlace, SettingsError> {
        let url = &self.events.url;
        match url.as_str() {
            "" => match self.store_place()? {
                StorePlace::Embedded(dir) => Ok(EventsPlace::Embedded(dir.join("events"))),
                StorePlace::Mongodb(_) => Err(SettingsError::NoEvents),
            },
            "none" => Ok(EventsPlace::None),
            kafka if kafka.starts_with("kafka://") => Ok(EventsPlace::Kafka(kafka.parse()?)),
            _ => {
                let what = "a directory, embedded:DIR, kafka://HOST:PORT,HOST:PORT/PREFIX, or none";
                embedded_dir("events.url", url, what).map(EventsPlace::Embedded)
            }
        }
    }

    /// The options that name these places again, without passwords.
    pub(crate) fn place_options(&self) -> PlaceOptions {
        let store = match self.store_place() {
            Ok(StorePlace::Embedded(dir)) => dir,
            _ => masked(&self.store.url).into(),
        };
        let events = (!self.events.url.is_empty()).then(|| masked(&self.events.url));
        PlaceOptions { store, events }
    }

    /// A directory with room for files that a command needs for a while: beside an embedded store, whose disk has room
    /// for what the store holds, or where the system keeps such files.
    pub(crate) fn scratch_dir(&self) -> PathBuf {
        match self.store_place() {
            Ok(StorePlace::Embedded(dir)) => dir,
            _ => std::env::temp_dir(),
        }
    }
}

fn embedded_dir(name: &'static str, url: &str, what: &'static str) -> Result<PathBuf, SettingsError> {
    let path = url.strip_prefix("embedded:").unwrap_or(url);
    if path.is_empty() || path.contains("://") {
        return Err(SettingsError::Url { name, value: masked(url), what });
    }
    Ok(Path::new(path).to_owned())
}

/// A URL without the password that it may hold.
pub(super) fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    // A password may hold an unescaped `@`: what stands behind the last one is the host.
    match rest[..end].rfind('@') {
        Some(at) => {
            let user = rest[..at].split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:***{}", &rest[at..])
        }
        None => url.to_owned(),
    }
}
