//! Uploads: files that clients send, in the store until their jobs have ended.
//!
//! ```text
//! NAME              {file_name, length?, …} length is there once the file is whole
//!                   a line end and the bytes of a file that has at most SMALL_BYTES
//! NAME/00000000     the bytes of a larger one, in pieces of PIECE_BYTES; the last one may be shorter
//! ```
//! Pieces are inserted and never changed, so that streams that send the same upload at once do no harm, whichever
//! supervisor they speak to. A small file is one document, written once, so that it costs one sync.

mod reader;

use std::{sync::Arc, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use ensemble_store::{Clock, Document, DocumentKind, Retry, Stamp, Store, SystemClock};
use serde::{Deserialize, Serialize};

pub(crate) use self::reader::Reader;
use crate::{Office, SupervisorError};

/// The size of every piece but the last one of a file.
pub(crate) const PIECE_BYTES: u64 = 1 << 20;
/// The longest name of an upload.
const MAX_NAME_BYTES: usize = 128;
/// How long what another stream writes may take to be readable.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest file that stands in its head.
const SMALL_BYTES: u64 = 64 << 10;

/// An upload's head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) file_name: String,
    /// Once the file is whole.
    pub(crate) length: Option<u64>,
    /// When this was written, in microseconds since the Unix epoch.
    #[serde(default)]
    written_at_us: i64,
}

impl Head {
    fn encode(&self, name: &str, content: &[u8]) -> Result<Bytes, SupervisorError> {
        let mut body = serde_json::to_vec(self).map_err(|e| unreadable(name, e))?;
        body.push(b'\n');
        body.extend_from_slice(content);
        Ok(body.into())
    }

    /// A head as it is stored, and the content of a small file.
    async fn read(store: &dyn Store, name: &str) -> Result<Option<(Stamp, Self, Bytes)>, SupervisorError> {
        let Some(Document { stamp, mut body, .. }) = store.document(DocumentKind::Upload, name).await? else {
            return Ok(None);
        };
        // JSON escapes line ends.
        let end = body.iter().position(|b| *b == b'\n').unwrap_or(body.len());
        let head = serde_json::from_slice(&body.split_to(end)).map_err(|e| unreadable(name, e))?;
        body.advance(body.len().min(1));
        Ok(Some((stamp, head, body)))
    }
}

/// What another stream has written may not be readable yet.
fn retry() -> Retry<'static> {
    Retry::within(&SystemClock, PATIENCE)
}

fn unreadable(name: &str, error: serde_json::Error) -> SupervisorError {
    SupervisorError::Document { what: format!("upload {name}"), reason: error.to_string() }
}

/// How far an upload has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) file_name: String,
    /// All bytes below are in the store.
    pub(crate) durable: u64,
    pub(crate) complete: bool,
}

/// Why an upload cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    #[error("an upload's name has 1 to {MAX_NAME_BYTES} letters, digits, `-`, `_` and `.`, and not {0:?}")]
    Name(String),
    #[error("the bytes leave a gap: they begin at {offset}, and only {durable} are durable; send from there")]
    Gap { offset: u64, durable: u64 },
    #[error("the file is said to have {said} bytes, and {received} were sent")]
    Length { said: u64, received: u64 },
    #[error("upload {name} has other bytes from {offset} on: the file has changed; choose another name for it")]
    OtherBytes { name: String, offset: u64 },
    #[error("upload {name} is the file {stored:?}, and not {asked:?}; choose another name for another file")]
    OtherFile { name: String, stored: String, asked: String },
}

fn piece_id(name: &str, number: u64) -> String {
    format!("{name}/{number:08}")
}

/// Whether an upload may have this name.
pub(crate) fn check_name(name: &str) -> Result<(), UploadError> {
    let is_fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_fine) {
        return Ok(());
    }
    Err(UploadError::Name(name.chars().take(MAX_NAME_BYTES).collect()))
}

/// How far an upload has come; `None` where there is none of this name.
pub(crate) async fn progress(store: &dyn Store, name: &str) -> Result<Option<Progress>, SupervisorError> {
    let Some((_, Head { file_name, length, .. }, _)) = Head::read(store, name).await? else { return Ok(None) };
    let durable = match length {
        Some(length) => length,
        None => count_pieces(store, name).await? * PIECE_BYTES,
    };
    Ok(Some(Progress { file_name, durable, complete: length.is_some() }))
}

/// How many pieces are there without a gap: one writer after the other adds the next one, so a search finds the end.
async fn count_pieces(store: &dyn Store, name: &str) -> Result<u64, SupervisorError> {
    let is_there = async |number| Ok::<_, SupervisorError>(whole_piece(store, name, number).await?.is_some());
    let (mut there, mut step) = (0, 1);
    while is_there(there + step - 1).await? {
        there += step;
        step *= 2;
    }
    while step > 1 {
        step /= 2;
        if is_there(there + step - 1).await? {
            there += step;
        }
    }
    Ok(there)
}

/// A piece; one that is not of full size is the end of a file whose head was not written, and is sent again.
async fn whole_piece(store: &dyn Store, name: &str, number: u64) -> Result<Option<Bytes>, SupervisorError> {
    Ok(piece(store, name, number).await?.filter(|body| body.len() as u64 == PIECE_BYTES))
}

async fn piece(store: &dyn Store, name: &str, number: u64) -> Result<Option<Bytes>, SupervisorError> {
    Ok(store.document(DocumentKind::Upload, &piece_id(name, number)).await?.map(|piece| piece.body))
}

/// Receives one upload.
pub(crate) struct Receiver {
    office: Office,
    name: String,
    file_name: String,
    /// The head is there.
    begun: bool,
    durable: u64,
    complete: bool,
    /// What follows on what is durable.
    pending: BytesMut,
}

impl Receiver {
    /// Begins an upload, or goes on with it. A new one is stored once there is something to keep.
    pub(crate) async fn begin(office: Office, name: String, file_name: String) -> Result<Self, UploadError> {
        check_name(&name)?;
        let (pending, stored) = (BytesMut::new(), progress(&**office.store(), &name).await?);
        let mut receiver = Self { office, name, file_name, begun: false, durable: 0, complete: false, pending };
        if let Some(stored) = stored {
            receiver.check_file(stored.file_name)?;
            (receiver.begun, receiver.durable, receiver.complete) = (true, stored.durable, stored.complete);
        }
        Ok(receiver)
    }

    fn check_file(&self, stored: String) -> Result<(), UploadError> {
        if stored == self.file_name {
            return Ok(());
        }
        Err(UploadError::OtherFile { name: self.name.clone(), stored, asked: self.file_name.clone() })
    }

    /// Before the first piece: from here on the upload is known, and its name belongs to this file.
    async fn make_known(&mut self) -> Result<(), UploadError> {
        if !self.begun {
            self.write_head(None, None, &[]).await?;
            let stored = Head::read(&**self.office.store(), &self.name).await?;
            let (_, stored, _) = stored.ok_or_else(|| gone(&self.name))?;
            self.check_file(stored.file_name)?;
            self.begun = true;
        }
        Ok(())
    }

    /// Where it does not, another stream was faster: what it wrote is to be looked at.
    async fn write_head(
        &self,
        expected: Option<Stamp>,
        length: Option<u64>,
        content: &[u8],
    ) -> Result<bool, UploadError> {
        let head = Head { file_name: self.file_name.clone(), length, written_at_us: SystemClock.now_us() };
        let body = head.encode(&self.name, content)?;
        Ok(self.office.try_write_bytes(DocumentKind::Upload, &self.name, expected, body).await?)
    }

    pub(crate) fn durable(&self) -> u64 {
        self.durable
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Takes bytes that begin at `offset`; those that have been received are passed over. Whether more is durable now.
    pub(crate) async fn take(&mut self, offset: u64, bytes: &[u8]) -> Result<bool, UploadError> {
        let received = self.durable + self.pending.len() as u64;
        if offset > received {
            return Err(UploadError::Gap { offset, durable: self.durable });
        }
        let known = usize::try_from(received - offset).unwrap_or(usize::MAX);
        let Some(fresh) = bytes.get(known..) else { return Ok(false) };
        if self.complete && !fresh.is_empty() {
            return Err(UploadError::OtherBytes { name: self.name.clone(), offset: self.durable });
        }
        self.pending.extend_from_slice(fresh);
        let before = self.durable;
        while self.pending.len() as u64 >= PIECE_BYTES {
            self.make_known().await?;
            let piece = self.pending.split_to(PIECE_BYTES as usize).freeze();
            self.keep(piece).await?;
        }
        Ok(self.durable > before)
    }

    /// Stores the next piece. Another stream may have been faster with the same bytes; with others it sends another file.
    async fn keep(&mut self, piece: Bytes) -> Result<(), UploadError> {
        let (id, length) = (piece_id(&self.name, self.durable / PIECE_BYTES), piece.len() as u64);
        let mut retry = retry();
        while !self.office.try_write_bytes(DocumentKind::Upload, &id, None, piece.clone()).await? {
            let store = self.office.store();
            let stored = store.document(DocumentKind::Upload, &id).await.map_err(SupervisorError::from)?;
            match stored {
                Some(stored) if stored.body == piece => break,
                // The end of a file that did not come to be whole: its head has no length, and was looked at.
                Some(stale) if (stale.body.len() as u64) < PIECE_BYTES => {
                    let deleted = store.delete_document(DocumentKind::Upload, &id, stale.stamp).await;
                    deleted.map_err(SupervisorError::from)?;
                }
                Some(_) => return Err(UploadError::OtherBytes { name: self.name.clone(), offset: self.durable }),
                None => retry.pause("a piece is not durable yet").await.map_err(SupervisorError::from)?,
            }
        }
        self.durable += length;
        Ok(())
    }

    /// Nothing more comes.
    pub(crate) async fn end(&mut self, length: u64) -> Result<(), UploadError> {
        let received = self.durable + self.pending.len() as u64;
        if received != length {
            return Err(UploadError::Length { said: length, received });
        }
        let is_small = length <= SMALL_BYTES;
        if !is_small {
            self.make_known().await?;
        }
        let store = Arc::clone(self.office.store());
        let mut retry = retry();
        loop {
            let mut expected = None;
            if let Some((stamp, stored, content)) = Head::read(&*store, &self.name).await? {
                self.check_file(stored.file_name)?;
                // A file that is whole stays as it is: a job may have begun over it.
                if let Some(stored) = stored.length {
                    return self.has_ended(length, stored, content).await;
                }
                expected = Some(stamp);
            }
            let written = if is_small {
                self.write_head(expected, Some(length), &self.pending).await?
            } else {
                let expected = expected.ok_or_else(|| gone(&self.name))?;
                if !self.pending.is_empty() {
                    let piece = self.pending.split().freeze();
                    self.keep(piece).await?;
                }
                self.write_head(Some(expected), Some(length), &[]).await?
            };
            if written {
                self.pending.clear();
                (self.complete, self.durable) = (true, length);
                return Ok(());
            }
            retry.pause("another stream writes the same upload").await.map_err(SupervisorError::from)?;
        }
    }

    /// The file was whole before this stream ended it.
    async fn has_ended(&mut self, length: u64, stored: u64, content: Bytes) -> Result<(), UploadError> {
        let offset = self.durable;
        (self.complete, self.durable) = (true, stored);
        if stored != length {
            return Err(UploadError::Length { said: length, received: stored });
        }
        // Where it was whole when the stream began, nothing is pending.
        let pending = self.pending.split();
        if pending.is_empty() {
            return Ok(());
        }
        let end = match length <= SMALL_BYTES {
            true => Some(content),
            false => piece(&**self.office.store(), &self.name, offset / PIECE_BYTES).await?,
        };
        if end.is_none_or(|end| end != pending) {
            return Err(UploadError::OtherBytes { name: self.name.clone(), offset });
        }
        Ok(())
    }
}

fn gone(name: &str) -> SupervisorError {
    SupervisorError::Document { what: format!("upload {name}"), reason: "it is gone again".to_owned() }
}

/// The uploads whose heads were last written before this moment.
pub(crate) async fn written_before(store: &dyn Store, before_us: i64) -> Result<Vec<String>, SupervisorError> {
    let (mut names, mut after) = (Vec::new(), None::<String>);
    // One by one, as each may be a piece.
    while let Some(found) = store.scan_documents(DocumentKind::Upload, after.as_deref(), 1).await?.pop() {
        // What follows on an upload's pieces.
        if let Some((name, _)) = found.id.split_once('/') {
            after = Some(format!("{name}/~"));
            continue;
        }
        if let Some((_, head, _)) = Head::read(store, &found.id).await?
            && head.written_at_us < before_us
        {
            names.push(found.id.clone());
        }
        after = Some(found.id);
    }
    Ok(names)
}

/// Deletes an upload whose job has ended.
pub(crate) async fn forget(store: &dyn Store, name: &str) -> Result<(), SupervisorError> {
    // The head last, so that a stop in between leaves something to find.
    let mut after = Some(format!("{name}/"));
    loop {
        let page = store.scan_documents(DocumentKind::Upload, after.as_deref(), 8).await?;
        let mut mine = page.into_iter().filter(|d| d.id.starts_with(&format!("{name}/"))).peekable();
        if mine.peek().is_none() {
            break;
        }
        for piece in mine {
            store.delete_document(DocumentKind::Upload, &piece.id, piece.stamp).await?;
            after = Some(piece.id);
        }
    }
    if let Some(head) = store.document(DocumentKind::Upload, name).await? {
        store.delete_document(DocumentKind::Upload, name, head.stamp).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
