//! A record past the limit: looked at piece by piece, never held as a whole.

use bytes::Bytes;
use memchr::{memchr, memchr3};

use super::{HEAD_BYTES, QUOTE, cut::State, lines};

/// Finds the line end at which an over-long record ends.
#[derive(Debug)]
pub(super) struct LongScan {
    delimiter: u8,
    limit: usize,
    mode: Mode,
    /// Whether the last byte that was seen was a delimiter outside quotes.
    after_delimiter: bool,
}

#[derive(Debug, Clone, Copy)]
enum Mode {
    Unquoted,
    /// Inside a quote, so many bytes behind its opening.
    Quoted(usize),
    QuoteInQuoted(usize),
    /// Quotes mean nothing any more: the next line end ends the record.
    ToLineEnd,
}

impl LongScan {
    /// Goes on behind `seen`, the record's bytes up to one byte past the limit, in the state that they end with.
    ///
    /// Inside an open quote the record is one line past the limit (else it would be unterminated): it ends with it.
    /// Otherwise it ends at the first line end outside quotes; but a quote that opens behind the limit and is not
    /// closed within another limit is taken as never closed, so that it cannot swallow the rest of the source.
    pub(super) fn new(delimiter: u8, limit: usize, seen: &[u8], state: State) -> Self {
        let mode = match state {
            State::Unquoted => Mode::Unquoted,
            State::Quoted => Mode::ToLineEnd,
            State::QuoteInQuoted => Mode::QuoteInQuoted(0),
        };
        Self { delimiter, limit, mode, after_delimiter: seen.last() == Some(&delimiter) }
    }

    /// The index of the record's line end in the next `bytes`, which are used up where there is none.
    pub(super) fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut pos = 0;
        while pos < bytes.len() {
            match self.mode {
                Mode::ToLineEnd => return lines::find(&bytes[pos..]).map(|i| pos + i),
                Mode::Unquoted => {
                    let Some(i) = memchr3(QUOTE, b'\r', b'\n', &bytes[pos..]).map(|i| pos + i) else { break };
                    if bytes[i] != QUOTE {
                        return Some(i);
                    }
                    let opens = if i == 0 { self.after_delimiter } else { bytes[i - 1] == self.delimiter };
                    if opens {
                        self.mode = Mode::Quoted(0);
                    }
                    pos = i + 1;
                }
                Mode::Quoted(open) => {
                    let end = bytes.len().min(pos + self.limit.saturating_sub(open));
                    let quote = memchr(QUOTE, &bytes[pos..end]).map(|i| pos + i);
                    let next = quote.map_or(end, |i| i + 1);
                    let open = open + next - pos;
                    pos = next;
                    self.mode = match quote {
                        Some(_) => Mode::QuoteInQuoted(open),
                        None if open >= self.limit => Mode::ToLineEnd,
                        None => Mode::Quoted(open),
                    };
                }
                Mode::QuoteInQuoted(open) if bytes[pos] == QUOTE => {
                    pos += 1;
                    self.mode = Mode::Quoted(open + 1);
                }
                Mode::QuoteInQuoted(_) => self.mode = Mode::Unquoted,
            }
        }
        self.after_delimiter = matches!(self.mode, Mode::Unquoted) && bytes.last() == Some(&self.delimiter);
        None
    }
}

/// An over-long record that is being given out.
#[derive(Debug)]
pub(super) struct LongRecord {
    /// The record's first byte in the source.
    pub(super) offset: u64,
    /// The record's first line.
    pub(super) line: u64,
    /// The bytes of the pieces so far.
    pub(super) given: u64,
    /// How many bytes behind the last piece are known not to end the record.
    pub(super) scanned: usize,
    /// Where the record's line end begins, behind the last piece, once it is known.
    pub(super) line_end: Option<usize>,
    /// Looks for it.
    pub(super) scan: LongScan,
    head: Vec<u8>,
}

impl LongRecord {
    /// Begins at the record's first byte, of which `scanned` bytes are known not to end it.
    pub(super) fn new(offset: u64, line: u64, scanned: usize, scan: LongScan) -> Self {
        Self { offset, line, given: 0, scanned, line_end: None, scan, head: Vec::new() }
    }

    /// Where the record's line end begins in `bytes`, which begin behind the last piece; looks at most at the first
    /// `most` of them.
    pub(super) fn find_line_end(&mut self, bytes: &[u8], most: usize) -> Option<usize> {
        let end = bytes.len().min(most);
        if self.line_end.is_none() && self.scanned < end {
            self.line_end = self.scan.find_end(&bytes[self.scanned..end]).map(|i| self.scanned + i);
            self.scanned = end;
        }
        self.line_end
    }

    /// Notes that `piece` is given out.
    pub(super) fn take(&mut self, piece: &[u8], is_last: bool) {
        let content = if is_last { piece.len() - lines::line_end_bytes(piece) } else { piece.len() };
        let room = HEAD_BYTES - self.head.len();
        self.head.extend_from_slice(&piece[..content.min(room)]);
        self.given += piece.len() as u64;
        self.scanned = self.scanned.saturating_sub(piece.len());
    }

    /// The record's first bytes without its line end, at most [`HEAD_BYTES`].
    pub(super) fn into_head(self) -> Bytes {
        self.head.into()
    }
}
