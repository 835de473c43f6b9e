//! Torn tails and damaged bytes.

use super::*;

fn segment(place: &EmbeddedPlace, number: u64) -> PathBuf {
    files::segment_path(place.dir.path(), number)
}

/// Forgets that the log was closed properly, as a crash does.
fn forget_index(place: &EmbeddedPlace) {
    fs::remove_file(files::index_path(place.dir.path(), 1)).unwrap();
}

async fn numbers(place: &EmbeddedPlace, log: &EmbeddedLog) -> Vec<u32> {
    place.read_all(log).await.iter().map(|e| e.shard.number).collect()
}

/// Three records; the segment's bytes and where the third begins.
async fn three_records(place: &EmbeddedPlace) -> (Vec<u8>, u64) {
    let log = place.open_embedded().unwrap();
    let mut third = LogCursor::default();
    for number in 0..3 {
        third = log.scan(LogCursor::default(), 10).await.unwrap().unwrap().next;
        log.append(sample_shard(1, number, 2).into()).await.unwrap();
    }
    log.close().await.unwrap();
    drop(log);
    forget_index(place);
    (fs::read(segment(place, 1)).unwrap(), third.offset)
}

#[tokio::test]
async fn a_tail_that_is_torn_at_any_byte_costs_nothing_that_was_acknowledged() {
    let place = EmbeddedPlace::new();
    let (bytes, third) = three_records(&place).await;
    for len in third as usize..bytes.len() {
        fs::write(segment(&place, 1), &bytes[..len]).unwrap();
        let log = place.open_embedded().unwrap();
        assert_eq!(fs::metadata(segment(&place, 1)).unwrap().len(), third);
        assert_eq!(numbers(&place, &log).await, [0, 1]);
        log.append(sample_shard(1, 7, 1).into()).await.unwrap();
        assert_eq!(numbers(&place, &log).await, [0, 1, 7]);
        drop(log);
        let log = place.open_embedded().unwrap();
        assert_eq!(numbers(&place, &log).await, [0, 1, 7]);
        drop(log);
        forget_index(&place);
    }
}

#[tokio::test]
async fn a_tail_of_zeros_or_with_a_hole_is_cut_off() {
    let place = EmbeddedPlace::new();
    let (bytes, third) = three_records(&place).await;
    let mut zeros = bytes[..third as usize].to_vec();
    zeros.resize(bytes.len(), 0);
    let mut hole = bytes.clone();
    hole[third as usize + frame::HEADER_BYTES..][..64].fill(0);
    assert_ne!(hole, bytes);
    // A group of records whose first never reached the disk: the second says that the first was not durable.
    let mut group = zeros.clone();
    group.extend_from_slice(&bytes[third as usize..]);
    for torn in [zeros, hole, group] {
        fs::write(segment(&place, 1), torn).unwrap();
        let log = place.open_embedded().unwrap();
        assert_eq!(numbers(&place, &log).await, [0, 1]);
        assert_eq!(fs::metadata(segment(&place, 1)).unwrap().len(), third);
        drop(log);
        forget_index(&place);
    }
}

#[tokio::test]
async fn a_flipped_byte_is_detected_wherever_it_is() {
    let place = EmbeddedPlace::new();
    let (bytes, third) = three_records(&place).await;
    // Known to be durable by its index, and by the records behind it.
    for (with_index, end) in [(true, bytes.len()), (false, third as usize)] {
        for at in (0..end).step_by(13) {
            fs::write(segment(&place, 1), &bytes).unwrap();
            fs::remove_file(segment(&place, 2)).ok();
            fs::remove_file(files::index_path(place.dir.path(), 2)).ok();
            fs::remove_file(files::index_path(place.dir.path(), 1)).ok();
            if with_index {
                drop(place.open_embedded().unwrap());
            }
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            fs::write(segment(&place, 1), flipped).unwrap();
            let log = place.open_embedded().unwrap();
            let e = log.scan(LogCursor::default(), 10).await.unwrap_err();
            let EventsError::Corrupt { offset, .. } = &e else { panic!("{e}") };
            assert!(*offset <= at as u64, "{e}");
            assert_eq!(e.class(), ErrorClass::Fatal);
            // Nothing is lost by it: the log goes on, and nothing was cut off.
            log.append(sample_shard(1, 9, 1).into()).await.unwrap();
            drop(log);
            assert!(fs::metadata(segment(&place, 1)).unwrap().len() >= bytes.len() as u64);
        }
    }
}

#[tokio::test]
async fn a_segment_that_lost_its_end_is_damaged_and_the_log_goes_on() {
    let place = EmbeddedPlace::new();
    let (bytes, _) = three_records(&place).await;
    drop(place.open_embedded().unwrap());
    fs::write(segment(&place, 1), &bytes[..bytes.len() - 1]).unwrap();
    let log = place.open_embedded().unwrap();
    log.append(sample_shard(1, 9, 1).into()).await.unwrap();
    let page = log.scan(LogCursor::default(), 2).await.unwrap().unwrap();
    assert_eq!(page.records.len(), 2);
    assert!(matches!(log.scan(page.next, 2).await, Err(EventsError::Corrupt { .. })));
    let rest = log.scan(LogCursor { segment: 2, offset: 0 }, 2).await.unwrap().unwrap();
    assert_eq!(rest.records, [sample_shard(1, 9, 1)]);
}

#[tokio::test]
async fn lost_and_damaged_index_files_are_made_again() {
    let place = EmbeddedPlace::tiny_segments();
    let log = place.open_embedded().unwrap();
    for number in 0..3 {
        log.append(sample_shard(1, number, 2).into()).await.unwrap();
    }
    drop(log);
    let index = |number| files::index_path(place.dir.path(), number);
    let whole = [fs::read(index(1)).unwrap(), fs::read(index(2)).unwrap()];
    fs::remove_file(index(1)).unwrap();
    fs::write(index(2), "{").unwrap();
    let log = place.open_embedded().unwrap();
    assert_eq!(numbers(&place, &log).await, [0, 1, 2]);
    assert_eq!([fs::read(index(1)).unwrap(), fs::read(index(2)).unwrap()], whole);
}
