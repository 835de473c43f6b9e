//! What can be set about the embedded store.

use std::{ops::RangeInclusive, time::Duration};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Settings of an [`EmbeddedStore`](super::EmbeddedStore). A value outside its bounds is moved to the nearest bound.
/// None of them changes what is stored: a store can be opened with other settings at any time.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Bytes of memory for the filters that tell absent keys of silver without a look-up; 64 KiB to 4 GiB. The first
    /// silver collection takes half of it, the next one half of the rest, and so on. Past about 10 bits a key (26
    /// million keys with the default) only the look-ups grow.
    pub key_filter_bytes: usize,
    /// Bytes of memory for blocks of the database's tables; 1 MiB to 64 GiB.
    pub block_cache_bytes: usize,
    /// How many sorted runs of silver may stand side by side before they are merged in the background; 4 to 200. More
    /// make loading cheaper, and reading a key or a page dearer. Fixed when a silver collection is created.
    pub silver_runs: u8,
    /// The most rows that are committed to silver at once; 1 to 1,000,000. One request is never split.
    pub group_rows: usize,
    /// The most bytes that are committed to silver at once; 64 KiB to 1 GiB.
    pub group_bytes: usize,
    /// How long a commit to silver waits for more rows while there is load; up to 5 seconds. Without load nothing
    /// waits.
    pub group_linger: Duration,
    /// The most bytes that wait in the queue of each writer thread; 1 MiB to 4 GiB. Callers wait beyond it.
    pub queue_bytes: usize,
    /// How long a bronze segment file grows before the next one is begun, in bytes; 1 MiB to 4 GiB.
    pub segment_bytes: u64,
    /// How many reads and preparations of writes run at once on blocking threads; 1 to 64.
    pub readers: usize,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            key_filter_bytes: 64 * MIB,
            block_cache_bytes: 24 * MIB,
            silver_runs: 200,
            group_rows: 128_000,
            group_bytes: 16 * MIB,
            group_linger: Duration::from_millis(100),
            queue_bytes: 32 * MIB,
            segment_bytes: 256 << 20,
            readers: 4,
        }
    }
}

impl EmbeddedOptions {
    /// The same with every value inside its bounds.
    pub(super) fn bounded(self) -> Self {
        Self {
            key_filter_bytes: within(self.key_filter_bytes, 64 * KIB..=4096 * MIB),
            block_cache_bytes: within(self.block_cache_bytes, MIB..=65_536 * MIB),
            silver_runs: within(self.silver_runs, 4..=200),
            group_rows: within(self.group_rows, 1..=1_000_000),
            group_bytes: within(self.group_bytes, 64 * KIB..=1024 * MIB),
            group_linger: self.group_linger.min(Duration::from_secs(5)),
            queue_bytes: within(self.queue_bytes, MIB..=4095 * MIB),
            segment_bytes: within(self.segment_bytes, 1 << 20..=4 << 30),
            readers: within(self.readers, 1..=64),
        }
    }
}

fn within<T: Ord + Copy>(value: T, bounds: RangeInclusive<T>) -> T {
    value.clamp(*bounds.start(), *bounds.end())
}
