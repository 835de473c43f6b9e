//! Exact decimal arithmetic for gold: billionths as integers.

use std::fmt::{self, Write};

use crate::row::Float;

/// A number of billionths (1e-9), exact.
pub type Decimal9 = i128;

/// Powers of ten that fit `i128`.
const MAX_POWER: u32 = 38;

impl Float {
    /// Billionths of the shortest decimal that reads back as this double, rounded half to even; `None` where that does
    /// not fit `i128` (beyond about ±1.7e29) or the double is not finite.
    #[inline]
    pub fn nano(self) -> Option<Decimal9> {
        match self {
            Self::Decimal { mantissa, scale } => nano(i128::from(mantissa), -i32::from(scale)),
            Self::Binary(value) => {
                let (mantissa, exponent) = shortest(value)?;
                nano(i128::from(mantissa), exponent)
            }
        }
    }
}

/// `mantissa × 10^exponent` in billionths. The mantissa is below 10^18, so that 10^38 in the divisor leaves nothing.
fn nano(mantissa: i128, exponent: i32) -> Option<Decimal9> {
    let shift = exponent + 9;
    if shift >= 0 {
        return match mantissa {
            0 => Some(0),
            m => 10i128.checked_pow(shift.unsigned_abs()).and_then(|p| m.checked_mul(p)),
        };
    }
    let divisor = match shift.unsigned_abs() {
        power @ 0..=MAX_POWER => 10i128.pow(power),
        _ => return Some(0),
    };
    let (quotient, rest) = (mantissa.div_euclid(divisor), mantissa.rem_euclid(divisor));
    // The divisor is a power of ten above 1, so it is even and its half is exact.
    Some(match rest.cmp(&(divisor / 2)) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Greater => quotient + 1,
        std::cmp::Ordering::Equal => quotient + (quotient & 1),
    })
}

/// The shortest decimal `mantissa × 10^exponent` that reads back as this double; `None` where it is not finite.
pub(crate) fn shortest(value: f64) -> Option<(i64, i32)> {
    // Rust prints the shortest digits that read back as the same double.
    let mut text = Digits::default();
    write!(text, "{value:e}").ok()?;
    let (digits, exponent) = text.as_str()?.split_once('e')?;
    let exponent = exponent.parse::<i32>().ok()?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut mantissa = whole.parse::<i64>().ok()?.unsigned_abs();
    for digit in fraction.bytes() {
        mantissa = mantissa * 10 + u64::from(digit - b'0');
    }
    let mantissa = i64::try_from(mantissa).ok()?;
    let mantissa = if digits.starts_with('-') { -mantissa } else { mantissa };
    Some((mantissa, exponent - i32::try_from(fraction.len()).ok()?))
}

/// Room for the longest double in scientific form (sign, 17 digits, point, `e-324`), without an allocation.
#[derive(Default)]
struct Digits {
    bytes: [u8; 32],
    len: usize,
}

impl Digits {
    fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes.get(..self.len)?).ok()
    }
}

impl Write for Digits {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Billionths by hand: digits as text, the cut and the rounding digit by digit.
    fn slow_nano(value: f64) -> Option<i128> {
        let text = format!("{value}");
        let (sign, digits) = text.strip_prefix('-').map_or((1, text.as_str()), |d| (-1, d));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let kept: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
        let dropped = fraction.get(9..).unwrap_or("");
        let mut nano = format!("{whole}{kept}").parse::<i128>().ok()?;
        let half = dropped.starts_with('5') && dropped[1..].bytes().all(|b| b == b'0');
        if dropped.as_bytes().first().is_some_and(|d| *d >= b'5') && (!half || nano % 2 == 1) {
            nano += 1;
        }
        Some(sign * nano)
    }

    #[test]
    fn billionths_round_half_to_even() {
        for (value, nano) in [
            (0.0, Some(0)),
            (-0.0, Some(0)),
            (0.1, Some(100_000_000)),
            (-9.25, Some(-9_250_000_000)),
            (5e-10, Some(0)),
            (1.5e-9, Some(2)),
            (2.5e-9, Some(2)),
            (-2.5e-9, Some(-2)),
            (-3.5e-9, Some(-4)),
            (2.500_000_1e-9, Some(3)),
            (5e-324, Some(0)),
            (1e29, Some(10i128.pow(38))),
            (1e30, None),
            (f64::MAX, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            let float = if value.is_finite() { Float::from_f64(value) } else { Float::Binary(value) };
            assert_eq!(float.nano(), nano, "{value}");
            assert_eq!(Float::Binary(value).nano(), nano, "{value}");
        }
    }

    proptest! {
        #[test]
        fn billionths_agree_with_long_hand(
            value in prop_oneof![any::<f64>(), -1e3..1e3f64, -1e-6..1e-6f64].prop_filter("finite", |v| v.is_finite()),
        ) {
            prop_assert_eq!(Float::from_f64(value).nano(), slow_nano(value));
        }

        #[test]
        fn billionths_of_short_decimals_agree_with_long_hand(mantissa in -99_999i64..99_999, scale in 0u8..=15) {
            let float = Float::from_decimal(mantissa, scale).unwrap();
            prop_assert_eq!(float.nano(), slow_nano(float.to_f64()));
        }
    }
}
