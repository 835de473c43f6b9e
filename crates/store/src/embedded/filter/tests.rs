use proptest::{collection::vec, prelude::*};

use super::*;

proptest! {
    #[test]
    fn what_was_put_in_is_found(keys in vec(vec(any::<u8>(), 0..40), 0..500), bytes in 1..5000_usize) {
        let filter = KeyFilter::new(bytes);
        filter.put_all(keys.iter().map(|key| key_hash(key)));
        prop_assert!(keys.iter().all(|key| filter.may_contain(key_hash(key))));
        prop_assert_eq!(filter.may_contain_each(keys.iter().map(|key| key_hash(key))), vec![true; keys.len()]);
    }
}

/// How many of 100,000 keys are thought to be there that are not.
fn wrong(bits_per_key: usize) -> usize {
    const KEYS: u64 = 100_000;
    let hash = |n: u64| key_hash(&n.to_le_bytes());
    let filter = KeyFilter::new(KEYS as usize * bits_per_key / 8);
    filter.put_all((0..KEYS).map(hash));
    (KEYS..2 * KEYS).filter(|n| filter.may_contain(hash(*n))).count()
}

#[test]
fn few_absent_keys_are_thought_present() {
    let rates = [8, 10, 12, 16].map(wrong);
    assert!(rates[0] < 4_000 && rates[1] < 2_000 && rates[2] < 1_000 && rates[3] < 400, "{rates:?} of 100,000");
    let empty = KeyFilter::new(64);
    assert!((0..1000_u64).all(|n| !empty.may_contain(key_hash(&n.to_le_bytes()))));
}
