//! Judging the rows of a shard: pure, and the same for every attempt.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use ensemble_contract::{AcceptedSpan, Record, Rejection, Rule, Verdict};
use ensemble_sources::csv::{RecordKind, RecordReader, line_end_bytes};
use ensemble_store::{Claim, DeadLetter, NewClaim, Position, ShardKind, ShardPlan};

use crate::{FileContext, JobContext, NoSuchFile};

/// A dead letter keeps at most this much of its row; the rest is in bronze.
const DEAD_LETTER_BYTES: usize = 64 << 10;

/// The rows of a shard, judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValidatedShard {
    /// Rows in all.
    pub rows: u64,
    /// Rows whose key another row of this shard has with a lower rank.
    pub duplicates: u64,
    /// One claim a key, in bytewise order of the keys.
    pub claims: Vec<NewClaim>,
    /// The rejected rows, in the order of their positions.
    pub dead_letters: Vec<DeadLetter>,
    /// Offsets in the file of the records that were taken out because they panic, ascending.
    pub panicked: Vec<u64>,
}

/// Judges the rows of a shard. Records at the offsets in `panicked` are rejected unjudged; any other record that panics
/// the rules is found and rejected likewise.
///
/// # Errors
/// Only where plan and job do not belong together. A bad row is a dead letter, not an error.
pub fn validate(
    job: &JobContext,
    plan: &ShardPlan,
    bytes: Bytes,
    panicked: &[u64],
) -> Result<ValidatedShard, NoSuchFile> {
    let file = job.file(plan.file)?;
    Ok(validate_by(&|record, out| file.judge.judge(record, out), job, file, plan, &bytes, panicked))
}

type JudgeRecord<'a> = &'a dyn Fn(&Record<'_>, &mut Vec<u8>) -> Verdict;

fn validate_by(
    judge: JudgeRecord<'_>,
    job: &JobContext,
    file: &FileContext,
    plan: &ShardPlan,
    bytes: &[u8],
    panicked: &[u64],
) -> ValidatedShard {
    let shard = ShardValidator { judge, job, file, plan };
    match &plan.kind {
        ShardKind::Piece => ValidatedShard::default(),
        ShardKind::LastPiece { record_offset, record_length, record_line, head } => {
            let length = record_length.saturating_sub(line_end_bytes(bytes) as u64);
            shard.too_long(*record_offset, length, *record_line, head)
        }
        ShardKind::Records => {
            // Nothing is shared with the closure but bytes that it only reads.
            match catch_unwind(AssertUnwindSafe(|| shard.records(bytes, panicked))) {
                Ok(validated) => validated,
                Err(_) => shard.records(bytes, &shard.find_panics(bytes, panicked)),
            }
        }
    }
}

struct ShardValidator<'a> {
    judge: JudgeRecord<'a>,
    job: &'a JobContext,
    file: &'a FileContext,
    plan: &'a ShardPlan,
}

impl ShardValidator<'_> {
    fn reader<'b>(&self, bytes: &'b [u8]) -> RecordReader<'b> {
        RecordReader::of_shard(bytes, self.file.dialect, self.plan)
    }

    fn records(&self, bytes: &[u8], panicked: &[u64]) -> ValidatedShard {
        let mut out = Vec::with_capacity(bytes.len());
        let mut accepted = Vec::new();
        let mut validated = ValidatedShard { panicked: panicked.to_vec(), ..ValidatedShard::default() };
        let mut reader = self.reader(bytes);
        while let Some(record) = reader.next() {
            validated.rows += 1;
            let rejection = match &record.kind {
                _ if panicked.binary_search(&record.offset).is_ok() => Rejection::row(Rule::PANIC),
                RecordKind::Unterminated => Rejection::row(Rule::UNTERMINATED_QUOTE),
                RecordKind::Fields(fields) => match (self.judge)(fields, &mut out) {
                    Verdict::Rejected(rejection) => rejection,
                    Verdict::Accepted(span) => {
                        accepted.push(Accepted { offset: record.offset, span });
                        continue;
                    }
                },
            };
            validated.dead_letters.push(self.dead_letter(
                record.offset,
                record.line,
                record.raw,
                record.raw.len() as u64,
                rejection,
            ));
        }
        self.claim_each_key_once(out, accepted, &mut validated);
        validated
    }

    /// Sorts the accepted rows by key and keeps the one with the lowest rank of each.
    fn claim_each_key_once(&self, out: Vec<u8>, accepted: Vec<Accepted>, validated: &mut ValidatedShard) {
        let out = Bytes::from(out);
        let key = |a: &Accepted| &out[a.span.key.clone()];
        let rank = |a: &Accepted| self.job.rank(Position::new(self.plan.file, a.offset));
        // Comparing eight bytes as a number first decides nearly every comparison without touching the key.
        let mut order: Vec<(u64, u32)> =
            accepted.iter().enumerate().map(|(i, a)| (key_prefix(key(a)), i as u32)).collect();
        order.sort_unstable_by(|(pa, a), (pb, b)| {
            let (a, b) = (&accepted[*a as usize], &accepted[*b as usize]);
            pa.cmp(pb).then_with(|| key(a).cmp(key(b))).then_with(|| rank(a).cmp(&rank(b)))
        });
        validated.claims.reserve(order.len());
        let mut last: Option<&Accepted> = None;
        for (_, i) in order {
            let row = &accepted[i as usize];
            if last.is_some_and(|l| key(l) == key(row)) {
                validated.duplicates += 1;
                continue;
            }
            last = Some(row);
            validated.claims.push(NewClaim {
                key: out.slice(row.span.key.clone()),
                claim: Claim { rank: rank(row), shard: self.plan.shard, fields: out.slice(row.span.row.clone()) },
            });
        }
    }

    /// Goes through the shard record by record and returns the offsets of those that panic.
    fn find_panics(&self, bytes: &[u8], known: &[u64]) -> Vec<u64> {
        let mut panicked = known.to_vec();
        let mut out = Vec::new();
        let mut reader = self.reader(bytes);
        while let Some(record) = reader.next() {
            out.clear();
            let RecordKind::Fields(fields) = &record.kind else { continue };
            if known.binary_search(&record.offset).is_err()
                && catch_unwind(AssertUnwindSafe(|| (self.judge)(fields, &mut out))).is_err()
            {
                panicked.push(record.offset);
            }
        }
        panicked.sort_unstable();
        panicked
    }

    fn too_long(&self, offset: u64, length: u64, line: u64, head: &[u8]) -> ValidatedShard {
        let letter = self.dead_letter(offset, line, head, length, Rejection::row(Rule::TOO_LONG));
        ValidatedShard { rows: 1, dead_letters: vec![letter], ..ValidatedShard::default() }
    }

    fn dead_letter(&self, offset: u64, line: u64, raw: &[u8], length: u64, rejection: Rejection) -> DeadLetter {
        let first = rejection.rules.first();
        DeadLetter {
            shard: self.plan.shard,
            position: Position::new(self.plan.file, offset),
            line,
            rule: first.map(|r| r.name().to_owned()).unwrap_or_default(),
            rules: rejection.rules.iter().map(|r| r.name().to_owned()).collect(),
            column: first.and_then(|r| r.column()).map(str::to_owned),
            value: rejection.value.map(Bytes::from),
            raw: Bytes::copy_from_slice(&raw[..raw.len().min(DEAD_LETTER_BYTES)]),
            length,
        }
    }
}

struct Accepted {
    offset: u64,
    span: AcceptedSpan,
}

/// The first eight bytes as a number that sorts as they do.
fn key_prefix(key: &[u8]) -> u64 {
    let mut prefix = [0; 8];
    let n = key.len().min(8);
    prefix[..n].copy_from_slice(&key[..n]);
    u64::from_be_bytes(prefix)
}

#[cfg(test)]
mod tests;
