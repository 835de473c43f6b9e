//! What a store keeps.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Position, Rank, ShardId, Stamp};

/// What came of an *insert if absent*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insert {
    /// It was absent; it is there now, durably.
    Inserted,
    /// Something is there. It need not be durable yet: read it before it decides anything.
    Present,
}

/// What came of inserting a claim where its key is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimInsert {
    /// The key was absent; the claim is there now, durably.
    Inserted,
    /// A document is there: this one, as [`Store::read_claims`](crate::Store::read_claims) returns it, where the store
    /// has come across it anyway. `None`: read it before it decides anything; it need not be durable yet.
    Present(Option<Box<SilverDoc>>),
}

/// Where a shard's bytes stand in the source. Never changes once planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardPlan {
    /// The shard.
    pub shard: ShardId,
    /// The file's number in the job.
    pub file: u32,
    /// The first byte in the file.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
    /// The line of the first byte, counted from 1.
    pub first_line: u64,
    /// The line of the byte behind the last one: where the next shard of the file begins.
    pub next_line: u64,
    /// How many of the first bytes are the byte order mark and the header, which are no rows.
    pub header_bytes: u32,
    /// Whether this is the file's last shard.
    pub last_of_file: bool,
    /// Whole records, or a piece of a record that is longer than the limit.
    pub kind: ShardKind,
    /// BLAKE3 of the bytes: see [`ShardPlan::digest_of`].
    #[serde(with = "hex_32")]
    pub digest: [u8; 32],
}

impl ShardPlan {
    /// The digest by which a shard's bytes are known again: BLAKE3, 32 bytes.
    pub fn digest_of(bytes: &[u8]) -> [u8; 32] {
        *blake3::hash(bytes).as_bytes()
    }

    /// The plan of a shard that may have been leased by a process that is gone, and of which nobody knows any more where
    /// in the source it stood, or whether it was there at all. Such a shard can only be set aside.
    pub fn unknown(shard: ShardId) -> Self {
        Self {
            shard,
            file: 0,
            offset: 0,
            length: 0,
            first_line: 0,
            next_line: 0,
            header_bytes: 0,
            last_of_file: false,
            kind: ShardKind::Piece,
            digest: [0; 32],
        }
    }

    /// Whether this is [`ShardPlan::unknown`]: lines count from 1.
    pub fn is_unknown(&self) -> bool {
        self.first_line == 0
    }
}

/// What a shard's bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShardKind {
    /// Whole records. An open quote at the end means that the last record is unterminated.
    Records,
    /// A piece of a record past the limit, and not its last: it holds no row.
    Piece,
    /// The last piece of a record past the limit: it stands for the record's one row, `row.too_long`.
    LastPiece {
        /// The record's first byte in the file.
        record_offset: u64,
        /// The record's bytes in all, its line end included.
        record_length: u64,
        /// The record's first line.
        record_line: u64,
        /// The record's first bytes, at most 64 KiB.
        #[serde(with = "hex_bytes")]
        head: Bytes,
    },
}

/// What is to become of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Its rows are judged and claimed.
    Process {
        /// The shard's bytes, as they came.
        bytes: Bytes,
        /// Offsets in the file of the records that are taken out because they panic the validator, ascending.
        panicked: Vec<u64>,
    },
    /// It is set aside: none of its rows counts.
    Aside {
        /// Why, for people.
        reason: String,
        /// The shard's bytes where the supervisor had them.
        bytes: Option<Bytes>,
    },
}

/// A shard's bronze document: inserted once, never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionRecord {
    /// Where the bytes stand in the source.
    pub plan: ShardPlan,
    /// What is to become of them.
    pub decision: Decision,
}

/// A shard of a source that cannot be read twice, made durable before it is leased. Deleted once the shard is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpooledShard {
    /// Where the bytes stand in the source.
    pub plan: ShardPlan,
    /// The bytes.
    pub bytes: Bytes,
}

/// A row's hold on a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The lowest is live.
    pub rank: Rank,
    /// Who made it.
    pub shard: ShardId,
    /// The standardised row, encoded as `ensemble_contract::row` says.
    pub fields: Bytes,
}

/// One key of silver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilverDoc {
    /// The claim with the lowest rank.
    pub live: Claim,
    /// Earlier claims that somebody may still need, oldest first.
    pub displaced: Vec<Claim>,
}

/// A claim to be inserted where its key is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClaim {
    /// The key's text.
    pub key: Bytes,
    /// The claim.
    pub claim: Claim,
}

/// A silver document to be replaced where its live claim is still the expected one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The key's text.
    pub key: Bytes,
    /// Rank and shard of the live claim that was read.
    pub expected: (Rank, ShardId),
    /// The new document.
    pub doc: SilverDoc,
}

/// A rejected row, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The shard that rejected it.
    pub shard: ShardId,
    /// Where the row stands; with `shard` the letter's identity, so that a repeat is harmless.
    pub position: Position,
    /// The record's first line, counted from 1 with the header as line 1.
    pub line: u64,
    /// The first rule that failed, in column order: `column.rule` or `row.rule`.
    pub rule: String,
    /// All rules that failed.
    pub rules: Vec<String>,
    /// The column of `rule`; `None` for a rule on the whole row.
    pub column: Option<String>,
    /// The value that broke `rule`, as it came; `None` for a rule on the whole row.
    pub value: Option<Bytes>,
    /// The record without its line end; at most the first 64 KiB.
    pub raw: Bytes,
    /// The record's bytes in the file without its line end: more than `raw` holds where `raw` is cut off.
    pub length: u64,
}

/// The one ledger entry of a shard: what has happened to it. Inserted once, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Where the bytes stood in the source.
    pub plan: ShardPlan,
    /// Why the shard was set aside; `None` where it was processed.
    pub aside: Option<String>,
    /// Rows in all.
    pub rows: u64,
    /// Rows that took a key, if only for a time.
    pub claims: u64,
    /// Rows whose key had a lower rank.
    pub duplicates: u64,
    /// Claims that displaced a claim of the same job.
    pub displaced_same: u64,
    /// Claims that displaced a claim of another job.
    pub updated: u64,
    /// Rejected rows by the first rule that failed.
    pub rejected_by_rule: BTreeMap<String, u64>,
    /// The gold delta, encoded as `ensemble_gold` says. Not part of the entry's JSON form: backends keep it beside.
    #[serde(skip)]
    pub delta: Bytes,
    /// When it was settled, in microseconds since the Unix epoch.
    pub settled_at_us: i64,
}

impl LedgerEntry {
    /// The entry of a shard that was set aside: no row of it counts.
    pub fn set_aside(plan: ShardPlan, reason: String, settled_at_us: i64) -> Self {
        Self {
            plan,
            aside: Some(reason),
            rows: 0,
            claims: 0,
            duplicates: 0,
            displaced_same: 0,
            updated: 0,
            rejected_by_rule: BTreeMap::new(),
            delta: Bytes::new(),
            settled_at_us,
        }
    }

    /// Rejected rows in all.
    pub fn rejected(&self) -> u64 {
        self.rejected_by_rule.values().sum()
    }
}

/// The kinds of documents that only the supervisor writes, each fenced by its stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DocumentKind {
    /// A job; the id is the job's.
    Job,
    /// A counter, such as the next job's number.
    Counter,
    /// The aggregator's checkpoint and its chunks.
    Checkpoint,
    /// Who is in office.
    Leadership,
    /// Which job a request for one became; the id is the request's.
    Request,
    /// An upload: its head under its own name, and its bytes in pieces under names behind that.
    Upload,
}

/// A fenced document. The body is JSON that the owner reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The document's name within its kind.
    pub id: String,
    /// Who wrote it and which time.
    pub stamp: Stamp,
    /// The content.
    pub body: Bytes,
}

/// One cell of a gold view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoldCell {
    /// The view's name.
    pub view: String,
    /// The cell's key, encoded as `ensemble_gold` says; in the order of the encoding.
    pub key: Bytes,
    /// Who wrote it and which time; it gives way only to a higher stamp.
    pub stamp: Stamp,
    /// The accumulators, encoded as `ensemble_gold` says; empty where the cell is gone.
    pub cell: Bytes,
    /// The cell as readers see it, for stores that [keep it beside](crate::Store::keeps_gold_rows) for other clients.
    /// `None` where the cell is hidden, where nobody asked for it, and in what a store returns: `cell` is what counts.
    pub rows: Option<GoldRows>,
}

/// What readers see of a gold cell: labels, counts and statistics by the names of the view's columns, in their order.
/// Values are plain: numbers, text, booleans or null, none of them nested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoldRows {
    /// The one row of a view of measures.
    One(Map<String, Value>),
    /// A view of correlations: a row a pair of columns.
    Pairs(Vec<Map<String, Value>>),
}

/// A digest as 64 hex digits.
mod hex_32 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 32], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&crate::records::to_hex(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(d)?;
        crate::records::from_hex(&text)
            .and_then(|v| v.try_into().ok())
            .ok_or_else(|| D::Error::custom("not 64 hex digits"))
    }
}

/// Bytes as hex digits.
mod hex_bytes {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&crate::records::to_hex(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(d)?;
        crate::records::from_hex(&text).map(Bytes::from).ok_or_else(|| D::Error::custom("not hex digits"))
    }
}

/// Bytes as hex digits, in the same order.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS[usize::from(n)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

/// The bytes of hex digits.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<Vec<u8>>>()?;
    digits.len().is_multiple_of(2).then(|| digits.chunks_exact(2).map(|p| p[0] << 4 | p[1]).collect())
}

#[cfg(test)]
mod tests;
