use std::io::{self, Read};

use bytes::Bytes;
use ensemble_contract::{Contract, Record};
use ensemble_store::{JobNumber, Position, ShardId, ShardKind};
use proptest::prelude::*;

use super::{
    CR, Cursor, Dialect, HEAD_BYTES, Head, LF, PlannedShard, Preamble, QUOTE, RecordKind, RecordReader, SplitOptions,
    Splitter, line_end_bytes, sniff,
};
use crate::{Change, SourceError};

mod bad_input;
mod model;
mod properties;
mod special_records;

const START: ShardId = ShardId { job: JobNumber(7), number: 0 };
const NO_LIMIT: usize = 1 << 20;

fn options(shard_bytes: usize, record_limit_bytes: usize, header_bytes: u32) -> SplitOptions {
    SplitOptions { shard_bytes, record_limit_bytes, header_bytes, ..SplitOptions::new("test.csv", Dialect::default()) }
}

fn split_from(reader: impl Read, options: SplitOptions, start: Cursor) -> Vec<PlannedShard> {
    let mut splitter = Splitter::new(reader, options, start);
    std::iter::from_fn(|| splitter.next_shard().unwrap()).collect()
}

fn split(bytes: &[u8], options: SplitOptions) -> Vec<PlannedShard> {
    split_from(bytes, options, Cursor::start_of(0, START))
}

/// A row as a worker sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Row {
    Fields { offset: u64, line: u64, raw: Vec<u8>, fields: Vec<Vec<u8>> },
    Unterminated { offset: u64, line: u64, raw: Vec<u8> },
    TooLong { offset: u64, line: u64, length: u64, head: Vec<u8> },
}

impl Row {
    fn offset(&self) -> u64 {
        match self {
            Self::Fields { offset, .. } | Self::Unterminated { offset, .. } | Self::TooLong { offset, .. } => *offset,
        }
    }
}

fn fields_of(record: Record<'_>) -> Vec<Vec<u8>> {
    record.fields.iter().map(|s| record.bytes[s.start as usize..s.end as usize].to_vec()).collect()
}

fn rows_of(shards: &[PlannedShard]) -> Vec<Row> {
    let mut rows = Vec::new();
    for PlannedShard { plan, bytes } in shards {
        match &plan.kind {
            ShardKind::Piece => {}
            ShardKind::LastPiece { record_offset, record_length, record_line, head } => rows.push(Row::TooLong {
                offset: *record_offset,
                line: *record_line,
                length: *record_length,
                head: head.to_vec(),
            }),
            ShardKind::Records => {
                let mut records = RecordReader::of_shard(bytes, Dialect::default(), plan);
                while let Some(record) = records.next() {
                    let (offset, line, raw) = (record.offset, record.line, record.raw.to_vec());
                    rows.push(match record.kind {
                        RecordKind::Fields(fields) => Row::Fields { offset, line, raw, fields: fields_of(fields) },
                        RecordKind::Unterminated => Row::Unterminated { offset, line, raw },
                    });
                }
            }
        }
    }
    rows
}

/// Gives at most `most` bytes a read, fewer in turns.
struct Dribble<'a> {
    rest: &'a [u8],
    most: usize,
    turn: usize,
}

impl<'a> Dribble<'a> {
    fn new(rest: &'a [u8], most: usize) -> Self {
        Self { rest, most, turn: 0 }
    }
}

impl Read for Dribble<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.turn += 1;
        if self.turn.is_multiple_of(5) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = (1 + self.turn % self.most).min(buf.len());
        self.rest.read(&mut buf[..count])
    }
}

fn contract(columns: &[(&str, &[&str])]) -> Contract {
    let columns: String = columns
        .iter()
        .map(|(name, from)| {
            format!("{name} = {{ type = \"string\", required = {}, from = {from:?} }}\n", *name == "id")
        })
        .collect();
    let text = format!(
        "name = \"t\"\nkey = \"id\"\nkeep = \"first\"\nsilver = \"s\"\nbronze = \"b\"\nunknown_columns = \"ignore\"\n[limits]\nmax_reject_ratio = 1.0\nafter_rows = 10\n[columns]\n{columns}"
    );
    Contract::parse(&text, "t.toml").unwrap()
}

fn abc() -> Contract {
    contract(&[("id", &["id", "a"]), ("name", &["name", "b"]), ("rest", &["rest", "c"])])
}

fn head(bytes: &[u8]) -> Head {
    Head::read("test.csv", bytes, NO_LIMIT).unwrap()
}

fn preamble(bytes: &[u8]) -> Preamble {
    sniff(&head(bytes), &abc()).unwrap()
}
