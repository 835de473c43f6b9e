//! What frames say: the command of a request, the document of a reply, and replies of our own.

use bson::{RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};

use super::frame::{CHECKSUM_PRESENT, Frame, MORE_TO_COME, OP_MSG, OP_QUERY, OP_REPLY, i32_at};

/// A command that a client sends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Command<'a> {
    /// The name of its first field; `hello` for each of its names.
    pub(super) name: &'a str,
    /// The collection that it works on, where it works on one.
    pub(super) collection: Option<&'a str>,
    /// It has a transaction number and is in no transaction: a server would do it only once however often it is sent.
    pub(super) retryable_write: bool,
    /// The client waits for a reply.
    pub(super) wants_reply: bool,
}

impl<'a> Command<'a> {
    /// The command in a frame; `None` where there is none that can be read.
    pub(super) fn read(frame: &'a Frame) -> Option<Self> {
        let body = match frame.op() {
            OP_MSG => message_document(frame)?,
            OP_QUERY => query_document(frame)?,
            _ => return None,
        };
        let (name, first) = body.iter().next()?.ok()?;
        let name = match name.as_str() {
            "ismaster" | "isMaster" => "hello",
            name => name,
        };
        // A cursor is named by its number, and its collection beside it.
        let collection = first.as_str().or_else(|| text(body, "collection"));
        let retryable_write = has(body, "txnNumber") && !has(body, "autocommit");
        Some(Self { name, collection, retryable_write, wants_reply: frame.flags() & MORE_TO_COME == 0 })
    }

    pub(super) fn is_hello(&self) -> bool {
        self.name == "hello"
    }
}

/// The document of a reply; `None` where there is none that can be read.
pub(super) fn reply_document(frame: &Frame) -> Option<&RawDocument> {
    match frame.op() {
        OP_MSG => message_document(frame),
        // Flags, cursor, start and number stand before the documents.
        OP_REPLY => document_at(frame.body(), 20),
        _ => None,
    }
}

/// A reply with this document, as `OP_REPLY` where a legacy request or reply wants that, and without a checksum.
pub(super) fn reply(legacy: bool, request_id: i32, response_to: i32, document: &RawDocument) -> Frame {
    let mut body = Vec::with_capacity(20 + document.as_bytes().len());
    if legacy {
        // The server can wait at a cursor (8); no cursor; starts at 0; one document.
        for field in [8, 0, 0, 0, 1_i32] {
            body.extend(field.to_le_bytes());
        }
    } else {
        body.extend(0_u32.to_le_bytes());
        body.push(0);
    }
    body.extend(document.as_bytes());
    Frame::new(request_id, response_to, if legacy { OP_REPLY } else { OP_MSG }, &body)
}

/// The document without the fields of these names, then those of `with`.
pub(super) fn changed(document: &RawDocument, without: &[&str], with: &RawDocument) -> Option<RawDocumentBuf> {
    let mut changed = RawDocumentBuf::new();
    for element in document.iter() {
        let (name, value) = element.ok()?;
        if !without.contains(&name.as_str()) && !has(with, name.as_str()) {
            changed.append(name, value);
        }
    }
    for element in with.iter() {
        let (name, value) = element.ok()?;
        changed.append(name, value);
    }
    Some(changed)
}

/// The answer to a `find` that found documents, with none of them; `None` for any other answer.
pub(super) fn without_documents(answer: &RawDocument) -> Option<RawDocumentBuf> {
    let cursor = answer.get_document("cursor").ok()?;
    cursor.get_array("firstBatch").ok()?.into_iter().next()?.ok()?;
    let empty = rawdoc! { "firstBatch": [], "id": 0_i64 };
    changed(answer, &[], &rawdoc! { "cursor": changed(cursor, &[], &empty)? })
}

/// Whether the document says that the command succeeded.
pub(super) fn is_ok(document: &RawDocument) -> bool {
    match document.get("ok") {
        Ok(Some(RawBsonRef::Double(ok))) => ok == 1.0,
        Ok(Some(RawBsonRef::Int32(ok))) => ok == 1,
        Ok(Some(RawBsonRef::Int64(ok))) => ok == 1,
        Ok(Some(RawBsonRef::Boolean(ok))) => ok,
        _ => false,
    }
}

pub(super) fn has(document: &RawDocument, name: &str) -> bool {
    matches!(document.get(name), Ok(Some(_)))
}

fn text<'a>(document: &'a RawDocument, name: &str) -> Option<&'a str> {
    document.get(name).ok().flatten().and_then(RawBsonRef::as_str)
}

/// The one section of kind 0. Sections of kind 1, sequences of documents, may stand before it or behind it.
fn message_document(frame: &Frame) -> Option<&RawDocument> {
    let body = frame.body();
    let checksum_bytes = if frame.flags() & CHECKSUM_PRESENT == 0 { 0 } else { 4 };
    let mut sections = body.get(4..body.len().checked_sub(checksum_bytes)?)?;
    loop {
        match sections.split_first()? {
            (0, rest) => return document_at(rest, 0),
            (1, rest) => sections = rest.get(usize::try_from(i32_at(rest, 0)?).ok().filter(|size| *size > 0)?..)?,
            _ => return None,
        }
    }
}

/// Flags, the collection's name up to a zero byte, two numbers, then the command, perhaps as `$query` of a wrapper.
fn query_document(frame: &Frame) -> Option<&RawDocument> {
    let body = frame.body();
    let name_bytes = body.get(4..)?.iter().position(|byte| *byte == 0)?;
    let document = document_at(body, 4 + name_bytes + 1 + 8)?;
    match document.get("$query") {
        Ok(Some(RawBsonRef::Document(command))) => Some(command),
        _ => Some(document),
    }
}

/// The document that begins at this byte.
fn document_at(bytes: &[u8], at: usize) -> Option<&RawDocument> {
    let bytes = bytes.get(at..)?;
    let length = usize::try_from(i32_at(bytes, 0)?).ok()?;
    RawDocument::from_bytes(bytes.get(..length)?).ok()
}
