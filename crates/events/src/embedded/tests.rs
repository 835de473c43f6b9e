use ensemble_contract::row::{Float, RowWriter, Value};
use ensemble_store::ErrorClass;
use tempfile::TempDir;

use super::*;
use crate::conformance::{Place, sample_shard};

mod damage;
mod retention;

/// A log in a directory of its own.
struct EmbeddedPlace {
    dir: TempDir,
    options: EmbeddedLogOptions,
}

impl EmbeddedPlace {
    fn new() -> Self {
        Self::with(EmbeddedLogOptions::default())
    }

    fn with(options: EmbeddedLogOptions) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), options }
    }

    /// Every record a segment.
    fn tiny_segments() -> Self {
        Self::with(EmbeddedLogOptions { segment_bytes: 1, ..EmbeddedLogOptions::default() })
    }

    fn open_embedded(&self) -> Result<Arc<EmbeddedLog>, EventsError> {
        EmbeddedLog::open(self.dir.path(), self.options.clone())
    }
}

#[async_trait::async_trait]
impl Place for EmbeddedPlace {
    async fn open(&self) -> Arc<dyn EventLog> {
        self.open_embedded().unwrap()
    }
}

crate::conformance_tests!(one_segment, EmbeddedPlace::new());
crate::conformance_tests!(many_segments, EmbeddedPlace::tiny_segments());
crate::conformance_tests!(
    a_queue_of_one_record,
    EmbeddedPlace::with(EmbeddedLogOptions { queue_bytes: 0, segment_bytes: 20_000, ..EmbeddedLogOptions::default() })
);

#[tokio::test]
async fn a_log_that_is_open_is_locked() {
    let place = EmbeddedPlace::new();
    let log = place.open_embedded().unwrap();
    let e = place.open_embedded().unwrap_err();
    assert!(matches!(e, EventsError::Locked { .. }), "{e}");
    assert_eq!(e.class(), ErrorClass::Invalid);
    log.close().await.unwrap();
    place.open_embedded().unwrap();
}

#[tokio::test]
async fn an_unknown_format_is_refused() {
    let place = EmbeddedPlace::new();
    drop(place.open_embedded().unwrap());
    let version = place.dir.path().join("log.json");
    assert_eq!(fs::read_to_string(&version).unwrap(), r#"{"format":1}"#);
    for (text, says) in [(r#"{"format":2}"#, "2"), (r#"{"format":"x"}"#, r#""x""#), ("no json", "unreadable")] {
        fs::write(&version, text).unwrap();
        match place.open_embedded() {
            Err(EventsError::UnknownVersion { found, known: 1, .. }) => assert_eq!(found, says),
            other => panic!("{other:?}"),
        }
    }
    fs::remove_file(&version).unwrap();
    assert!(matches!(place.open_embedded(), Err(EventsError::UnknownVersion { .. })));
}

#[tokio::test]
async fn a_writer_that_panics_answers_with_an_error() {
    let place = EmbeddedPlace::new();
    let log = place.open_embedded().unwrap();
    log.append(sample_shard(1, 0, 1).into()).await.unwrap();
    let _ = log.send(Command::Panic).await;
    for _ in 0..2 {
        let e = log.append(sample_shard(1, 1, 1).into()).await.unwrap_err();
        assert_eq!(e.class(), ErrorClass::Fatal, "{e}");
        assert!(log.job_ended(sample_shard(1, 1, 1).job).await.is_err());
    }
    assert_eq!(place.read_all(&*log).await.len(), 1);
    assert!(log.close().await.unwrap_err().to_string().contains("unexpectedly"));
    drop(log);
    let log = place.open_embedded().unwrap();
    log.append(sample_shard(1, 1, 1).into()).await.unwrap();
    assert_eq!(place.read_all(&*log).await.len(), 2);
}

#[tokio::test]
async fn closing_finishes_what_waits() {
    let place = EmbeddedPlace::new();
    let log = place.open_embedded().unwrap();
    let appends: Vec<_> = (0..50)
        .map(|n| {
            let log = log.clone();
            tokio::spawn(async move { log.append(sample_shard(1, n, 50).into()).await })
        })
        .collect();
    tokio::task::yield_now().await;
    log.close().await.unwrap();
    let mut written = 0;
    for append in appends {
        match append.await.unwrap() {
            Ok(()) => written += 1,
            Err(e) => assert!(matches!(e, EventsError::Closed), "{e}"),
        }
    }
    drop(log);
    let log = place.open_embedded().unwrap();
    assert_eq!(place.read_all(&*log).await.len(), written);
}

/// Rows that are about as large, and as hard to compress, as those of real tracks.
fn track_shard(number: u32) -> ShardEvents {
    let mut state = u64::from(number);
    let mut random = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        xxhash_rust::xxh3::xxh3_64(&state.to_le_bytes())
    };
    let mut events = crate::conformance::large_shard(1, number);
    for row in &mut events.accepted {
        let key = format!("{:011x}{:011x}", random() >> 20, random() >> 20);
        let mut fields = Vec::new();
        let mut writer = RowWriter::new(&mut fields);
        for text in [&key[..], &format!("{:x}", random()), &format!("Artist {:x}", random() >> 32), "dubstep"] {
            writer.push(Value::Str(text));
        }
        (0..6).for_each(|_| writer.push(Value::Int((random() % 500_000) as i64)));
        for _ in 0..9 {
            writer.push(Value::Float(Float::Decimal { mantissa: (random() % 100_000) as i64, scale: 5 }));
        }
        (row.key, row.fields) = (key.into(), fields.into());
    }
    events
}

#[tokio::test]
async fn a_record_is_compressed_only_where_that_pays() {
    let shards = [crate::conformance::large_shard(1, 0), track_shard(1)];
    let shrinks = shards.each_ref().map(|shard| {
        let mut plain = Vec::new();
        codec::encode(shard, &mut plain);
        Frame::encode(shard).unwrap().bytes().len() < plain.len()
    });
    assert_eq!(shrinks, [true, false]);
    let place = EmbeddedPlace::new();
    let log = place.open_embedded().unwrap();
    for shard in &shards {
        log.append(shard.clone().into()).await.unwrap();
    }
    assert!(place.read_all(&*log).await == shards);
}
