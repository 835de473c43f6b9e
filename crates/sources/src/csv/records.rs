//! Takes a shard apart into records.

use ensemble_contract::{Record, Span};
use ensemble_store::ShardPlan;
use memchr::{memchr, memchr3};

use super::{CR, Dialect, LF, QUOTE, lines, marks::Marks};

/// Where a shard begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The first byte in the file.
    pub offset: u64,
    /// The line of that byte, counted from 1.
    pub line: u64,
}

/// One record and where it stands.
#[derive(Debug)]
pub struct RawRecord<'a> {
    /// The record's first byte in the file.
    pub offset: u64,
    /// The record's first line, counted from 1 with the header as line 1.
    pub line: u64,
    /// The record's bytes without its line end, as they came.
    pub raw: &'a [u8],
    /// What it holds.
    pub kind: RecordKind<'a>,
}

/// What a record holds.
#[derive(Debug)]
pub enum RecordKind<'a> {
    /// Its fields, without quotes.
    Fields(Record<'a>),
    /// A quote opens on this line and is never closed: the row is the line.
    Unterminated,
}

/// Gives the records of a shard of [`ensemble_store::ShardKind::Records`], one after the other, without copying any but
/// those that hold escaped quotes. Empty lines are no records.
///
/// It knows no limit: a planned shard holds no record past it.
#[derive(Debug)]
pub struct RecordReader<'a> {
    bytes: &'a [u8],
    dialect: Dialect,
    offset: u64,
    /// Where the next record, or an empty line before it, begins.
    pos: usize,
    line: u64,
    /// Whether the whole shard is UTF-8. Otherwise whoever judges a record looks at its fields.
    utf8: bool,
    marks: Marks,
    fields: Vec<Span>,
    scratch: Vec<u8>,
}

/// A record that has been found: `bytes[start..end]`, its fields in [`RecordReader::fields`].
struct Found {
    start: usize,
    end: usize,
    line: u64,
    form: Form,
}

enum Form {
    /// The fields are parts of the shard's bytes.
    InPlace,
    /// The fields are parts of the scratch buffer.
    Unescaped,
    Unterminated,
}

impl<'a> RecordReader<'a> {
    /// Reads `bytes`, at most 4 GiB, which begin at `place` and whose first `header_bytes` bytes are no rows.
    pub fn new(bytes: &'a [u8], dialect: Dialect, place: Place, header_bytes: u32) -> Self {
        debug_assert!(u32::try_from(bytes.len()).is_ok(), "a shard is smaller than 4 GiB");
        let (header, rows) = bytes.split_at(bytes.len().min(header_bytes as usize));
        Self {
            bytes,
            dialect,
            offset: place.offset,
            pos: header.len(),
            line: place.line + lines::count(header, rows.first().copied()),
            utf8: std::str::from_utf8(rows).is_ok(),
            marks: Marks::new(bytes, dialect.delimiter, header.len()),
            fields: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Reads a planned shard's bytes.
    pub fn of_shard(bytes: &'a [u8], dialect: Dialect, plan: &ShardPlan) -> Self {
        Self::new(bytes, dialect, Place { offset: plan.offset, line: plan.first_line }, plan.header_bytes)
    }

    /// The next record; `None` at the end of the shard.
    #[expect(
        clippy::should_implement_trait,
        reason = "a record borrows from the reader, which an iterator's item cannot"
    )]
    #[inline]
    pub fn next(&mut self) -> Option<RawRecord<'_>> {
        let found = self.find()?;
        let raw = &self.bytes[found.start..found.end];
        let utf8 = self.utf8;
        let kind = match found.form {
            Form::InPlace => RecordKind::Fields(Record { bytes: self.bytes, fields: &self.fields, utf8 }),
            Form::Unescaped => RecordKind::Fields(Record { bytes: &self.scratch, fields: &self.fields, utf8 }),
            Form::Unterminated => RecordKind::Unterminated,
        };
        Some(RawRecord { offset: self.offset + found.start as u64, line: found.line, raw, kind })
    }

    fn find(&mut self) -> Option<Found> {
        let bytes = self.bytes;
        let delimiter = self.dialect.delimiter;
        self.fields.clear();
        let mut quoted = false;
        let mut field = self.pos;
        let end = loop {
            let i = self.marks.next(bytes);
            let Some(&byte) = bytes.get(i) else {
                if self.pos >= i {
                    return None;
                }
                self.fields.push(span(field, i));
                break i;
            };
            if byte == delimiter {
                self.fields.push(span(field, i));
                field = i + 1;
            } else if byte != QUOTE {
                if i == self.pos {
                    self.end_line(i);
                    field = self.pos;
                    continue;
                }
                self.fields.push(span(field, i));
                break i;
            } else if i == field {
                quoted = true;
                let Some(close) = self.find_quote() else { return Some(self.unterminated()) };
                let behind = bytes.get(close + 1);
                if behind.is_some_and(|&b| b != delimiter && b != CR && b != LF) {
                    return Some(self.unescape());
                }
                self.fields.push(span(field + 1, close));
                field = self.marks.next(bytes) + 1;
                if behind != Some(&delimiter) {
                    break field - 1;
                }
            }
        };
        Some(self.found(end, quoted, Form::InPlace))
    }

    /// The index of the next quote; the marks before it mean nothing.
    fn find_quote(&mut self) -> Option<usize> {
        loop {
            let i = self.marks.next(self.bytes);
            if *self.bytes.get(i)? == QUOTE {
                return Some(i);
            }
        }
    }

    /// The record's first byte is at `self.pos`, and its line end, whose mark is used up, at `end`.
    #[inline]
    fn found(&mut self, end: usize, quoted: bool, form: Form) -> Found {
        let (start, line) = (self.pos, self.line);
        if quoted {
            self.line += lines::count(&self.bytes[start..end], None);
        }
        self.end_line(end);
        Found { start, end, line, form }
    }

    /// Moves behind the line end at `end`, if there is one.
    #[inline]
    fn end_line(&mut self, end: usize) {
        self.pos = end + 1;
        if self.bytes.get(end) == Some(&CR) && self.bytes.get(end + 1) == Some(&LF) {
            self.pos += 1;
            self.marks.next(self.bytes);
        }
        self.line += 1;
    }

    /// Reads the record at `self.pos` again, into the scratch buffer.
    #[cold]
    fn unescape(&mut self) -> Found {
        self.fields.clear();
        self.scratch.clear();
        match unescape(&self.bytes[self.pos..], self.dialect.delimiter, &mut self.scratch, &mut self.fields) {
            Some(length) => {
                let end = self.pos + length;
                self.marks.seek(self.bytes, (end + 1).min(self.bytes.len()));
                self.found(end, true, Form::Unescaped)
            }
            None => self.unterminated(),
        }
    }

    /// The line at `self.pos` is the row, and the next line begins a record.
    #[cold]
    fn unterminated(&mut self) -> Found {
        let length = lines::find(&self.bytes[self.pos..]).unwrap_or(self.bytes.len() - self.pos);
        let end = self.pos + length;
        self.marks.seek(self.bytes, (end + 1).min(self.bytes.len()));
        self.found(end, false, Form::Unterminated)
    }
}

#[inline]
fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32 }
}

/// Writes the fields of the record that `bytes` begin with to `out`. The record's length without its line end; `None`
/// where the bytes end inside an open quote.
fn unescape(bytes: &[u8], delimiter: u8, out: &mut Vec<u8>, fields: &mut Vec<Span>) -> Option<usize> {
    let mut pos = 0;
    loop {
        let start = out.len();
        if bytes.get(pos) == Some(&QUOTE) {
            pos += 1;
            loop {
                let quote = pos + memchr(QUOTE, &bytes[pos..])?;
                out.extend_from_slice(&bytes[pos..quote]);
                pos = quote + 1;
                if bytes.get(pos) != Some(&QUOTE) {
                    break;
                }
                out.push(QUOTE);
                pos += 1;
            }
        }
        let end = memchr3(delimiter, CR, LF, &bytes[pos..]).map_or(bytes.len(), |i| pos + i);
        out.extend_from_slice(&bytes[pos..end]);
        fields.push(span(start, out.len()));
        pos = end;
        if bytes.get(pos) != Some(&delimiter) {
            return Some(pos);
        }
        pos += 1;
    }
}
