//! Judging the rows of a shard: pure, and the same for every attempt.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytes::Bytes;
use ensemble_contract::{AcceptedSpan, Record, Rejection, Rule, Verdict};
use ensemble_gold::{Cells, Folder, GoldError};
use ensemble_sources::csv::{RecordKind, RecordReader, line_end_bytes};
use ensemble_store::{Claim, DeadLetter, NewClaim, Position, ShardKind, ShardPlan, key_prefix};

use crate::{FileContext, JobContext, ValidateError};

/// A dead letter keeps at most this much of its row; the rest is in bronze.
pub(crate) const DEAD_LETTER_BYTES: usize = 64 << 10;
/// What a record of a catalogue has, for a first guess of how many there are.
const USUAL_RECORD_BYTES: usize = 128;

/// The rows of a shard, judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValidatedShard {
    /// Rows in all.
    pub rows: u64,
    /// Rows whose key another row of this shard has with a lower rank.
    pub duplicates: u64,
    /// One claim a key, in bytewise order of the keys.
    pub claims: Arc<Vec<NewClaim>>,
    /// What the claims add to gold if all of them stand; empty with [`Fold::Nothing`].
    pub gold: Cells,
    /// The rejected rows, in the order of their positions.
    pub dead_letters: Vec<DeadLetter>,
    /// Offsets in the file of the records that were taken out because they panic, ascending.
    pub panicked: Vec<u64>,
}

/// Whether gold is folded with the judging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// The claims are, while their rows are at hand.
    Claims,
    /// Nothing is.
    Nothing,
}

/// Judges the rows of a shard. Records at the offsets in `panicked` are rejected unjudged; any other record that panics
/// the rules is found and rejected likewise.
///
/// # Errors
/// Where plan and job do not belong together, or where gold cannot hold a sum. A bad row is a dead letter, not an error.
pub fn validate(
    job: &JobContext,
    plan: &ShardPlan,
    bytes: Bytes,
    panicked: &[u64],
    fold: Fold,
) -> Result<ValidatedShard, ValidateError> {
    let file = job.file(plan.file)?;
    let judge = &|record: &Record<'_>, out: &mut Vec<u8>| file.judge.judge(record, out);
    ShardValidator { judge, job, file, plan, fold }.validate(&bytes, panicked)
}

type JudgeRecord<'a> = &'a dyn Fn(&Record<'_>, &mut Vec<u8>) -> Verdict;

struct ShardValidator<'a> {
    judge: JudgeRecord<'a>,
    job: &'a JobContext,
    file: &'a FileContext,
    plan: &'a ShardPlan,
    fold: Fold,
}

impl ShardValidator<'_> {
    fn validate(&self, bytes: &[u8], panicked: &[u64]) -> Result<ValidatedShard, ValidateError> {
        match &self.plan.kind {
            ShardKind::Piece => Ok(ValidatedShard::default()),
            ShardKind::LastPiece { record_offset, record_length, record_line, head } => {
                let length = record_length.saturating_sub(line_end_bytes(bytes) as u64);
                Ok(self.too_long(*record_offset, length, *record_line, head))
            }
            ShardKind::Records => {
                // Nothing is shared with the closure but bytes that it only reads.
                match catch_unwind(AssertUnwindSafe(|| self.records(bytes, panicked))) {
                    Ok(validated) => validated,
                    Err(_) => self.records(bytes, &self.find_panics(bytes, panicked)),
                }
            }
        }
    }

    fn reader<'b>(&self, bytes: &'b [u8]) -> RecordReader<'b> {
        RecordReader::of_shard(bytes, self.file.dialect, self.plan)
    }

    fn records(&self, bytes: &[u8], panicked: &[u64]) -> Result<ValidatedShard, ValidateError> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut accepted = Vec::with_capacity(bytes.len() / USUAL_RECORD_BYTES);
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
        self.claim_each_key_once(out, &accepted, &mut validated)?;
        Ok(validated)
    }

    /// Sorts the accepted rows by key and keeps the one with the lowest rank of each.
    fn claim_each_key_once(
        &self,
        out: Vec<u8>,
        accepted: &[Accepted],
        validated: &mut ValidatedShard,
    ) -> Result<(), GoldError> {
        let mut folder = (self.fold == Fold::Claims).then(|| Folder::new(&self.job.views));
        if let Some(folder) = &mut folder {
            accepted.iter().try_for_each(|row| folder.add(&out[row.span.row.clone()]))?;
        }
        let key = |a: &Accepted| &out[a.span.key.clone()];
        let rank = |a: &Accepted| self.job.rank(Position::new(self.plan.file, a.offset));
        // The prefix decides nearly every comparison.
        let mut order: Vec<(u64, u32)> =
            accepted.iter().enumerate().map(|(i, a)| (key_prefix(key(a)), i as u32)).collect();
        order.sort_unstable_by(|(pa, a), (pb, b)| {
            let (a, b) = (&accepted[*a as usize], &accepted[*b as usize]);
            pa.cmp(pb).then_with(|| key(a).cmp(key(b))).then_with(|| rank(a).cmp(&rank(b)))
        });
        let mut first_of_each = Vec::with_capacity(order.len());
        let mut last: Option<(u64, &Accepted)> = None;
        let mut length = 0;
        for (prefix, i) in order {
            let row = &accepted[i as usize];
            if last.is_some_and(|(p, l)| p == prefix && key(l) == key(row)) {
                validated.duplicates += 1;
                if let Some(folder) = &mut folder {
                    folder.subtract(&out[row.span.row.clone()])?;
                }
                continue;
            }
            last = Some((prefix, row));
            length += row.span.key.len() + row.span.row.len();
            first_of_each.push(row);
        }
        // In the order of the keys, each beside its row: the store goes through several shards by turns.
        let mut sorted = Vec::with_capacity(length);
        for row in &first_of_each {
            sorted.extend_from_slice(key(row));
            sorted.extend_from_slice(&out[row.span.row.clone()]);
        }
        let mut rest = Bytes::from(sorted);
        let claim = |row: &Accepted| NewClaim {
            key: rest.split_to(row.span.key.len()),
            claim: Claim { rank: rank(row), shard: self.plan.shard, fields: rest.split_to(row.span.row.len()) },
        };
        validated.claims = Arc::new(first_of_each.into_iter().map(claim).collect());
        validated.gold = folder.map(|mut folder| folder.finish()).unwrap_or_default();
        Ok(())
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

#[cfg(test)]
pub(crate) mod tests;
