//! Judging a shard again, from its bytes in bronze, and holding it against its ledger entry.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use ensemble_contract::row::put_leb128;
use ensemble_store::{DeadLetter, Decision, DecisionRecord, LedgerEntry, Position, ShardPlan};
use ensemble_validation::{Fold, JobContext, ValidatedShard, validate};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    jobs::Bronze,
    report::{Findings, Invariant},
    tuples::{Tuple, fields_hash, key_hash},
};

/// A shard to be judged again.
pub(crate) struct Replay {
    pub(crate) context: Result<Arc<JobContext>, String>,
    pub(crate) job: u32,
    pub(crate) collection: usize,
    pub(crate) record: DecisionRecord,
    pub(crate) entry: Option<LedgerEntry>,
}

/// A shard that was judged again.
pub(crate) struct Replayed {
    pub(crate) plan: ShardPlan,
    pub(crate) findings: Findings,
    pub(crate) bronze: Bronze,
    /// Its bytes are nowhere, for this reason.
    pub(crate) lost: Option<String>,
    pub(crate) rows: u64,
    /// What the dead letters have to be.
    pub(crate) letters: Vec<DeadLetter>,
    /// One a claim.
    pub(crate) tuples: Vec<Tuple>,
}

impl Replay {
    /// Hashes and judges. Blocks for some milliseconds a MiB.
    pub(crate) fn run(self) -> Replayed {
        let Self { context, job, collection, record: DecisionRecord { plan, decision }, entry } = self;
        let mut replayed = Replayed {
            findings: Findings::default(),
            bronze: Bronze::NotJudged,
            lost: None,
            rows: 0,
            letters: Vec::new(),
            tuples: Vec::new(),
            plan,
        };
        replayed.check_decision(&decision, entry.as_ref());
        match decision {
            Decision::Process { bytes, panicked } => {
                replayed.check_bytes(&bytes);
                let judged = context.and_then(|c| {
                    validate(&c, &replayed.plan, bytes, &panicked, Fold::Nothing).map_err(|e| e.to_string())
                });
                match judged {
                    Ok(judged) => replayed.take(judged, (job, collection), entry.as_ref()),
                    Err(reason) => replayed.skip(&reason),
                }
            }
            Decision::Aside { reason, bytes } => {
                replayed.bronze = Bronze::Aside;
                match bytes {
                    Some(bytes) => replayed.check_bytes(&bytes),
                    None => replayed.lost = Some(reason),
                }
            }
        }
        replayed
    }
}

impl Replayed {
    /// The ledger entry is of this plan and does what was decided.
    fn check_decision(&mut self, decision: &Decision, entry: Option<&LedgerEntry>) {
        let Some(entry) = entry else { return };
        let plan = &self.plan;
        if entry.plan != *plan {
            self.findings.broken(Invariant::Bronze, || {
                format!("shard {}: bronze has {plan:?}, and the ledger has {:?}", plan.shard, entry.plan)
            });
        }
        let (decided, done) = (matches!(decision, Decision::Aside { .. }), entry.aside.is_some());
        if decided != done {
            let name = |aside| if aside { "set aside" } else { "processed" };
            self.findings.broken(Invariant::Ledger, || {
                format!("shard {} was to be {}, and the ledger has it {}", plan.shard, name(decided), name(done))
            });
        }
    }

    fn check_bytes(&mut self, bytes: &Bytes) {
        let plan = &self.plan;
        let place = || format!("shard {} (file {}, byte {})", plan.shard, plan.file, plan.offset);
        if bytes.len() as u64 != plan.length {
            self.findings.broken(Invariant::Bronze, || {
                format!("{}: {} bytes were planned, and bronze has {}", place(), plan.length, bytes.len())
            });
        } else if ShardPlan::digest_of(bytes) != plan.digest {
            self.findings
                .broken(Invariant::Bronze, || format!("{}: the digest of its bytes is not the planned one", place()));
        }
    }

    fn take(&mut self, judged: ValidatedShard, (job, collection): (u32, usize), entry: Option<&LedgerEntry>) {
        if let Some(entry) = entry {
            self.check_entry(&judged, entry);
        }
        self.bronze = Bronze::Judged;
        self.rows = judged.rows;
        let tuple = |c: &ensemble_store::NewClaim| Tuple {
            key: key_hash(collection, &c.key),
            rank: c.claim.rank,
            job,
            shard: c.claim.shard.number,
            fields: fields_hash(&c.claim.fields),
        };
        self.tuples = judged.claims.iter().map(tuple).collect();
        self.letters = judged.dead_letters;
    }

    fn check_entry(&mut self, judged: &ValidatedShard, entry: &LedgerEntry) {
        let shard = self.plan.shard;
        let mut rejected: BTreeMap<&str, u64> = BTreeMap::new();
        for letter in &judged.dead_letters {
            *rejected.entry(&letter.rule).or_default() += 1;
        }
        if judged.rows != entry.rows {
            self.findings.broken(Invariant::Counts, || {
                format!("shard {shard}: its bytes have {} rows, and the ledger counts {}", judged.rows, entry.rows)
            });
        }
        if !rejected
            .iter()
            .map(|(rule, n)| (*rule, *n))
            .eq(entry.rejected_by_rule.iter().map(|(r, n)| (r.as_str(), *n)))
        {
            self.findings.broken(Invariant::Counts, || {
                format!(
                    "shard {shard}: the rules reject {rejected:?}, and the ledger counts {:?}",
                    entry.rejected_by_rule
                )
            });
        }
        if entry.duplicates < judged.duplicates {
            self.findings.broken(Invariant::Counts, || {
                format!(
                    "shard {shard}: {} rows have the key of another row of the shard, and the ledger counts {} duplicates",
                    judged.duplicates, entry.duplicates
                )
            });
        }
    }

    fn skip(&mut self, reason: &str) {
        let reason = format!("the rows of job {} cannot be judged again: {reason}", self.plan.shard.job.0);
        for invariant in [Invariant::Silver, Invariant::DeadLetters, Invariant::Events] {
            self.findings.skip(invariant, reason.clone());
        }
    }
}

/// What the events of a shard's rejected rows have to say: how many there are, and the sum of the hashes of position,
/// line, rule and rules of each. Rows in any order, and in any parts, add up to the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RejectedSum {
    pub(crate) count: u64,
    hashes: u64,
}

impl RejectedSum {
    pub(crate) fn of<'a>(rows: impl Iterator<Item = (Position, u64, &'a str, &'a [String])>) -> Self {
        let (mut sum, mut bytes) = (Self::default(), Vec::new());
        for (position, line, rule, rules) in rows {
            bytes.clear();
            put_leb128(&mut bytes, position.0);
            put_leb128(&mut bytes, line);
            put_leb128(&mut bytes, rules.len() as u64);
            for text in rules.iter().map(String::as_str).chain([rule]) {
                put_leb128(&mut bytes, text.len() as u64);
                bytes.extend_from_slice(text.as_bytes());
            }
            sum.add(Self { count: 1, hashes: xxh3_64(&bytes) });
        }
        sum
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.hashes = self.hashes.wrapping_add(other.hashes);
    }

    /// How often `once` is in it, where it is that and nothing else; not at all is 0 times.
    pub(crate) fn times(self, once: Self) -> Option<u64> {
        let times = self.count.checked_div(once.count).unwrap_or(0);
        let sum = Self { count: once.count * times, hashes: once.hashes.wrapping_mul(times) };
        (sum == self).then_some(times)
    }
}
