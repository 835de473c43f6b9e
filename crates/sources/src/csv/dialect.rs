//! What a source's first bytes say: the delimiter and the header.

use std::{
    collections::HashSet,
    io::{self, ErrorKind, Read},
};

use ensemble_contract::{Contract, Span};
use serde::{Deserialize, Serialize};

use super::{CR, LF, Place, RecordKind, RecordReader, lines, magic};
use crate::SourceError;

/// The delimiters that are tried, in the order in which the first of equally good ones wins.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// How far a header may stand behind empty lines.
const SLACK_BYTES: usize = 64 << 10;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How a CSV source is written. The quote is always `"`, doubled inside quoted fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialect {
    /// What separates fields: one of `,`, `;`, tab, `|`; never a quote, a line end or a byte that is not ASCII.
    pub delimiter: u8,
}

impl Default for Dialect {
    fn default() -> Self {
        Self { delimiter: b',' }
    }
}

/// What stands before a source's first row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preamble {
    /// The delimiter under which the header fits the contract best.
    pub dialect: Dialect,
    /// The header's names, trimmed.
    pub header: Vec<String>,
    /// The bytes of the byte order mark, of empty lines before the header, and of the header with its line end.
    pub header_bytes: u32,
    /// The line behind the header, counted from 1.
    pub next_line: u64,
}

/// A source's first bytes: enough to hold a header within the record limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// What errors call the source.
    pub name: String,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether they are all that the source has.
    pub whole: bool,
    /// The most bytes that the header can have without its line end.
    pub limit_bytes: usize,
}

impl Head {
    /// Reads the first bytes of a source that stands at its beginning: as few as hold the header, so that a slow pipe
    /// is not waited for.
    pub fn read(name: &str, mut reader: impl Read, limit_bytes: usize) -> Result<Self, SourceError> {
        let most = limit_bytes.saturating_add(SLACK_BYTES);
        let mut head = Self { name: name.to_owned(), bytes: Vec::new(), whole: false, limit_bytes };
        while head.bytes.len() < most {
            let length = head.bytes.len();
            head.bytes.resize(length + (most - length).min(SLACK_BYTES), 0);
            let read = reader.read(&mut head.bytes[length..]);
            head.bytes.truncate(length + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => {
                    head.whole = true;
                    break;
                }
                // The header ends where a line does: nothing else is worth parsing.
                Ok(_) if head.has_line_end_behind(length.saturating_sub(2)) && head.has_header() => break,
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::IsADirectory => {
                    return Err(SourceError::Directory { path: head.name });
                }
                Err(source) => return Err(SourceError::Read { file: head.name, offset: length as u64, source }),
            }
        }
        Ok(head)
    }

    fn has_line_end_behind(&self, at: usize) -> bool {
        self.bytes[at..].iter().any(|b| matches!(*b, CR | LF))
    }

    /// Whether the first record ends here, whatever the delimiter is, and its line end with it.
    fn has_header(&self) -> bool {
        let start = text_start(&self.bytes);
        DELIMITERS.iter().all(|&delimiter| {
            let mut records =
                RecordReader::new(&self.bytes, Dialect { delimiter }, Place { offset: 0, line: 1 }, start as u32);
            let record = records.next();
            // Two bytes behind the record tell LF, CR and CRLF apart.
            record
                .is_some_and(|r| matches!(r.kind, RecordKind::Fields(_)) && start + r.raw.len() + 2 <= self.bytes.len())
        })
    }

    /// The source from its beginning on, where `rest` is the reader that the head was read from.
    pub fn rejoin<R: Read>(self, rest: R) -> impl Read + use<R> {
        io::Cursor::new(self.bytes).chain(rest)
    }
}

/// Finds the delimiter and the header.
///
/// The delimiter is the one under which the header has names for the most of the contract's columns; where several do,
/// comma before `;` before tab before `|`. Where none has any, an error under comma is the answer. Whether all required
/// columns are there is for the binding to say.
pub fn sniff(head: &Head, contract: &Contract) -> Result<Preamble, SourceError> {
    let file = || head.name.clone();
    if head.bytes.starts_with(b"\xff\xfe") || head.bytes.starts_with(b"\xfe\xff") {
        return Err(SourceError::Utf16 { file: file() });
    }
    if let Some(format) = magic::of(&head.bytes) {
        return Err(SourceError::Binary { file: file(), what: format.what, advice: format.advice });
    }
    let start = text_start(&head.bytes);
    if start == head.bytes.len() && head.whole {
        return Err(SourceError::Empty { file: file() });
    }
    let mut best: Option<(usize, Header)> = None;
    let mut comma_error = None;
    for delimiter in DELIMITERS {
        match Header::read(head, start, Dialect { delimiter }) {
            Ok(header) => {
                let matches = header.matches(contract);
                if best.as_ref().is_none_or(|(most, _)| matches > *most) {
                    best = Some((matches, header));
                }
            }
            Err(e) if delimiter == DELIMITERS[0] => comma_error = Some(e),
            Err(_) => {}
        }
    }
    match (best, comma_error) {
        (Some((1.., header)), _) | (Some((0, header)), None) => header.into_preamble(head),
        (_, Some(error)) => Err(error),
        (None, None) => Err(SourceError::Empty { file: file() }),
    }
}

/// Behind the byte order mark and empty lines.
fn text_start(bytes: &[u8]) -> usize {
    let mark = if bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let empty = bytes[mark..].iter().take_while(|b| matches!(**b, CR | LF)).count();
    mark + empty
}

/// A header under one delimiter.
struct Header {
    dialect: Dialect,
    /// `None` where the header is not UTF-8.
    names: Option<Vec<String>>,
    bytes: usize,
}

impl Header {
    fn read(head: &Head, start: usize, dialect: Dialect) -> Result<Self, SourceError> {
        let file = || head.name.clone();
        let too_long = || SourceError::HeaderTooLong { file: file(), limit_bytes: head.limit_bytes };
        check_controls(head, start, start)?;
        let mut records = RecordReader::new(&head.bytes, dialect, Place { offset: 0, line: 1 }, start as u32);
        let record = records.next().ok_or_else(too_long)?;
        let end = start + record.raw.len();
        let line_end = lines::end_of(&head.bytes, end, head.whole).map(|behind| behind.min(head.bytes.len()));
        let RecordKind::Fields(fields) = record.kind else {
            check_controls(head, start, end)?;
            return Err(if head.whole { SourceError::HeaderUnterminated { file: file() } } else { too_long() });
        };
        check_controls(head, start, end)?;
        let ends = head.whole || end < head.bytes.len();
        let Some(bytes) = line_end.filter(|_| ends && record.raw.len() <= head.limit_bytes) else {
            return Err(too_long());
        };
        let name = |span: &Span| fields.bytes.get(span.start as usize..span.end as usize);
        let text = |name: &[u8]| std::str::from_utf8(name).ok().map(|name| name.trim().to_owned());
        let names = fields.fields.iter().map(|span| name(span).and_then(text)).collect();
        Ok(Self { dialect, names, bytes })
    }

    /// How many of the contract's columns have a name here.
    fn matches(&self, contract: &Contract) -> usize {
        let names: HashSet<&str> = self.names.iter().flatten().map(String::as_str).collect();
        let named = |aliases: &[String]| aliases.iter().any(|alias| names.contains(alias.as_str()));
        contract.columns.iter().filter(|column| named(&column.from)).count()
    }

    fn into_preamble(self, head: &Head) -> Result<Preamble, SourceError> {
        let header = self.names.ok_or_else(|| SourceError::HeaderNotUtf8 { file: head.name.clone() })?;
        let next_line = 1 + lines::count(&head.bytes[..self.bytes], None);
        Ok(Preamble { dialect: self.dialect, header, header_bytes: self.bytes as u32, next_line })
    }
}

/// Text holds no control bytes but tabs and line ends.
fn check_controls(head: &Head, start: usize, end: usize) -> Result<(), SourceError> {
    let is_control = |b: &u8| *b < b' ' && !matches!(*b, b'\t' | CR | LF);
    match head.bytes[start..end].iter().position(is_control) {
        Some(i) => Err(SourceError::ControlByte {
            file: head.name.clone(),
            byte: head.bytes[start + i],
            offset: (start + i) as u64,
        }),
        None => Ok(()),
    }
}
