//! A job's dead letters, merged with what judging again rejects, shard by shard (I5).

use std::{collections::VecDeque, sync::Arc};

use ensemble_store::{DeadLetter, JobNumber, ShardId, Store};

use crate::{
    AuditError,
    jobs::Job,
    pages::{self, Pages},
    report::{Findings, Invariant},
};

/// A job's dead letters in the order of shard and position.
pub(crate) struct Letters {
    pages: Pages<DeadLetter>,
    waiting: VecDeque<DeadLetter>,
}

impl Letters {
    pub(crate) fn of(store: &Arc<dyn Store>, job: JobNumber, page: usize) -> Self {
        Self { pages: pages::dead_letters(store, job, page), waiting: VecDeque::new() }
    }

    /// The next letter where `wanted` takes it.
    async fn next_if(&mut self, wanted: impl Fn(&DeadLetter) -> bool) -> Result<Option<DeadLetter>, AuditError> {
        while self.waiting.is_empty() {
            match self.pages.next().await? {
                Some(page) => self.waiting.extend(page),
                None => return Ok(None),
            }
        }
        Ok(self.waiting.pop_front_if(|letter| wanted(letter)))
    }

    /// Compares the letters of a shard with those that it has to have. Where it is not `settled`, some may be missing.
    pub(crate) async fn compare(
        &mut self,
        findings: &mut Findings,
        shard: ShardId,
        expected: Vec<DeadLetter>,
        settled: bool,
    ) -> Result<(), AuditError> {
        let mut expected = expected.into_iter().peekable();
        let missing = |findings: &mut Findings, letter: &DeadLetter| {
            if settled {
                findings.broken(Invariant::DeadLetters, || {
                    format!("{} breaks {} and has no dead letter", place(letter), letter.rule)
                });
            }
        };
        while let Some(found) = self.next_if(|l| l.shard == shard).await? {
            while let Some(letter) = expected.next_if(|l| l.position < found.position) {
                missing(findings, &letter);
            }
            match expected.next_if(|l| l.position == found.position) {
                Some(letter) if letter != found => {
                    findings.broken(Invariant::DeadLetters, || difference(&letter, &found))
                }
                Some(_) => {}
                None => findings.broken(Invariant::DeadLetters, || {
                    format!("{} has a dead letter ({}), and the rules do not reject it", place(&found), found.rule)
                }),
            }
        }
        expected.for_each(|letter| missing(findings, &letter));
        Ok(())
    }

    /// Passes over the letters of a shard that cannot be judged again.
    pub(crate) async fn pass_over(&mut self, shard: ShardId) -> Result<(), AuditError> {
        while self.next_if(|l| l.shard == shard).await?.is_some() {}
        Ok(())
    }

    /// The letters of the shards below `number` (`None`: of all that are left) have no bronze. Where the ledger has the
    /// shard, it is bronze that is missing, which is said elsewhere.
    pub(crate) async fn orphans(
        &mut self,
        findings: &mut Findings,
        job: &Job,
        number: Option<u32>,
    ) -> Result<(), AuditError> {
        while let Some(letter) = self.next_if(|l| number.is_none_or(|n| l.shard.number < n)).await? {
            if !job.shard(letter.shard.number).settled {
                findings.broken(Invariant::DeadLetters, || {
                    format!("{} has a dead letter ({}), and its shard was never decided", place(&letter), letter.rule)
                });
            }
        }
        Ok(())
    }
}

fn place(letter: &DeadLetter) -> String {
    let position = letter.position;
    format!("shard {}, file {}, byte {}, line {}", letter.shard, position.file(), position.offset(), letter.line)
}

/// The first of the letter's parts that differs.
fn difference(expected: &DeadLetter, found: &DeadLetter) -> String {
    let text = |bytes: &[u8]| format!("{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(200)]));
    let option = |value: &Option<bytes::Bytes>| value.as_ref().map_or("none".to_owned(), |v| text(v));
    let parts = [
        ("line", expected.line.to_string(), found.line.to_string()),
        ("rule", expected.rule.clone(), found.rule.clone()),
        ("rules", expected.rules.join(", "), found.rules.join(", ")),
        ("column", format!("{:?}", expected.column), format!("{:?}", found.column)),
        ("value", option(&expected.value), option(&found.value)),
        ("length", expected.length.to_string(), found.length.to_string()),
        ("row", text(&expected.raw), text(&found.raw)),
    ];
    let different = parts.into_iter().find(|(_, expected, found)| expected != found);
    let (part, expected_text, found_text) = different.unwrap_or(("row", "its bytes".into(), "others".into()));
    format!("{}: the dead letter's {part} is {found_text}, expected {expected_text}", place(expected))
}
