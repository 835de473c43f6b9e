//! What has happened, so that one can see that it did.

use std::{collections::BTreeMap, fmt};

use ensemble_testkit::sim_store::SimCounts;

/// How often things happened, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    /// How often this happened; 0 for what never did, or does not exist.
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    pub(crate) fn add(&mut self, name: &'static str, n: u64) {
        *self.0.entry(name).or_default() += n;
    }

    /// Takes another tally in.
    pub fn merge(&mut self, other: &Self) {
        for (name, n) in &other.0 {
            self.add(name, *n);
        }
    }

    pub(crate) fn add_store(&mut self, counts: &SimCounts) {
        for (name, n) in [
            ("refused calls", counts.refused_calls),
            ("lost replies", counts.lost_replies),
            ("unknown outcomes", counts.unknown_outcomes),
            ("roll-backs", counts.roll_backs),
            ("writes rolled back", counts.rolled_back_writes),
            ("contested decisions", counts.contested_decisions),
            ("refused ledger entries", counts.refused_entries),
            ("ledger entries refused by what no majority had", counts.refused_by_undurable),
            ("displaced claims", counts.displaced_claims),
            ("pruned claims", counts.pruned_claims),
            ("lost races for a key", counts.lost_races),
            ("deposed documents refused", counts.fenced_documents),
            ("deposed cells refused", counts.fenced_cells),
            ("vanished cells written", counts.vanished_cells),
        ] {
            self.add(name, n);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, n) in &self.0 {
            writeln!(f, "{n:>9}  {name}")?;
        }
        Ok(())
    }
}
