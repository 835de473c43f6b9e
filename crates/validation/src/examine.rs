//! One record of a shard, looked at closely.

use bytes::Bytes;
use ensemble_contract::{ColumnVerdict, FieldVerdict, Record, Verdict};
use ensemble_sources::csv::{RecordKind, RecordReader, line_end_bytes, line_start};
use ensemble_store::{DeadLetter, Position, ShardKind, ShardPlan};

use crate::{FileContext, Fold, JobContext, ValidateError, validate, validate::DEAD_LETTER_BYTES};

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A line, counted from 1 with the header as line 1.
    Line(u64),
    /// A byte, counted from 0.
    Offset(u64),
}

/// A record, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordPlace {
    /// Its first byte in the file.
    pub offset: u64,
    /// Its first line.
    pub line: u64,
    /// The record without its line end; at most the first 64 KiB.
    pub raw: Bytes,
    /// Its bytes in the file without its line end.
    pub length: u64,
}

/// What stands at a place of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<T> {
    /// A record.
    Record(T),
    /// The byte order mark, the header, or an empty line before it.
    Header,
    /// An empty line, which is no record.
    Empty,
    /// Nothing: the shard's bytes end before, or begin behind.
    Outside,
}

/// A record and all that is to be said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExaminedRecord {
    /// Where it stands.
    pub place: RecordPlace,
    /// Its columns, in the contract's order.
    pub columns: Vec<ExaminedColumn>,
    /// What its shard made of it.
    pub judged: Judged,
    /// How many rows of the shard are duplicates of others of the shard.
    pub shard_duplicates: u64,
}

/// One column of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExaminedColumn {
    /// The index of its field in the header; `None` where the header lacks the column.
    pub source: Option<usize>,
    /// The field's bytes as they came; `None` where the record has no such field.
    pub raw: Option<Bytes>,
    /// What comes of it.
    pub verdict: FieldVerdict,
}

/// What a shard made of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// It became a dead letter.
    Rejected(Box<DeadLetter>),
    /// It became a row, which claims its key.
    Claims {
        /// The key's text.
        key: Bytes,
    },
    /// It became a row, and another row of the shard claims the key.
    Duplicate {
        /// The key's text.
        key: Bytes,
        /// Where that row stands.
        of: Position,
    },
}

/// The outcome of an examination.
pub type Examined = Result<Found<ExaminedRecord>, ValidateError>;

/// Finds the record at a place of a shard, and what its columns are taken from. Judges nothing.
///
/// A record that is longer than the limit is found in the shard of its last piece, for any place in it.
///
/// # Errors
/// Where plan and job do not belong together.
pub fn find(
    job: &JobContext,
    plan: &ShardPlan,
    bytes: &[u8],
    at: Place,
) -> Result<Found<(RecordPlace, Vec<ExaminedColumn>)>, ValidateError> {
    let file = job.file(plan.file)?;
    with_record(file, plan, bytes, at, |place, record| Ok((place, examined(&file.judge.fields(record)))))
}

/// Judges a shard again, as [`validate`] does for workers, and says what became of the record at a place.
///
/// # Errors
/// Those of [`validate`].
pub fn examine(job: &JobContext, plan: &ShardPlan, bytes: &Bytes, panicked: &[u64], at: Place) -> Examined {
    let file = job.file(plan.file)?;
    let shard = validate(job, plan, bytes.clone(), panicked, Fold::Nothing)?;
    with_record(file, plan, bytes, at, |place, record| {
        let position = Position::new(plan.file, place.offset);
        let letter = shard.dead_letters.iter().find(|letter| letter.position == position).cloned();
        let panics = shard.panicked.binary_search(&place.offset).is_ok();
        let columns = match record {
            Some(record) if !panics => file.judge.columns(record),
            record => file.judge.fields(record),
        };
        let columns = examined(&columns);
        let judged = match (letter, record) {
            (Some(letter), _) => Judged::Rejected(Box::new(letter)),
            (None, Some(record)) => accepted(job, file, record, position, &shard.claims)?,
            (None, None) => return Err(ValidateError::NotRepeated { offset: place.offset }),
        };
        Ok(ExaminedRecord { place, columns, judged, shard_duplicates: shard.duplicates })
    })
}

/// What became of a record that is no dead letter.
fn accepted(
    job: &JobContext,
    file: &FileContext,
    record: &Record<'_>,
    position: Position,
    claims: &[ensemble_store::NewClaim],
) -> Result<Judged, ValidateError> {
    let not_repeated = || ValidateError::NotRepeated { offset: position.offset() };
    let mut out = Vec::new();
    let Verdict::Accepted(span) = file.judge.judge(record, &mut out) else { return Err(not_repeated()) };
    let key = Bytes::copy_from_slice(&out[span.key]);
    let at = claims.binary_search_by(|c| c.key.cmp(&key)).map_err(|_| not_repeated())?;
    let of = job.position(claims[at].claim.rank);
    Ok(if of == position { Judged::Claims { key } } else { Judged::Duplicate { key, of } })
}

/// Gives the record at a place, with its fields where it has some, to `take`.
fn with_record<T>(
    file: &FileContext,
    plan: &ShardPlan,
    bytes: &[u8],
    at: Place,
    take: impl FnOnce(RecordPlace, Option<&Record<'_>>) -> Result<T, ValidateError>,
) -> Result<Found<T>, ValidateError> {
    match &plan.kind {
        ShardKind::Piece => Ok(Found::Outside),
        ShardKind::LastPiece { record_offset, record_length, record_line, head } => {
            let length = record_length.saturating_sub(line_end_bytes(bytes) as u64);
            let (offset, line) = (*record_offset, *record_line);
            take(RecordPlace { offset, line, raw: head.clone(), length }, None).map(Found::Record)
        }
        ShardKind::Records => {
            let Some(at) = index(plan, bytes, at) else { return Ok(Found::Outside) };
            if at < plan.header_bytes as usize {
                return Ok(Found::Header);
            }
            let mut reader = RecordReader::of_shard(bytes, file.dialect, plan);
            while let Some(record) = reader.next() {
                let start = (record.offset - plan.offset) as usize;
                let end = start + record.raw.len();
                let line_end = if bytes[end..].starts_with(b"\r\n") { 2 } else { 1 };
                if at < start {
                    break;
                }
                if at < end + line_end {
                    let raw = Bytes::copy_from_slice(&record.raw[..record.raw.len().min(DEAD_LETTER_BYTES)]);
                    let length = record.raw.len() as u64;
                    let place = RecordPlace { offset: record.offset, line: record.line, raw, length };
                    let fields = match &record.kind {
                        RecordKind::Fields(fields) => Some(fields),
                        RecordKind::Unterminated => None,
                    };
                    return take(place, fields).map(Found::Record);
                }
            }
            Ok(Found::Empty)
        }
    }
}

/// The index in the shard's bytes of a place in its file.
fn index(plan: &ShardPlan, bytes: &[u8], at: Place) -> Option<usize> {
    let index = match at {
        Place::Line(line) => line_start(bytes, line.checked_sub(plan.first_line)?)?,
        Place::Offset(offset) => usize::try_from(offset.checked_sub(plan.offset)?).ok()?,
    };
    (index < bytes.len()).then_some(index)
}

fn examined(columns: &[ColumnVerdict<'_>]) -> Vec<ExaminedColumn> {
    let column = |column: &ColumnVerdict<'_>| ExaminedColumn {
        source: column.source,
        raw: column.raw.map(Bytes::copy_from_slice),
        verdict: column.verdict.clone(),
    };
    columns.iter().map(column).collect()
}

#[cfg(test)]
mod tests;
