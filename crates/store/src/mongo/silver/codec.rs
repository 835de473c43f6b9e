//! A silver document: a row's values as fields of their own, so that any client reads them, and who claims it.
//!
//! ```text
//! { _id: key, <column>: value, …, extra: {name: text, …}?,
//!   claim: {rank: [a, b, c], shard: {job, number}},
//!   displaced: [{rank, shard, fields: {<column>: value, …, extra?}}, …]? }
//! ```
//! Integers are Int64, doubles Double, texts String, absent values Null. `extra` is there where the row has that part:
//! as a sub-document, or, where its names could not be fields or repeat, as an array of pairs. Reading a document gives
//! the very bytes of the row back.

use std::collections::HashSet;

use bytes::Bytes;
use ensemble_contract::row::{Float, RowError, RowRef, RowWriter, Value};
use mongodb::bson::{RawArray, RawBsonRef, RawDocument};

use crate::{
    Claim, JobNumber, Rank, ShardId,
    mongo::writer::{Index, Writer},
};

/// Fields of a document that are no columns.
pub(super) const OWN_FIELDS: [&str; 4] = ["_id", "claim", "displaced", "extra"];

/// Why a row or a document is not what the collection's columns say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misfit {
    /// The row cannot be read.
    #[error(transparent)]
    Row(#[from] RowError),
    /// The row has more or fewer values than there are columns.
    #[error("a row has another number of values than the {0} columns that were declared")]
    Columns(usize),
    /// A field is missing or has a type that is never written.
    #[error("its field {0} is missing or of another type")]
    Field(String),
    /// It is no BSON.
    #[error("it cannot be read: {0}")]
    Bson(String),
}

type Result<T> = std::result::Result<T, Misfit>;

fn field(name: &str) -> Misfit {
    Misfit::Field(name.to_owned())
}

fn bson(error: impl std::fmt::Display) -> Misfit {
    Misfit::Bson(error.to_string())
}

/// Writes a document's fields.
pub(super) fn put_doc(w: &mut Writer, columns: &[String], key: &str, live: &Claim, displaced: &[Claim]) -> Result<()> {
    w.text("_id", key);
    put_row(w, columns, &live.fields)?;
    let claim = w.open_document("claim");
    put_stamp(w, "rank", "shard", live.rank, live.shard);
    w.close(claim);
    if displaced.is_empty() {
        return Ok(());
    }
    let (chain, mut index) = (w.open_array("displaced"), Index::new());
    for (at, claim) in displaced.iter().enumerate() {
        let item = w.open_document(index.name(at));
        put_stamp(w, "rank", "shard", claim.rank, claim.shard);
        let fields = w.open_document("fields");
        put_row(w, columns, &claim.fields)?;
        w.close(fields);
        w.close(item);
    }
    w.close(chain);
    Ok(())
}

/// Writes rank and shard under these names: fields of a claim, or conditions on them.
pub(super) fn put_stamp(w: &mut Writer, rank_name: &str, shard_name: &str, Rank(rank): Rank, shard: ShardId) {
    let (array, mut index) = (w.open_array(rank_name), Index::new());
    rank.into_iter().enumerate().for_each(|(at, part)| w.long(index.name(at), part));
    w.close(array);
    let of = w.open_document(shard_name);
    w.unsigned("job", shard.job.0);
    w.long("number", i64::from(shard.number));
    w.close(of);
}

fn put_row(w: &mut Writer, columns: &[String], fields: &Bytes) -> Result<()> {
    let mut row = RowRef::new(fields);
    for name in columns {
        match row.next_value()?.ok_or(Misfit::Columns(columns.len()))? {
            Value::Null => w.null(name),
            Value::Bool(value) => w.boolean(name, value),
            Value::Int(value) => w.long(name, value),
            Value::Float(value) => w.double(name, value.to_f64()),
            Value::Str(text) => w.text(name, text),
        }
    }
    if row.next_value()?.is_some() {
        return Err(Misfit::Columns(columns.len()));
    }
    let pairs = row.extra()?;
    if !pairs.is_empty() || has_empty_extra(columns.len(), fields)? {
        put_extra(w, &pairs);
    }
    Ok(())
}

/// Whether a row ends in an extra part without pairs, of which its reader does not tell whether it is there.
fn has_empty_extra(columns: usize, fields: &Bytes) -> Result<bool> {
    let mut extra = Vec::new();
    RowWriter::new(&mut extra).push_extra(std::iter::empty());
    // Most rows are told by their last bytes; a value may end in the same ones.
    if !fields.ends_with(&extra) {
        return Ok(false);
    }
    let (mut row, mut values) = (RowRef::new(fields), Vec::with_capacity(fields.len()));
    for _ in 0..columns {
        RowWriter::new(&mut values).push(row.next_value()?.ok_or(Misfit::Columns(columns))?);
    }
    Ok(values.len() < fields.len())
}

fn put_extra(w: &mut Writer, pairs: &[(&str, &str)]) {
    let mut seen = HashSet::new();
    let is_field = |name: &str| !name.is_empty() && !name.starts_with('$') && !name.contains(['.', '\0']);
    if pairs.iter().all(|(name, _)| is_field(name) && seen.insert(*name)) {
        let extra = w.open_document("extra");
        pairs.iter().for_each(|(name, text)| w.text(name, text));
        w.close(extra);
        return;
    }
    let (extra, mut index) = (w.open_array("extra"), Index::new());
    for (at, (name, text)) in pairs.iter().enumerate() {
        let pair = w.open_array(index.name(at));
        w.text("0", name);
        w.text("1", text);
        w.close(pair);
    }
    w.close(extra);
}

/// A document as it was read: the live claim and the chain of displaced ones, oldest first.
pub(super) fn read_doc(columns: &[String], document: &RawDocument) -> Result<(Claim, Vec<Claim>)> {
    let claim = document.get_document("claim").map_err(|_| field("claim"))?;
    let (rank, shard) = read_stamp(claim)?;
    let live = Claim { rank, shard, fields: read_row(columns, document)? };
    let mut displaced = Vec::new();
    if let Some(chain) = document.get("displaced").map_err(bson)? {
        for item in chain.as_array().ok_or_else(|| field("displaced"))? {
            let item = item.map_err(bson)?;
            let item = item.as_document().ok_or_else(|| field("displaced"))?;
            let (rank, shard) = read_stamp(item)?;
            let fields = item.get_document("fields").map_err(|_| field("displaced.fields"))?;
            displaced.push(Claim { rank, shard, fields: read_row(columns, fields)? });
        }
    }
    Ok((live, displaced))
}

fn read_stamp(claim: &RawDocument) -> Result<(Rank, ShardId)> {
    let mut rank = [0; 3];
    let parts = claim.get_array("rank").map_err(|_| field("rank"))?;
    let mut parts = parts.into_iter();
    for slot in &mut rank {
        let part = parts.next().ok_or_else(|| field("rank"))?.map_err(bson)?;
        *slot = part.as_i64().ok_or_else(|| field("rank"))?;
    }
    let shard = claim.get_document("shard").map_err(|_| field("shard"))?;
    let job = shard.get_i64("job").map_err(|_| field("shard.job"))?;
    let number = shard.get_i64("number").map_err(|_| field("shard.number"))?;
    let number = u32::try_from(number).map_err(|_| field("shard.number"))?;
    Ok((Rank(rank), ShardId { job: JobNumber(job as u64), number }))
}

fn read_row(columns: &[String], document: &RawDocument) -> Result<Bytes> {
    let mut values = vec![None; columns.len()];
    let mut extra = None;
    // Fields come in the order in which they were written, unless somebody else has written them since.
    let mut next = 0;
    for element in document {
        let (name, value) = element.map_err(bson)?;
        let name = name.as_str();
        if columns.get(next).is_some_and(|column| column == name) {
            values[next] = Some(value);
            next += 1;
        } else if name == "extra" {
            extra = Some(value);
        } else if let Some(at) = columns.iter().position(|column| column == name) {
            values[at] = Some(value);
            next = at + 1;
        }
    }
    let mut row = Vec::with_capacity(document.as_bytes().len());
    let mut out = RowWriter::new(&mut row);
    for (name, value) in columns.iter().zip(values) {
        out.push(read_value(value).ok_or_else(|| field(name))?);
    }
    match extra {
        None => {}
        Some(RawBsonRef::Document(pairs)) => push_extra(&mut out, read_fields(pairs)?),
        Some(RawBsonRef::Array(pairs)) => push_extra(&mut out, read_pairs(pairs)?),
        Some(_) => return Err(field("extra")),
    }
    Ok(row.into())
}

fn read_value(value: Option<RawBsonRef<'_>>) -> Option<Value<'_>> {
    Some(match value? {
        RawBsonRef::Null => Value::Null,
        RawBsonRef::Boolean(value) => Value::Bool(value),
        RawBsonRef::Int64(value) => Value::Int(value),
        RawBsonRef::Double(value) if value.is_finite() => Value::Float(Float::from_f64(value)),
        RawBsonRef::String(text) => Value::Str(text),
        _ => return None,
    })
}

fn push_extra(row: &mut RowWriter<'_>, pairs: Vec<(&str, &str)>) {
    row.push_extra(pairs.into_iter());
}

fn read_fields(pairs: &RawDocument) -> Result<Vec<(&str, &str)>> {
    let mut all = Vec::new();
    for element in pairs {
        let (name, RawBsonRef::String(text)) = element.map_err(bson)? else { return Err(field("extra")) };
        all.push((name.as_str(), text));
    }
    Ok(all)
}

fn read_pairs(pairs: &RawArray) -> Result<Vec<(&str, &str)>> {
    let mut all = Vec::new();
    for pair in pairs {
        let RawBsonRef::Array(pair) = pair.map_err(bson)? else { return Err(field("extra")) };
        let mut texts = pair.into_iter().map(|text| match text {
            Ok(RawBsonRef::String(text)) => Ok(text),
            _ => Err(field("extra")),
        });
        let (Some(name), Some(text)) = (texts.next(), texts.next()) else { return Err(field("extra")) };
        all.push((name?, text?));
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
