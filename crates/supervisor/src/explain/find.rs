//! From a file's name and a line or byte to the shard that holds it.

use ensemble_contract::did_you_mean;
use ensemble_sources::csv::line_end_bytes;
use ensemble_store::{LedgerEntry, ShardKind, ShardPlan, Store};
use ensemble_validation::Place;

use super::ExplainError;
use crate::{JobRecord, JobState};

/// How many entries of pieces are read at once.
const PIECES: usize = 64;
/// How many names an error lists.
const LISTED: usize = 10;

/// The number of the file that is meant.
pub(super) fn file(job: &JobRecord, asked: Option<&str>) -> Result<u32, ExplainError> {
    let names: Vec<&str> = job.files().iter().map(|file| file.name.as_str()).collect();
    let problem = |problem: String| ExplainError::File { job: job.id, problem };
    let Some(asked) = asked else {
        return match names.len() {
            1 => Ok(0),
            n => Err(problem(format!("has {n} files; name one of {}", listed(&names)))),
        };
    };
    let mut found = (0u32..).zip(&names).filter(|(_, name)| **name == asked).map(|(number, _)| number);
    match (found.next(), found.next()) {
        (Some(number), None) => return Ok(number),
        (Some(_), Some(_)) => {
            let numbers: Vec<_> =
                (1..).zip(&names).filter(|(_, n)| **n == asked).map(|(i, _)| format!("#{i}")).collect();
            return Err(problem(format!("has {asked:?} several times; name one by its place: {}", numbers.join(", "))));
        }
        _ => {}
    }
    let by_place = asked.strip_prefix('#').and_then(|n| n.parse::<u32>().ok()).and_then(|n| n.checked_sub(1));
    if let Some(number) = by_place.filter(|number| (*number as usize) < names.len()) {
        return Ok(number);
    }
    let meant = did_you_mean(asked, names.iter().copied());
    Err(problem(format!("has no file {asked:?}{meant} It has {}", listed(&names))))
}

fn listed(names: &[&str]) -> String {
    let shown = names.iter().take(LISTED).map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(LISTED) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

/// The settled shard that holds a place of a file; of a record that is longer than the limit, the shard of its last
/// piece. A place behind the end of the file is given the file's last shard: see [`check_end`].
pub(super) async fn shard(
    store: &dyn Store,
    job: &JobRecord,
    file: u32,
    at: Place,
) -> Result<LedgerEntry, ExplainError> {
    let found = last_before(store, job, file, at).await?.filter(|entry| entry.plan.file == file);
    let Some(entry) = found else { return Err(not_settled(job, file, at)) };
    let plan = &entry.plan;
    let is_inside = match at {
        Place::Line(line) => line < plan.next_line,
        Place::Offset(offset) => offset < plan.offset + plan.length,
    };
    match plan.kind {
        ShardKind::Piece if is_inside => last_piece(store, job, entry, at).await,
        _ if is_inside || plan.last_of_file => Ok(entry),
        _ => Err(not_settled(job, file, at)),
    }
}

/// Refuses a place behind the end of the file, if this is its last shard. Without its bytes, nobody knows whether the
/// line that they end with has a line end.
pub(super) fn check_end(
    job: &JobRecord,
    plan: &ShardPlan,
    at: Place,
    bytes: Option<&[u8]>,
) -> Result<(), ExplainError> {
    if !plan.last_of_file {
        return Ok(());
    }
    let goes_on = bytes.is_none_or(|bytes| !bytes.is_empty() && line_end_bytes(bytes) == 0);
    let (lines, end) = (plan.next_line - 1 + u64::from(goes_on), plan.offset + plan.length);
    let file = name(job, plan.file);
    let problem = match at {
        Place::Line(line) if line > lines => format!("{file} has no {}: it ends with line {lines}", place(at)),
        Place::Offset(offset) if offset >= end => format!("{file} has no {}: it has {end} bytes", place(at)),
        _ => return Ok(()),
    };
    Err(ExplainError::NoRow { at, problem })
}

/// The last settled shard that begins at this place or before. Shards stand in the order of their numbers, so that a
/// few entries tell.
async fn last_before(
    store: &dyn Store,
    job: &JobRecord,
    file: u32,
    at: Place,
) -> Result<Option<LedgerEntry>, ExplainError> {
    let begins_before = |plan: &ShardPlan| match at {
        Place::Line(line) => (plan.file, plan.first_line) <= (file, line),
        Place::Offset(offset) => (plan.file, plan.offset) <= (file, offset),
    };
    let (mut low, mut high, mut last) = (0, job.leased_below, None);
    while low < high {
        let middle = low + (high - low) / 2;
        match next_known(store, job, middle).await? {
            Some(entry) if begins_before(&entry.plan) => {
                low = entry.plan.shard.number.saturating_add(1);
                last = Some(entry);
            }
            _ => high = middle,
        }
    }
    Ok(last)
}

/// The first entry from this number on of which is known where its shard stands.
async fn next_known(store: &dyn Store, job: &JobRecord, mut from: u32) -> Result<Option<LedgerEntry>, ExplainError> {
    loop {
        let Some(entry) = store.scan_ledger(job.number, from, 1).await?.pop() else { return Ok(None) };
        if !entry.plan.is_unknown() {
            return Ok(Some(entry));
        }
        from = entry.plan.shard.number.saturating_add(1);
    }
}

/// The last piece of the record that this piece belongs to.
async fn last_piece(
    store: &dyn Store,
    job: &JobRecord,
    piece: LedgerEntry,
    at: Place,
) -> Result<LedgerEntry, ExplainError> {
    let (file, mut number) = (piece.plan.file, piece.plan.shard.number);
    loop {
        let page = store.scan_ledger(job.number, number.saturating_add(1), PIECES).await?;
        if page.is_empty() {
            return Err(not_settled(job, file, at));
        }
        for entry in page {
            let follows = entry.plan.shard.number == number.saturating_add(1) && entry.plan.file == file;
            match entry.plan.kind {
                ShardKind::LastPiece { .. } if follows => return Ok(entry),
                ShardKind::Piece if follows && !entry.plan.is_unknown() => number = entry.plan.shard.number,
                _ => return Err(not_settled(job, file, at)),
            }
        }
    }
}

fn not_settled(job: &JobRecord, file: u32, at: Place) -> ExplainError {
    let problem = match job.state {
        JobState::Succeeded => {
            let what = format!("job {} has succeeded, and no shard of its ledger holds {}", job.id, place(at));
            return ExplainError::Inconsistent(format!("{what} of {}", name(job, file)));
        }
        JobState::Failed | JobState::Cancelled => {
            format!("ended as {} before it came to it; a new job over the file reads it", job.state.as_str())
        }
        state => format!("is {} and has not come to it; ask again later", state.as_str()),
    };
    ExplainError::NotSettled { job: job.id, file: name(job, file).to_owned(), place: place(at), problem }
}

/// The name of a file.
pub(super) fn name(job: &JobRecord, file: u32) -> &str {
    job.files().get(file as usize).map_or("an unknown file", |file| &file.name)
}

/// A place as errors name it.
pub(super) fn place(at: Place) -> String {
    match at {
        Place::Line(line) => format!("line {line}"),
        Place::Offset(offset) => format!("byte {offset}"),
    }
}
