//! What has happened, so that a test can see that it did happen.

/// How often what came about in a [`SimStore`](super::SimStore).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SimCounts {
    /// Calls that failed before they did anything.
    pub refused_calls: u64,
    /// Writes whose answer was lost.
    pub lost_replies: u64,
    /// Writes whose primary went before a majority had them, or seemed to.
    pub unknown_outcomes: u64,
    /// Fail-overs that threw something away.
    pub roll_backs: u64,
    /// Writes that were thrown away.
    pub rolled_back_writes: u64,
    /// Decision records that were refused by the opposite decision.
    pub contested_decisions: u64,
    /// Ledger entries that were refused.
    pub refused_entries: u64,
    /// Of these, refused by an entry that no majority had yet.
    pub refused_by_undurable: u64,
    /// Claims that were put on top of another.
    pub displaced_claims: u64,
    /// Claims that were forgotten.
    pub pruned_claims: u64,
    /// Replacements of a document that had changed.
    pub lost_races: u64,
    /// Documents that were kept from an earlier term of office.
    pub fenced_documents: u64,
    /// Gold cells that were kept from an earlier term of office.
    pub fenced_cells: u64,
    /// Gold cells that were written as gone.
    pub vanished_cells: u64,
}
