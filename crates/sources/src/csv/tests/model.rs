//! What the rows of a source are, said in the slowest and plainest way.

use super::*;

/// The rows of `bytes` from `start` on.
pub(super) fn rows(bytes: &[u8], start: usize, limit: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut pos = start;
    while pos < bytes.len() {
        if matches!(bytes[pos], CR | LF) {
            pos += 1;
            continue;
        }
        let (offset, line) = (pos as u64, line_of(bytes, pos));
        let first_line = line_end(bytes, pos);
        let outcome = parse(bytes, pos, limit);
        let end = match outcome {
            Outcome::Record(end, fields) => {
                rows.push(Row::Fields { offset, line, raw: bytes[pos..end].to_vec(), fields });
                end
            }
            Outcome::OpenQuote if first_line - pos <= limit => {
                rows.push(Row::Unterminated { offset, line, raw: bytes[pos..first_line].to_vec() });
                first_line
            }
            Outcome::OpenQuote => too_long(&mut rows, bytes, pos, first_line),
            Outcome::TooLong(end) => too_long(&mut rows, bytes, pos, end),
        };
        pos = behind_line_end(bytes, end);
    }
    rows
}

/// The line of the byte at `pos`: CRLF is one line end, which ends behind its LF.
pub(super) fn line_of(bytes: &[u8], pos: usize) -> u64 {
    let ends = |i: usize| bytes[i] == LF || (bytes[i] == CR && bytes.get(i + 1) != Some(&LF));
    1 + (0..pos).filter(|i| ends(*i)).count() as u64
}

fn too_long(rows: &mut Vec<Row>, bytes: &[u8], start: usize, end: usize) -> usize {
    let record = &bytes[start..behind_line_end(bytes, end)];
    let content = &record[..record.len() - line_end_bytes(record)];
    rows.push(Row::TooLong {
        offset: start as u64,
        line: line_of(bytes, start),
        length: record.len() as u64,
        head: content[..content.len().min(HEAD_BYTES)].to_vec(),
    });
    start + record.len()
}

fn line_end(bytes: &[u8], pos: usize) -> usize {
    (pos..bytes.len()).find(|i| matches!(bytes[*i], CR | LF)).unwrap_or(bytes.len())
}

fn behind_line_end(bytes: &[u8], pos: usize) -> usize {
    match bytes.get(pos..) {
        Some([CR, LF, ..]) => pos + 2,
        Some([CR | LF, ..]) => pos + 1,
        _ => pos,
    }
}

enum Outcome {
    /// Where the record ends, and its fields.
    Record(usize, Vec<Vec<u8>>),
    /// The limit, or the source's end, lies inside an open quote.
    OpenQuote,
    /// Where the record ends.
    TooLong(usize),
}

#[derive(Clone, Copy, PartialEq)]
enum At {
    FieldStart,
    Unquoted,
    Quoted,
    QuoteInQuoted,
}

fn parse(bytes: &[u8], start: usize, limit: usize) -> Outcome {
    let mut fields = vec![Vec::new()];
    let mut at = At::FieldStart;
    let mut open = 0;
    let mut end = start;
    let mut past_limit = false;
    while let Some(&byte) = bytes.get(end) {
        at = match (at, byte) {
            (At::FieldStart, QUOTE) => {
                open = 0;
                At::Quoted
            }
            (At::Quoted, QUOTE) => At::QuoteInQuoted,
            (At::QuoteInQuoted, QUOTE) => At::Quoted,
            (At::Quoted, _) => At::Quoted,
            (_, CR | LF) => break,
            (_, b',') => At::FieldStart,
            _ => At::Unquoted,
        };
        match at {
            At::FieldStart => fields.push(Vec::new()),
            _ => fields.last_mut().unwrap().push(byte),
        }
        end += 1;
        open += 1;
        if end - start == limit + 1 {
            if at == At::Quoted {
                return Outcome::OpenQuote;
            }
            past_limit = true;
            open = 1;
        }
        // Behind the limit a quote that stays open for another limit is taken as never closed.
        if past_limit && at == At::Quoted && open > limit && end - start > limit + 1 {
            return Outcome::TooLong(line_end(bytes, end));
        }
    }
    match (past_limit, at) {
        (true, _) => Outcome::TooLong(end),
        (false, At::Quoted) => Outcome::OpenQuote,
        (false, _) => Outcome::Record(end, fields.into_iter().map(|f| unquote(&f)).collect()),
    }
}

fn unquote(field: &[u8]) -> Vec<u8> {
    let Some((&QUOTE, mut rest)) = field.split_first() else { return field.to_vec() };
    let mut out = Vec::new();
    loop {
        match rest {
            [QUOTE, QUOTE, tail @ ..] => {
                out.push(QUOTE);
                rest = tail;
            }
            [QUOTE, tail @ ..] => {
                out.extend_from_slice(tail);
                return out;
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                rest = tail;
            }
            [] => return out,
        }
    }
}
