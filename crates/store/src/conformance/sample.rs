//! Records to test with.

use std::collections::BTreeMap;

use bytes::Bytes;
use ensemble_contract::row::{RowWriter, Value};

use crate::{
    Claim, DeadLetter, Decision, DecisionRecord, Document, Epoch, JobNumber, LedgerEntry, NewClaim, Position, Rank,
    ShardId, ShardKind, ShardPlan, SilverDoc, SpooledShard, Stamp,
};

/// A shard's name.
pub fn shard(job: u64, number: u32) -> ShardId {
    ShardId { job: JobNumber(job), number }
}

/// A plan whose hash tells `content` apart from other contents.
pub fn plan(shard: ShardId, content: &[u8]) -> ShardPlan {
    let mut digest = [0; 32];
    content.iter().enumerate().for_each(|(at, byte)| {
        if let Some(slot) = digest.get_mut(at % 32) {
            *slot = u8::wrapping_add(*slot, byte.wrapping_mul(31)).rotate_left(3);
        }
    });
    ShardPlan {
        shard,
        file: 3,
        offset: 1 << 40,
        length: content.len() as u64,
        first_line: 7,
        next_line: 99,
        header_bytes: 11,
        last_of_file: true,
        kind: ShardKind::Records,
        digest,
    }
}

/// A decision to process `bytes`.
pub fn process(shard: ShardId, bytes: &Bytes) -> DecisionRecord {
    let decision = Decision::Process { bytes: bytes.clone(), panicked: vec![5, 1 << 40] };
    DecisionRecord { plan: plan(shard, bytes), decision }
}

/// A spooled shard.
pub fn spooled(shard: ShardId, bytes: &Bytes) -> SpooledShard {
    SpooledShard { plan: plan(shard, bytes), bytes: bytes.clone() }
}

/// The columns of the rows that the suite claims.
pub fn columns() -> Vec<String> {
    vec!["text".to_owned()]
}

/// A row of [`columns`]: one text.
pub fn row(text: impl AsRef<str>) -> Bytes {
    let mut row = Vec::new();
    RowWriter::new(&mut row).push(Value::Str(text.as_ref()));
    row.into()
}

/// A claim of a row of one text.
pub fn claim(rank: [i64; 3], shard: ShardId, text: impl AsRef<str>) -> Claim {
    Claim { rank: Rank(rank), shard, fields: row(text) }
}

/// Bytes that do not compress; `seed` tells them apart.
pub fn noise(seed: u64, length: usize) -> Bytes {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// A claim under a key.
pub fn new_claim(key: impl Into<Bytes>, claim: Claim) -> NewClaim {
    NewClaim { key: key.into(), claim }
}

/// A document without displaced claims.
pub fn doc(live: Claim) -> SilverDoc {
    SilverDoc { live, displaced: Vec::new() }
}

/// A dead letter.
pub fn dead_letter(shard: ShardId, position: u64, raw: &'static str) -> DeadLetter {
    DeadLetter {
        shard,
        position: Position(position),
        line: position + 1,
        rule: "tempo.range".to_owned(),
        rules: vec!["tempo.range".to_owned(), "name.required".to_owned()],
        column: Some("tempo".to_owned()),
        value: Some(Bytes::from_static(b"\xff-1")),
        raw: Bytes::from_static(raw.as_bytes()),
        length: raw.len() as u64,
    }
}

/// A ledger entry; `rows` tells it apart.
pub fn entry(shard: ShardId, rows: u64) -> LedgerEntry {
    LedgerEntry {
        plan: plan(shard, b"entry"),
        aside: None,
        rows,
        claims: rows,
        duplicates: 0,
        displaced_same: 1,
        updated: 2,
        rejected_by_rule: BTreeMap::from([("tempo.range".to_owned(), 4)]),
        delta: Bytes::from(vec![rows as u8; 300]),
        settled_at_us: 1_700_000_000_000_000,
    }
}

/// A stamp.
pub fn stamp(epoch: u64, version: u64) -> Stamp {
    Stamp { epoch: Epoch(epoch), version }
}

/// A fenced document.
pub fn document(id: &str, stamp: Stamp, body: &'static str) -> Document {
    Document { id: id.to_owned(), stamp, body: Bytes::from_static(body.as_bytes()) }
}
