//! One key of silver.

use bytes::Bytes;
use ensemble_contract::did_you_mean;
use ensemble_store::Store;

use super::{
    ExplainError, KeyExplanation,
    history::{History, context},
};

/// Says which row a key's live document comes from, and which ones it displaced.
///
/// `silver` may be left out where the store has one collection.
///
/// # Errors
/// Where there is no such key or collection, and those of the store. Nothing is written.
pub async fn explain_key(store: &dyn Store, key: &str, silver: Option<&str>) -> Result<KeyExplanation, ExplainError> {
    let history = History::read(store).await?;
    let silver = collection(&history, silver)?;
    let unknown = || ExplainError::UnknownKey { silver: silver.to_owned(), key: key.to_owned() };
    let docs = store.read_claims(silver, vec![Bytes::copy_from_slice(key.as_bytes())]).await?;
    let doc = docs.into_iter().flatten().next().ok_or_else(unknown)?;
    let live = history.claimed(silver, key, &doc.live).await?;
    let mut displaced = Vec::with_capacity(doc.displaced.len());
    for claim in doc.displaced.iter().rev() {
        displaced.push(history.claimed(silver, key, claim).await?);
    }
    let keep = context(history.job(live.row.job)?)?.contract.keep;
    Ok(KeyExplanation { silver: silver.to_owned(), key: key.to_owned(), keep, live, displaced })
}

/// The collection that is meant.
fn collection<'h>(history: &'h History<'_>, asked: Option<&str>) -> Result<&'h str, ExplainError> {
    let known = history.collections();
    let list = known.join(", ");
    match (asked, known.as_slice()) {
        (_, []) => Err(ExplainError::Silver("the store has no job yet, and so no silver".to_owned())),
        (None, [one]) => Ok(one),
        (None, _) => {
            Err(ExplainError::Silver(format!("the store has several silver collections; name one of: {list}")))
        }
        (Some(asked), _) => known.iter().find(|name| **name == asked).copied().ok_or_else(|| {
            let meant = did_you_mean(asked, known.iter().copied());
            ExplainError::Silver(format!("there is no silver collection {asked:?}{meant} The store has: {list}"))
        }),
    }
}
