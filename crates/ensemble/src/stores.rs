//! A store and its event log, opened where their URLs say.

use std::sync::Arc;

use ensemble_events::{EmbeddedLog, EmbeddedLogOptions, EventLog, KafkaLog, NoEvents};
use ensemble_store::{EmbeddedOptions, EmbeddedStore, MongoStore, Store};

use crate::{
    cli::ReadArgs,
    exit::Failure,
    remote::Remote,
    settings::{EventsPlace, Settings, SettingsError, StorePlace},
};

/// A store and its event log, opened.
pub(crate) struct Stores {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) events: Arc<dyn EventLog>,
}

impl Stores {
    /// Opens the store and the event log, making them where they are absent.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, Failure> {
        // Told before a server is asked for anything.
        let place = settings.events_place().map_err(Failure::could_not_start)?;
        let store = open_store(settings).await?;
        let events = open_events(settings, place).await?;
        Ok(Self { store, events })
    }

    /// Opens a store to read it: an embedded one must be there already, and where no event log is named none is read.
    pub(crate) async fn open_existing(settings: &Settings) -> Result<Self, Failure> {
        must_be_there(settings)?;
        let place = match settings.events_place() {
            Err(SettingsError::NoEvents) => EventsPlace::None,
            place => place.map_err(Failure::could_not_start)?,
        };
        let store = open_store(settings).await?;
        let events = open_events(settings, place).await?;
        Ok(Self { store, events })
    }

    /// Opens a store to read it, or the store of the server that is named: it and its events are read through the server.
    pub(crate) async fn open_to_read(settings: &Settings, at: &ReadArgs) -> Result<Self, Failure> {
        match at.server() {
            None => Self::open_existing(settings).await,
            Some(server) => Remote::new(server)?.stores().await,
        }
    }

    /// Opens a store to go on with its jobs: an embedded one must be there already.
    pub(crate) async fn open_to_steer(settings: &Settings) -> Result<Self, Failure> {
        must_be_there(settings)?;
        Self::open(settings).await
    }

    /// Writes everything out.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        self.events.close().await.map_err(Failure::failed)?;
        self.store.close().await.map_err(Failure::failed)
    }
}

/// An empty directory would become a store.
fn must_be_there(settings: &Settings) -> Result<(), Failure> {
    let StorePlace::Embedded(dir) = settings.store_place().map_err(Failure::could_not_start)? else { return Ok(()) };
    let is_empty = || std::fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_none());
    if dir.exists() && !is_empty() {
        return Ok(());
    }
    let hint = "name the store with --store, or fill one with: ensemble run FILE";
    Err(Failure::could_not_start(anyhow::anyhow!("there is no store at {}; {hint}", dir.display())))
}

/// Opens the store alone.
pub(crate) async fn open_store(settings: &Settings) -> Result<Arc<dyn Store>, Failure> {
    match settings.store_place().map_err(Failure::could_not_start)? {
        StorePlace::Embedded(dir) => {
            let options = EmbeddedOptions {
                key_filter_bytes: settings.store.key_filter_bytes,
                block_cache_bytes: settings.store.block_cache_bytes,
                group_rows: settings.store.group_rows,
                group_bytes: settings.store.group_bytes,
                ..EmbeddedOptions::default()
            };
            let store: Arc<dyn Store> = EmbeddedStore::open(&dir, options).map_err(Failure::could_not_start)?;
            Ok(store)
        }
        StorePlace::Mongodb(uri) => {
            let options = settings.mongo_options(uri).map_err(Failure::could_not_start)?;
            let store: Arc<dyn Store> = MongoStore::connect(options).await.map_err(Failure::could_not_start)?;
            Ok(store)
        }
    }
}

async fn open_events(settings: &Settings, place: EventsPlace) -> Result<Arc<dyn EventLog>, Failure> {
    match place {
        EventsPlace::Embedded(dir) => {
            let options = EmbeddedLogOptions {
                segment_bytes: settings.events.segment_bytes,
                retain_bytes: (settings.events.retain_bytes > 0).then_some(settings.events.retain_bytes),
                ..EmbeddedLogOptions::default()
            };
            let log: Arc<dyn EventLog> = EmbeddedLog::open(&dir, options).map_err(Failure::could_not_start)?;
            Ok(log)
        }
        EventsPlace::Kafka(url) => {
            let options = settings.kafka_options(url).map_err(Failure::could_not_start)?;
            let log: Arc<dyn EventLog> = KafkaLog::open(options).await.map_err(Failure::could_not_start)?;
            Ok(log)
        }
        EventsPlace::None => Ok(Arc::new(NoEvents::new())),
    }
}
