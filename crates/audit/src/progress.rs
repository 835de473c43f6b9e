//! How far a verification is.

/// How far a verification is. The passes differ in what they read, so all of them are told in bytes of bronze.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Never goes down; equal to `total_bytes` at the end.
    pub done_bytes: u64,
    /// About twice the bytes of bronze in scope.
    pub total_bytes: u64,
}

/// What each pass takes, as a share of what replaying bronze takes.
const QUARTERS: [u64; 4] = [4, 2, 1, 1];

/// Tells the caller how far the passes are.
pub(crate) struct Meter<'a> {
    report: &'a (dyn Fn(Progress) + Send + Sync),
    bronze_bytes: u64,
    pass: Pass,
    done: u64,
}

/// A pass over what is stored, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    Bronze,
    Silver,
    Events,
    Join,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(report: &'a (dyn Fn(Progress) + Send + Sync)) -> Self {
        Self { report, bronze_bytes: 0, pass: Pass::Bronze, done: 0 }
    }

    /// The bytes that the first pass will read.
    pub(crate) fn set_bronze_bytes(&mut self, bytes: u64) {
        self.bronze_bytes = bytes;
    }

    /// Begins a pass.
    pub(crate) fn begin(&mut self, pass: Pass) {
        self.pass = pass;
        self.done = 0;
        self.add(0, 1);
    }

    /// `done` more of the `all` that the pass will take in all.
    pub(crate) fn add(&mut self, done: u64, all: u64) {
        self.done += done;
        let quarters = |pass: usize| self.bronze_bytes.saturating_mul(QUARTERS[pass]) / 4;
        let pass = self.pass as usize;
        let before: u64 = (0..pass).map(quarters).sum();
        let share = u128::from(quarters(pass)) * u128::from(self.done.min(all)) / u128::from(all.max(1));
        let total_bytes = (0..QUARTERS.len()).map(quarters).sum();
        (self.report)(Progress { done_bytes: before + share as u64, total_bytes });
    }

    /// Everything is done.
    pub(crate) fn end(&mut self) {
        self.pass = Pass::Join;
        self.done = 1;
        self.add(0, 1);
    }
}
