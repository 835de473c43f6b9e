//! A blocked Bloom filter over the keys of a silver collection.
//!
//! A key sets [`PROBES`] bits in one block of 512 bits, one cache line, so a test costs one miss at most. There are no
//! false negatives; false positives grow with the keys (about 1 in 100 at 11 bits a key) and cost a look-up each.
//! One thread puts while any number test: bits are only ever set.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use xxhash_rust::xxh3::xxh3_64;

const PROBES: u32 = 6;
/// How full the near part gets: 1 false positive in 1,000, as each costs a look-up in many runs.
const BITS_A_KEY: usize = 18;
/// How many keys' blocks are fetched at once.
const BATCH: usize = 64;

/// The least that systems give out at once.
const PAGE_BYTES: usize = 4096;

/// A cache line.
type Block = [AtomicU64; 8];

/// The hash of a key that [`KeyFilter`] is asked with.
pub(super) fn key_hash(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// A set of key hashes that may say yes too often and never says no wrongly.
///
/// An eighth of it is filled first: as long as that suffices, the processor's caches hold it, and a test costs a
/// fraction of a miss.
pub(super) struct KeyFilter {
    near: Blocks,
    /// Keys that `near` still takes.
    room: AtomicUsize,
    far: Blocks,
}

impl KeyFilter {
    /// An empty filter of about `bytes` bytes.
    pub(super) fn new(bytes: usize) -> Self {
        let near = Blocks::new(bytes / 8);
        let room = near.0.len() * size_of::<Block>() * 8 / BITS_A_KEY;
        Self { room: AtomicUsize::new(room), far: Blocks::new(bytes - bytes / 8), near }
    }

    /// Puts the hashes of keys in. For one thread at a time: of two that put side by side, one may undo the other.
    pub(super) fn put_all(&self, hashes: impl Iterator<Item = u64>) {
        self.in_batches(hashes, |hash| self.put(hash));
    }

    /// Of each key, in their order: `false` where it was never put in.
    pub(super) fn may_contain_each(&self, hashes: impl Iterator<Item = u64>) -> Vec<bool> {
        let mut answers = Vec::with_capacity(hashes.size_hint().0);
        self.in_batches(hashes, |hash| answers.push(self.may_contain(hash)));
        answers
    }

    /// Fetches the blocks of a batch before they are needed: misses then overlap.
    fn in_batches(&self, mut hashes: impl Iterator<Item = u64>, mut each: impl FnMut(u64)) {
        let mut batch = [0; BATCH];
        loop {
            let mut length = 0;
            for (slot, hash) in batch.iter_mut().zip(&mut hashes) {
                *slot = hash;
                length += 1;
            }
            let batch = &batch[..length];
            std::hint::black_box(batch.iter().fold(0, |touched, hash| touched | self.near.first_word(*hash)));
            if self.room.load(Ordering::Relaxed) == 0 {
                std::hint::black_box(batch.iter().fold(0, |touched, hash| touched | self.far.first_word(*hash)));
            }
            batch.iter().for_each(|hash| each(*hash));
            if length < BATCH {
                return;
            }
        }
    }

    fn put(&self, hash: u64) {
        let room = self.room.load(Ordering::Relaxed);
        if self.may_contain(hash) {
            return;
        }
        if room > 0 {
            self.near.put(hash);
            // The last one makes way for tests of the rest.
            self.room.store(room - 1, Ordering::Release);
        } else {
            self.far.put(hash);
        }
    }

    /// `false`: the key was never put in.
    pub(super) fn may_contain(&self, hash: u64) -> bool {
        self.near.may_contain(hash) || (self.room.load(Ordering::Acquire) == 0 && self.far.may_contain(hash))
    }
}

struct Blocks(Box<[Block]>);

impl Blocks {
    /// At least one. All of the memory is taken now: a budget that a load came to only after hours would be a surprise.
    fn new(bytes: usize) -> Self {
        let blocks = Self((0..(bytes / size_of::<Block>()).max(1)).map(|_| Block::default()).collect());
        // The allocator leaves zeros to the system, which gives a page once it is written.
        blocks.0.iter().step_by(PAGE_BYTES / size_of::<Block>()).for_each(|b| b[0].store(0, Ordering::Relaxed));
        std::hint::black_box(blocks)
    }

    fn put(&self, hash: u64) {
        let block = self.block(hash);
        for (word, mask) in probes(hash) {
            // There is one that puts, so this needs no locked instruction.
            block[word].store(block[word].load(Ordering::Relaxed) | mask, Ordering::Relaxed);
        }
    }

    #[inline]
    fn may_contain(&self, hash: u64) -> bool {
        let block = self.block(hash);
        // All probes, whatever the first says: how many it takes cannot be foreseen.
        probes(hash).fold(true, |all, (word, mask)| all & (block[word].load(Ordering::Relaxed) & mask != 0))
    }

    #[inline]
    fn first_word(&self, hash: u64) -> u64 {
        self.block(hash)[0].load(Ordering::Relaxed)
    }

    fn block(&self, hash: u64) -> &Block {
        // The high bits choose the block without a division.
        &self.0[((u128::from(hash) * self.0.len() as u128) >> 64) as usize]
    }
}

/// The words of a key's block, and the bit in each. They come from a remix of the hash, so that they do not depend on
/// which block it is.
#[inline(always)]
fn probes(hash: u64) -> impl Iterator<Item = (usize, u64)> {
    let bits = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (0..PROBES).map(move |i| {
        let bit = (bits >> (64 - 9 * (i + 1))) & 511;
        ((bit / 64) as usize, 1 << (bit % 64))
    })
}
