//! One row of a job's source.

use std::sync::Arc;

use bytes::Bytes;
use ensemble_contract::{FieldVerdict, RowRef, row::Value as RowValue};
use ensemble_store::{Decision, DecisionRecord, LedgerEntry, Rank, ShardId, ShardPlan, Store};
use ensemble_validation::{
    ExaminedColumn, ExaminedRecord, Found, JobContext, Judged, Place, RecordPlace, examine, find,
};
use serde_json::Value;

use super::{
    ExplainError, ExplainedColumn, RowExplanation, RowOutcome, RowQuery, SourceRow,
    find::{check_end, file, name, place, shard},
    history::{History, blocking, context, plain, source_row},
};
use crate::JobRecord;

/// Finds a row in bronze, judges its shard again under the job's own contract, and says what has become of the row.
///
/// # Errors
/// Where no row stands there, it is not settled yet, or the store cannot be read. Nothing is written.
pub async fn explain_row(store: &dyn Store, query: &RowQuery) -> Result<RowExplanation, ExplainError> {
    if query.at == Place::Line(0) {
        return Err(ExplainError::NoRow { at: query.at, problem: "lines count from 1".to_owned() });
    }
    let history = History::read(store).await?;
    let job = history.job(query.job)?;
    let context = context(job)?;
    let file = file(job, query.file.as_deref())?;
    let entry = shard(store, job, file, query.at).await?;
    let DecisionRecord { plan, decision } = history.bronze(entry.plan.shard).await?;
    let asked = Asked { job, context: &context, plan: &plan, at: query.at };
    let bytes = match &decision {
        Decision::Process { bytes, .. } => Some(bytes),
        Decision::Aside { bytes, .. } => bytes.as_ref(),
    };
    check_end(job, &plan, query.at, bytes.map(|bytes| &**bytes))?;
    let (bytes, panicked) = match decision {
        Decision::Aside { reason, bytes } => return asked.aside(reason, bytes).await,
        Decision::Process { bytes, panicked } => (bytes, panicked),
    };
    let (judge, shard, at) = (Arc::clone(&context), plan.clone(), query.at);
    let examined = blocking(move || examine(&judge, &shard, &bytes, &panicked, at)).await??;
    let record = asked.record(examined)?;
    let (key, outcome) = outcome(&history, &asked, &entry, &record).await?;
    let columns = asked.columns(record.columns)?;
    Ok(RowExplanation { key, outcome, ..asked.explanation(record.place, columns) })
}

/// The shard that is asked about, and where in it.
struct Asked<'a> {
    job: &'a JobRecord,
    context: &'a Arc<JobContext>,
    plan: &'a ShardPlan,
    at: Place,
}

impl Asked<'_> {
    /// A row of a shard that was set aside. It is not judged: judging it may be what the shard was set aside for.
    async fn aside(&self, reason: String, bytes: Option<Bytes>) -> Result<RowExplanation, ExplainError> {
        let unknown = RecordPlace { offset: 0, line: 0, raw: Bytes::new(), length: 0 };
        let (place, columns) = match bytes {
            None => (unknown, Vec::new()),
            Some(bytes) => {
                let (context, plan, at) = (self.context.clone(), self.plan.clone(), self.at);
                self.record(blocking(move || find(&context, &plan, &bytes, at)).await??)?
            }
        };
        let columns = self.columns(columns)?;
        Ok(RowExplanation { outcome: RowOutcome::Aside { reason }, ..self.explanation(place, columns) })
    }

    /// The record that was found, or what is there instead.
    fn record<T>(&self, found: Found<T>) -> Result<T, ExplainError> {
        let (file, at) = (name(self.job, self.plan.file), place(self.at));
        let problem = match found {
            Found::Record(record) => return Ok(record),
            Found::Header => format!("{at} of {file} belongs to the header, which is no row"),
            Found::Empty => format!("{at} of {file} is empty, and an empty line is no row"),
            Found::Outside => {
                let what = format!("shard {} was planned to hold {at} of {file}", self.plan.shard);
                return Err(ExplainError::Inconsistent(format!("{what}, and its bytes in bronze do not")));
            }
        };
        Err(ExplainError::NoRow { at: self.at, problem })
    }

    fn columns(&self, columns: Vec<ExaminedColumn>) -> Result<Vec<ExplainedColumn>, ExplainError> {
        let file = self.job.files().get(self.plan.file as usize);
        let header = |at: usize| file.and_then(|f| f.preamble.header.get(at)).cloned();
        let explained = self.context.contract.columns.iter().zip(columns).map(|(column, found)| {
            let (value, rule, judged) = match found.verdict {
                FieldVerdict::Value(encoded) => {
                    let value = RowRef::new(&encoded).next_value().map_err(|source| ExplainError::Fields {
                        silver: self.job.contract.silver.clone(),
                        key: column.name.clone(),
                        source,
                    })?;
                    (plain(value.unwrap_or(RowValue::Null)), None, true)
                }
                FieldVerdict::Broken(rule) => (Value::Null, Some(rule.name().to_owned()), true),
                FieldVerdict::NotJudged => (Value::Null, None, false),
            };
            let (column, header) = (column.name.clone(), found.source.and_then(header));
            Ok(ExplainedColumn { column, header, raw: found.raw, value, rule, judged })
        });
        explained.collect()
    }

    fn explanation(&self, place: RecordPlace, columns: Vec<ExplainedColumn>) -> RowExplanation {
        RowExplanation {
            row: source_row(self.job, self.plan.file, self.plan.shard, place),
            silver: self.job.contract.silver.clone(),
            keep: self.context.contract.keep,
            columns,
            key: None,
            outcome: RowOutcome::Live,
        }
    }
}

/// What has become of a row of a shard that was processed, and its key where it has one.
async fn outcome(
    history: &History<'_>,
    asked: &Asked<'_>,
    entry: &LedgerEntry,
    record: &ExaminedRecord,
) -> Result<(Option<String>, RowOutcome), ExplainError> {
    let shard = asked.plan.shard;
    let (key, of) = match &record.judged {
        Judged::Rejected(letter) => return Ok((None, RowOutcome::Rejected { rules: letter.rules.clone() })),
        Judged::Claims { key } => (key, None),
        Judged::Duplicate { key, of } => (key, Some(*of)),
    };
    let text = String::from_utf8_lossy(key).into_owned();
    let silver = &asked.job.contract.silver;
    let doc = history.store.read_claims(silver, vec![key.clone()]).await?.into_iter().flatten().next();
    let lost = || ExplainError::Inconsistent(format!("the row has key {text:?}, and {silver} has no such document"));
    let doc = doc.ok_or_else(lost)?;
    let live = || history.claimer(&doc.live);
    if let Some(position) = of {
        let (of, live) = (history.row(shard, position).await?, live().await?);
        return Ok((Some(text), RowOutcome::Duplicate { of, live }));
    }
    let rank = asked.context.rank(ensemble_store::Position::new(asked.plan.file, record.place.offset));
    let is_mine = |claim: &(Rank, ShardId)| *claim == (rank, shard);
    let chain: Vec<_> = doc.displaced.iter().chain([&doc.live]).map(|claim| (claim.rank, claim.shard)).collect();
    let outcome = match chain.iter().position(is_mine) {
        Some(at) if at == doc.displaced.len() => RowOutcome::Live,
        Some(at) => {
            let by = history.claimer(doc.displaced.get(at + 1).unwrap_or(&doc.live)).await?;
            RowOutcome::Displaced { by: Some(by), live: live().await? }
        }
        None if doc.live.rank >= rank => {
            let what = format!("key {text:?} of {silver} has a live row that comes behind this one");
            return Err(ExplainError::Inconsistent(what));
        }
        None => forgotten(entry, record, doc.displaced.is_empty(), live().await?),
    };
    Ok((Some(text), outcome))
}

/// What became of a row that its key's document does not name: it never was live, or that has been forgotten since.
fn forgotten(entry: &LedgerEntry, record: &ExaminedRecord, none_displaced: bool, live: SourceRow) -> RowOutcome {
    // The last claim that was displaced is never forgotten, so that where there is none, none ever was.
    if none_displaced || entry.claims == 0 {
        return RowOutcome::Duplicate { of: live.clone(), live };
    }
    // The shard lost no key to another shard when it claimed them.
    if entry.duplicates == record.shard_duplicates {
        return RowOutcome::Displaced { by: None, live };
    }
    RowOutcome::Superseded { live }
}
