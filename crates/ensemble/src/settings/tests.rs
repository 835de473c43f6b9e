use super::{Overrides, Settings, SettingsError};

fn with(values: &[(&'static str, &str)]) -> Result<Settings, SettingsError> {
    let values = values.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
    Settings::load(&Overrides { file: None, values })
}

#[test]
fn the_commented_defaults_are_valid() {
    let settings = with(&[]).unwrap();
    assert_eq!(settings.job.shard_bytes, 1 << 20);
    assert_eq!(settings.events_dir().unwrap(), std::path::Path::new("./ensemble-data/events"));
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
    let error = with(&[("store.url", "http://x")]).unwrap().store_dir().unwrap_err().to_string();
    assert_eq!(error, "the setting store.url is \"http://x\"; it names a directory, or embedded:DIR");
}
