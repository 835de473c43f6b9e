//! CSV that is cut safely: only where a record ends.
//!
//! All of this agrees with the `csv` crate's state machine: a quote opens a field only at the field's start, `""`
//! inside a quoted field is one quote, what follows a closing quote continues the field, and LF, CRLF and a bare CR
//! are line ends; an empty line is no record. Two kinds of records are told apart from that, so that no quote can
//! swallow a file and memory stays bounded:
//!
//! - A record past the limit, or a file that ends, inside an open quote: *unterminated*. The row is the line on which
//!   the record began; reading goes on at the next line. That line ends its shard, which is how a [`RecordReader`]
//!   knows it: the shard ends inside an open quote.
//! - A record past the limit otherwise: *too long*. It is given out in pieces that hold no other row.

mod buffer;
mod cut;
mod dialect;
mod lines;
mod long;
mod magic;
mod marks;
mod records;
mod splitter;

#[cfg(test)]
mod tests;

pub use dialect::{Dialect, Head, Preamble, sniff};
pub use lines::{line_end_bytes, line_start};
pub use records::{Place, RawRecord, RecordKind, RecordReader};
pub use splitter::{Cursor, PlannedShard, SplitOptions, Splitter, UnsealedShard};

const QUOTE: u8 = b'"';
const CR: u8 = b'\r';
const LF: u8 = b'\n';

/// The default limit of one record: 1 MiB.
pub const RECORD_LIMIT_BYTES: usize = 1 << 20;
/// The most of an over-long record that its row carries: 64 KiB.
pub const HEAD_BYTES: usize = 64 << 10;
