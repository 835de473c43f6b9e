//! Events to append.

use bytes::Bytes;
use ensemble_contract::row::{Float, RowWriter, Value};
use ensemble_store::{JobId, JobNumber, Position, Rank, ShardId};

use crate::{AcceptedRow, RejectedRow, ShardEvents};

/// Texts that formats stumble over.
const TEXTS: [&str; 12] = [
    "plain",
    "",
    "comma, \"quote\" and 'apostrophe'",
    "line\nfeed\r\nand\ttab",
    "nul \0 and bell \u{7}",
    "back\\slash / slash",
    "Sigur Rós – Ágætis byrjun",
    "宇宙の音楽",
    "음악과 노래",
    "🎵🎶 \u{1F468}\u{200D}\u{1F3A4}",
    "e\u{301} is not é",
    "\u{feff}bom and \u{202e}right to left",
];

/// Shard `number` of job `job` with `rows` accepted rows and one rejected row.
pub fn sample_shard(job: u64, number: u32, rows: u64) -> ShardEvents {
    let first = u64::from(number) * 1_000_000;
    ShardEvents {
        job: JobId(uuid::Uuid::from_u128(u128::from(job) << 64)),
        shard: ShardId { job: JobNumber(job), number },
        contract: "tracks".into(),
        columns: ["track_id", "track_name", "popularity", "energy", "explicit"].map(String::from).to_vec(),
        source: "tracks.csv".into(),
        time_us: 1_700_000_000_000_000 + i64::from(number),
        accepted: (0..rows).map(|n| accepted(job, first + n * 120, &format!("row {n}"))).collect(),
        rejected: vec![rejected(first + rows * 120, "tempo.range")],
    }
}

/// A shard whose rows were all duplicates.
pub fn shard_without_rows(job: u64, number: u32) -> ShardEvents {
    let sample = sample_shard(job, number, 0);
    ShardEvents { columns: Vec::new(), source: String::new(), rejected: Vec::new(), ..sample }
}

/// A shard with control characters, scripts of many kinds, quotes and nothing at all in its texts.
pub fn shard_with_every_kind_of_text(job: u64, number: u32) -> ShardEvents {
    let texts = || TEXTS.iter().zip(0u64..);
    ShardEvents {
        source: TEXTS.concat(),
        accepted: texts().map(|(text, n)| accepted(job, n * 50, text)).collect(),
        rejected: texts().map(|(text, n)| rejected(1_000 + n, text)).collect(),
        ..sample_shard(job, number, 0)
    }
}

/// A shard of 20,000 rows.
pub fn large_shard(job: u64, number: u32) -> ShardEvents {
    sample_shard(job, number, 20_000)
}

fn accepted(job: u64, offset: u64, name: &str) -> AcceptedRow {
    let position = Position::new(3, offset);
    let key = format!("{name}:{offset:022}");
    let mut fields = Vec::new();
    let mut row = RowWriter::new(&mut fields);
    row.push(Value::Str(&key));
    row.push(if name.is_empty() { Value::Null } else { Value::Str(name) });
    row.push(Value::Int(offset as i64 % 101));
    row.push(Value::Float(Float::from_f64(offset as f64 / 7.0)));
    row.push(Value::Bool(offset.is_multiple_of(2)));
    row.push_extra([("note", name)].into_iter());
    AcceptedRow { position, rank: Rank::first(JobNumber(job), position), key: Bytes::from(key), fields: fields.into() }
}

fn rejected(offset: u64, rule: &str) -> RejectedRow {
    let rules = vec![rule.to_owned(), "energy.range".to_owned()];
    RejectedRow { position: Position::new(3, offset), line: offset / 120 + 2, rule: rule.to_owned(), rules }
}
