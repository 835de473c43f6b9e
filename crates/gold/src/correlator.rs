//! Sums over all pairs of correlated columns.
//!
//! All rows are summed as if nothing were null, which takes one n, one Σx a column and one Σxy a pair; a null counts
//! as 0. What rows with a null have added to the pairs that lack them is summed apart, and taken off at the end.

use crate::{
    PairSums,
    batch::{BATCH, Batch, Lane, rows},
    decoder::{Decoder, LaneId},
};

/// Bits of two factors of which eight products fit in 63 bits. Billionths from −1 to 1 have 30.
const NARROW_BITS: u32 = 60;

#[derive(Debug)]
pub(crate) struct Correlator {
    /// The lanes of the columns.
    lanes: Vec<LaneId>,
    n: i64,
    /// Σx of each column.
    sums: Vec<i128>,
    /// Σxy of each column with itself and each one behind it.
    products: Vec<i128>,
    /// What to take off each pair: the rows that have one of the two at most.
    lacking: Vec<PairSums>,
}

impl Correlator {
    pub(crate) fn new(lanes: Vec<LaneId>) -> Self {
        let columns = lanes.len();
        Self {
            lanes,
            n: 0,
            sums: vec![0; columns],
            products: vec![0; columns * (columns + 1) / 2],
            lacking: vec![PairSums::default(); pair_count(columns)],
        }
    }

    pub(crate) fn add(&mut self, decoder: &Decoder, batch: &Batch) {
        let lanes: Vec<_> = self.lanes.iter().map(|lane| decoder.lane(*lane)).collect();
        self.n += batch.signs.iter().sum::<i64>();
        let mut products = self.products.iter_mut();
        let bits: Vec<_> = lanes.iter().map(|lane| bits(&lane.values)).collect();
        for (i, (lane, sum)) in lanes.iter().zip(&mut self.sums).enumerate() {
            let mut signed = [0; BATCH];
            let xs = if batch.signs == [1; BATCH] {
                &lane.values
            } else {
                signed.iter_mut().zip(&lane.values).zip(&batch.signs).for_each(|((s, x), sign)| *s = sign * x);
                &signed
            };
            // The decoder bounds each value, so that the sum of a batch is far inside 64 bits.
            *sum += i128::from(xs.iter().sum::<i64>());
            for ((other, other_bits), product) in lanes.iter().zip(&bits).skip(i).zip(&mut products) {
                *product += dot(xs, &other.values, bits[i] + other_bits);
            }
        }
        for row in rows(lanes.iter().fold(0, |nulls, lane| nulls | lane.nulls)) {
            add_row(&mut self.lacking, &lanes, (row, batch.signs[row]), |both| !both);
        }
    }

    /// The sums of all pairs, in the order (0,1), (0,2), …, (1,2), …; forgotten here.
    pub(crate) fn take(&mut self) -> Vec<PairSums> {
        let done = std::mem::replace(self, Self::new(self.lanes.clone()));
        let columns = done.sums.len();
        // Where the products of each column begin: with itself.
        let diagonal = |i: usize| i * columns - i * i.saturating_sub(1) / 2;
        let all = (0..columns).flat_map(|a| (a + 1..columns).map(move |b| (a, b)));
        let pair = |((a, b), lacking): ((usize, usize), PairSums)| PairSums {
            n: done.n - lacking.n,
            sum_x: done.sums[a] - lacking.sum_x,
            sum_y: done.sums[b] - lacking.sum_y,
            sum_xx: done.products[diagonal(a)] - lacking.sum_xx,
            sum_yy: done.products[diagonal(b)] - lacking.sum_yy,
            sum_xy: done.products[diagonal(a) + b - a] - lacking.sum_xy,
        };
        all.zip(done.lacking).map(pair).collect()
    }
}

/// The number of pairs of columns.
pub(crate) fn pair_count(columns: usize) -> usize {
    columns * columns.saturating_sub(1) / 2
}

/// Adds one row, by its sign, to the pairs for which `wanted` holds, given whether the row has both; a null counts as 0.
pub(crate) fn add_row(
    pairs: &mut [PairSums],
    lanes: &[&Lane],
    (row, sign): (usize, i64),
    wanted: impl Fn(bool) -> bool,
) {
    let all = lanes.iter().enumerate().flat_map(|(i, a)| lanes.iter().skip(i + 1).map(move |b| (a, b)));
    for (pair, (a, b)) in pairs.iter_mut().zip(all) {
        if wanted((a.nulls | b.nulls) >> row & 1 == 0) {
            pair.add(a.values[row], b.values[row], sign);
        }
    }
}

/// Σxy, of columns whose values have at most so many bits.
fn dot(xs: &[i64; BATCH], ys: &[i64; BATCH], bits: u32) -> i128 {
    let eights = xs.as_chunks::<8>().0.iter().zip(ys.as_chunks::<8>().0);
    if bits <= NARROW_BITS {
        let narrow = |x: &[i64; 8], y: &[i64; 8]| {
            x[0] * y[0]
                + x[1] * y[1]
                + x[2] * y[2]
                + x[3] * y[3]
                + x[4] * y[4]
                + x[5] * y[5]
                + x[6] * y[6]
                + x[7] * y[7]
        };
        return eights.map(|(x, y)| i128::from(narrow(x, y))).sum();
    }
    let product = |x: i64, y: i64| i128::from(x) * i128::from(y);
    // Written out, as the compiler does not unroll sums of 128 bits.
    xs.as_chunks::<4>().0.iter().zip(ys.as_chunks::<4>().0).fold(0, |sum, (x, y)| {
        sum + product(x[0], y[0]) + product(x[1], y[1]) + product(x[2], y[2]) + product(x[3], y[3])
    })
}

/// The bits of the largest magnitude: all are below 2 to this power.
fn bits(xs: &[i64; BATCH]) -> u32 {
    let all = xs.iter().fold(0, |all, x| all | x.unsigned_abs());
    u64::BITS - all.leading_zeros()
}
