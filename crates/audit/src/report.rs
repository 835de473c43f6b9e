//! What a verification found.

use std::fmt;

/// How many concrete differences a check keeps.
const MAX_EXAMPLES: usize = 10;

/// The outcome of a verification: one check an invariant, in the order I1 to I7.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The checks.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether no check is broken. A skipped check breaks nothing: its reason says what is not known.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|c| c.outcome != Outcome::Broken)
    }
}

/// One invariant and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// `I1` to `I7`.
    pub id: &'static str,
    /// What the invariant says.
    pub title: &'static str,
    /// Whether it holds.
    pub outcome: Outcome,
    /// What was checked, with counts, and what is worth knowing besides; `; ` between the parts.
    pub detail: String,
    /// The first differences, at most 10: where, what was expected and what was found.
    pub examples: Vec<String>,
}

/// Whether an invariant holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// No difference was found.
    Holds,
    /// Differences were found.
    Broken,
    /// No difference was found, and for this reason not everything could be checked.
    Skipped(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("holds"),
            Self::Broken => f.write_str("broken"),
            Self::Skipped(reason) => write!(f, "skipped: {reason}"),
        }
    }
}

/// The invariants that are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invariant {
    Counts,
    Silver,
    Gold,
    Bronze,
    DeadLetters,
    Events,
    Ledger,
}

impl Invariant {
    pub(crate) const ALL: [Self; 7] =
        [Self::Counts, Self::Silver, Self::Gold, Self::Bronze, Self::DeadLetters, Self::Events, Self::Ledger];
}

const NAMES: [(&str, &str); 7] = [
    ("I1", "every row is counted exactly once"),
    ("I2", "silver is what one process that reads the rows in order would produce"),
    ("I3", "gold is a recompute from silver, bit for bit"),
    ("I4", "bronze is the source, byte for byte"),
    ("I5", "every rejected row is in the dead letters, byte for byte"),
    ("I6", "every accepted and rejected row has its event"),
    ("I7", "a shard has one ledger entry, and nothing was written under a later epoch than the one in office"),
];

/// What is known of the invariants so far. Parts of a verification have their own, which are merged in order.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    checks: [Finding; 7],
}

#[derive(Debug, Default)]
struct Finding {
    differences: u64,
    examples: Vec<String>,
    notes: Vec<String>,
    skipped: Vec<String>,
}

impl Findings {
    fn of(&mut self, invariant: Invariant) -> &mut Finding {
        &mut self.checks[invariant as usize]
    }

    /// Takes a difference down.
    pub(crate) fn broken(&mut self, invariant: Invariant, example: impl FnOnce() -> String) {
        let finding = self.of(invariant);
        finding.differences += 1;
        if finding.examples.len() < MAX_EXAMPLES {
            finding.examples.push(example());
        }
    }

    /// Takes differences down of which only the first are explained.
    pub(crate) fn broken_many(&mut self, invariant: Invariant, differences: u64, examples: Vec<String>) {
        let finding = self.of(invariant);
        finding.differences += differences;
        finding.examples.extend(examples);
        finding.examples.truncate(MAX_EXAMPLES);
    }

    /// Says why something could not be checked; the same reason counts once.
    pub(crate) fn skip(&mut self, invariant: Invariant, reason: impl Into<String>) {
        push_once(&mut self.of(invariant).skipped, reason.into());
    }

    /// Says what was checked, or something worth knowing.
    pub(crate) fn note(&mut self, invariant: Invariant, note: impl Into<String>) {
        push_once(&mut self.of(invariant).notes, note.into());
    }

    /// Whether a difference of this kind was found.
    pub(crate) fn is_broken(&self, invariant: Invariant) -> bool {
        self.checks[invariant as usize].differences > 0
    }

    /// Adds what another part found.
    pub(crate) fn merge(&mut self, other: Self) {
        for (mine, theirs) in self.checks.iter_mut().zip(other.checks) {
            mine.differences += theirs.differences;
            let room = MAX_EXAMPLES - mine.examples.len();
            mine.examples.extend(theirs.examples.into_iter().take(room));
            theirs.notes.into_iter().for_each(|n| push_once(&mut mine.notes, n));
            theirs.skipped.into_iter().for_each(|s| push_once(&mut mine.skipped, s));
        }
    }

    pub(crate) fn into_report(self) -> Report {
        let checks = NAMES.iter().zip(self.checks).map(|((id, title), finding)| finding.into_check(id, title));
        Report { checks: checks.collect() }
    }
}

impl Finding {
    fn into_check(mut self, id: &'static str, title: &'static str) -> Check {
        let outcome = match (self.differences, self.skipped.is_empty()) {
            (0, true) => Outcome::Holds,
            (0, false) => Outcome::Skipped(self.skipped.join("; ")),
            (n, _) => {
                self.notes.push(format!("{n} differences"));
                self.notes.extend(self.skipped.into_iter().map(|s| format!("not checked: {s}")));
                Outcome::Broken
            }
        };
        Check { id, title, outcome, detail: self.notes.join("; "), examples: self.examples }
    }
}

fn push_once(list: &mut Vec<String>, text: String) {
    if !list.contains(&text) {
        list.push(text);
    }
}
