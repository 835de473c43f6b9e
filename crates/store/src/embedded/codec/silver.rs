//! Keys and documents of silver.

use bytes::Bytes;

use super::{Cursor, Damaged, MAX_KEY, cursor::put_signed, put_bytes, put_varint};
use crate::{Claim, JobNumber, Rank, ShardId, SilverDoc, StoreError};

/// The key under which a key's text is stored: the text itself. The database has no empty key, so a zero byte goes in
/// front of the empty text, and of texts that begin with one; the order stays. Shares the text's memory where it can.
pub(in crate::embedded) fn silver_key(text: &Bytes) -> Result<Bytes, StoreError> {
    let escaped = text.first().is_none_or(|first| *first == 0);
    if text.len() + usize::from(escaped) > MAX_KEY {
        let what = "a key of silver".to_owned();
        return Err(StoreError::TooLarge { what, length: text.len(), limit: MAX_KEY - 1 });
    }
    Ok(if escaped { [&[0], &text[..]].concat().into() } else { text.clone() })
}

/// The text of a stored key.
pub(in crate::embedded) fn silver_key_text(mut key: Bytes) -> Bytes {
    if key.first() == Some(&0) { key.split_off(1) } else { key }
}

/// A document: the live claim's rank and shard, the displaced claims, the live claim's fields.
pub(in crate::embedded) fn put_doc(out: &mut Vec<u8>, live: &Claim, displaced: &[Claim]) {
    put_stamp(out, live.rank, live.shard);
    put_varint(out, displaced.len() as u64);
    for claim in displaced {
        put_stamp(out, claim.rank, claim.shard);
        put_bytes(out, &claim.fields);
    }
    out.extend_from_slice(&live.fields);
}

fn put_stamp(out: &mut Vec<u8>, Rank(rank): Rank, shard: ShardId) {
    rank.into_iter().for_each(|part| put_signed(out, part));
    put_varint(out, shard.job.0);
    put_varint(out, u64::from(shard.number));
}

fn stamp(cursor: &mut Cursor<'_>) -> Result<(Rank, ShardId), Damaged> {
    let rank = Rank([cursor.signed()?, cursor.signed()?, cursor.signed()?]);
    let job = JobNumber(cursor.varint()?);
    let number = u32::try_from(cursor.varint()?).map_err(|_| Damaged("a shard's number in it is too large"))?;
    Ok((rank, ShardId { job, number }))
}

/// Rank and shard of a document's live claim.
pub(in crate::embedded) fn decode_live_stamp(value: &[u8]) -> Result<(Rank, ShardId), Damaged> {
    stamp(&mut Cursor::new(value))
}

/// A document; its fields share `value`'s memory.
pub(in crate::embedded) fn decode_doc(value: &Bytes) -> Result<SilverDoc, Damaged> {
    let mut cursor = Cursor::new(value);
    let (rank, shard) = stamp(&mut cursor)?;
    let count = cursor.varint()?;
    let mut displaced = Vec::new();
    for _ in 0..count {
        let (rank, shard) = stamp(&mut cursor)?;
        let length = cursor.bytes()?.len();
        let end = cursor.position();
        displaced.push(Claim { rank, shard, fields: value.slice(end - length..end) });
    }
    let live = Claim { rank, shard, fields: value.slice(cursor.position()..) };
    Ok(SilverDoc { live, displaced })
}
