//! The claim step: for each key of a shard, take it, find that an earlier attempt took it, or lose it to a lower rank.
//!
//! This is step 3 of the commit protocol (ARCHITECTURE.md), in bulk: all keys of a shard go through *insert*, *read*
//! and *replace* together, and those that lost a race go round again.

use std::sync::Arc;

use bytes::Bytes;
use ensemble_store::{Claim, ClaimInsert, NewClaim, Rank, Replacement, Retry, ShardId, SilverDoc, Store, StoreError};

/// A chain longer than this is worth looking for claims that nobody needs any more.
const PRUNE_ABOVE: usize = 4;

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The key has a lower rank.
    Duplicate,
    /// The claim stands, as it is, where there was none.
    New,
    /// The claim stands, or stood.
    Stands(Box<Standing>),
}

/// A claim that displaced another, or that an earlier attempt made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The row as stored: an earlier attempt's, of whatever version it was.
    pub(crate) fields: Bytes,
    /// The claim that this one displaced.
    pub(crate) before: Option<Claim>,
}

/// Claims every key; the outcomes are in the order of the claims. No key occurs twice.
///
/// # Errors
/// Those of the store; transient ones only once `retry` has given up. Repeating it all is harmless.
pub(crate) async fn claim_all(
    store: &dyn Store,
    retry: &mut Retry<'_>,
    silver: &str,
    claims: &Arc<Vec<NewClaim>>,
) -> Result<Vec<Outcome>, StoreError> {
    let mut outcomes = vec![None; claims.len()];
    // Ascending, always: all of them are then the claims as they are.
    let mut open: Vec<usize> = (0..claims.len()).collect();
    loop {
        let refused = insert(store, retry, silver, claims, &open, &mut outcomes).await?;
        if refused.is_empty() {
            break;
        }
        let before = open.len();
        open = displace(store, retry, silver, claims, refused, &mut outcomes).await?;
        if open.is_empty() {
            break;
        }
        if open.len() < before {
            retry.progressed();
        }
        retry.pause("keys of this shard are being claimed by others").await?;
    }
    // Every index left `open` only with an outcome.
    Ok(outcomes.into_iter().map(|o| o.unwrap_or(Outcome::Duplicate)).collect())
}

/// A claim that was refused, by its index, and the document that refused it, where it is known.
type Refused = (usize, Option<SilverDoc>);

/// Step a: inserts where the key is absent. Returns what was refused.
async fn insert(
    store: &dyn Store,
    retry: &mut Retry<'_>,
    silver: &str,
    claims: &Arc<Vec<NewClaim>>,
    open: &[usize],
    outcomes: &mut [Option<Outcome>],
) -> Result<Vec<Refused>, StoreError> {
    let batch = match open.len() == claims.len() {
        true => Arc::clone(claims),
        false => Arc::new(open.iter().map(|&i| claims[i].clone()).collect()),
    };
    let inserted = retry.run(|| store.insert_claims(silver, Arc::clone(&batch))).await?;
    let mut refused = Vec::new();
    for (&i, insert) in open.iter().zip(inserted) {
        match insert {
            ClaimInsert::Inserted => outcomes[i] = Some(Outcome::New),
            ClaimInsert::Present(doc) => refused.push((i, doc.map(|doc| *doc))),
        }
    }
    Ok(refused)
}

/// Step b: reads the documents that are not known yet.
async fn read(
    store: &dyn Store,
    retry: &mut Retry<'_>,
    silver: &str,
    claims: &[NewClaim],
    refused: &mut [Refused],
) -> Result<(), StoreError> {
    let mut unknown: Vec<_> = refused.iter_mut().filter(|(_, doc)| doc.is_none()).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let keys: Vec<Bytes> = unknown.iter().map(|(i, _)| claims[*i].key.clone()).collect();
    let docs = retry.run(|| store.read_claims(silver, keys.clone())).await?;
    unknown.iter_mut().zip(docs).for_each(|(refused, doc)| refused.1 = doc);
    Ok(())
}

/// Steps b to d: reads what is there and replaces what has a higher rank. Returns what has to go round again, ascending.
async fn displace(
    store: &dyn Store,
    retry: &mut Retry<'_>,
    silver: &str,
    claims: &[NewClaim],
    mut refused: Vec<Refused>,
    outcomes: &mut [Option<Outcome>],
) -> Result<Vec<usize>, StoreError> {
    read(store, retry, silver, claims, &mut refused).await?;
    let (mut again, mut replacing, mut replacements) = (Vec::new(), Vec::new(), Vec::new());
    for (i, doc) in refused {
        let mine = &claims[i].claim;
        match doc.map(|doc| judge(mine, doc)) {
            // Refused by what is not durable yet.
            None => again.push(i),
            Some(Verdict::Known(outcome)) => outcomes[i] = Some(outcome),
            Some(Verdict::Displace { expected, chain }) => {
                let displaced = prune(store, retry, chain).await?;
                let doc = SilverDoc { live: mine.clone(), displaced };
                replacing.push(i);
                replacements.push(Replacement { key: claims[i].key.clone(), expected, doc });
            }
        }
    }
    if replacements.is_empty() {
        return Ok(again);
    }
    let replaced = retry.run(|| store.replace_claims(silver, replacements.clone())).await?;
    for ((i, replacement), replaced) in replacing.into_iter().zip(replacements).zip(replaced) {
        if replaced {
            let before = replacement.doc.displaced.last().cloned();
            let standing = Standing { fields: replacement.doc.live.fields, before };
            outcomes[i] = Some(Outcome::Stands(Box::new(standing)));
        } else {
            again.push(i);
        }
    }
    again.sort_unstable();
    Ok(again)
}

enum Verdict {
    Known(Outcome),
    Displace { expected: (Rank, ShardId), chain: Vec<Claim> },
}

/// Decides from the document that is there: what an earlier attempt of this shard did counts as it did it.
fn judge(mine: &Claim, doc: SilverDoc) -> Verdict {
    let SilverDoc { live, displaced: mut chain } = doc;
    let expected = (live.rank, live.shard);
    chain.push(live);
    if let Some(at) = chain.iter().position(|c| c.rank == mine.rank && c.shard == mine.shard) {
        let before = at.checked_sub(1).map(|i| chain[i].clone());
        return Verdict::Known(Outcome::Stands(Box::new(Standing { fields: chain[at].fields.clone(), before })));
    }
    if expected.0 <= mine.rank {
        return Verdict::Known(Outcome::Duplicate);
    }
    Verdict::Displace { expected, chain }
}

/// Forgets the claims that nobody can ask for again: those whose own shard and whose displacer's shard are settled.
/// The last of the chain is about to be displaced by an unsettled shard and always stays.
async fn prune(store: &dyn Store, retry: &mut Retry<'_>, chain: Vec<Claim>) -> Result<Vec<Claim>, StoreError> {
    if chain.len() <= PRUNE_ABOVE {
        return Ok(chain);
    }
    let shards: Vec<ShardId> = chain.iter().map(|c| c.shard).collect();
    let settled = retry.run(|| store.settled(&shards)).await?;
    let needed = |i: usize| i + 1 == shards.len() || !settled[i] || !settled[i + 1];
    Ok(chain.into_iter().enumerate().filter(|(i, _)| needed(*i)).map(|(_, c)| c).collect())
}

#[cfg(test)]
mod tests;
