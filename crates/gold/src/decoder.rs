//! Decodes each column of a row once, for all views.

use ensemble_contract::{Float, RowError};
use rustc_hash::FxHashMap;

use crate::{
    GoldError, Views,
    batch::Lane,
    scan::{self, Double, MAX_SHORT_SCALE, Refusal},
    views::{Bin, KeyKind, SourceKind},
};

/// The largest magnitude that is summed, in units: 2⁴⁴, which is 17,592 in billionths. A column whose sums of squares
/// over 10¹² rows fit in 127 bits has a range inside √(2¹²⁷ ÷ 10¹²) < 2⁴⁴.
const MAX_SUMMED: i64 = 1 << 44;

/// Reads rows into lanes, which views share.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// The columns up to the last one that a view needs.
    columns: Vec<Column>,
}

/// Names one of a decoder's lanes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LaneId {
    /// The values of a summed column.
    Number(usize),
    /// The values of a column as keys, without bins.
    Part(usize),
    /// The bins of a column, by the position of their width.
    Bin(usize, usize),
}

#[derive(Debug)]
struct Column {
    name: String,
    kind: SourceKind,
    /// Whether the column has any lane.
    needed: bool,
    /// Where it is summed.
    number: Option<Box<Lane>>,
    /// Where it is a key of numbers: each width that views give it.
    bins: Vec<(Bin, Lane)>,
    /// Where it is a key of text or of a boolean.
    part: Option<Box<Lane>>,
    /// The texts seen so far, where it is a key of text.
    texts: Texts,
}

/// Texts, numbered in the order in which they are first seen.
#[derive(Debug, Default)]
struct Texts {
    /// By bytes, so that only a new text has to be checked to be UTF-8.
    numbers: FxHashMap<Box<[u8]>, i64>,
    texts: Vec<Box<str>>,
}

impl Decoder {
    pub(crate) fn new(views: &Views) -> Self {
        let columns = views.columns.iter().map(|source| Column {
            name: source.name.clone(),
            kind: source.kind,
            needed: false,
            number: None,
            bins: Vec::new(),
            part: None,
            texts: Texts::default(),
        });
        Self { columns: columns.collect() }
    }

    /// The lane of a summed column; `None` where the contract has no such column.
    pub(crate) fn number_lane(&mut self, column: usize) -> Option<LaneId> {
        let plan = self.columns.get_mut(column)?;
        plan.needed = true;
        plan.number.get_or_insert_with(|| Box::new(Lane::new()));
        Some(LaneId::Number(column))
    }

    /// The lane of a part of a key; `None` where the contract has no such column.
    pub(crate) fn part_lane(&mut self, column: usize, kind: KeyKind) -> Option<LaneId> {
        let plan = self.columns.get_mut(column)?;
        plan.needed = true;
        let KeyKind::Number(bin) = kind else {
            plan.part.get_or_insert_with(|| Box::new(Lane::new()));
            return Some(LaneId::Part(column));
        };
        let known = plan.bins.iter().position(|(other, _)| *other == bin);
        let position = known.unwrap_or_else(|| {
            plan.bins.push((bin, Lane::new()));
            plan.bins.len() - 1
        });
        Some(LaneId::Bin(column, position))
    }

    /// The lane with this name, which this decoder has given out.
    pub(crate) fn lane(&self, id: LaneId) -> &Lane {
        static EMPTY: Lane = Lane::new();
        let lane = match id {
            LaneId::Number(column) => self.columns.get(column).and_then(|column| column.number.as_deref()),
            LaneId::Part(column) => self.columns.get(column).and_then(|column| column.part.as_deref()),
            LaneId::Bin(column, bin) => self.columns.get(column).and_then(|c| c.bins.get(bin)).map(|(_, lane)| lane),
        };
        lane.unwrap_or(&EMPTY)
    }

    /// Forgets the columns behind the last one that has a lane: they need not be decoded.
    pub(crate) fn trim(&mut self) {
        let needed = self.columns.iter().rposition(|column| column.needed).map_or(0, |last| last + 1);
        self.columns.truncate(needed);
    }

    /// Reads one row into the lanes, at `at`; after an error the lanes hold a part of it, until [`Decoder::forget`].
    pub(crate) fn read(&mut self, row: &[u8], at: usize) -> Result<(), GoldError> {
        let mut rest = row;
        for column in &mut self.columns {
            rest = match column.read_short(rest, at) {
                Some(rest) => rest,
                None => column.read(rest, at)?,
            };
        }
        Ok(())
    }

    /// Forgets all nulls but those of the rows whose bit is set in `kept`.
    pub(crate) fn forget(&mut self, kept: u64) {
        self.columns.iter_mut().flat_map(Column::lanes).for_each(|lane| lane.nulls &= kept);
    }

    /// The texts of each column by their number, forgotten here.
    pub(crate) fn take_texts(&mut self) -> Vec<Vec<Box<str>>> {
        self.columns.iter_mut().map(|column| column.texts.take()).collect()
    }
}

impl Column {
    /// As [`Column::read`], of what nearly all values are; `None` for all others. The hot path: it has no error to
    /// carry, and leaves every check that fails to the long way.
    #[inline(always)]
    fn read_short<'r>(&mut self, row: &'r [u8], at: usize) -> Option<&'r [u8]> {
        if !self.needed {
            return scan::short_skip(row);
        }
        match self.kind {
            SourceKind::Float => {
                let (mantissa, scale, rest) = scan::short_decimal(row)?;
                // Far inside 64 bits: the mantissa has at most 28.
                self.set(mantissa * NANO_BY_SCALE[usize::from(scale)], at)?;
                Some(rest)
            }
            SourceKind::Int => {
                let (value, rest) = scan::short_int(row)?;
                self.set(value, at)?;
                Some(rest)
            }
            SourceKind::Text => {
                let (text, rest) = scan::short_text(row)?;
                let number = self.texts.known(text)?;
                self.part.as_mut()?.set(at, number);
                Some(rest)
            }
            SourceKind::Bool => None,
        }
    }

    /// Reads the column's value from the front of `row` into its lanes at `at`, and returns the rest of the row.
    #[inline(never)]
    fn read<'r>(&mut self, row: &'r [u8], at: usize) -> Result<&'r [u8], GoldError> {
        if !self.needed {
            return scan::skip(row).map_err(|refusal| self.refused(refusal));
        }
        let (fits, rest) = match self.kind {
            SourceKind::Float => match scan::double(row).map_err(|refusal| self.refused(refusal))? {
                (Some(Double::Decimal(mantissa, scale)), rest) => {
                    (self.set_double(Float::Decimal { mantissa, scale }, at), rest)
                }
                (Some(Double::Binary(value)), rest) => (self.set_double(Float::Binary(value), at), rest),
                (None, rest) => (self.set_null(at), rest),
            },
            SourceKind::Int => match scan::int(row).map_err(|refusal| self.refused(refusal))? {
                (Some(value), rest) => (self.set(value, at), rest),
                (None, rest) => (self.set_null(at), rest),
            },
            SourceKind::Bool => match scan::bool(row).map_err(|refusal| self.refused(refusal))? {
                (Some(value), rest) => (self.set_part(i64::from(value), at), rest),
                (None, rest) => (self.set_null(at), rest),
            },
            SourceKind::Text => match scan::text(row).map_err(|refusal| self.refused(refusal))? {
                (Some(text), rest) => {
                    let number = self.texts.number(text)?;
                    (self.set_part(number, at), rest)
                }
                (None, rest) => (self.set_null(at), rest),
            },
        };
        match fits {
            Some(()) => Ok(rest),
            None => Err(GoldError::OutOfRange { column: self.name.clone() }),
        }
    }

    /// Sets a number that is given in units; `None` where it is too large.
    #[inline(always)]
    fn set(&mut self, units: i64, at: usize) -> Option<()> {
        if let Some(lane) = &mut self.number {
            if !(-MAX_SUMMED..=MAX_SUMMED).contains(&units) {
                return None;
            }
            lane.set(at, units);
        }
        for (bin, lane) in &mut self.bins {
            lane.set(at, bin.index(units)?);
        }
        Some(())
    }

    /// Sets any double; `None` where it is too large.
    fn set_double(&mut self, value: Float, at: usize) -> Option<()> {
        let nano = value.nano()?;
        if let Ok(nano) = i64::try_from(nano) {
            return self.set(nano, at);
        }
        if self.number.is_some() {
            return None;
        }
        for (bin, lane) in &mut self.bins {
            lane.set(at, bin.wide_index(nano)?);
        }
        Some(())
    }

    /// Sets the number of a text, or a boolean.
    fn set_part(&mut self, value: i64, at: usize) -> Option<()> {
        if let Some(lane) = &mut self.part {
            lane.set(at, value);
        }
        // A text is no number to be summed: a contract does not measure one.
        if let (SourceKind::Bool, Some(lane)) = (self.kind, &mut self.number) {
            lane.set(at, value);
        }
        Some(())
    }

    fn set_null(&mut self, at: usize) -> Option<()> {
        self.lanes().for_each(|lane| lane.set_null(at));
        Some(())
    }

    fn lanes(&mut self) -> impl Iterator<Item = &mut Lane> {
        let bins = self.bins.iter_mut().map(|(_, lane)| lane);
        bins.chain(self.part.as_deref_mut()).chain(self.number.as_deref_mut())
    }

    #[cold]
    fn refused(&self, refusal: Refusal) -> GoldError {
        match refusal {
            Refusal::Row(error) => GoldError::Row(error),
            Refusal::Type => GoldError::Type { column: self.name.clone() },
        }
    }
}

impl Texts {
    /// Not inlined: the look-up would take the registers of the loop over a row's columns.
    #[inline(never)]
    fn known(&self, text: &[u8]) -> Option<i64> {
        self.numbers.get(text).copied()
    }

    fn number(&mut self, text: &[u8]) -> Result<i64, RowError> {
        if let Some(number) = self.known(text) {
            return Ok(number);
        }
        let text = std::str::from_utf8(text).map_err(|_| RowError::NotUtf8)?;
        let number = self.texts.len() as i64;
        self.numbers.insert(text.as_bytes().into(), number);
        self.texts.push(text.into());
        Ok(number)
    }

    fn take(&mut self) -> Vec<Box<str>> {
        self.numbers.clear();
        std::mem::take(&mut self.texts)
    }
}

/// What a mantissa is multiplied by to be in billionths, by its scale.
const NANO_BY_SCALE: [i64; MAX_SHORT_SCALE as usize + 1] =
    [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
