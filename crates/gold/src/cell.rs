//! One cell: the accumulators of one key of one view.

/// The accumulators of one key of one view. All of them are exact integers, so adding and subtracting cells in any
/// order ends in the same cell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cell {
    /// The number of rows. May pass through 0 and below while retractions run ahead of what they retract.
    pub count: i64,
    /// One for each measure of the view, in its order.
    pub measures: Vec<Sums>,
    /// One for each pair of the view's correlated columns, in the order (0,1), (0,2), …, (1,2), …
    pub pairs: Vec<PairSums>,
}

/// Sums over one measure, of the rows in which it is not null. In units of 1 for integers and booleans, of 10⁻⁹ for
/// floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// The number of rows that have the measure.
    pub n: i64,
    /// Σx, in units.
    pub sum: i128,
    /// Σx², in squared units.
    pub sum_sq: i128,
}

/// Sums over two columns, of the rows in which neither is null. Units as in [`Sums`], each column its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PairSums {
    /// The number of rows that have both.
    pub n: i64,
    /// Σx.
    pub sum_x: i128,
    /// Σy.
    pub sum_y: i128,
    /// Σx².
    pub sum_xx: i128,
    /// Σy².
    pub sum_yy: i128,
    /// Σxy.
    pub sum_xy: i128,
}

/// Whether a cell is merged or retracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    Plus,
    Minus,
}

/// Why two cells cannot be merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conflict {
    Overflow,
    Shape,
}

impl Sign {
    pub(crate) fn inverse(self) -> Self {
        match self {
            Self::Plus => Self::Minus,
            Self::Minus => Self::Plus,
        }
    }
}

impl Cell {
    /// Whether every accumulator is 0, so that the cell says nothing. A count of 0 alone is not enough: a row that
    /// was counted may be retracted before the row that takes its place arrives.
    pub fn is_zero(&self) -> bool {
        self.count == 0
            && self.measures.iter().all(|m| *m == Sums::default())
            && self.pairs.iter().all(|p| *p == PairSums::default())
    }

    /// A cell of zeros with as many accumulators as this one.
    pub(crate) fn zeroed(&self) -> Self {
        Self {
            count: 0,
            measures: vec![Sums::default(); self.measures.len()],
            pairs: vec![PairSums::default(); self.pairs.len()],
        }
    }

    /// Merges or retracts `other`; a cell that conflicts stays as it was.
    pub(crate) fn apply(&mut self, other: &Self, sign: Sign) -> Result<(), Conflict> {
        if self.measures.len() != other.measures.len() || self.pairs.len() != other.pairs.len() {
            return Err(Conflict::Shape);
        }
        if self.wrapping_apply(other, sign) {
            // Wrapping sums are undone exactly by the opposite wrapping sums.
            self.wrapping_apply(other, sign.inverse());
            return Err(Conflict::Overflow);
        }
        Ok(())
    }

    /// Whether any accumulator overflowed; all are updated either way.
    fn wrapping_apply(&mut self, other: &Self, sign: Sign) -> bool {
        let mut overflow = add_i64(&mut self.count, other.count, sign);
        for (mine, theirs) in self.measures.iter_mut().zip(&other.measures) {
            overflow |= mine.wrapping_apply(theirs, sign);
        }
        for (mine, theirs) in self.pairs.iter_mut().zip(&other.pairs) {
            overflow |= mine.wrapping_apply(theirs, sign);
        }
        overflow
    }
}

impl Sums {
    fn wrapping_apply(&mut self, other: &Self, sign: Sign) -> bool {
        add_i64(&mut self.n, other.n, sign)
            | add_i128(&mut self.sum, other.sum, sign)
            | add_i128(&mut self.sum_sq, other.sum_sq, sign)
    }
}

impl PairSums {
    /// Adds the row's values `sign` times.
    #[inline]
    pub(crate) fn add(&mut self, x: i64, y: i64, sign: i64) {
        let (signed_x, signed_y) = (i128::from(sign * x), i128::from(sign * y));
        self.n += sign;
        self.sum_x += signed_x;
        self.sum_y += signed_y;
        self.sum_xx += signed_x * i128::from(x);
        self.sum_yy += signed_y * i128::from(y);
        self.sum_xy += signed_x * i128::from(y);
    }

    fn wrapping_apply(&mut self, other: &Self, sign: Sign) -> bool {
        add_i64(&mut self.n, other.n, sign)
            | add_i128(&mut self.sum_x, other.sum_x, sign)
            | add_i128(&mut self.sum_y, other.sum_y, sign)
            | add_i128(&mut self.sum_xx, other.sum_xx, sign)
            | add_i128(&mut self.sum_yy, other.sum_yy, sign)
            | add_i128(&mut self.sum_xy, other.sum_xy, sign)
    }
}

fn add_i64(sum: &mut i64, term: i64, sign: Sign) -> bool {
    let (result, overflow) = match sign {
        Sign::Plus => sum.overflowing_add(term),
        Sign::Minus => sum.overflowing_sub(term),
    };
    *sum = result;
    overflow
}

fn add_i128(sum: &mut i128, term: i128, sign: Sign) -> bool {
    let (result, overflow) = match sign {
        Sign::Plus => sum.overflowing_add(term),
        Sign::Minus => sum.overflowing_sub(term),
    };
    *sum = result;
    overflow
}
