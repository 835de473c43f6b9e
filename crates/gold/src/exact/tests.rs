use proptest::prelude::*;

use super::*;

/// Whether `value` is the double nearest to `a ÷ b`, ties to even, by comparing exact integers. For 0 < a < 2⁷⁰ and
/// 0 < b < 2⁷⁰, where everything fits in 128 bits.
fn is_nearest(value: f64, a: i128, b: i128) -> bool {
    let bits = value.to_bits();
    let mantissa = i128::from((bits & ((1 << 52) - 1)) | (1 << 52));
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1075;
    let error = if exponent <= 0 {
        // a·2^-e and m·b are both near b·2^53.
        (a << -exponent) - mantissa * b
    } else {
        a - ((mantissa * b) << exponent)
    };
    let (error_2, half_ulp_2) = (2 * error, if exponent <= 0 { b } else { b << exponent });
    let below_power = mantissa == 1 << 52;
    match error_2.cmp(&0) {
        // Below a power of two doubles lie twice as close.
        Ordering::Less if below_power => -2 * error_2 <= half_ulp_2,
        _ => error_2.abs() < half_ulp_2 || (error_2.abs() == half_ulp_2 && mantissa % 2 == 0),
    }
}

proptest! {
    #[test]
    fn a_ratio_is_the_nearest_double(
        a in 1u128..(1 << 70), b in 1u128..(1 << 70), a_shift in 0u32..69, b_shift in 0u32..69, negative in any::<bool>(),
    ) {
        let (a, b) = ((a >> a_shift).max(1), (b >> b_shift).max(1));
        let signed = if negative { -(a as i128) } else { a as i128 };
        let value = ratio(signed, b);
        prop_assert_eq!(value < 0.0, negative);
        prop_assert!(is_nearest(value.abs(), a as i128, b as i128), "{} / {} = {}", a, b, value);
    }

    #[test]
    fn a_ratio_of_exact_doubles_is_one_division(a in -(1i64 << 53)..(1 << 53), b in 1i64..(1 << 53)) {
        prop_assert_eq!(ratio(a.into(), b as u128).to_bits(), (a as f64 / b as f64 + 0.0).to_bits());
    }

    #[test]
    fn billionths_read_as_the_decimal_that_people_write(nano in any::<i64>()) {
        let text = plain_decimal(nano.into(), Unit::Nano);
        prop_assert_eq!(ratio(nano.into(), 1_000_000_000).to_bits(), text.parse::<f64>().unwrap().to_bits());
    }

    #[test]
    fn wide_products_and_differences_equal_narrow_ones(a: i64, b: i64, c: i64, d: i64, shift in 1u32..63) {
        let [a, b, c, d] = [a, b, c, d].map(|v| i128::from(v >> shift));
        let wide = Wide::product(a, b).minus(Wide::product(c, d));
        prop_assert_eq!(wide.to_f64().to_bits(), ((a * b - c * d) as f64).to_bits());
    }

    #[test]
    fn scaling_by_a_power_of_two_scales_the_double(a in -(1i128 << 126)..(1 << 126), b: i64, scale in 0u32..62) {
        let b = i128::from(b >> 32);
        let one = Wide::product(a, b).to_f64();
        let scaled = Wide::product(a, b << scale).to_f64();
        prop_assert_eq!(scaled.to_bits(), (one * power_of_two(scale as i32)).to_bits());
    }

    #[test]
    fn a_difference_undoes_a_sum_at_full_width(a: i128, b: i128, c in (i128::MIN + 1)..=i128::MAX) {
        let (ab, cc) = (Wide::product(a, b), Wide::product(c, c));
        prop_assert_eq!(ab.minus(cc).minus(ab), Wide::product(c, -c));
    }
}

#[test]
fn a_wide_number_rounds_once() {
    let odd = (1 << 53) | 1;
    let unit = power_of_two(128);
    assert_eq!(Wide::new(false, odd, 0).to_f64(), (1u64 << 53) as f64 * unit);
    assert_eq!(Wide::new(false, odd, 1).to_f64(), ((1u64 << 53) + 2) as f64 * unit);
    assert_eq!(Wide::new(true, odd, 1 << 127).to_f64(), -(((1u64 << 53) + 2) as f64) * unit);
    assert_eq!(Wide::new(false, u128::MAX, u128::MAX).to_f64(), power_of_two(256));
    assert_eq!(Wide::product(i128::MIN, i128::MIN).to_f64(), power_of_two(254));
}

#[test]
fn ratios_at_the_edges() {
    assert_eq!(ratio(0, 7).to_bits(), 0.0f64.to_bits());
    assert_eq!(ratio(i128::MIN, 1), -power_of_two(127));
    assert_eq!(ratio(1, (1 << 127) - 1), power_of_two(-127));
    // A tie goes to the even neighbour, and one part in 2¹²⁶ more goes up.
    assert_eq!(ratio((1 << 53) + 1, 1), 9007199254740992.0);
    assert_eq!(ratio((1 << 126) + (1 << 73), 1), power_of_two(126));
    assert_eq!(ratio((1 << 126) + (1 << 73) + 1, 1), power_of_two(126) + power_of_two(74));
}

#[test]
fn sums_are_plain_decimals() {
    let cases = [
        (0, Unit::Nano, "0"),
        (12_500_000_000, Unit::Nano, "12.5"),
        (-3_000_000_000, Unit::Nano, "-3"),
        (-1, Unit::Nano, "-0.000000001"),
        (1_000_000_010, Unit::Nano, "1.00000001"),
        (-30, Unit::One, "-30"),
        (25_995_323_455, Unit::One, "25995323455"),
        (i128::MIN, Unit::One, "-170141183460469231731687303715884105728"),
    ];
    for (sum, unit, text) in cases {
        assert_eq!(plain_decimal(sum, unit), text);
    }
}

#[test]
fn deviations_are_the_populations() {
    let of = |values: &[i128]| Sums {
        n: values.len() as i64,
        sum: values.iter().sum(),
        sum_sq: values.iter().map(|v| v * v).sum(),
    };
    assert_eq!(standard_deviation(&of(&[2, 4, 4, 4, 5, 5, 7, 9]), Unit::One), Some(2.0));
    assert_eq!(standard_deviation(&of(&[500_000_000, 1_500_000_000]), Unit::Nano), Some(0.5));
    assert_eq!(standard_deviation(&of(&[7, 7, 7]), Unit::One), Some(0.0));
    assert_eq!(standard_deviation(&of(&[]), Unit::One), None);
    assert_eq!(standard_deviation(&Sums { n: 2, sum: 5, sum_sq: 3 }, Unit::One), None);
    assert_eq!(standard_deviation(&Sums { n: -1, sum: -1, sum_sq: -1 }, Unit::One), None);
    // Far from zero, where subtracting doubles would lose the whole deviation.
    let far = 86_400_000i128 * 1_000_000;
    assert_eq!(standard_deviation(&of(&[far, far + 2]), Unit::One), Some(1.0));
}

#[test]
fn correlations_end_at_one_and_need_two_columns_that_vary() {
    let of = |pairs: &[(i128, i128)]| PairSums {
        n: pairs.len() as i64,
        sum_x: pairs.iter().map(|p| p.0).sum(),
        sum_y: pairs.iter().map(|p| p.1).sum(),
        sum_xx: pairs.iter().map(|p| p.0 * p.0).sum(),
        sum_yy: pairs.iter().map(|p| p.1 * p.1).sum(),
        sum_xy: pairs.iter().map(|p| p.0 * p.1).sum(),
    };
    assert_eq!(correlation(&of(&[(1, 10), (2, 20), (3, 30)])), Some(1.0));
    assert_eq!(correlation(&of(&[(1, 3), (2, 2), (3, 1)])), Some(-1.0));
    assert_eq!(correlation(&of(&[(0, 0), (0, 1), (1, 0), (1, 1)])), Some(0.0));
    assert_eq!(correlation(&of(&[(1, 5), (2, 5)])), None);
    assert_eq!(correlation(&of(&[])), None);
}
