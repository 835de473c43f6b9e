//! What the events of each shard add up to, and whether that is what they have to be.

use crate::{
    jobs::{Bronze, Job, Jobs, Shard},
    replay::RejectedSum,
    report::{Findings, Invariant},
};

use super::Announced;

/// The events of one shard.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Batches {
    any: bool,
    /// Of whole batches the most accepted rows that one of them has; of parts all of them.
    accepted: u64,
    /// One of the whole batches has the rejected rows that it has to have.
    rejected: bool,
    /// The rejected rows of all parts.
    rejected_sum: RejectedSum,
}

impl Batches {
    /// All events of one append.
    pub(super) fn whole(&mut self, accepted: u64, rejected_is_right: bool) {
        self.any = true;
        self.accepted = self.accepted.max(accepted);
        self.rejected |= rejected_is_right;
    }

    /// Some events.
    pub(super) fn part(&mut self, accepted: u64, rejected: RejectedSum) {
        self.any = true;
        self.accepted += accepted;
        self.rejected_sum.add(rejected);
    }

    /// Whether the rejected rows are right; `None` where they were delivered again in part, so that one cannot tell.
    fn rejected(&self, wanted: RejectedSum, is_whole: bool) -> Option<bool> {
        if is_whole {
            return Some(self.rejected);
        }
        match self.rejected_sum.times(wanted) {
            Some(times) => Some(times > 0 || wanted.count == 0),
            None if wanted.count > 0 && self.rejected_sum.count > wanted.count => None,
            None => Some(false),
        }
    }
}

/// Every settled shard has its events.
pub(super) fn check(findings: &mut Findings, jobs: &Jobs, announced: &Announced, is_whole: bool) {
    let mut unsure = 0u64;
    for (index, job) in jobs.in_scope().filter(|(index, _)| announced.covers(*index)) {
        for (number, batches) in (0u32..).zip(&announced.shards[index]) {
            let shard = job.shard(number);
            if shard.settled && shard.bronze == Bronze::Judged {
                let rejected = batches.rejected(shard.rejected_sum, is_whole);
                unsure += u64::from(rejected.is_none());
                check_one(findings, (job, number, shard), batches, rejected.unwrap_or(true));
            }
        }
    }
    if unsure > 0 {
        let what = "the rejected rows of these were counted and not compared";
        findings.note(Invariant::Events, format!("{unsure} shards were delivered again in part: {what}"));
    }
}

fn check_one(
    findings: &mut Findings,
    (job, number, shard): (&Job, u32, Shard),
    batches: &Batches,
    rejected_is_right: bool,
) {
    let id = job.shard_id(number);
    if !batches.any {
        findings.broken(Invariant::Events, || format!("shard {id} is settled, and has no events"));
    } else if batches.accepted < shard.claims {
        findings.broken(Invariant::Events, || {
            format!("shard {id}: {} rows stand, and {} have an event", shard.claims, batches.accepted)
        });
    } else if !rejected_is_right {
        findings.broken(Invariant::Events, || {
            let n = shard.rejected;
            format!("shard {id}: the events of its rejected rows are not those of the {n} rows that are")
        });
    }
}

#[cfg(test)]
mod tests;
