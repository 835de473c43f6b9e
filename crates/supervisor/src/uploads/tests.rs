use std::io::Read;

use ensemble_store::{EmbeddedOptions, EmbeddedStore};

use super::*;

async fn office() -> (Office, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path(), EmbeddedOptions::default()).unwrap();
    (Office::take(store).await.unwrap(), dir)
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 % 251) as u8).collect()
}

fn begin(office: &Office) -> impl Future<Output = Result<Receiver, UploadError>> + use<> {
    Receiver::begin(office.clone(), "u-1".to_owned(), "a.csv".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_anywhere_goes_on_from_what_is_durable() {
    let (office, _dir) = office().await;
    let all = bytes(PIECE_BYTES as usize * 5 + 77);
    for cut in [0, 1, PIECE_BYTES as usize - 1, PIECE_BYTES as usize, PIECE_BYTES as usize * 3 + 5, all.len()] {
        let mut receiver = begin(&office).await.unwrap();
        let from = receiver.durable() as usize;
        if from < cut {
            receiver.take(from as u64, &all[from..cut]).await.unwrap();
        }
        // The stream breaks here: what is not durable is lost.
        let expected = cut / PIECE_BYTES as usize * PIECE_BYTES as usize;
        assert_eq!(receiver.durable(), expected as u64);
    }
    let mut receiver = begin(&office).await.unwrap();
    let from = receiver.durable() as usize;
    let gap = receiver.take(all.len() as u64, b"x").await;
    assert!(matches!(gap, Err(UploadError::Gap { durable, .. }) if durable == from as u64));
    // Bytes that are known already are passed over.
    receiver.take(0, &all[..100]).await.unwrap();
    receiver.take(from as u64 - 10, &all[from - 10..]).await.unwrap();
    assert!(matches!(receiver.end(3).await, Err(UploadError::Length { said: 3, .. })));
    receiver.end(all.len() as u64).await.unwrap();
    let progress = progress(&**office.store(), "u-1").await.unwrap().unwrap();
    assert_eq!(progress, Progress { file_name: "a.csv".into(), durable: all.len() as u64, complete: true });

    let store = Arc::clone(office.store());
    for offset in [0, 5, PIECE_BYTES as usize * 2 + 9, all.len()] {
        let mut reader = Reader::new(Arc::clone(&store), "u-1", all.len() as u64, offset as u64);
        let read = tokio::task::spawn_blocking(move || {
            let mut read = Vec::new();
            reader.read_to_end(&mut read).map(|_| read)
        });
        assert!(read.await.unwrap().unwrap() == all[offset..]);
    }
    forget(&*store, "u-1").await.unwrap();
    assert_eq!(store.scan_documents(DocumentKind::Upload, None, 10).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_file_is_one_document_and_the_first_one_counts() {
    let (office, _dir) = office().await;
    let store = Arc::clone(office.store());
    for (name, length) in [("empty", 0), ("row", 77), ("most", SMALL_BYTES as usize)] {
        let all = bytes(length);
        let begin = || Receiver::begin(office.clone(), name.to_owned(), "a.csv".to_owned());
        let (mut first, mut same, mut other) = (begin().await.unwrap(), begin().await.unwrap(), begin().await.unwrap());
        first.take(0, &all).await.unwrap();
        assert_eq!(progress(&*store, name).await.unwrap(), None, "nothing is kept before the end");
        first.end(length as u64).await.unwrap();
        same.take(0, &all).await.unwrap();
        same.end(length as u64).await.unwrap();
        if length > 0 {
            other.take(0, &vec![b'x'; length]).await.unwrap();
            assert!(matches!(other.end(length as u64).await, Err(UploadError::OtherBytes { .. })));
        }
        let known = begin().await.unwrap();
        assert!(known.is_complete() && known.durable() == length as u64);
        let mut reader = Reader::new(Arc::clone(&store), name, length as u64, length as u64 / 3);
        let read = tokio::task::spawn_blocking(move || {
            let mut read = Vec::new();
            reader.read_to_end(&mut read).map(|_| read)
        });
        assert!(read.await.unwrap().unwrap() == all[length / 3..]);
        assert_eq!(store.scan_documents(DocumentKind::Upload, Some(name), 10).await.unwrap().len(), 0, "{name}");
        forget(&*store, name).await.unwrap();
        assert_eq!(progress(&*store, name).await.unwrap(), None);
    }
}

/// Whole and begun ones, in one document and in pieces, under names that sort before and behind those of pieces.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_are_listed_by_age() {
    let (office, _dir) = office().await;
    let store = Arc::clone(office.store());
    let before = SystemClock.now_us();
    let large = bytes(PIECE_BYTES as usize * 2 + 1);
    for (name, content, whole) in [
        ("a", &large[..], true),
        ("a-b", b"x", true),
        ("a.b", &large[..], false),
        ("a0", b"y", true),
        ("b", &large[..], true),
    ] {
        let mut receiver = Receiver::begin(office.clone(), name.to_owned(), "a.csv".to_owned()).await.unwrap();
        receiver.take(0, content).await.unwrap();
        if whole {
            receiver.end(content.len() as u64).await.unwrap();
        }
    }
    let none: [&str; 0] = [];
    assert_eq!(written_before(&*store, before).await.unwrap(), none);
    let after = SystemClock.now_us() + 1;
    assert_eq!(written_before(&*store, after).await.unwrap(), ["a", "a-b", "a.b", "a0", "b"]);
}

#[tokio::test]
async fn one_name_is_one_file_and_odd_names_are_refused() {
    let (office, _dir) = office().await;
    let mut first = begin(&office).await.unwrap();
    first.take(0, b"x").await.unwrap();
    first.end(1).await.unwrap();
    let other = Receiver::begin(office.clone(), "u-1".to_owned(), "b.csv".to_owned()).await;
    assert!(matches!(other, Err(UploadError::OtherFile { .. })));
    for name in ["", "a/b", "ü", &"x".repeat(129)] {
        let refused = Receiver::begin(office.clone(), name.to_owned(), "b.csv".to_owned()).await;
        assert!(matches!(refused, Err(UploadError::Name(_))), "{name}");
    }
}
