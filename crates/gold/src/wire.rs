//! The encodings of cells, for ledger entries, checkpoints and stored gold.
//!
//! [`Cells`] is a version byte (1), the number of cells, and for each, sorted by view and key: the view, the length of
//! the key, the key, the cell. A [`Cell`] is its count; the number of measures and for each `n − count`, Σx, Σx²; the
//! number of pairs and for each `n − count`, Σx, Σy, Σx², Σy², Σxy. Signed numbers are zigzag LEB128, the others plain
//! LEB128. `n` is mostly equal to the count, so that the difference takes one byte.

use ensemble_contract::row::{get_leb128, put_leb128, unzigzag, zigzag};

use crate::{Cell, CellId, CellKey, Cells, GoldError, PairSums, Sums};

const VERSION: u8 = 1;

/// The fewest bytes of a measure: three numbers.
const MIN_MEASURE_BYTES: usize = 3;
/// The fewest bytes of a pair: six numbers.
const MIN_PAIR_BYTES: usize = 6;

impl Cells {
    /// The cells as bytes; equal cells give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_leb128(&mut out, self.len() as u64);
        for ((view, key), cell) in self.iter() {
            put_leb128(&mut out, u64::from(*view));
            put_leb128(&mut out, key.as_bytes().len() as u64);
            out.extend_from_slice(key.as_bytes());
            put_cell(&mut out, cell);
        }
        out
    }

    /// Reads what [`Cells::encode`] wrote; [`GoldError::Version`] or [`GoldError::Damaged`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, GoldError> {
        let mut rest = bytes;
        let version = take_byte(&mut rest).ok_or_else(|| damaged("cells", rest))?;
        if version != VERSION {
            return Err(GoldError::Version { found: version, known: VERSION });
        }
        let len = get_leb128(&mut rest).ok_or_else(|| damaged("cells", rest))?;
        let mut cells: Vec<(CellId, Cell)> = Vec::new();
        for _ in 0..len {
            let (view, key) = take_id(&mut rest)?;
            let cell = take_cell(&mut rest).ok_or_else(|| damaged("cell", rest))?;
            let id = (view, key);
            // Canonical bytes are sorted, name no cell twice, and hold no cell of zeros.
            if cells.last().is_some_and(|(last, _)| *last >= id) || cell.is_zero() {
                return Err(damaged("cells", rest));
            }
            cells.push((id, cell));
        }
        if rest.is_empty() { Ok(cells.into_iter().collect()) } else { Err(damaged("cells", rest)) }
    }
}

impl Cell {
    /// The cell alone as bytes; equal cells give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_cell(&mut out, self);
        out
    }

    /// Reads what [`Cell::encode`] wrote; [`GoldError::Damaged`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, GoldError> {
        let mut rest = bytes;
        let cell = take_cell(&mut rest).filter(|_| rest.is_empty());
        cell.ok_or_else(|| damaged("cell", rest))
    }
}

fn put_cell(out: &mut Vec<u8>, cell: &Cell) {
    put_i64(out, cell.count);
    put_leb128(out, cell.measures.len() as u64);
    for m in &cell.measures {
        put_i64(out, m.n.wrapping_sub(cell.count));
        put_i128(out, m.sum);
        put_i128(out, m.sum_sq);
    }
    put_leb128(out, cell.pairs.len() as u64);
    for p in &cell.pairs {
        put_i64(out, p.n.wrapping_sub(cell.count));
        for sum in [p.sum_x, p.sum_y, p.sum_xx, p.sum_yy, p.sum_xy] {
            put_i128(out, sum);
        }
    }
}

fn take_id(rest: &mut &[u8]) -> Result<(u16, CellKey), GoldError> {
    let view = get_leb128(rest).and_then(|v| u16::try_from(v).ok()).ok_or_else(|| damaged("cells", rest))?;
    let len = get_leb128(rest).and_then(|v| usize::try_from(v).ok()).ok_or_else(|| damaged("cells", rest))?;
    let (key, tail) = rest.split_at_checked(len).ok_or_else(|| damaged("key", rest))?;
    *rest = tail;
    Ok((view, CellKey::from_bytes(key)?))
}

fn take_cell(rest: &mut &[u8]) -> Option<Cell> {
    let count = take_i64(rest)?;
    let len = take_len(rest, MIN_MEASURE_BYTES)?;
    let measures = (0..len).map(|_| take_sums(rest, count)).collect::<Option<_>>()?;
    let len = take_len(rest, MIN_PAIR_BYTES)?;
    let pairs = (0..len).map(|_| take_pair(rest, count)).collect::<Option<_>>()?;
    Some(Cell { count, measures, pairs })
}

fn take_sums(rest: &mut &[u8], count: i64) -> Option<Sums> {
    Some(Sums { n: take_i64(rest)?.wrapping_add(count), sum: take_i128(rest)?, sum_sq: take_i128(rest)? })
}

fn take_pair(rest: &mut &[u8], count: i64) -> Option<PairSums> {
    Some(PairSums {
        n: take_i64(rest)?.wrapping_add(count),
        sum_x: take_i128(rest)?,
        sum_y: take_i128(rest)?,
        sum_xx: take_i128(rest)?,
        sum_yy: take_i128(rest)?,
        sum_xy: take_i128(rest)?,
    })
}

/// A number of things that take at least `min_bytes` each, so that a damaged length cannot ask for memory.
fn take_len(rest: &mut &[u8], min_bytes: usize) -> Option<usize> {
    let len = usize::try_from(get_leb128(rest)?).ok()?;
    (len <= rest.len() / min_bytes).then_some(len)
}

fn take_byte(rest: &mut &[u8]) -> Option<u8> {
    let (&byte, tail) = rest.split_first()?;
    *rest = tail;
    Some(byte)
}

fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_leb128(out, zigzag(value));
}

fn take_i64(rest: &mut &[u8]) -> Option<i64> {
    get_leb128(rest).map(unzigzag)
}

fn put_i128(out: &mut Vec<u8>, value: i128) {
    let mut bits = ((value << 1) ^ (value >> 127)) as u128;
    while bits >= 0x80 {
        out.push((bits as u8) | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

fn take_i128(rest: &mut &[u8]) -> Option<i128> {
    let mut bits = 0u128;
    for shift in (0..128).step_by(7) {
        let byte = take_byte(rest)?;
        let low = u128::from(byte & 0x7f);
        // The 19th byte holds the last two of the 128 bits.
        if shift == 126 && low > 3 {
            return None;
        }
        bits |= low << shift;
        if byte < 0x80 {
            return Some(((bits >> 1) as i128) ^ -((bits & 1) as i128));
        }
    }
    None
}

fn damaged(what: &'static str, rest: &[u8]) -> GoldError {
    GoldError::Damaged { what, remaining: rest.len() }
}
