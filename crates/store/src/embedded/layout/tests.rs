use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn a_store_is_one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b");
    let first = Layout::open(&path).unwrap();
    assert!(matches!(Layout::open(&path), Err(StoreError::Locked { .. })));
    drop(first);
    Layout::open(&path).unwrap();
    let version: VersionFile = serde_json::from_slice(&fs::read(path.join(VERSION_FILE)).unwrap()).unwrap();
    assert_eq!((version.format, version.created_by.as_str()), (1, "ensemble 0.1.0"));
}

#[test]
fn another_version_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(VERSION_FILE), r#"{"format": 7, "created_by": "ensemble 9.0.0"}"#).unwrap();
    match Layout::open(dir.path()) {
        Err(StoreError::UnknownVersion { found, known: 1, .. }) => assert_eq!(found, "7"),
        other => panic!("{other:?}"),
    }
    for damaged in ["", "{", "{}", "[]"] {
        fs::write(dir.path().join(VERSION_FILE), damaged).unwrap();
        assert!(matches!(Layout::open(dir.path()), Err(StoreError::NotAStore { .. })), "{damaged:?}");
    }
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("letter.txt"), "dear").unwrap();
    match Layout::open(dir.path()) {
        Err(StoreError::NotAStore { reason, .. }) => assert!(reason.contains("letter.txt"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn what_a_death_during_creation_leaves_is_no_hindrance() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(LOCK_FILE), "").unwrap();
    fs::write(dir.path().join(VERSION_DRAFT), "{\"for").unwrap();
    Layout::open(dir.path()).unwrap();
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    match Layout::open(&file) {
        Err(StoreError::Io { path, .. }) => assert_eq!(path, file),
        other => panic!("{other:?}"),
    }
    let read_only = dir.path().join("read-only");
    fs::create_dir(&read_only).unwrap();
    fs::set_permissions(&read_only, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(read_only.join("probe"), "").is_ok() {
        // Permissions do not hold this user back.
        return;
    }
    match Layout::open(&read_only) {
        Err(StoreError::Io { action: "open", path, .. }) => assert!(path.starts_with(&read_only)),
        other => panic!("{other:?}"),
    }
}
