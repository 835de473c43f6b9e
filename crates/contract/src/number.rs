//! Exact decimal arithmetic for gold: billionths as integers.

/// A number of billionths (1e-9), exact.
pub type Decimal9 = i128;
