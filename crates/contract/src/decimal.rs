//! Decimal texts to numbers: `[+-]digits[.digits][e[+-]digits]` with ASCII digits, exactly.

mod short;

use self::short::short;
use crate::row::Float;

/// As many digits surely fit 64 bits.
const MAX_DIGITS: usize = 18;

/// The integer that a decimal text stands for (`120`, `120.0`, `4.9E7`); `None` where it is no number, has a fraction
/// or is beyond 64 bits.
pub(crate) fn parse_int(text: &[u8]) -> Option<i64> {
    short_int(text).or_else(|| Number::scan(text)?.scaled(0).and_then(|v| i64::try_from(v).ok()))
}

/// [`parse_int`] of the commonest texts; `None` says nothing of others.
#[inline(always)]
pub(crate) fn short_int(text: &[u8]) -> Option<i64> {
    let (negative, digits) = sign(text);
    match short(digits)? {
        (value, 0) => Some(signed(negative, value.into())),
        _ => None,
    }
}

/// The double nearest to a decimal text; `None` where it is no number or not finite.
pub(crate) fn parse_float(text: &[u8]) -> Option<Float> {
    if let Some((mantissa, scale)) = short_decimal(text) {
        return Float::from_decimal(mantissa, scale);
    }
    Number::scan(text)?.short_float().or_else(|| {
        let value = std::str::from_utf8(text).ok()?.parse::<f64>().ok()?;
        value.is_finite().then(|| Float::from_f64(value))
    })
}

/// Mantissa and scale of the commonest decimals, without trailing zeros, as [`Float::Decimal`] has them; `None` says
/// nothing of others.
#[inline(always)]
pub(crate) fn short_decimal(text: &[u8]) -> Option<(i64, u8)> {
    let (negative, digits) = sign(text);
    let (mut value, mut scale) = short(digits)?;
    if negative && value == 0 {
        return None;
    }
    while scale > 0 && value.is_multiple_of(10) {
        value /= 10;
        scale -= 1;
    }
    Some((signed(negative, value.into()), scale))
}

#[inline(always)]
fn signed(negative: bool, magnitude: i64) -> i64 {
    if negative { -magnitude } else { magnitude }
}

/// The parts of a decimal text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i32,
}

impl<'a> Number<'a> {
    /// Takes a text apart; `None` where it is no number. An exponent has at most nine digits.
    pub(crate) fn scan(text: &'a [u8]) -> Option<Self> {
        let (negative, text) = sign(text);
        let (whole, text) = digits(text);
        let (fraction, text) = match text {
            [b'.', rest @ ..] => digits(rest),
            _ => (&[][..], text),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let exponent = match text {
            [] => 0,
            [b'e' | b'E', rest @ ..] => {
                let (below_one, rest) = sign(rest);
                let (power, rest) = digits(rest);
                if !(1..=9).contains(&power.len()) || !rest.is_empty() {
                    return None;
                }
                let power = power.iter().fold(0i32, |sum, d| sum * 10 + i32::from(d - b'0'));
                if below_one { -power } else { power }
            }
            _ => return None,
        };
        Some(Self { negative, whole, fraction, exponent })
    }

    /// The number × 10^places; `None` where that is no integer or does not fit. Takes time in proportion to the text's
    /// length, whatever the exponent.
    pub(crate) fn scaled(&self, places: u32) -> Option<i128> {
        let digits = || self.whole.iter().chain(self.fraction).map(|d| d - b'0');
        let count = self.whole.len() + self.fraction.len();
        let Some(leading) = digits().position(|d| d != 0) else { return Some(0) };
        let trailing = digits().rev().position(|d| d != 0).unwrap_or(0);
        let significant = count - leading - trailing;
        let power = i64::from(self.exponent) + i64::from(places) + i64::try_from(trailing).ok()?
            - i64::try_from(self.fraction.len()).ok()?;
        let power = u32::try_from(power).ok()?;
        if significant > 39 {
            return None;
        }
        let value = digits()
            .skip(leading)
            .take(significant)
            .try_fold(0i128, |sum, d| sum.checked_mul(10)?.checked_sub(i128::from(d)))?;
        // Gathered below zero, where `i128` reaches one further.
        let value = value.checked_mul(10i128.checked_pow(power)?)?;
        if self.negative { Some(value) } else { value.checked_neg() }
    }

    /// The double nearest to the number, where few digits suffice to know it. Negative zero is left to the caller.
    fn short_float(&self) -> Option<Float> {
        if self.whole.len() + self.fraction.len() > MAX_DIGITS {
            return None;
        }
        let digits = self.whole.iter().chain(self.fraction).fold(0i64, |sum, d| sum * 10 + i64::from(d - b'0'));
        if digits == 0 && self.negative {
            return None;
        }
        let digits = signed(self.negative, digits);
        let scale = i64::try_from(self.fraction.len()).ok()? - i64::from(self.exponent);
        if scale >= 0 {
            return Float::from_decimal(digits, u8::try_from(scale).ok()?);
        }
        let power = 10i64.checked_pow(u32::try_from(-scale).ok()?)?;
        Float::from_decimal(digits.checked_mul(power)?, 0)
    }
}

#[inline(always)]
fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

/// The leading digits, and the rest.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests;
