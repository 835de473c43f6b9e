use std::fs;

use super::*;

fn fresh(dir: &Path, limit: u64) -> Segments {
    Recovered::scan(dir, Mark::START).unwrap().cut(limit).unwrap()
}

fn packed(content: &[u8]) -> Packed {
    Packed::new(&Bytes::copy_from_slice(content)).unwrap()
}

/// Bytes that no compression makes smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn chunks_come_back_across_segments() {
    let dir = tempfile::tempdir().unwrap();
    let segments = fresh(dir.path(), 3000);
    let contents = [vec![], b"a,b\n".repeat(1000), noise(2500), b"x".to_vec(), noise(5000)];
    let locations: Vec<_> = contents.iter().map(|c| segments.append(&packed(c)).unwrap()).collect();
    assert!(locations[1].stored < locations[1].raw, "it was compressed");
    assert_eq!(locations[2].stored, locations[2].raw, "it was stored as it came");
    let numbers: Vec<_> = locations.iter().map(|l| l.segment).collect();
    assert_eq!(numbers, [1, 1, 1, 1, 2], "a chunk that is larger than a segment has one alone");
    for (location, content) in locations.iter().zip(&contents) {
        assert_eq!(segments.read(location).unwrap(), *content);
        let mut encoded = Vec::new();
        location.encode(&mut encoded);
        assert_eq!(Location::decode(&mut Cursor::new(&encoded)).unwrap(), *location);
    }
    assert_eq!(segments.sync().unwrap(), locations[4].end());
    assert_eq!(Mark::decode(&locations[4].end().encode()), Ok(locations[4].end()));
}

#[test]
fn a_torn_end_is_cut_off_wherever_it_is_torn() {
    let dir = tempfile::tempdir().unwrap();
    let whole = fresh(dir.path(), 1 << 20).append(&packed(&noise(300))).unwrap();
    let path = segment_path(dir.path(), 1);
    let good = fs::read(&path).unwrap();
    let torn = [packed(&noise(200)).header().to_vec(), noise(200)].concat();
    for (name, tail) in [
        ("a part of the header", &torn[..7]),
        ("a part of the bytes", &torn[..120]),
        ("zeros", &[0; 400][..]),
        ("noise", &noise(64)[..]),
        ("a wrong byte", &[&torn[..50], &[torn[50] ^ 1], &torn[51..]].concat()),
    ] {
        fs::write(&path, [&good[..], tail].concat()).unwrap();
        fs::write(segment_path(dir.path(), 2), b"what came after").unwrap();
        let recovered = Recovered::scan(dir.path(), Mark::START).unwrap();
        assert!(recovered.holds(&whole), "{name}");
        let segments = recovered.cut(1 << 20).unwrap();
        assert_eq!(fs::read(&path).unwrap(), good, "{name}");
        assert!(!segment_path(dir.path(), 2).exists(), "{name}");
        let next = segments.append(&packed(b"next")).unwrap();
        assert_eq!(segments.read(&next).unwrap(), "next");
        assert_eq!(segments.read(&whole).unwrap(), noise(300));
    }
}

#[test]
fn looking_through_begins_at_the_mark_and_goes_on_into_later_segments() {
    let dir = tempfile::tempdir().unwrap();
    let segments = fresh(dir.path(), 100);
    let locations: Vec<_> = (0..5).map(|_| segments.append(&packed(&noise(90))).unwrap()).collect();
    // Damage before the mark is found when it is read.
    let path = segment_path(dir.path(), 1);
    let mut first = fs::read(&path).unwrap();
    first[40] ^= 1;
    fs::write(&path, first).unwrap();
    let recovered = Recovered::scan(dir.path(), locations[1].end()).unwrap();
    assert!(locations.iter().all(|l| recovered.holds(l)));
    let segments = recovered.cut(100).unwrap();
    assert!(matches!(segments.read(&locations[0]), Err(StoreError::Corrupt { .. })));
    assert_eq!(segments.read(&locations[4]).unwrap(), noise(90));
}

#[test]
fn durable_bytes_that_are_missing_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let end = fresh(dir.path(), 1 << 20).append(&packed(&noise(300))).unwrap().end();
    File::options().write(true).open(segment_path(dir.path(), 1)).unwrap().set_len(100).unwrap();
    assert!(matches!(Recovered::scan(dir.path(), end), Err(StoreError::Corrupt { .. })));
}

#[test]
fn a_record_that_points_elsewhere_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let segments = fresh(dir.path(), 1 << 20);
    let [a, b] = [noise(100), b"y".repeat(100)].map(|c| segments.append(&packed(&c)).unwrap());
    for wrong in [Location { offset: b.offset, ..a }, Location { raw: 99, ..a }, Location { checksum: 1, ..a }] {
        assert!(matches!(segments.read(&wrong), Err(StoreError::Corrupt { .. })), "{wrong:?}");
    }
    let behind = Location { stored: 1 << 20, ..b };
    assert!(matches!(segments.read(&behind), Err(StoreError::Corrupt { .. })));
}
