//! From the parts of a key to the number of its accumulators, without an allocation for a key that is known.

use rustc_hash::FxHashMap;

/// Keys whose parts are small and not negative are found by position instead of by hash.
const DENSE_LEN: usize = 4096;
/// The base in which the two parts of a key are one position.
const DENSE_SIDE: i64 = 64;

/// Numbers keys from 1 in the order in which they are first seen. A key is its parts as integers: values, bin numbers,
/// booleans, or numbers of texts. All keys have one length.
#[derive(Debug)]
pub(crate) struct Groups {
    /// By position; 0 where no key has been seen.
    dense: Vec<u32>,
    sparse: FxHashMap<Box<[i64]>, u32>,
    keys: Vec<Box<[i64]>>,
}

impl Groups {
    pub(crate) fn new() -> Self {
        // Not `vec![0; DENSE_LEN]`: the allocator has the system zero what is large, page by page, and each shard has
        // new folders.
        let dense = std::iter::repeat_n(0, DENSE_LEN).collect();
        Self { dense, sparse: FxHashMap::default(), keys: Vec::new() }
    }

    /// The number of keys seen, which is the highest number.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The number of a key with any number of parts.
    #[inline]
    pub(crate) fn number(&mut self, key: &[i64]) -> u32 {
        let known = match dense_position(key) {
            Some(position) => self.dense.get(position).filter(|number| **number > 0),
            None => self.sparse.get(key),
        };
        match known {
            Some(&number) => number,
            None => self.insert(key),
        }
    }

    #[cold]
    fn insert(&mut self, key: &[i64]) -> u32 {
        self.keys.push(key.into());
        // Bounded by the rows of a folder, which are far fewer.
        let number = self.keys.len() as u32;
        match dense_position(key).and_then(|position| self.dense.get_mut(position)) {
            Some(slot) => *slot = number,
            None => drop(self.sparse.insert(key.into(), number)),
        }
        number
    }

    /// The keys by number, the first that of 1; forgotten here.
    pub(crate) fn take(&mut self) -> Vec<Box<[i64]>> {
        self.dense.fill(0);
        self.sparse.clear();
        std::mem::take(&mut self.keys)
    }
}

/// Below [`DENSE_LEN`]; different for different keys of one length.
#[inline]
fn dense_position(key: &[i64]) -> Option<usize> {
    match *key {
        [] => Some(0),
        [a] if (0..DENSE_LEN as i64).contains(&a) => Some(a as usize),
        [a, b] if (0..DENSE_SIDE).contains(&a) && (0..DENSE_SIDE).contains(&b) => Some((a * DENSE_SIDE + b) as usize),
        _ => None,
    }
}
