//! A batch of decoded rows, column by column.

/// Rows in a batch: each lane's nulls are then one word, and all lanes of a contract stay in the nearest cache.
pub(crate) const BATCH: usize = u64::BITS as usize;

/// Which rows of a batch there are, and which way they count.
#[derive(Debug)]
pub(crate) struct Batch {
    /// 1 where the row is added, −1 where it is taken away, 0 behind the last row: what a lane still holds there then
    /// adds nothing to any sum, and every loop over a batch has one length.
    pub(crate) signs: [i64; BATCH],
    filled: usize,
}

/// One value of each row: a summed column in units, or a part of a key.
#[derive(Debug)]
pub(crate) struct Lane {
    /// 0 for null.
    pub(crate) values: [i64; BATCH],
    /// Bit r is set where row r is null.
    pub(crate) nulls: u64,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self { signs: [0; BATCH], filled: 0 }
    }

    /// The row that is being read: from 0, below [`BATCH`].
    #[inline]
    pub(crate) fn row(&self) -> usize {
        self.filled
    }

    /// Ends the row that was being read; `true` where the batch is full and has to be folded.
    #[inline]
    pub(crate) fn push(&mut self, sign: i64) -> bool {
        self.signs[self.filled] = sign;
        self.filled += 1;
        self.filled == BATCH
    }

    /// A bit for each row that has been pushed.
    pub(crate) fn filled_rows(&self) -> u64 {
        1u64.checked_shl(self.filled as u32).map_or(u64::MAX, |end| end - 1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.filled == 0
    }
}

impl Lane {
    pub(crate) const fn new() -> Self {
        Self { values: [0; BATCH], nulls: 0 }
    }

    #[inline(always)]
    pub(crate) fn set(&mut self, row: usize, value: i64) {
        // Rows are below the length; the remainder only spares the check.
        self.values[row % BATCH] = value;
    }

    pub(crate) fn set_null(&mut self, row: usize) {
        self.set(row, 0);
        self.nulls |= 1 << (row % BATCH);
    }
}

/// The rows whose bit is set.
pub(crate) fn rows(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let row = bits.trailing_zeros();
        // Clears the lowest bit; 0 stays 0.
        bits &= bits.wrapping_sub(1);
        (row < u64::BITS).then_some(row as usize)
    })
}
