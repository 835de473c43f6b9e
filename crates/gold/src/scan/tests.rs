use ensemble_contract::{Float, RowRef, RowWriter, Value};
use proptest::prelude::*;

use super::*;

type Found<'a> = Result<(Value<'a>, &'a [u8]), Refusal>;

fn found<'a, T>(taken: Taken<'a, T>, value: impl FnOnce(T) -> Result<Value<'a>, RowError>) -> Found<'a> {
    let (taken, rest) = taken?;
    Ok((taken.map_or(Ok(Value::Null), value).map_err(Refusal::Row)?, rest))
}

/// What each of the functions takes from the front of a row.
fn all(row: &[u8]) -> [Found<'_>; 4] {
    [
        found(int(row), |v| Ok(Value::Int(v))),
        found(double(row), |v| {
            Ok(Value::Float(match v {
                Double::Decimal(mantissa, scale) => Float::Decimal { mantissa, scale },
                Double::Binary(v) => Float::Binary(v),
            }))
        }),
        found(bool(row), |v| Ok(Value::Bool(v))),
        found(text(row), |v| std::str::from_utf8(v).map(Value::Str).map_err(|_| RowError::NotUtf8)),
    ]
}

fn type_of(value: Value<'_>) -> Option<usize> {
    match value {
        Value::Null => None,
        Value::Int(_) => Some(0),
        Value::Float(_) => Some(1),
        Value::Bool(_) => Some(2),
        Value::Str(_) => Some(3),
    }
}

/// Both readers over the same bytes give the same values, or both fail; skipping ends where reading ends.
fn assert_readers_agree(mut rest: &[u8]) {
    let mut reader = RowRef::new(rest);
    loop {
        let next = reader.next_value().and_then(|v| v.ok_or(RowError::Truncated));
        let skipped = skip(rest);
        let value = match next {
            Ok(value) => value,
            Err(error) => {
                assert!(all(rest).contains(&Err(Refusal::Row(error))));
                // What is skipped is not checked to be UTF-8.
                assert!(skipped == Err(Refusal::Row(error)) || error == RowError::NotUtf8);
                return;
            }
        };
        let behind = skipped.unwrap();
        // The short ways take the same value, or nothing.
        assert!(short_skip(rest).is_none_or(|rest| rest == behind));
        if let Some((text, rest)) = short_text(rest) {
            assert_eq!((std::str::from_utf8(text).map(Value::Str), rest), (Ok(value), behind));
        }
        if let Some((int, rest)) = short_int(rest) {
            assert_eq!((Value::Int(int), rest), (value, behind));
        }
        if let Some((mantissa, scale, rest)) = short_decimal(rest) {
            assert_eq!((Value::Float(Float::Decimal { mantissa, scale }), rest), (value, behind));
        }
        for (ty, found) in all(rest).into_iter().enumerate() {
            match type_of(value) {
                Some(other) if other != ty => assert_eq!(found, Err(Refusal::Type)),
                _ => assert_eq!(found, Ok((value, behind))),
            }
        }
        rest = behind;
    }
}

proptest! {
    #[test]
    fn rows_read_as_the_contracts_reader_reads_them(
        values in prop::collection::vec((any::<i64>(), 0u32..64, any::<f64>(), ".{0,9}", 0..6), 0..12),
        extra in any::<bool>(),
    ) {
        let mut bytes = Vec::new();
        let mut writer = RowWriter::new(&mut bytes);
        for (int, shift, double, text, which) in &values {
            writer.push(match which {
                0 => Value::Null,
                1 => Value::Bool(int % 2 == 0),
                2 => Value::Int(int >> shift),
                3 => Value::Str(text),
                4 => Value::Float(Float::Binary(*double)),
                _ => Value::Float(Float::Decimal { mantissa: int >> 14 >> shift.min(&49), scale: (shift % 23) as u8 }),
            });
        }
        if extra {
            writer.push_extra([("name", "text")].into_iter());
        }
        assert_readers_agree(&bytes);
    }

    #[test]
    fn any_bytes_read_as_the_contracts_reader_reads_them(bytes in prop::collection::vec(
        prop_oneof![0u8..8, 16u8..40, any::<u8>(), 0x80u8..], 0..40,
    )) {
        assert_readers_agree(&bytes);
    }

    #[test]
    fn a_number_reads_back_whatever_follows_it(v: i64, shift in 0u32..64, scale in 0u8..=22, tail in any::<Vec<u8>>()) {
        let v = v >> shift;
        let mut bytes = vec![INT];
        row::put_leb128(&mut bytes, row::zigzag(v));
        let short = bytes.len() <= 5;
        bytes.extend(&tail);
        prop_assert_eq!(int(&bytes), Ok((Some(v), tail.as_slice())));
        let taken = short_int(&bytes);
        prop_assert!(taken == Some((v, tail.as_slice())) || taken.is_none() && (!short || tail.len() < 4));
        let mut decimal = bytes.clone();
        decimal[0] = DECIMAL + scale;
        prop_assert_eq!(double(&decimal), Ok((Some(Double::Decimal(v, scale)), tail.as_slice())));
        let taken = taken.filter(|_| scale <= MAX_SHORT_SCALE);
        prop_assert_eq!(short_decimal(&decimal), taken.map(|(v, tail)| (v, scale, tail)));
    }
}
