//! Dead letters: one readable document a rejected row.

use bytes::Bytes;
use mongodb::bson::{RawBsonRef, RawDocument, doc};

use super::{
    errors::corrupt,
    names::letter_id,
    server::{Query, Server},
    writer::{Index, Writer},
};
use crate::{DeadLetter, JobNumber, Position, ShardId, StoreError};

type Result<T> = std::result::Result<T, StoreError>;

/// Keeps dead letters; those that are there stay.
pub(super) async fn put(server: &Server, collection: &str, letters: &[DeadLetter]) -> Result<()> {
    server.check()?;
    let ids: Vec<String> = letters.iter().map(|letter| letter_id(letter.shard, letter.position)).collect();
    let put = |at: usize, w: &mut Writer| {
        put_letter(w, &ids[at], &letters[at]);
        Ok(())
    };
    server.keep("keep dead letters", collection, &ids, &put).await
}

fn put_letter(w: &mut Writer, id: &str, letter: &DeadLetter) {
    w.text("_id", id);
    w.unsigned("job", letter.shard.job.0);
    w.long("shard", i64::from(letter.shard.number));
    w.unsigned("position", letter.position.0);
    // For people: the position taken apart.
    w.long("file", i64::from(letter.position.file()));
    w.unsigned("offset", letter.position.offset());
    w.unsigned("line", letter.line);
    w.text("rule", &letter.rule);
    let (rules, mut index) = (w.open_array("rules"), Index::new());
    letter.rules.iter().enumerate().for_each(|(at, rule)| w.text(index.name(at), rule));
    w.close(rules);
    if let Some(column) = &letter.column {
        w.text("column", column);
    }
    if let Some(value) = &letter.value {
        w.text_or_binary("value", value);
    }
    w.text_or_binary("raw", &letter.raw);
    w.unsigned("length", letter.length);
}

/// Dead letters in the order of shard and position, behind `after`; of one job or of all.
pub(super) async fn scan(
    server: &Server,
    collection: &str,
    job: Option<JobNumber>,
    after: Option<(ShardId, Position)>,
    limit: usize,
) -> Result<Vec<DeadLetter>> {
    let first = ShardId { job: job.unwrap_or(JobNumber(0)), number: 0 };
    let mut condition = match after {
        Some((shard, position)) if shard >= first => doc! { "$gt": letter_id(shard, position) },
        _ => doc! { "$gte": letter_id(first, Position(0)) },
    };
    if let Some(job) = job {
        condition.insert("$lte", letter_id(ShardId { job, number: u32::MAX }, Position(u64::MAX)));
    }
    server.find("scan dead letters", collection, Query::page(condition, limit), read_letter).await
}

fn read_letter(found: &RawDocument) -> Result<DeadLetter> {
    let read = || {
        let long = |name: &str| found.get_i64(name).ok();
        let mut rules = Vec::new();
        for rule in found.get_array("rules").ok()? {
            rules.push(rule.ok()?.as_str()?.to_owned());
        }
        Some(DeadLetter {
            shard: ShardId { job: JobNumber(long("job")? as u64), number: u32::try_from(long("shard")?).ok()? },
            position: Position(long("position")? as u64),
            line: long("line")? as u64,
            rule: found.get_str("rule").ok()?.to_owned(),
            rules,
            column: found.get_str("column").ok().map(str::to_owned),
            value: bytes(found, "value"),
            raw: bytes(found, "raw")?,
            length: long("length")? as u64,
        })
    };
    let id = || found.get_str("_id").unwrap_or_default();
    read().ok_or_else(|| corrupt("the dead letter", id(), "a field is missing or of another type"))
}

/// What was written as text or as binary.
pub(super) fn bytes(found: &RawDocument, name: &str) -> Option<Bytes> {
    match found.get(name).ok()?? {
        RawBsonRef::String(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
        RawBsonRef::Binary(binary) => Some(Bytes::copy_from_slice(binary.bytes)),
        _ => None,
    }
}
