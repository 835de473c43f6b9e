//! The commonest numbers, eight bytes at a time.
//!
//! Nearly every number of a catalogue has at most eight characters. A loop over them ends after a number of rounds that
//! the processor cannot foresee, and that costs more than the arithmetic; here all eight are one 64-bit word, whatever
//! the length.

const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);
const POINTS: u64 = u64::from_le_bytes([b'.'; 8]);
const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
/// Added to a byte below 0x80, this sets the high bit where the byte is 10 or more.
const ABOVE_NINE: u64 = u64::from_le_bytes([0x80 - 10; 8]);

/// The digits, and how many of them are behind the point, of up to eight ASCII digits and points, at most one of them a
/// point. `None` says only that the text is not of that form.
#[inline(always)]
pub(super) fn short(text: &[u8]) -> Option<(u32, u8)> {
    let padding = 8 * 8usize.checked_sub(text.len())?;
    let word = (word(text)? << padding) | (ZEROS & !(u64::MAX << padding));
    let beyond = word ^ POINTS;
    let points = beyond.wrapping_sub(ONES) & !beyond & HIGHS;
    if points == 0 {
        return Some((value(word)?, 0));
    }
    if text.len() == 1 {
        return None;
    }
    // The first point is cut out: what is before it moves up by one byte.
    let at = points.trailing_zeros() / 8;
    let before = (1u64 << (8 * at)) - 1;
    let digits = ((word & before) << 8) | u64::from(b'0') | (word & !((before << 8) | 0xff));
    Some((value(digits)?, 7 - at as u8))
}

/// Up to eight bytes, the first lowest.
#[inline(always)]
fn word(text: &[u8]) -> Option<u64> {
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return Some(u64::from(first) | (u64::from(last) << (8 * (text.len() - 4))));
    }
    match *text {
        [a] => Some(u64::from(a)),
        [a, b] => Some(u64::from_le_bytes([a, b, 0, 0, 0, 0, 0, 0])),
        [a, b, c] => Some(u64::from_le_bytes([a, b, c, 0, 0, 0, 0, 0])),
        _ => None,
    }
}

/// The number that eight digits make, the first digit in the lowest byte.
#[inline(always)]
fn value(word: u64) -> Option<u32> {
    let digits = word ^ ZEROS;
    if (digits | digits.wrapping_add(ABOVE_NINE)) & HIGHS != 0 {
        return None;
    }
    // Neighbours are joined: digits to pairs, pairs to fours, fours to the whole.
    let pairs = digits.wrapping_mul(10 * 0x100 + 1) >> 8;
    let fours = (pairs & 0x00ff_00ff_00ff_00ff).wrapping_mul(100 * 0x1_0000 + 1) >> 16;
    let whole = (fours & 0x0000_ffff_0000_ffff).wrapping_mul(10_000 * 0x1_0000_0000 + 1) >> 32;
    Some(whole as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slow(text: &str) -> Option<(u32, u8)> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{whole}{fraction}");
        let fits = text.len() <= 8 && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| (digits.parse().unwrap(), fraction.len() as u8))
    }

    proptest! {
        #[test]
        fn eight_bytes_agree_with_one_at_a_time(
            text in prop_oneof!["[0-9]{0,9}", "[0-9]{0,6}\\.[0-9]{0,6}", "[0-9./:+e\u{1}é]{0,8}"],
        ) {
            prop_assert_eq!(short(text.as_bytes()), slow(&text), "{}", text);
        }

        #[test]
        fn no_byte_passes_for_a_digit(bytes in prop::collection::vec(any::<u8>(), 0..9)) {
            let expected = std::str::from_utf8(&bytes).ok().and_then(slow);
            prop_assert_eq!(short(&bytes), expected);
        }
    }
}
