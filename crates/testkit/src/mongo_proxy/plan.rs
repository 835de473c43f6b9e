//! The rules in force, and whose turn it is.

use super::{Fault, Rule, Turn, message::Command};
use crate::sim_store::Random;

/// The rules in the order in which they are asked.
#[derive(Debug, Default)]
pub(super) struct Plan(Vec<Planned>);

#[derive(Debug)]
struct Planned {
    rule: Rule,
    /// Commands that matched.
    matched: u64,
    /// Commands that were taken.
    taken: u64,
    random: Random,
}

impl Plan {
    pub(super) fn add(&mut self, rule: Rule) {
        let seed = if let Turn::Chance { seed, .. } = rule.when.turn { seed } else { 0 };
        self.0.push(Planned { rule, matched: 0, taken: 0, random: Random::new(seed) });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault that this command meets: that of the first rule that takes it.
    pub(super) fn meet(&mut self, command: &Command<'_>) -> Option<Fault> {
        self.0.iter_mut().find_map(|planned| planned.meet(command))
    }
}

impl Planned {
    fn meet(&mut self, command: &Command<'_>) -> Option<Fault> {
        let Rule { when, fault, times } = &self.rule;
        if !when.matches(command) || !fault.fits(command) || times.is_some_and(|times| self.taken >= times) {
            return None;
        }
        self.matched += 1;
        let due = match when.turn {
            Turn::Each => true,
            Turn::Nth(n) => self.matched == n,
            Turn::Every(n) => n > 0 && self.matched.is_multiple_of(n),
            Turn::Chance { probability, .. } => self.random.chance(probability),
        };
        due.then(|| {
            self.taken += 1;
            fault.clone()
        })
    }
}
