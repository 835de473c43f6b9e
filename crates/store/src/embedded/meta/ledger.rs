//! The form of a ledger entry: its JSON, and its delta behind it or, where that is long, in the segment files. So the
//! entries stay small in the database's memory, however large the deltas are.

use bytes::Bytes;

use crate::{
    LedgerEntry, ShardId, StoreError,
    embedded::{
        codec::{Cursor, Damaged, put_bytes, shard_key},
        engine::{Engine, damaged},
        segments::{Location, Packed},
    },
};

/// A delta of more bytes goes to the segment files.
const INLINE_BYTES: usize = 1 << 10;

/// A ledger entry on its way to the store.
pub(in crate::embedded) struct LedgerRecord {
    json: Vec<u8>,
    delta: Delta,
}

enum Delta {
    Inline(Bytes),
    Packed(Packed),
}

impl LedgerRecord {
    pub(in crate::embedded) fn new(entry: &LedgerEntry) -> Result<Self, StoreError> {
        let json = serde_json::to_vec(entry);
        let json = json.map_err(|e| StoreError::Database(format!("cannot encode a ledger entry: {e}")))?;
        let delta = match entry.delta.len() {
            ..=INLINE_BYTES => Delta::Inline(entry.delta.clone()),
            _ => Delta::Packed(Packed::new(&entry.delta)?),
        };
        Ok(Self { json, delta })
    }

    pub(super) fn len(&self) -> usize {
        self.json.len()
            + match &self.delta {
                Delta::Inline(delta) => delta.len(),
                Delta::Packed(packed) => packed.len(),
            }
    }

    /// Appends a long delta to the segment files, and gives what is to be stored.
    pub(super) fn place(&self, engine: &Engine) -> Result<Bytes, StoreError> {
        let mut value = Vec::with_capacity(self.json.len() + INLINE_BYTES + 64);
        match &self.delta {
            Delta::Inline(delta) => {
                value.push(0);
                put_bytes(&mut value, &self.json);
                value.extend_from_slice(delta);
            }
            Delta::Packed(packed) => {
                value.push(1);
                put_bytes(&mut value, &self.json);
                engine.segments.append(packed)?.encode(&mut value);
            }
        }
        Ok(value.into())
    }
}

/// A shard's ledger entry. Blocks.
pub(in crate::embedded) fn ledger(engine: &Engine, shard: ShardId) -> Result<Option<LedgerEntry>, StoreError> {
    let key = shard_key(shard);
    engine.get(&engine.ledger, &key)?.map(|value| decode_ledger(engine, &key, &value)).transpose()
}

/// Reads a ledger entry and its delta.
pub(in crate::embedded) fn decode_ledger(
    engine: &Engine,
    key: &[u8],
    value: &Bytes,
) -> Result<LedgerEntry, StoreError> {
    let (mut entry, location) = parse(value).map_err(|e| damaged("ledger entry", key, e))?;
    if let Some(location) = location {
        entry.delta = engine.segments.read(&location)?;
    }
    Ok(entry)
}

fn parse(value: &[u8]) -> Result<(LedgerEntry, Option<Location>), Damaged> {
    let mut cursor = Cursor::new(value);
    let in_segments = cursor.byte()? == 1;
    let mut entry: LedgerEntry =
        serde_json::from_slice(cursor.bytes()?).map_err(|_| Damaged("its JSON cannot be read"))?;
    if in_segments {
        return Ok((entry, Some(Location::decode(&mut cursor)?)));
    }
    entry.delta = Bytes::copy_from_slice(cursor.rest());
    Ok((entry, None))
}
