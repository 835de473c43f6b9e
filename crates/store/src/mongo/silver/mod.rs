//! Silver: claims by unordered inserts, look-ups by id, replacements by rank and shard.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use futures::future::try_join_all;
use mongodb::bson::{RawDocument, doc};

use self::codec::{Misfit, put_doc, put_stamp, read_doc};
pub(super) use self::columns::Declared;
use super::{
    command::{Verb, Write},
    errors::corrupt,
    names::silver_key,
    server::{Query, Server},
    writer::Writer,
};
use crate::{Claim, ClaimInsert, NewClaim, Replacement, SilverDoc, StoreError};

mod codec;
mod columns;

type Result<T> = std::result::Result<T, StoreError>;

/// How many keys one query asks for, and how many bytes of keys.
const KEYS_AT_ONCE: usize = 1_000;
const KEY_BYTES_AT_ONCE: usize = 4 << 20;

fn misfit(silver: &str, misfit: &Misfit) -> StoreError {
    StoreError::Silver { silver: silver.to_owned(), problem: format!("cannot take a row: {misfit}") }
}

/// Writes a document into the one that is open.
fn put(w: &mut Writer, silver: &str, columns: &[String], key: &Bytes, doc: (&Claim, &[Claim])) -> Result<()> {
    put_doc(w, columns, silver_key(key)?, doc.0, doc.1).map_err(|e| misfit(silver, &e))
}

fn read(columns: &[String], found: &RawDocument) -> Result<(Bytes, SilverDoc)> {
    let key = found.get_str("_id").map_err(|e| corrupt("a silver document's key", "", e))?;
    let (live, displaced) = read_doc(columns, found).map_err(|e| corrupt("the silver document", key, e))?;
    Ok((Bytes::copy_from_slice(key.as_bytes()), SilverDoc { live, displaced }))
}

/// Inserts each claim whose key is absent. What refused a claim is not told: the server names its id only.
///
/// # Errors
/// [`StoreError::Silver`] where the collection is not declared or a row does not fit; those of [`Server::write`].
pub(super) async fn insert(
    server: &Server,
    declared: &Declared,
    silver: &str,
    claims: Arc<Vec<NewClaim>>,
) -> Result<Vec<ClaimInsert>> {
    server.check()?;
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    let columns = declared.needed(server, silver).await?;
    let put = |at: usize, w: &mut Writer| {
        let NewClaim { key, claim } = &claims[at];
        put(w, silver, &columns, key, (claim, &[]))
    };
    let write =
        Write { action: "insert claims", verb: Verb::Insert, collection: silver, count: claims.len(), put: &put };
    let done = server.write_queued(write).await?.done(claims.len());
    Ok(done.into_iter().map(|done| if done { ClaimInsert::Inserted } else { ClaimInsert::Present(None) }).collect())
}

/// The documents under `keys`, in their order.
///
/// # Errors
/// Those of [`Server::find`]; [`StoreError::Corrupt`].
pub(super) async fn look_up(
    server: &Server,
    declared: &Declared,
    silver: &str,
    keys: &[Bytes],
) -> Result<Vec<Option<SilverDoc>>> {
    server.check()?;
    let mut texts = keys.iter().map(|key| silver_key(key).map(str::to_owned)).collect::<Result<Vec<_>>>()?;
    let Some(columns) = declared.columns(server, silver).await? else { return Ok(vec![None; keys.len()]) };
    texts.sort_unstable();
    texts.dedup();
    // Several at once; the server's turns bound how many.
    let reads = parts(texts)
        .into_iter()
        .map(|part| server.find("read claims", silver, Query::ids(part), |found| read(&columns, found)));
    let docs: HashMap<Bytes, SilverDoc> = try_join_all(reads).await?.into_iter().flatten().collect();
    Ok(keys.iter().map(|key| docs.get(key).cloned()).collect())
}

/// As many keys as one query asks for.
fn parts(keys: Vec<String>) -> Vec<Vec<String>> {
    let (mut parts, mut part, mut bytes) = (Vec::new(), Vec::new(), 0);
    for key in keys {
        if part.len() >= KEYS_AT_ONCE || bytes >= KEY_BYTES_AT_ONCE {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += key.len();
        part.push(key);
    }
    parts.push(part);
    parts.retain(|part| !part.is_empty());
    parts
}

/// Replaces each document whose live claim is still the expected one.
///
/// # Errors
/// As [`insert`].
pub(super) async fn replace(
    server: &Server,
    declared: &Declared,
    silver: &str,
    replacements: Vec<Replacement>,
) -> Result<Vec<bool>> {
    server.check()?;
    if replacements.is_empty() {
        return Ok(Vec::new());
    }
    let columns = declared.needed(server, silver).await?;
    let put = |at: usize, w: &mut Writer| {
        let Replacement { key, expected: (rank, shard), doc } = &replacements[at];
        let query = w.open_document("q");
        w.text("_id", silver_key(key)?);
        put_stamp(w, "claim.rank", "claim.shard", *rank, *shard);
        w.close(query);
        let document = w.open_document("u");
        put(w, silver, &columns, key, (&doc.live, &doc.displaced))?;
        w.close(document);
        Ok(())
    };
    let count = replacements.len();
    let write = Write { action: "replace claims", verb: Verb::Update, collection: silver, count, put: &put };
    let written = server.write(write).await?;
    // The server tells how many of a batch were replaced, not which: where not all were, what is there now tells. A
    // document of ours that somebody has displaced since counts as not replaced, and the caller reads it again.
    let mut done = vec![true; count];
    let doubtful: Vec<usize> = written.doubtful.into_iter().flatten().chain(written.refused).collect();
    let keys: Vec<Bytes> = doubtful.iter().map(|at| replacements[*at].key.clone()).collect();
    let stored = look_up(server, declared, silver, &keys).await?;
    for (at, stored) in doubtful.into_iter().zip(stored) {
        done[at] = stored.as_ref() == Some(&replacements[at].doc);
    }
    Ok(done)
}

/// Documents in the order of their keys, behind `after`.
///
/// # Errors
/// As [`look_up`]; [`StoreError::NotText`] for a cursor that is no text.
pub(super) async fn scan(
    server: &Server,
    declared: &Declared,
    silver: &str,
    after: Option<&Bytes>,
    limit: usize,
) -> Result<Vec<(Bytes, SilverDoc)>> {
    server.check()?;
    let Some(columns) = declared.columns(server, silver).await? else { return Ok(Vec::new()) };
    let condition = match after {
        Some(after) => doc! { "$gt": silver_key(after)? },
        None => doc! {},
    };
    server.find("scan silver", silver, Query::page(condition, limit), |found| read(&columns, found)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_asked_for_in_parts() {
        let lengths = |count: usize, length: usize| {
            let keys = (0..count).map(|n| format!("{n:0length$}")).collect();
            parts(keys).iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert!(lengths(0, 1).is_empty());
        assert_eq!(lengths(1000, 5), [1000]);
        assert_eq!(lengths(2001, 5), [1000, 1000, 1]);
        assert_eq!(lengths(100, 60_000), [70, 30]);
    }
}
