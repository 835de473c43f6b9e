//! Numbers, ids and fields as the catalogue writes them.

const BASE62: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Appends an integer.
pub(super) fn put_int(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    let mut digits = [0; 20];
    let (mut at, mut rest) = (digits.len(), value.unsigned_abs());
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends `mantissa × 10^−scale` as Python writes a float: without trailing zeros but for one behind the point, and
/// with an exponent of two digits below a ten-thousandth.
pub(super) fn put_decimal(out: &mut Vec<u8>, mut mantissa: i64, mut scale: u32) {
    while scale > 1 && mantissa % 10 == 0 {
        mantissa /= 10;
        scale -= 1;
    }
    let digits = mantissa.unsigned_abs().checked_ilog10().unwrap_or(0);
    if mantissa != 0 && scale > digits + 4 {
        put_scientific(out, mantissa, digits, scale - digits);
        return;
    }
    if mantissa < 0 {
        out.push(b'-');
    }
    let power = 10u64.pow(scale);
    put_int(out, (mantissa.unsigned_abs() / power) as i64);
    out.push(b'.');
    put_padded(out, mantissa.unsigned_abs() % power, scale);
}

/// Appends `d.dde-XX`; `digits` is the number of digits behind the first.
fn put_scientific(out: &mut Vec<u8>, mut mantissa: i64, mut digits: u32, exponent: u32) {
    while digits > 0 && mantissa % 10 == 0 {
        mantissa /= 10;
        digits -= 1;
    }
    if mantissa < 0 {
        out.push(b'-');
    }
    let power = 10u64.pow(digits);
    put_int(out, (mantissa.unsigned_abs() / power) as i64);
    if digits > 0 {
        out.push(b'.');
        put_padded(out, mantissa.unsigned_abs() % power, digits);
    }
    out.extend_from_slice(b"e-");
    put_padded(out, u64::from(exponent), 2);
}

fn put_padded(out: &mut Vec<u8>, value: u64, width: u32) {
    let mut power = 10u64.pow(width.saturating_sub(1));
    for _ in 0..width {
        out.push(b'0' + (value / power % 10) as u8);
        power = (power / 10).max(1);
    }
}

/// Appends 64 bits as 11 digits of base 62; different numbers have different digits.
pub(super) fn put_base62(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 11];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(value % 62) as usize];
        value /= 62;
    }
    out.extend_from_slice(&digits);
}

/// Appends a text as a field, in quotes where it needs them.
pub(super) fn put_field(out: &mut Vec<u8>, text: &[u8]) {
    if !text.iter().any(|b| matches!(b, b',' | b'"' | b'\n' | b'\r')) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for byte in text {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_look_as_python_writes_them() {
        for (mantissa, scale, text) in [
            (725, 3, "0.725"),
            (660, 3, "0.66"),
            (0, 3, "0.0"),
            (1000, 3, "1.0"),
            (-6319, 3, "-6.319"),
            (-319, 3, "-0.319"),
            (90_009, 3, "90.009"),
            (100_000, 3, "100.0"),
            (181, 6, "0.000181"),
            (100, 6, "0.0001"),
            (702, 8, "7.02e-06"),
            (500, 8, "5e-06"),
            (99, 6, "9.9e-05"),
            (1, 12, "1e-12"),
        ] {
            let mut out = Vec::new();
            put_decimal(&mut out, mantissa, scale);
            let written = String::from_utf8(out).unwrap();
            assert_eq!(written, text);
            assert_eq!(written.parse::<f64>().unwrap(), format!("{mantissa}e-{scale}").parse::<f64>().unwrap());
        }
    }

    #[test]
    fn integers_are_written_whole() {
        for value in [0, 7, -7, 10, 206_653, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            put_int(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }

    #[test]
    fn ids_keep_all_64_bits() {
        let mut out = Vec::new();
        put_base62(&mut out, 0);
        put_base62(&mut out, 61);
        put_base62(&mut out, u64::MAX);
        assert_eq!(out, b"000000000000000000000ZlYGhA16ahyf");
    }
}
