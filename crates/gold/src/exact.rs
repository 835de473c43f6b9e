//! From exact sums to doubles and decimals, to the same bits on every machine.
//!
//! Integers stay exact (256 bits hold every product of two accumulators), and doubles meet only the operations that
//! IEEE 754 rounds correctly: conversion, `+ − × ÷` and the square root.

use std::cmp::Ordering;

use crate::{PairSums, Sums, views::Unit};

/// The double nearest to `numerator ÷ denominator`, ties to even. The denominator is from 1 and below 2¹²⁷.
pub(crate) fn ratio(numerator: i128, denominator: u128) -> f64 {
    let magnitude = numerator.unsigned_abs();
    if magnitude == 0 || denominator == 0 {
        return 0.0;
    }
    let mut quotient = magnitude / denominator;
    let mut remainder = magnitude % denominator;
    let mut fraction_bits = 0;
    // A double has 53 bits; one more decides the rounding, and one more stays for "there is a remainder".
    while quotient < 1 << 54 {
        remainder <<= 1;
        quotient <<= 1;
        if remainder >= denominator {
            remainder -= denominator;
            quotient |= 1;
        }
        fraction_bits += 1;
    }
    if remainder != 0 {
        quotient |= 1;
    }
    // The conversion rounds once, ties to even; the scaling is exact, as no quotient here is near the subnormals.
    let value = quotient as f64 * power_of_two(-fraction_bits);
    if numerator < 0 { -value } else { value }
}

/// The mean of a measure: the double nearest to the exact quotient. `None` where `n` is not above 0.
pub(crate) fn mean(sums: &Sums, unit: Unit) -> Option<f64> {
    let n = u64::try_from(sums.n).ok().filter(|n| *n > 0)?;
    Some(ratio(sums.sum, u128::from(n) * u128::from(unit.per_one())))
}

/// The population's standard deviation, √(n·Σx² − (Σx)²) ÷ n, of an exact radicand that is rounded once. `None` where
/// `n` is not above 0, or where retractions have run ahead and the radicand is negative.
pub(crate) fn standard_deviation(sums: &Sums, unit: Unit) -> Option<f64> {
    let n = u64::try_from(sums.n).ok().filter(|n| *n > 0)?;
    let radicand = variance(sums.n, sums.sum, sums.sum_sq)?.to_f64();
    let divisor = u128::from(n) * u128::from(unit.per_one());
    Some(radicand.sqrt() / divisor as f64)
}

/// Pearson's r, −1 to 1: the exact (n·Σxy − Σx·Σy) over the root of the product of the exact (n·Σx² − (Σx)²) and
/// (n·Σy² − (Σy)²), each rounded once. `None` where `n` is not above 0 or a column does not vary.
pub(crate) fn correlation(sums: &PairSums) -> Option<f64> {
    if sums.n <= 0 {
        return None;
    }
    let x = variance(sums.n, sums.sum_x, sums.sum_xx)?.to_f64();
    let y = variance(sums.n, sums.sum_y, sums.sum_yy)?.to_f64();
    if x == 0.0 || y == 0.0 {
        return None;
    }
    let covariance = Wide::product(i128::from(sums.n), sums.sum_xy).minus(Wide::product(sums.sum_x, sums.sum_y));
    // The root of the product, not the product of the roots: a column with itself then has exactly 1. Both factors are
    // below 2²⁵⁶, so the product is far from infinity.
    let r = covariance.to_f64() / (x * y).sqrt();
    Some(r.clamp(-1.0, 1.0))
}

/// A sum as a plain decimal without trailing zeros: `12.5`, `-3`, `0`.
pub(crate) fn plain_decimal(sum: i128, unit: Unit) -> String {
    let per_one = u128::from(unit.per_one());
    let (whole, fraction) = (sum.unsigned_abs() / per_one, sum.unsigned_abs() % per_one);
    let sign = if sum < 0 { "-" } else { "" };
    if fraction == 0 {
        return format!("{sign}{whole}");
    }
    let digits = format!("{fraction:09}");
    format!("{sign}{whole}.{}", digits.trim_end_matches('0'))
}

/// n·Σx² − (Σx)², which is n² times the variance; `None` where it is negative, which no set of numbers gives.
fn variance(n: i64, sum: i128, sum_sq: i128) -> Option<Wide> {
    let difference = Wide::product(i128::from(n), sum_sq).minus(Wide::product(sum, sum));
    (!difference.negative).then_some(difference)
}

/// 2 to the power of `exponent`, −1022 to 1023.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// A signed integer of 256 bits and a sign, enough for differences of products of two accumulators. Zero is not
/// negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wide {
    negative: bool,
    high: u128,
    low: u128,
}

impl Wide {
    fn new(negative: bool, high: u128, low: u128) -> Self {
        Self { negative: negative && (high, low) != (0, 0), high, low }
    }

    fn product(a: i128, b: i128) -> Self {
        const HALF: u128 = u64::MAX as u128;
        let split = |v: u128| (v >> 64, v & HALF);
        let ((a1, a0), (b1, b0)) = (split(a.unsigned_abs()), split(b.unsigned_abs()));
        // Schoolbook on halves of 64 bits. Magnitudes are at most 2¹²⁷, so no sum of the partial products overflows.
        let (low, cross) = (a0 * b0, a1 * b0);
        let middle = a0 * b1 + (low >> 64) + (cross & HALF);
        let high = a1 * b1 + (cross >> 64) + (middle >> 64);
        Self::new((a < 0) != (b < 0), high, (middle << 64) | (low & HALF))
    }

    /// Products of accumulators are at most 2²⁵⁴, so their difference fits.
    fn minus(self, other: Self) -> Self {
        if self.negative != other.negative {
            let (low, carry) = self.low.overflowing_add(other.low);
            return Self::new(self.negative, self.high + other.high + u128::from(carry), low);
        }
        let (larger, smaller, negative) = match (self.high, self.low).cmp(&(other.high, other.low)) {
            Ordering::Less => (other, self, !self.negative),
            _ => (self, other, self.negative),
        };
        let (low, borrow) = larger.low.overflowing_sub(smaller.low);
        Self::new(negative, larger.high - smaller.high - u128::from(borrow), low)
    }

    /// The nearest double, ties to even.
    fn to_f64(self) -> f64 {
        let shift = 128 - self.high.leading_zeros();
        let magnitude = if shift == 0 {
            self.low as f64
        } else {
            // The top 128 bits, the last of them standing for all that were cut off: far below a double's 53.
            let (top, cut) = if shift == 128 {
                (self.high, self.low)
            } else {
                ((self.high << (128 - shift)) | (self.low >> shift), self.low << (128 - shift))
            };
            (top | u128::from(cut != 0)) as f64 * power_of_two(shift as i32)
        };
        if self.negative { -magnitude } else { magnitude }
    }
}

#[cfg(test)]
mod tests;
