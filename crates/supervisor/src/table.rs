//! A job's shards: which are planned, leased and settled. Pure: every decision about a shard's lease is made here, and
//! nothing is done here.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ensemble_contract::Limits;
use ensemble_store::{JobNumber, LedgerEntry, ShardId, ShardPlan};

use crate::Totals;

/// `leased_below` is raised by this many shards at a time, so that it is not written for every lease.
const WINDOW: u32 = 64;

/// A shard that brought its holder down this often before its decision is set aside.
const MAX_CRASHES: u32 = 3;

/// A shard whose holders were lost this often, whatever else they held, is suspected of it: it is leased alone from then
/// on, so that who is to blame is known, and no other shard suffers.
const MAX_LOSSES: u32 = 2;

/// Names a worker's session.
pub(crate) type SessionId = u64;

/// The shards of one job.
#[derive(Debug)]
pub struct ShardTable {
    job: JobNumber,
    limits: Limits,
    leased_below: u32,
    /// No shard from this number on was ever leased: `leased_below` when this term of office began, below which earlier
    /// processes may have leased any, and what this term has leased since.
    maybe_leased_below: u32,
    raising: bool,
    /// All shards below are settled.
    prefix: u32,
    /// Settled shards from `prefix` on.
    beyond: BTreeMap<u32, Totals>,
    open: BTreeMap<u32, Open>,
    totals: Totals,
    prefix_totals: Totals,
    /// How many shards the source has; known once it has ended.
    source_shards: Option<u32>,
    stopping: bool,
    tripped: Option<Totals>,
}

#[derive(Debug)]
struct Open {
    plan: Option<ShardPlan>,
    hold: Hold,
    attempts: u32,
    /// How often it brought its holder down.
    crashes: u32,
    /// How often its holder was lost, which may have held others as well.
    losses: u32,
    /// A decision `process` is known to exist: it can no longer be set aside.
    decided: bool,
}

#[derive(Debug)]
enum Hold {
    /// Its bytes are being read or made durable.
    Fetching,
    /// It can be leased.
    Waiting { bytes: Bytes },
    /// A worker has it.
    Leased { session: SessionId, until_us: i64, alone: bool },
    /// It is to be, or being, set aside.
    Aside,
}

/// A lease to hand out.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The shard's plan.
    pub plan: ShardPlan,
    /// Its bytes.
    pub bytes: Bytes,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// The worker is to hold nothing else.
    pub alone: bool,
}

/// What can be leased next.
#[derive(Debug)]
pub enum Next {
    /// This shard.
    Lease(Lease),
    /// Nothing before `leased_below` has been moved to this number.
    Raise(u32),
    /// Nothing now.
    Nothing,
}

/// What is to be done about a shard that a worker did not finish.
#[derive(Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Its bytes have to be fetched again for another lease.
    Fetch(u32),
    /// It has to be set aside, for this reason.
    SetAside(u32, String),
    /// Nothing: it is settled, or somebody else has it.
    Nothing,
}

impl Open {
    fn new(plan: Option<ShardPlan>) -> Self {
        Self { plan, hold: Hold::Fetching, attempts: 0, crashes: 0, losses: 0, decided: false }
    }

    fn is_suspect(&self) -> bool {
        self.losses >= MAX_LOSSES
    }
}

impl ShardTable {
    /// The table of a job of which no shard at or above `leased_below` was ever leased.
    pub fn new(job: JobNumber, leased_below: u32, limits: Limits) -> Self {
        Self {
            job,
            limits,
            leased_below,
            maybe_leased_below: leased_below,
            raising: false,
            prefix: 0,
            beyond: BTreeMap::new(),
            open: BTreeMap::new(),
            totals: Totals::default(),
            prefix_totals: Totals::default(),
            source_shards: None,
            stopping: false,
            tripped: None,
        }
    }

    /// What the settled shards add up to.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// What the settled shards below the first unsettled one add up to: independent of timing.
    pub fn prefix_totals(&self) -> &Totals {
        &self.prefix_totals
    }

    /// All shards below this number are settled.
    pub fn prefix(&self) -> u32 {
        self.prefix
    }

    /// Whether this shard is settled.
    pub fn is_settled(&self, number: u32) -> bool {
        number < self.prefix || self.beyond.contains_key(&number)
    }

    /// Whether anything can be leased, now or once `leased_below` is raised.
    pub fn has_work(&self) -> bool {
        self.open.values().any(|o| matches!(o.hold, Hold::Waiting { .. }))
    }

    /// Whether all that waits waits for a worker that holds nothing.
    pub fn only_suspects_wait(&self) -> bool {
        let mut waiting = self.open.values().filter(|o| matches!(o.hold, Hold::Waiting { .. }));
        waiting.all(Open::is_suspect) && self.has_work()
    }

    /// How many shards workers hold.
    pub fn leased(&self) -> usize {
        self.open.values().filter(|o| matches!(o.hold, Hold::Leased { .. })).count()
    }

    /// Takes up a shard from the planner. `false` where it is settled or open already, or the job is stopping: it is to
    /// be forgotten.
    pub fn plan(&mut self, plan: ShardPlan) -> bool {
        let number = plan.shard.number;
        if self.stopping || self.is_settled(number) || self.open.contains_key(&number) {
            return false;
        }
        self.open.insert(number, Open::new(Some(plan)));
        true
    }

    /// The shard's bytes are here (and durable, where the source cannot be read twice).
    pub fn fetched(&mut self, number: u32, bytes: Bytes) {
        if let Some(open) = self.open.get_mut(&number)
            && matches!(open.hold, Hold::Fetching)
        {
            open.hold = Hold::Waiting { bytes };
        }
    }

    /// The source has ended and has this many shards.
    pub fn source_ended(&mut self, shards: u32) {
        self.source_shards = Some(shards);
    }

    /// The next shard to lease, the lowest number first, of at most `credit_bytes` (any size, and also a suspect, where
    /// `whole`: the worker holds nothing).
    pub fn next(&mut self, session: SessionId, credit_bytes: u64, whole: bool, until_us: i64) -> Next {
        let fits = |open: &Open| whole || !open.is_suspect();
        let waiting = |(_, o): &(&u32, &mut Open)| matches!(o.hold, Hold::Waiting { .. }) && fits(o);
        let Some((&number, open)) = self.open.iter_mut().find(waiting) else { return Next::Nothing };
        if number >= self.leased_below {
            let to = number - number % WINDOW + WINDOW;
            return if std::mem::replace(&mut self.raising, true) { Next::Nothing } else { Next::Raise(to) };
        }
        let (Hold::Waiting { bytes }, Some(plan)) = (&open.hold, &open.plan) else { return Next::Nothing };
        if bytes.len() as u64 > credit_bytes && !whole {
            return Next::Nothing;
        }
        open.attempts += 1;
        let alone = open.is_suspect();
        let lease = Lease { plan: plan.clone(), bytes: bytes.clone(), attempt: open.attempts, alone };
        open.hold = Hold::Leased { session, until_us, alone };
        self.maybe_leased_below = self.maybe_leased_below.max(number + 1);
        Next::Lease(lease)
    }

    /// `leased_below` is durable at this number.
    pub fn raised(&mut self, leased_below: u32) {
        self.raising = false;
        self.leased_below = self.leased_below.max(leased_below);
    }

    /// No shard at or above this number was ever leased.
    pub fn leased_below(&self) -> u32 {
        self.leased_below
    }

    /// Extends the leases that `session` has on these shards.
    pub fn beat(&mut self, session: SessionId, numbers: impl Iterator<Item = u32>, until: i64) {
        for number in numbers {
            if let Some(Open { hold: Hold::Leased { session: holder, until_us, .. }, .. }) = self.open.get_mut(&number)
                && *holder == session
            {
                *until_us = until;
            }
        }
    }

    /// Takes up a ledger entry; `false` where it is known already.
    pub fn settle(&mut self, entry: &LedgerEntry) -> bool {
        let number = entry.plan.shard.number;
        if entry.plan.shard.job != self.job || self.is_settled(number) {
            return false;
        }
        self.open.remove(&number);
        let one = Totals::from(entry);
        self.totals.merge(&one);
        self.beyond.insert(number, one);
        while let Some(one) = self.beyond.remove(&self.prefix) {
            self.prefix_totals.merge(&one);
            self.prefix += 1;
            if self.tripped.is_none() && self.is_over_limit() {
                self.tripped = Some(self.prefix_totals.clone());
            }
        }
        true
    }

    /// The totals at which the job's limit was passed: the first settled prefix that has too many rejected rows, which
    /// does not depend on the order in which shards were settled.
    pub fn tripped(&self) -> Option<&Totals> {
        self.tripped.as_ref()
    }

    /// When the job gives up.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    fn is_over_limit(&self) -> bool {
        let totals = &self.prefix_totals;
        totals.rows >= self.limits.after_rows.max(1)
            && totals.rejected() as f64 > self.limits.max_reject_ratio * totals.rows as f64
    }

    /// A worker gave the shard back, or its lease has lapsed.
    pub fn released(&mut self, number: u32, session: SessionId) -> Trouble {
        match self.open.get(&number).map(|o| &o.hold) {
            Some(Hold::Leased { session: holder, .. }) if *holder == session => self.again(number),
            _ => Trouble::Nothing,
        }
    }

    /// The shard brought its holder down.
    pub fn crashed(&mut self, number: u32, session: SessionId, reason: &str) -> Trouble {
        let Some(open) = self.open.get_mut(&number) else { return Trouble::Nothing };
        if !matches!(open.hold, Hold::Leased { session: holder, .. } if holder == session) {
            return Trouble::Nothing;
        }
        open.crashes += 1;
        if open.crashes >= MAX_CRASHES && !open.decided {
            open.hold = Hold::Aside;
            return Trouble::SetAside(number, format!("it failed {MAX_CRASHES} times: {reason}"));
        }
        self.again(number)
    }

    /// The shard's holder is gone, unheard: what it held may have brought it down. What a shard did that was held alone,
    /// it did; others are suspected in the end.
    pub fn lost(&mut self, number: u32, session: SessionId) -> Trouble {
        let Some(open) = self.open.get_mut(&number) else { return Trouble::Nothing };
        match open.hold {
            Hold::Leased { session: holder, alone: true, .. } if holder == session => {
                self.crashed(number, session, "its worker went down, which held nothing else")
            }
            Hold::Leased { session: holder, .. } if holder == session => {
                open.losses += 1;
                self.again(number)
            }
            _ => Trouble::Nothing,
        }
    }

    /// The leases that have lapsed.
    pub fn lapsed(&self, now_us: i64) -> Vec<(u32, SessionId)> {
        let lapsed = |(n, o): (&u32, &Open)| match o.hold {
            Hold::Leased { session, until_us, .. } if until_us <= now_us => Some((*n, session)),
            _ => None,
        };
        self.open.iter().filter_map(lapsed).collect()
    }

    /// The shards that a session holds.
    pub fn held_by(&self, session: SessionId) -> Vec<u32> {
        let held = |o: &Open| matches!(o.hold, Hold::Leased { session: holder, .. } if holder == session);
        self.open.iter().filter(|(_, o)| held(o)).map(|(n, _)| *n).collect()
    }

    /// The plan of an open shard; `None` where this term of office never saw it.
    pub fn plan_of(&self, number: u32) -> Option<&ShardPlan> {
        self.open.get(&number)?.plan.as_ref()
    }

    /// The shard was found decided as `process`: it has to be finished, from these bytes.
    pub fn must_process(&mut self, number: u32, plan: ShardPlan, bytes: Bytes) {
        if let Some(open) = self.open.get_mut(&number) {
            *open = Open { plan: Some(plan), hold: Hold::Waiting { bytes }, decided: true, ..*open };
        }
    }

    /// Begins to stop: forgets what was never leased and returns what has to be settled by setting it aside. What
    /// workers hold is left to them until it is settled or released.
    pub fn stop(&mut self) -> Vec<u32> {
        self.stopping = true;
        let below = self.maybe_leased_below;
        self.open.retain(|n, _| *n < below);
        let unknown: BTreeSet<u32> = (self.prefix..below).filter(|n| !self.is_settled(*n)).collect();
        for number in unknown {
            self.open.entry(number).or_insert(Open::new(None));
        }
        let mut aside = Vec::new();
        for (number, open) in &mut self.open {
            if !open.decided && matches!(open.hold, Hold::Waiting { .. } | Hold::Fetching) {
                open.hold = Hold::Aside;
                aside.push(*number);
            }
        }
        aside
    }

    /// Whether every shard is settled: all of the source, or, when stopping, all that were ever leased.
    pub fn is_done(&self) -> bool {
        self.open.is_empty() && (self.stopping || self.source_shards.is_some_and(|n| self.prefix >= n))
    }

    /// The shard's id.
    pub fn shard(&self, number: u32) -> ShardId {
        ShardId { job: self.job, number }
    }

    fn again(&mut self, number: u32) -> Trouble {
        let Some(open) = self.open.get_mut(&number) else { return Trouble::Nothing };
        if self.stopping && !open.decided {
            open.hold = Hold::Aside;
            return Trouble::SetAside(number, "the job was stopped".to_owned());
        }
        open.hold = Hold::Fetching;
        Trouble::Fetch(number)
    }
}

#[cfg(test)]
mod tests;
