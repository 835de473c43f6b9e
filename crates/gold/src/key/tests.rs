use proptest::prelude::*;

use super::*;

fn any_part() -> impl Strategy<Value = KeyPart> {
    prop_oneof![
        "[\\x00a-cé]{0,4}".prop_map(KeyPart::Text),
        any::<i64>().prop_map(KeyPart::Int),
        (-300i64..300).prop_map(KeyPart::Int),
        any::<bool>().prop_map(KeyPart::Bool),
    ]
}

proptest! {
    #[test]
    fn a_key_reads_back_as_its_parts(parts in prop::collection::vec(any_part(), 0..4)) {
        let key = CellKey::new(&parts);
        prop_assert_eq!(key.parts(), parts);
        prop_assert_eq!(CellKey::from_bytes(key.as_bytes()), Ok(key));
    }

    #[test]
    fn sorting_bytes_sorts_numbers(a in any::<i64>(), b in any::<i64>(), shift in 0u32..64) {
        let (a, b) = (a >> shift, b >> shift);
        let key = |v| CellKey::new(&[KeyPart::Int(v)]);
        prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
    }

    #[test]
    fn sorting_bytes_sorts_text_then_number(
        a in ("[\\x00\\x01a-b]{0,4}", -9i64..9),
        b in ("[\\x00\\x01a-b]{0,4}", -9i64..9),
    ) {
        let key = |(t, v): &(String, i64)| CellKey::new(&[KeyPart::Text(t.clone()), KeyPart::Int(*v)]);
        prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
    }

    #[test]
    fn any_bytes_are_a_canonical_key_or_damaged(bytes in any::<Vec<u8>>()) {
        if let Ok(key) = CellKey::from_bytes(&bytes) {
            let again = CellKey::new(&key.parts());
            prop_assert_eq!(again.as_bytes(), bytes.as_slice());
        }
    }
}

#[test]
fn a_number_with_needless_bytes_is_damaged() {
    assert!(CellKey::from_bytes(&[0x81, 0]).is_err());
    assert!(CellKey::from_bytes(&[0x82, 0, 7]).is_err());
    assert!(CellKey::from_bytes(&[0x7e, 0xff]).is_err());
}

#[test]
fn a_key_is_shown_as_people_read_it() {
    let key = CellKey::new(&[KeyPart::Text("drum \"n\" bass".into()), KeyPart::Int(-3), KeyPart::Bool(true)]);
    assert_eq!(key.to_string(), r#"["drum \"n\" bass", -3, true]"#);
}
