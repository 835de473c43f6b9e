use std::{
    ops::Range,
    sync::atomic::{AtomicU32, Ordering},
};

use object_store::{memory::InMemory, path::Path};

use super::*;
use crate::{Change, Location, SourceFile, resolve};

/// A bucket of a test's own, which is in memory.
struct Bucket {
    name: String,
    store: Arc<InMemory>,
}

impl Bucket {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("bucket-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let store = Arc::new(InMemory::new());
        BUCKETS.lock().unwrap().insert(name.clone(), store.clone());
        Self { name, store }
    }

    fn put(&self, key: &str, bytes: impl Into<Bytes>) {
        let (store, key, bytes) = (self.store.clone(), Path::parse(key).unwrap(), bytes.into());
        ask(async move { in_time(store.put(&key, bytes.into())).await }).unwrap().recv().unwrap();
    }

    fn delete(&self, key: &str) {
        let (store, key) = (self.store.clone(), Path::parse(key).unwrap());
        ask(async move { in_time(store.delete(&key)).await }).unwrap().recv().unwrap();
    }

    fn url(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    fn resolve(&self, keys: &[&str]) -> Result<Vec<String>, String> {
        let args: Vec<_> = keys.iter().map(|key| self.url(key)).collect();
        let prefix = self.url("");
        match resolve(&args) {
            Ok(inputs) => Ok(inputs.iter().map(|input| input.name().replace(&prefix, "")).collect()),
            Err(e) => Err(e.to_string().replace(&prefix, "")),
        }
    }
}

fn read(reader: SourceFile, offset: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.open_at(offset).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn urls_are_told_from_paths() {
    for url in ["s3://bucket/key", "https://host/x.csv", "s3://bucket/*.csv"] {
        assert!(Location::is_url(url), "{url}");
    }
    for path in ["a.csv", "/a/b.csv", "./a://b.csv", "://x", "C:\\x", "-"] {
        assert!(!Location::is_url(path), "{path}");
    }
}

#[test]
fn urls_that_name_no_object_say_so() {
    for (url, says) in [
        ("https://host/x.csv", "only s3:// URLs and paths can be read"),
        ("https://host/x.csv?Signature=1", "only s3:// URLs and paths can be read"),
        ("gs://bucket/*.csv", "only s3:// URLs and paths can be read"),
        ("s3://bucket//a.csv", "its key begins with a slash"),
        ("s3:///x.csv", "it names no bucket"),
        ("s3://bucket", "it names a folder; name its objects, for example s3://bucket/*.csv"),
        ("s3://bucket/2024/", "for example s3://bucket/2024/*.csv"),
        ("s3://bucket/a//b.csv", "empty path segment"),
        ("s3://buck*/a.csv", "a bucket is named without wildcards"),
        ("s3://bucket/[.csv", "is not a pattern"),
    ] {
        let message = resolve(&[url.to_owned()]).unwrap_err().to_string();
        assert!(message.contains(says) && message.contains(url), "{message}");
    }
}

#[test]
fn a_root_covers_whole_parts_of_a_key() {
    let below = |url: &str, root: &str| url.parse::<Location>().unwrap().is_below(&Location::root(root).unwrap());
    for root in ["s3://b", "s3://b/", "s3://b/cat", "s3://b/cat/", "s3://b/cat/x.csv"] {
        assert!(below("s3://b/cat/x.csv", root), "{root}");
    }
    for root in ["s3://bb", "s3://b/ca", "s3://b/cat/x", "/b/cat"] {
        assert!(!below("s3://b/cat/x.csv", root), "{root}");
    }
    assert!(below("/a/b/c.csv", "/a/b") && !below("/a/bc.csv", "/a/b") && !below("/a/b", "s3://a"));
}

#[test]
fn a_location_is_written_as_its_path_or_url() {
    for text in ["\"s3://b/cat/x.csv\"", "\"/a/b c.csv\""] {
        let location: Location = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&location).unwrap(), text);
    }
    assert!(serde_json::from_str::<Location>("\"ftp://host/x.csv\"").is_err());
}

#[test]
fn patterns_stand_for_their_objects_in_byte_order() {
    let bucket = Bucket::new();
    for key in ["2024/b.csv", "2024/B.csv", "2024/a 1.csv", "2024/x/c.csv", "2024/z.txt", "2023/a.csv", "2024/é.csv"] {
        bucket.put(key, "a\n1\n");
    }
    // As consoles mark folders.
    bucket.put("2024/folder.csv", "");
    let all = bucket.resolve(&["2024/*.csv"]).unwrap();
    assert_eq!(all, ["2024/B.csv", "2024/a 1.csv", "2024/b.csv", "2024/é.csv"]);
    assert_eq!(bucket.resolve(&["20*/a*.csv"]).unwrap(), ["2023/a.csv", "2024/a 1.csv"]);
    assert_eq!(bucket.resolve(&["**/c.csv"]).unwrap(), ["2024/x/c.csv"]);
    assert_eq!(bucket.resolve(&["2024/[b]?csv", "2023/a.csv"]).unwrap(), ["2024/b.csv", "2023/a.csv"]);
    for (keys, says) in [
        (&["2025/*.csv"][..], "no file matches 2025/*.csv"),
        (&["2024/c.csv"][..], "2024/c.csv does not exist"),
        (&["2023/a.csv", "2023/*.csv"][..], "2023/a.csv is the same file as 2023/a.csv"),
    ] {
        let message = bucket.resolve(keys).unwrap_err();
        assert!(message.contains(says), "{message}");
    }
}

#[test]
fn an_object_is_read_from_any_offset_across_windows() {
    let bucket = Bucket::new();
    let bytes: Vec<u8> = (0..2 * WINDOW_BYTES + 3).map(|n| (n % 251) as u8).collect();
    bucket.put("large.csv", bytes.clone());
    let file = SourceFile::inspect(&bucket.url("large.csv")).unwrap();
    assert_eq!(file.size, bytes.len() as u64);
    for offset in [0, 1, WINDOW_BYTES - 1, WINDOW_BYTES, 2 * WINDOW_BYTES, file.size, file.size + 9] {
        let from = usize::try_from(offset.min(file.size)).unwrap();
        assert!(read(file.clone(), offset) == bytes[from..], "from {offset}");
    }
    let part = |range: Range<u64>| {
        let mut found = Vec::new();
        let url: ObjectUrl = bucket.url("large.csv").parse().unwrap();
        ObjectReader::part(&url, range).unwrap().read_to_end(&mut found).unwrap();
        found
    };
    assert!(part(5..WINDOW_BYTES + 7) == bytes[5..(WINDOW_BYTES + 7) as usize]);
    assert!(part(7..7).is_empty());
}

#[test]
fn an_object_is_the_same_listed_and_looked_at() {
    let bucket = Bucket::new();
    bucket.put("a.csv", "a\n1\n");
    let resolved = |key: &str| resolve(&[bucket.url(key)]).unwrap();
    assert_eq!(resolved("*.csv"), resolved("a.csv"));
}

#[test]
fn another_version_of_an_object_is_not_read() {
    let bucket = Bucket::new();
    bucket.put("a.csv", "a\n1\n");
    let file = SourceFile::inspect(&bucket.url("a.csv")).unwrap();
    assert_eq!(file.changed().unwrap(), None);
    // Of the same size, and perhaps of the same second.
    bucket.put("a.csv", "a\n2\n");
    assert!(matches!(file.changed().unwrap(), Some(Change::Modified { .. })));
    let error = io::read_to_string(file.open_at(0).unwrap()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StaleNetworkFileHandle, "{error}");
    bucket.delete("a.csv");
    assert_eq!(file.changed().unwrap(), Some(Change::Gone));
    let error = io::read_to_string(file.open_at(0).unwrap()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
}

#[test]
fn a_pinned_file_of_an_earlier_version_is_read() {
    let text = r#"{"path":"a.csv","canonical":"/data/a.csv","size":4,"modified_us":7}"#;
    let file: SourceFile = serde_json::from_str(text).unwrap();
    assert_eq!(file.canonical, Location::File("/data/a.csv".into()));
    assert_eq!(serde_json::to_string(&file).unwrap(), text);
}
