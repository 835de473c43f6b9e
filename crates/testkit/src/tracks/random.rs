//! Random numbers that are the same on every platform and in every version.

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014): the step of SplitMix64.
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A bijection of 64 bits that leaves no pattern: David Stafford's "Mix13", the output function of SplitMix64.
pub(super) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// SplitMix64. Integers only: a logarithm or a power may differ in its last bit from one platform to the next.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// The stream `stream` of a seed; streams are independent of each other.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        Self(mix(seed ^ mix(stream.wrapping_add(GOLDEN_GAMMA))))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN_GAMMA);
        mix(self.0)
    }

    /// A number below `n`, which is at least 1. The bias is below `n × 2^−64`.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low) as u64 + 1) as i64
    }

    /// A number around `centre`, at most `spread` away: the sum of three, so that the middle is likelier.
    pub(super) fn around(&mut self, centre: i64, spread: i64) -> i64 {
        let third = spread / 3;
        centre + (0..3).map(|_| self.between(-third, third)).sum::<i64>()
    }

    /// True in `percent` of a hundred cases.
    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// True with the chance that [`chance`] made the threshold of.
    pub(super) fn hits(&mut self, threshold: u64) -> bool {
        (self.next() >> 11) < threshold
    }

    /// One of `items`, which are not empty.
    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }
}

/// The threshold for [`Random::hits`] of a chance from 0 to 1; what lies outside becomes the nearest, NaN becomes 0.
pub(super) fn chance(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * (1u64 << 53) as f64) as u64
}
