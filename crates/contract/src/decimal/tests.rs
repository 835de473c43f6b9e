use proptest::prelude::*;

use super::*;

/// The integer by hand: the point is moved digit by digit.
fn slow_int(text: &str) -> Option<i64> {
    if !slow_is_number(text) {
        return None;
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let negative = mantissa.starts_with('-');
    let digits = mantissa.trim_start_matches(['+', '-']);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (mut whole, mut fraction) = (whole.to_owned(), fraction.to_owned());
    if whole.chars().chain(fraction.chars()).all(|d| d == '0') {
        return Some(0);
    }
    let exponent: i32 = exponent.parse().ok()?;
    // Beyond this no test text can come back into 64 bits, or to a whole number.
    for _ in 0..exponent.clamp(0, 200) {
        whole.push(if fraction.is_empty() { '0' } else { fraction.remove(0) });
    }
    for _ in 0..(-exponent).clamp(0, 200) {
        fraction.insert(0, whole.pop().unwrap_or('0'));
    }
    if fraction.chars().any(|d| d != '0') {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let value = whole.parse::<i128>().ok()?;
    i64::try_from(if negative { -value } else { value }).ok()
}

fn slow_is_number(text: &str) -> bool {
    regex::Regex::new(r"\A[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,9})?\z").unwrap().is_match(text)
}

fn slow_float(text: &str) -> Option<f64> {
    let value = if slow_is_number(text) { text.parse::<f64>().ok()? } else { return None };
    value.is_finite().then_some(value)
}

#[test]
fn ints_are_exact_decimals_in_64_bits() {
    for (text, value) in [
        ("0", Some(0)),
        ("-0", Some(0)),
        ("+7", Some(7)),
        ("007", Some(7)),
        ("120.0", Some(120)),
        ("120.", Some(120)),
        ("120.50", None),
        ("4.9E7", Some(49_000_000)),
        ("4.9e-1", None),
        ("1200e-2", Some(12)),
        (".0", Some(0)),
        ("9223372036854775807", Some(i64::MAX)),
        ("-9223372036854775808", Some(i64::MIN)),
        ("9223372036854775808", None),
        ("-9223372036854775809", None),
        ("9.223372036854775807e18", Some(i64::MAX)),
        ("1e999999999", None),
        ("1e-999999999", None),
        ("0e999999999", Some(0)),
        ("0.000e-999999999", Some(0)),
        ("1e9999999999", None),
        ("", None),
        ("+", None),
        (".", None),
        ("-.", None),
        ("e5", None),
        ("1e", None),
        ("1e+", None),
        ("1_000", None),
        ("1 000", None),
        ("0x10", None),
        ("--1", None),
        ("1.2.3", None),
        ("inf", None),
        ("NaN", None),
        ("١٢", None),
    ] {
        assert_eq!(parse_int(text.as_bytes()), value, "{text}");
        assert_eq!(slow_int(text), value, "{text}");
    }
}

#[test]
fn an_int_with_a_thousand_zeros_is_still_one() {
    let zeros = "0".repeat(1000);
    assert_eq!(parse_int(format!("12{zeros}e-1000").as_bytes()), Some(12));
    assert_eq!(parse_int(format!("{zeros}12.{zeros}").as_bytes()), Some(12));
    assert_eq!(parse_int(format!("0.{zeros}12e1002").as_bytes()), Some(12));
}

#[test]
fn floats_are_the_nearest_finite_doubles() {
    for (text, value) in [
        ("0", Some(0.0)),
        ("-0.0", Some(-0.0)),
        ("-0e5", Some(-0.0)),
        ("1.", Some(1.0)),
        (".5", Some(0.5)),
        ("+2.50", Some(2.5)),
        ("1.01e-06", Some(1.01e-6)),
        ("0.053900000000000003", Some(0.0539)),
        ("-5.9399999999999995", Some(-5.9399999999999995)),
        ("1e22", Some(1e22)),
        ("123456789012345678901234567890", Some(1.2345678901234568e29)),
        ("1e308", Some(1e308)),
        ("1e309", None),
        ("1e999999999", None),
        ("1e-999999999", Some(0.0)),
        ("-1e-400", Some(-0.0)),
        ("5e-324", Some(5e-324)),
        ("nan", None),
        ("inf", None),
        ("1,5", None),
        ("", None),
        (".", None),
    ] {
        let bits = |v: Option<f64>| v.map(f64::to_bits);
        assert_eq!(bits(parse_float(text.as_bytes()).map(Float::to_f64)), bits(value), "{text}");
        assert_eq!(bits(slow_float(text)), bits(value), "{text}");
    }
}

#[test]
fn scaling_is_exact_or_nothing() {
    let scaled = |text: &str| Number::scan(text.as_bytes()).unwrap().scaled(9);
    assert_eq!(scaled("0.05"), Some(50_000_000));
    assert_eq!(scaled("-60"), Some(-60_000_000_000));
    assert_eq!(scaled("1e-9"), Some(1));
    assert_eq!(scaled("1.5e-9"), None);
    assert_eq!(scaled("1e29"), Some(10i128.pow(38)));
    assert_eq!(scaled("1e30"), None);
    assert_eq!(Number::scan(i128::MIN.to_string().as_bytes()).unwrap().scaled(0), Some(i128::MIN));
    assert_eq!(Number::scan(i128::MAX.to_string().as_bytes()).unwrap().scaled(0), Some(i128::MAX));
}

proptest! {
    #[test]
    fn ints_agree_with_long_hand(text in "[+-]?[0-9]{0,21}(\\.[0-9]{0,5})?([eE][+-]?[0-9]{1,2})?") {
        prop_assert_eq!(parse_int(text.as_bytes()), slow_int(&text), "{}", text);
    }

    #[test]
    fn round_ints_agree_with_long_hand(text in "-?[1-9][0-9]{0,3}0{0,4}(\\.0{0,3})?([eE][+-]?[0-9])?") {
        prop_assert_eq!(parse_int(text.as_bytes()), slow_int(&text), "{}", text);
    }

    #[test]
    fn floats_agree_with_the_standard_library(
        text in "[+-]?[0-9]{0,20}(\\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?",
    ) {
        let parsed = parse_float(text.as_bytes());
        prop_assert_eq!(parsed.map(|f| f.to_f64().to_bits()), slow_float(&text).map(f64::to_bits), "{}", text);
        // Canonical: equal doubles have one form.
        if let Some(float) = parsed {
            prop_assert_eq!(format!("{float:?}"), format!("{:?}", Float::from_f64(float.to_f64())), "{}", text);
        }
    }

    #[test]
    fn arbitrary_bytes_are_numbers_only_by_the_grammar(bytes in prop_oneof![
        any::<Vec<u8>>(),
        "[-+0-9.eE ]{0,8}".prop_map(String::into_bytes),
    ]) {
        let number = std::str::from_utf8(&bytes).is_ok_and(slow_is_number);
        prop_assert_eq!(Number::scan(&bytes).is_some(), number);
        prop_assert!(number || parse_int(&bytes).is_none());
        prop_assert!(number || parse_float(&bytes).is_none());
    }
}
