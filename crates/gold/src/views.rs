//! A contract's gold views, compiled: which column goes to which key part, measure or pair, and in which unit.

use ensemble_contract::{ColumnType, Contract, GroupBy};

const NANO: i128 = 1_000_000_000;

/// The gold views of one contract, compiled. At most 65,536 views.
#[derive(Debug, Clone)]
pub struct Views {
    /// The contract's columns: name and unit.
    pub(crate) columns: Vec<Source>,
    pub(crate) plans: Vec<Plan>,
}

/// What a column of a view holds, for tables and typed files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoldColumnKind {
    /// Integers.
    Int,
    /// Doubles.
    Float,
    /// Text; exact sums, too.
    Text,
    /// Booleans.
    Bool,
}

/// A column of the contract, as gold reads it.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) kind: SourceKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceKind {
    Text,
    Bool,
    Int,
    Float,
}

/// One view. Columns are named by their index in the contract.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) by: Vec<Key>,
    pub(crate) measures: Vec<usize>,
    pub(crate) correlate: Vec<usize>,
}

/// One part of a view's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) column: usize,
    pub(crate) kind: KeyKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Text,
    Bool,
    Number(Bin),
}

/// What an accumulator counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    One,
    Nano,
}

/// Bins of one width. The values themselves are bins as wide as their unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bin {
    /// What a value in its column's unit is multiplied by to be in the width's unit.
    factor: i128,
    /// From 1, in `unit`.
    width: i128,
    /// Where a value needs no factor and the width fits in 64 bits.
    narrow: Option<Divisor>,
    pub(crate) unit: Unit,
}

/// A divisor from 1 and its reciprocal: a division takes longer than all else that is done with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Divisor {
    width: i64,
    /// (2⁶⁴ − 1) ÷ width, rounded down; 0 for a width of 1, where it would not fit.
    reciprocal: i64,
}

impl Views {
    /// Compiles the views of a contract.
    pub fn new(contract: &Contract) -> Self {
        let columns: Vec<_> = contract
            .columns
            .iter()
            .map(|column| Source { name: column.name.clone(), kind: SourceKind::of(column.ty) })
            .collect();
        let plans = contract
            .views
            .iter()
            .take(usize::from(u16::MAX) + 1)
            .map(|view| Plan {
                name: view.name.clone(),
                by: view.by.iter().filter_map(|by| Key::new(by, &columns)).collect(),
                measures: view.measures.clone(),
                correlate: view.correlate.clone(),
            })
            .collect();
        Self { columns, plans }
    }

    /// The number of views.
    pub fn len(&self) -> usize {
        self.plans.len()
    }

    /// Whether the contract declares no view.
    pub fn is_empty(&self) -> bool {
        self.plans.is_empty()
    }

    /// The names of the views, in the contract's order: the first is view 0.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.plans.iter().map(|plan| plan.name.as_str())
    }

    /// The name of a view by its position.
    pub fn name(&self, view: u16) -> Option<&str> {
        self.plans.get(usize::from(view)).map(|plan| plan.name.as_str())
    }

    /// The position of the view with this name.
    pub fn index(&self, name: &str) -> Option<u16> {
        self.plans.iter().position(|plan| plan.name == name).and_then(|i| u16::try_from(i).ok())
    }

    /// The name of a column of the contract.
    pub(crate) fn column_name(&self, column: usize) -> &str {
        self.columns.get(column).map_or("", |source| &source.name)
    }

    /// The unit in which a column of the contract is summed.
    pub(crate) fn unit(&self, column: usize) -> Unit {
        match self.columns.get(column).map(|source| source.kind) {
            Some(SourceKind::Float) => Unit::Nano,
            _ => Unit::One,
        }
    }
}

impl SourceKind {
    fn of(ty: ColumnType) -> Self {
        match ty {
            ColumnType::String | ColumnType::Date | ColumnType::Timestamp => Self::Text,
            ColumnType::Bool => Self::Bool,
            ColumnType::Int | ColumnType::Year => Self::Int,
            ColumnType::Float => Self::Float,
        }
    }
}

impl Key {
    fn new(by: &GroupBy, columns: &[Source]) -> Option<Self> {
        let kind = match columns.get(by.column)?.kind {
            SourceKind::Text => KeyKind::Text,
            SourceKind::Bool => KeyKind::Bool,
            SourceKind::Int => KeyKind::Number(Bin::of_ints(by.bin_nano)),
            SourceKind::Float => KeyKind::Number(Bin::new(1, by.bin_nano.unwrap_or(1), Unit::Nano)),
        };
        Some(Self { column: by.column, kind })
    }

    /// What the key's labels are.
    pub(crate) fn label_kind(&self) -> GoldColumnKind {
        match self.kind {
            KeyKind::Text => GoldColumnKind::Text,
            KeyKind::Bool => GoldColumnKind::Bool,
            KeyKind::Number(Bin { unit: Unit::One, .. }) => GoldColumnKind::Int,
            KeyKind::Number(Bin { unit: Unit::Nano, .. }) => GoldColumnKind::Float,
        }
    }
}

impl Unit {
    /// How many units make 1.
    pub(crate) fn per_one(self) -> u64 {
        match self {
            Self::One => 1,
            Self::Nano => NANO as u64,
        }
    }
}

impl Bin {
    fn new(factor: i128, width: i128, unit: Unit) -> Self {
        // A contract's widths are above 0; anything else must not divide by 0.
        let width = width.max(1);
        let narrow = if factor == 1 { i64::try_from(width).ok().map(Divisor::new) } else { None };
        Self { factor, width, narrow, unit }
    }

    fn of_ints(bin_nano: Option<i128>) -> Self {
        match bin_nano {
            None => Self::new(1, 1, Unit::One),
            Some(width) if width % NANO == 0 => Self::new(1, width / NANO, Unit::One),
            Some(width) => Self::new(NANO, width, Unit::Nano),
        }
    }

    /// The bin of a value in its column's unit: the exact quotient rounded down, for negative values too. `None` where
    /// it does not fit.
    #[inline(always)]
    pub(crate) fn index(&self, value: i64) -> Option<i64> {
        match self.narrow {
            Some(divisor) => Some(divisor.floor(value)),
            None => self.wide_index(i128::from(value)),
        }
    }

    /// As [`Bin::index`], of a value past 64 bits.
    pub(crate) fn wide_index(&self, value: i128) -> Option<i64> {
        // With a divisor above 0 the Euclidean quotient is the one rounded down.
        i64::try_from(value.checked_mul(self.factor)?.div_euclid(self.width)).ok()
    }

    /// The lower edge of a bin, in [`Bin::unit`]. Saturates, which no index of [`Bin::index`] comes near.
    pub(crate) fn lower_edge(&self, index: i64) -> i128 {
        i128::from(index).saturating_mul(self.width)
    }
}

impl Divisor {
    fn new(width: i64) -> Self {
        let reciprocal = i64::try_from(u64::MAX / width.unsigned_abs().max(1)).unwrap_or(0);
        Self { width, reciprocal }
    }

    /// The quotient rounded down.
    #[inline(always)]
    fn floor(self, value: i64) -> i64 {
        if self.width == 1 {
            return value;
        }
        // The reciprocal is less than 2⁶⁴ ÷ width by 1 at most, so this is off by half of 1 at most before it is
        // rounded, and by 1 after.
        let quotient = ((i128::from(value) * i128::from(self.reciprocal)) >> 64) as i64;
        let remainder = value.wrapping_sub(quotient.wrapping_mul(self.width));
        quotient + i64::from(remainder >= self.width) - i64::from(remainder < 0)
    }
}

#[cfg(test)]
mod tests;
