//! What has passed and what has fired, so that a test can see that it did.

use std::{collections::BTreeMap, sync::Mutex};

use super::FaultKind;
use crate::lock;

/// Names that are counted each on its own; servers know about two hundred.
const MAX_NAMES: usize = 512;
/// The name under which all others are counted.
const OTHER_NAMES: &str = "(other)";

/// How often what came about.
#[derive(Debug, Default)]
pub(super) struct Counts {
    seen: Mutex<BTreeMap<String, u64>>,
    fired: Mutex<BTreeMap<FaultKind, u64>>,
}

impl Counts {
    pub(super) fn see(&self, name: &str) {
        let mut seen = lock(&self.seen);
        let name = if seen.len() < MAX_NAMES || seen.contains_key(name) { name } else { OTHER_NAMES };
        *seen.entry(name.to_owned()).or_default() += 1;
    }

    pub(super) fn fire(&self, kind: FaultKind) {
        *lock(&self.fired).entry(kind).or_default() += 1;
    }

    pub(super) fn seen(&self) -> BTreeMap<String, u64> {
        lock(&self.seen).clone()
    }

    pub(super) fn fired(&self) -> BTreeMap<FaultKind, u64> {
        lock(&self.fired).clone()
    }
}
