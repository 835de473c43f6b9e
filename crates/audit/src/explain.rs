//! From hashes back to keys and fields, for the few differences that a report shows.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use ensemble_contract::row::{RowRef, Value};
use ensemble_store::{Decision, NewClaim, Store};
use ensemble_validation::{Fold, JobContext, validate};

use crate::{
    AuditError,
    audit::Audit,
    jobs::Jobs,
    join::{Difference, Wrong},
    pages,
    pipeline::blocking,
    tuples::{KeyHash, Tuple, key_hash},
};

/// Finds out what tuples stand for.
pub(crate) struct Explainer<'a> {
    store: &'a Arc<dyn Store>,
    jobs: &'a Jobs,
    /// The rows of bronze that are named, as judging again has them.
    rows: HashMap<KeyHash, NewClaim>,
    keys: HashMap<KeyHash, Bytes>,
}

impl<'a> Explainer<'a> {
    pub(crate) fn new(store: &'a Arc<dyn Store>, jobs: &'a Jobs) -> Self {
        Self { store, jobs, rows: HashMap::new(), keys: HashMap::new() }
    }

    /// One text a difference, in their order. Judges the named shards again, and where that does not tell a key, goes
    /// over silver once more.
    pub(crate) async fn explain(
        mut self,
        differences: &[Difference],
        audit: &Audit<'_>,
    ) -> Result<Vec<String>, AuditError> {
        for difference in differences {
            self.find_row(&difference.row).await?;
        }
        let left: Vec<&Tuple> =
            differences.iter().map(|d| &d.row).filter(|row| !self.keys.contains_key(&row.key)).collect();
        if !left.is_empty() {
            self.find_keys(&left, audit).await?;
        }
        let mut texts = Vec::new();
        for difference in differences {
            texts.push(self.text(difference).await?);
        }
        Ok(texts)
    }

    /// Judges the row's shard again.
    async fn find_row(&mut self, row: &Tuple) -> Result<(), AuditError> {
        if self.keys.contains_key(&row.key) {
            return Ok(());
        }
        let Some((job, _)) = self.jobs.shard(row.job, row.shard) else { return Ok(()) };
        let Ok(context) = job.context.clone() else { return Ok(()) };
        let Some(record) = self.store.decision(job.shard_id(row.shard)).await? else { return Ok(()) };
        let Decision::Process { bytes, panicked } = record.decision else { return Ok(()) };
        let (wanted, collection) = (row.key, job.collection);
        let found = blocking(move || {
            let claims =
                validate(&context, &record.plan, bytes, &panicked, Fold::Nothing).map(|v| v.claims).unwrap_or_default();
            claims.iter().find(|c| key_hash(collection, &c.key) == wanted).cloned()
        });
        if let Some(claim) = found.await? {
            self.keys.insert(wanted, claim.key.clone());
            self.rows.insert(wanted, claim);
        }
        Ok(())
    }

    async fn find_keys(&mut self, left: &[&Tuple], audit: &Audit<'_>) -> Result<(), AuditError> {
        for (index, collection) in self.jobs.collections.iter().enumerate() {
            let mut pages = pages::silver(self.store, &collection.name, audit.options.page(512, 16_384));
            while let Some(page) = pages.next().await? {
                for (key, _) in page {
                    let hash = key_hash(index, &key);
                    if left.iter().any(|row| row.key == hash) {
                        self.keys.insert(hash, Bytes::copy_from_slice(&key));
                    }
                }
            }
        }
        Ok(())
    }

    async fn text(&self, difference: &Difference) -> Result<String, AuditError> {
        let Difference { wrong, row, live } = difference;
        let key = self.keys.get(&row.key).map_or_else(|| "?".to_owned(), |key| key.escape_ascii().to_string());
        let (place, holder) = (self.place(row), live.as_ref().map(|l| self.place(l)).unwrap_or_default());
        Ok(match wrong {
            Wrong::NotInSilver => format!("key {key}: the row at {place} is not in silver"),
            Wrong::NotTheLowest => format!("key {key}: the row at {place} comes before the live one, at {holder}"),
            Wrong::OtherRow => {
                let what = self.fields(row).await?;
                format!("key {key}: the row at {place} is live as {holder} with other fields{what}")
            }
            Wrong::NotInBronze => format!("key {key}: the live row, at {place}, is not in bronze"),
            Wrong::NoEvent => format!("key {key}: the live row, at {place}, has no event"),
            Wrong::EventWithoutKey => format!("key {key}: there is an event for the row at {place}, and no document"),
            Wrong::EventBelowLive => {
                format!("key {key}: there is an event for the row at {place}, before the live one, at {holder}")
            }
            Wrong::OtherEvent => format!("key {key}: the event for the row at {place} has other fields than silver"),
        })
    }

    fn place(&self, row: &Tuple) -> String {
        let Some((job, _)) = self.jobs.shard(row.job, row.shard) else {
            return format!("rank {:?} of shard {} of an unknown job", row.rank.0, row.shard);
        };
        let shard = job.shard_id(row.shard);
        match &job.context {
            Ok(context) if context.rank(context.position(row.rank)) == row.rank => {
                let position = context.position(row.rank);
                format!("byte {} of {} (shard {shard})", position.offset(), job.file_name(position.file()))
            }
            _ => format!("rank {:?} of shard {shard}", row.rank.0),
        }
    }

    /// The first column in which bronze and silver differ.
    async fn fields(&self, row: &Tuple) -> Result<String, AuditError> {
        let Some((job, claim)) = self.jobs.list.get(row.job as usize).zip(self.rows.get(&row.key)) else {
            return Ok(String::new());
        };
        let Ok(context) = &job.context else { return Ok(String::new()) };
        let silver = &self.jobs.collections[job.collection].name;
        let docs = self.store.read_claims(silver, vec![claim.key.clone()]).await?;
        let Some(doc) = docs.into_iter().flatten().next() else { return Ok(String::new()) };
        Ok(first_difference(context, &claim.claim.fields, &doc.live.fields))
    }
}

fn first_difference(context: &JobContext, bronze: &[u8], silver: &[u8]) -> String {
    let (mut expected, mut found) = (RowRef::new(bronze), RowRef::new(silver));
    for column in &context.contract.columns {
        match (expected.next_value(), found.next_value()) {
            (Ok(a), Ok(b)) if a == b => {}
            (Ok(a), Ok(b)) => {
                return format!(": {} is {} in silver, expected {}", column.name, show(b), show(a));
            }
            (_, Err(e)) => return format!(": silver's are damaged at {}: {e}", column.name),
            (Err(_), _) => break,
        }
    }
    String::new()
}

fn show(value: Option<Value<'_>>) -> String {
    match value {
        None => "missing".to_owned(),
        Some(Value::Null) => "null".to_owned(),
        Some(Value::Bool(v)) => v.to_string(),
        Some(Value::Int(v)) => v.to_string(),
        Some(Value::Float(v)) => v.to_f64().to_string(),
        Some(Value::Str(v)) => format!("{v:?}"),
    }
}
