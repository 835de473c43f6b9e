//! A fold without any of the folder's short cuts: one map, one row and one pair at a time.

use std::collections::BTreeMap;

use ensemble_contract::{Float, Value, View};
use ensemble_gold::{Cell, CellKey, Cells, KeyPart, PairSums, Sums};

/// Adds each row `sign` times to the cells of all views. Integers and booleans count in 1, floats in billionths.
pub(crate) fn fold(views: &[View], rows: &[(Vec<Value<'_>>, i64)]) -> Cells {
    let mut cells = BTreeMap::<_, Cell>::new();
    for (number, view) in (0u16..).zip(views) {
        for (row, sign) in rows {
            let parts: Option<Vec<_>> = view.by.iter().map(|by| part(row[by.column], by.bin_nano)).collect();
            let Some(parts) = parts else { continue };
            let cell = cells.entry((number, CellKey::new(&parts))).or_default();
            cell.count += sign;
            cell.measures.resize(view.measures.len(), Sums::default());
            for (sums, column) in cell.measures.iter_mut().zip(&view.measures) {
                measure(sums, units(row[*column]), i128::from(*sign));
            }
            let fields = &view.correlate;
            let pairs: Vec<_> = (0..fields.len()).flat_map(|a| (a + 1..fields.len()).map(move |b| (a, b))).collect();
            cell.pairs.resize(pairs.len(), PairSums::default());
            for (sums, (a, b)) in cell.pairs.iter_mut().zip(pairs) {
                pair(sums, units(row[fields[a]]), units(row[fields[b]]), i128::from(*sign));
            }
        }
    }
    cells.into_iter().collect()
}

fn measure(sums: &mut Sums, x: Option<i128>, sign: i128) {
    let Some(x) = x else { return };
    sums.n += sign as i64;
    sums.sum += sign * x;
    sums.sum_sq += sign * x * x;
}

fn pair(sums: &mut PairSums, x: Option<i128>, y: Option<i128>, sign: i128) {
    let (Some(x), Some(y)) = (x, y) else { return };
    sums.n += sign as i64;
    sums.sum_x += sign * x;
    sums.sum_y += sign * y;
    sums.sum_xx += sign * x * x;
    sums.sum_yy += sign * y * y;
    sums.sum_xy += sign * x * y;
}

fn units(value: Value<'_>) -> Option<i128> {
    match value {
        Value::Null | Value::Str(_) => None,
        Value::Bool(v) => Some(v.into()),
        Value::Int(v) => Some(v.into()),
        Value::Float(v) => Some(billionths(v)),
    }
}

/// Of decimals with at most 9 digits behind the point, by their text.
fn billionths(value: Float) -> i128 {
    let text = format!("{:.9}", value.to_f64());
    text.replace('.', "").parse().expect("digits")
}

fn part(value: Value<'_>, bin_nano: Option<i128>) -> Option<KeyPart> {
    match value {
        Value::Null => None,
        Value::Str(text) => Some(KeyPart::Text(text.into())),
        Value::Bool(v) => Some(KeyPart::Bool(v)),
        Value::Int(v) => Some(KeyPart::Int(bin(i128::from(v) * 1_000_000_000, bin_nano.unwrap_or(1_000_000_000)))),
        Value::Float(v) => Some(KeyPart::Int(bin(billionths(v), bin_nano.unwrap_or(1)))),
    }
}

fn bin(nano: i128, width: i128) -> i64 {
    let truncated = nano / width;
    let below = nano < 0 && nano % width != 0;
    (truncated - i128::from(below)) as i64
}
