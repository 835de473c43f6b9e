use proptest::prelude::*;

use super::*;

#[test]
fn bins_round_down_below_zero_too() {
    let fives = Bin::of_ints(Some(5 * NANO));
    let cases = [(-11, -3), (-10, -2), (-6, -2), (-5, -1), (-1, -1), (0, 0), (4, 0), (5, 1), (100, 20)];
    for (value, index) in cases {
        assert_eq!(fives.index(value), Some(index), "{value}");
    }
    let twentieths = Bin::new(1, 50_000_000, Unit::Nano);
    for (nano, index) in [(-50_000_001, -2), (-50_000_000, -1), (-1, -1), (0, 0), (49_999_999, 0), (350_000_000, 7)] {
        assert_eq!(twentieths.index(nano), Some(index), "{nano}");
    }
    assert_eq!(twentieths.lower_edge(7), 350_000_000);
}

#[test]
fn integers_may_have_bins_of_a_fraction() {
    let halves = Bin::of_ints(Some(NANO / 2));
    assert_eq!((halves.index(3), halves.index(-3), halves.lower_edge(7)), (Some(6), Some(-6), 3_500_000_000));
    let two_and_a_half = Bin::of_ints(Some(2_500_000_000));
    assert_eq!(
        (two_and_a_half.index(4), two_and_a_half.index(5), two_and_a_half.index(-1)),
        (Some(1), Some(2), Some(-1))
    );
}

#[test]
fn values_past_64_bits_are_binned_or_refused() {
    let wide = Bin::new(1, i128::from(i64::MAX) * 4, Unit::Nano);
    assert_eq!((wide.index(-1), wide.index(1)), (Some(-1), Some(0)));
    assert_eq!(Bin::new(1, 2, Unit::Nano).wide_index(i128::from(i64::MAX) * 2), Some(i64::MAX));
    assert_eq!(Bin::new(1, 1, Unit::Nano).wide_index(i128::MAX), None);
    assert_eq!(Bin::of_ints(Some(1)).index(i64::MAX), None);
}

#[test]
fn a_quotient_is_exact_at_the_edges() {
    for width in [1, 2, 3, 5, 1 << 31, i64::MAX - 1, i64::MAX] {
        let edges = [i64::MIN, i64::MIN + 1, -width, 1 - width, -1, 0, 1, width - 1, width, i64::MAX - 1, i64::MAX];
        for value in edges {
            assert_eq!(Divisor::new(width).floor(value), value.div_euclid(width), "{value} / {width}");
        }
    }
}

proptest! {
    #[test]
    fn a_quotient_is_rounded_down(value: i64, width in 1..=i64::MAX, value_shift in 0u32..63, width_shift in 0u32..63) {
        let (value, width) = (value >> value_shift, (width >> width_shift).max(1));
        prop_assert_eq!(Divisor::new(width).floor(value), value.div_euclid(width));
        let edge = value.wrapping_sub(value.wrapping_rem(width));
        prop_assert_eq!(Divisor::new(width).floor(edge), edge.div_euclid(width));
    }

    #[test]
    fn a_value_lies_in_its_bin(value in any::<i64>(), shift in 0u32..63, width in 1i64..1_000_000) {
        let value = value >> shift;
        let bin = Bin::new(1, i128::from(width), Unit::Nano);
        prop_assert_eq!(bin.index(value), bin.wide_index(value.into()));
        let (edge, value) = (bin.lower_edge(bin.index(value).unwrap()), i128::from(value));
        prop_assert!(edge <= value && value < edge + i128::from(width));
    }
}
