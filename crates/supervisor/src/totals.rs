//! What the ledger adds up to.

use std::collections::BTreeMap;

use ensemble_store::LedgerEntry;
use serde::{Deserialize, Serialize};

/// Sums over ledger entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Settled shards.
    pub shards: u64,
    /// Of these, set aside.
    pub aside: u64,
    /// Bytes of the settled shards.
    pub bytes: u64,
    /// Rows in all.
    pub rows: u64,
    /// Rows that took a key, if only for a time.
    pub claims: u64,
    /// Rows whose key had a lower rank.
    pub duplicates: u64,
    /// Claims that displaced a claim of the same job.
    pub displaced_same: u64,
    /// Claims that displaced a claim of another job.
    pub updated: u64,
    /// Rejected rows by the first rule that failed.
    pub rejected_by_rule: BTreeMap<String, u64>,
}

impl Totals {
    /// Adds one entry.
    pub fn add(&mut self, entry: &LedgerEntry) {
        self.merge(&Self::from(entry));
    }

    /// Adds other sums.
    pub fn merge(&mut self, other: &Self) {
        self.shards += other.shards;
        self.aside += other.aside;
        self.bytes += other.bytes;
        self.rows += other.rows;
        self.claims += other.claims;
        self.duplicates += other.duplicates;
        self.displaced_same += other.displaced_same;
        self.updated += other.updated;
        for (rule, n) in &other.rejected_by_rule {
            *self.rejected_by_rule.entry(rule.clone()).or_default() += n;
        }
    }

    /// Rows that are live in silver by this job alone: claims that displaced nobody.
    pub fn accepted(&self) -> u64 {
        // Signed in between: a displacing shard may be settled before the one that it displaces.
        self.claims.saturating_sub(self.displaced_same + self.updated)
    }

    /// Rows whose key another row holds.
    pub fn all_duplicates(&self) -> u64 {
        self.duplicates + self.displaced_same
    }

    /// Rejected rows.
    pub fn rejected(&self) -> u64 {
        self.rejected_by_rule.values().sum()
    }
}

impl From<&LedgerEntry> for Totals {
    fn from(entry: &LedgerEntry) -> Self {
        // A shard that nobody knows of may never have been one.
        let known = !entry.plan.is_unknown();
        Self {
            shards: u64::from(known),
            aside: u64::from(known && entry.aside.is_some()),
            bytes: entry.plan.length,
            rows: entry.rows,
            claims: entry.claims,
            duplicates: entry.duplicates,
            displaced_same: entry.displaced_same,
            updated: entry.updated,
            rejected_by_rule: entry.rejected_by_rule.clone(),
        }
    }
}
