use bytes::Bytes;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{Claim, JobNumber, Rank, ShardId, SilverDoc, conformance::sample};

fn claims() -> impl Strategy<Value = Claim> {
    let rank = prop_oneof![any::<[i64; 3]>(), [-3..3_i64, -3..3, -3..3]];
    (rank, any::<u64>(), any::<u32>(), vec(any::<u8>(), 0..200)).prop_map(|(rank, job, number, fields)| Claim {
        rank: Rank(rank),
        shard: ShardId { job: JobNumber(job), number },
        fields: fields.into(),
    })
}

proptest! {
    #[test]
    fn a_silver_document_comes_back(live in claims(), displaced in vec(claims(), 0..4)) {
        let mut value = Vec::new();
        put_doc(&mut value, &live, &displaced);
        prop_assert_eq!(decode_live_stamp(&value), Ok((live.rank, live.shard)));
        prop_assert_eq!(decode_doc(&value.into()), Ok(SilverDoc { live, displaced }));
    }

    #[test]
    fn a_damaged_silver_document_is_an_error_or_another_document(value in vec(any::<u8>(), 0..60)) {
        let _ = decode_live_stamp(&value);
        let _ = decode_doc(&value.into());
    }

    #[test]
    fn stored_keys_are_in_the_order_of_their_texts(a in vec(0..3_u8, 0..6), b in vec(0..3_u8, 0..6)) {
        let (a, b) = (Bytes::from(a), Bytes::from(b));
        let (stored_a, stored_b) = (silver_key(&a).unwrap(), silver_key(&b).unwrap());
        prop_assert!(!stored_a.is_empty());
        prop_assert_eq!(stored_a.cmp(&stored_b), a.cmp(&b));
        prop_assert_eq!(silver_key_text(stored_a), a);
    }

    #[test]
    fn numbers_come_back(value in any::<u64>(), small in 0..300_u64) {
        let mut out = Vec::new();
        put_varint(&mut out, value);
        put_varint(&mut out, small);
        let mut cursor = Cursor::new(&out);
        prop_assert_eq!((cursor.varint(), cursor.varint(), cursor.varint().is_err()), (Ok(value), Ok(small), true));
    }
}

#[test]
fn a_key_that_is_too_long_is_refused() {
    assert!(silver_key(&vec![b'k'; MAX_KEY].into()).is_ok());
    let error = silver_key(&vec![b'k'; MAX_KEY + 1].into()).unwrap_err();
    assert_eq!(error.class(), crate::ErrorClass::Invalid);
    assert!(silver_key(&vec![0; MAX_KEY].into()).is_err());
    assert!(cell_key("view", &vec![b'k'; MAX_KEY]).is_err());
    assert!(document_key(crate::DocumentKind::Job, &"k".repeat(MAX_KEY)).is_err());
}

#[test]
fn a_dead_letter_comes_back_and_a_cut_one_does_not() {
    let mut letter = sample::dead_letter(sample::shard(7, 8), 1 << 50, "raw");
    for column in [None, Some("tempo".to_owned())] {
        letter.column = column;
        letter.value = letter.column.as_ref().map(|_| Bytes::from_static(b"\0"));
        let (key, value) = (dead_letter_key(letter.shard, letter.position), dead_letter_value(&letter));
        assert_eq!(decode_dead_letter(&key, &value), Ok(letter.clone()));
        assert!(decode_dead_letter(&key, &value[..5]).is_err());
        assert!(decode_dead_letter(&key[..19], &value).is_err());
    }
}

#[test]
fn the_bounds_of_a_view_hold_its_cells_alone() {
    let (first, behind) = cell_view_bounds("v").unwrap();
    let inside = |view: &str, key: &[u8]| (first.clone()..behind.clone()).contains(&cell_key(view, key).unwrap());
    assert!(inside("v", b"") && inside("v", b"\xff\xff\xff"));
    assert!(!inside("u", b"\xff") && !inside("w", b"") && !inside("", b"\xff") && !inside("va", b""));
}
