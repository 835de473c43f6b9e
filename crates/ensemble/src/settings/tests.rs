use std::path::Path;

use super::{EventsPlace, Overrides, Settings, SettingsError, StorePlace};

fn with(values: &[(&'static str, &str)]) -> Result<Settings, SettingsError> {
    let values = values.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
    Settings::load(&Overrides { file: None, values })
}

#[test]
fn the_commented_defaults_are_valid() {
    let settings = with(&[]).unwrap();
    assert_eq!(settings.job.shard_bytes, 1 << 20);
    assert_eq!(settings.store_place().unwrap(), StorePlace::Embedded("./ensemble-data".into()));
    assert_eq!(settings.events_place().unwrap(), EventsPlace::Embedded("./ensemble-data/events".into()));
    settings.mongo_options("mongodb://localhost".to_owned()).unwrap();
    settings.kafka_options("kafka://localhost".parse().unwrap()).unwrap();
}

#[test]
fn the_command_line_comes_last() {
    assert_eq!(with(&[("job.shard_bytes", "4096")]).unwrap().job.shard_bytes, 4096);
}

#[test]
fn a_value_out_of_bounds_is_named_with_its_bounds() {
    let error = with(&[("job.shard_bytes", "1")]).unwrap_err().to_string();
    assert_eq!(error, "the setting job.shard_bytes is 1, and must be from 256 to 67108864");
}

#[test]
fn a_file_with_an_unknown_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("settings.toml");
    std::fs::write(&file, "[job]\nshard_byte = 1\n").unwrap();
    let error = Settings::load(&Overrides { file: Some(file), values: vec![] }).unwrap_err().to_string();
    assert!(error.contains("shard_byte"), "{error}");
}

#[test]
fn a_url_of_another_store_says_what_is_possible() {
    let error = with(&[("store.url", "http://u:hush@x/y")]).unwrap().store_place().unwrap_err().to_string();
    assert_eq!(
        error,
        "the setting store.url is \"http://u:***@x/y\"; it names a directory, embedded:DIR, or mongodb://HOST:PORT/DATABASE"
    );
    let error = with(&[("events.url", "ftp://x")]).unwrap().events_place().unwrap_err().to_string();
    assert!(error.contains("kafka://HOST:PORT"), "{error}");
}

#[test]
fn urls_choose_the_store_and_the_log() {
    let settings = with(&[("store.url", "mongodb://a,b/db"), ("events.url", "kafka://h:1,i/p")]).unwrap();
    assert_eq!(settings.store_place().unwrap(), StorePlace::Mongodb("mongodb://a,b/db".to_owned()));
    let EventsPlace::Kafka(url) = settings.events_place().unwrap() else { panic!("no Kafka") };
    assert_eq!(url.to_string(), "kafka://h:1,i:9092/p");
    assert_eq!(with(&[("events.url", "none")]).unwrap().events_place().unwrap(), EventsPlace::None);
    let settings = with(&[("events.url", "embedded:e"), ("store.url", "embedded:s")]).unwrap();
    assert_eq!(settings.events_place().unwrap(), EventsPlace::Embedded("e".into()));
    assert_eq!(settings.scratch_dir(), Path::new("s"));
}

#[test]
fn workers_hold_what_suits_the_store_or_what_is_said() {
    let credit = |values: &[(&'static str, &str)]| with(values).unwrap().credit_bytes().unwrap();
    assert_eq!(credit(&[]), 33_554_432);
    assert_eq!(credit(&[("store.url", "mongodb://localhost")]), 8_388_608);
    assert_eq!(credit(&[("store.url", "mongodb://localhost"), ("workers.credit_bytes", "65536")]), 65_536);
    let error = with(&[("workers.credit_bytes", "65535")]).unwrap_err().to_string();
    assert!(error.contains("workers.credit_bytes") && error.contains("from 65536"), "{error}");
}

#[test]
fn a_store_on_mongodb_needs_a_place_for_events() {
    let error = with(&[("store.url", "mongodb://localhost")]).unwrap().events_place().unwrap_err();
    assert!(matches!(error, SettingsError::NoEvents), "{error}");
}

#[test]
fn timeouts_have_to_be_shorter_than_a_lease() {
    let settings = with(&[("leases.lapse_ms", "9000")]).unwrap();
    let error = settings.mongo_options("mongodb://localhost".to_owned()).unwrap_err().to_string();
    assert!(error.contains("operation_timeout"), "{error}");
    let error = settings.kafka_options("kafka://localhost".parse().unwrap()).unwrap_err().to_string();
    assert!(error.contains("kafka.delivery_timeout_ms is 10000"), "{error}");
}

#[test]
fn passwords_come_from_files_and_are_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "hush\nnothing\n").unwrap();
    let given = [
        ("store.url", "mongodb://me:hu@sh@host:1,host:2/db?x=1"),
        ("mongodb.password", "hush"),
        ("kafka.sasl_password_file", file.to_str().unwrap()),
        ("kafka.sasl_username", "me"),
        ("kafka.security_protocol", "sasl_plaintext"),
    ];
    let settings = with(&given).unwrap();
    let options = settings.kafka_options("kafka://localhost".parse().unwrap()).unwrap();
    assert_eq!(options.security.password, Some(ensemble_store::Secret::new("hush")));
    let shown = serde_json::to_string(&settings.masked()).unwrap();
    assert!(!shown.contains("hush") && !shown.contains("hu@sh"), "{shown}");
    assert!(shown.contains("mongodb://me:***@host:1,host:2/db?x=1"), "{shown}");
    assert!(!format!("{settings:?}").contains("\"hush"), "{settings:?}");
    let missing = with(&[("mongodb.password_file", "/nowhere/password")]).unwrap();
    let error = missing.mongo_options("mongodb://localhost".to_owned()).unwrap_err().to_string();
    assert!(error.contains("/nowhere/password"), "{error}");
}
