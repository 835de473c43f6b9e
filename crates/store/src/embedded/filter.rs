//! A blocked Bloom filter over the keys of a silver collection.
//!
//! A key sets [`PROBES`] bits in one block of 512 bits, one cache line, so a test costs one miss at most. There are no
//! false negatives; false positives grow with the keys (about 1 in 100 at 11 bits a key) and cost a look-up each.
//! Putting and testing run side by side: bits are only ever set.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

const WORDS_IN_BLOCK: usize = 8;
const PROBES: u32 = 6;

/// The hash of a key that [`KeyFilter`] is asked with.
pub(super) fn key_hash(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// A set of key hashes that may say yes too often and never says no wrongly.
pub(super) struct KeyFilter {
    words: Box<[AtomicU64]>,
}

impl KeyFilter {
    /// An empty filter of `bytes` bytes, at least one block.
    pub(super) fn new(bytes: usize) -> Self {
        let blocks = (bytes / (WORDS_IN_BLOCK * 8)).max(1);
        Self { words: (0..blocks * WORDS_IN_BLOCK).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Puts a key's hash in.
    pub(super) fn put(&self, hash: u64) {
        for (word, mask) in self.probes(hash) {
            word.fetch_or(mask, Ordering::Relaxed);
        }
    }

    /// `false`: the key was never put in.
    pub(super) fn may_contain(&self, hash: u64) -> bool {
        self.probes(hash).all(|(word, mask)| word.load(Ordering::Relaxed) & mask != 0)
    }

    fn probes(&self, hash: u64) -> impl Iterator<Item = (&AtomicU64, u64)> {
        let blocks = self.words.len() / WORDS_IN_BLOCK;
        // The high bits choose the block without a division; the bits inside come from a remix, so that they do not
        // depend on the block.
        let block = ((u128::from(hash) * blocks as u128) >> 64) as usize;
        let block = self.words.get(block * WORDS_IN_BLOCK..(block + 1) * WORDS_IN_BLOCK).unwrap_or_default();
        let bits = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (0..PROBES).filter_map(move |i| {
            let bit = (bits >> (64 - 9 * (i + 1))) & 511;
            block.get((bit / 64) as usize).map(|word| (word, 1 << (bit % 64)))
        })
    }
}
