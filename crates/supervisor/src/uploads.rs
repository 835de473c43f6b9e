//! Uploads: files that clients send, in the store until their jobs have ended.
//!
//! ```text
//! NAME              {file_name, length?}    length is there once the file is whole
//! NAME/00000000     its bytes, in pieces of PIECE_BYTES; the last one may be shorter
//! ```
//! Pieces are inserted and never changed, so that streams that send the same upload at once do no harm, whichever
//! supervisor they speak to.

use std::{io, sync::Arc};

use bytes::{Bytes, BytesMut};
use ensemble_store::{DocumentKind, Store};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::{Office, SupervisorError, office};

/// The size of every piece but the last one of a file.
pub(crate) const PIECE_BYTES: u64 = 1 << 20;
/// The longest name of an upload.
const MAX_NAME_BYTES: usize = 128;

/// An upload's head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) file_name: String,
    /// Once the file is whole.
    pub(crate) length: Option<u64>,
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
    let Some((_, head)) = office::read::<Head>(store, DocumentKind::Upload, name).await? else { return Ok(None) };
    let Head { file_name, length } = head;
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
    let piece = store.document(DocumentKind::Upload, &piece_id(name, number)).await?;
    Ok(piece.map(|p| p.body).filter(|body| body.len() as u64 == PIECE_BYTES))
}

/// Receives one upload.
pub(crate) struct Receiver {
    office: Office,
    name: String,
    file_name: String,
    durable: u64,
    complete: bool,
    /// What follows on what is durable.
    pending: BytesMut,
}

impl Receiver {
    /// Begins an upload, or goes on with it.
    pub(crate) async fn begin(office: Office, name: String, file_name: String) -> Result<Self, UploadError> {
        check_name(&name)?;
        let head = Head { file_name: file_name.clone(), length: None };
        office.try_write(DocumentKind::Upload, &name, None, &head).await?;
        let stored = progress(&**office.store(), &name).await?;
        let Some(Progress { file_name: stored, durable, complete }) = stored else {
            return Err(gone(&name).into());
        };
        if stored != file_name {
            return Err(UploadError::OtherFile { name, stored, asked: file_name });
        }
        Ok(Self { office, name, file_name, durable, complete, pending: BytesMut::new() })
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
            let piece = self.pending.split_to(PIECE_BYTES as usize).freeze();
            self.keep(piece).await?;
        }
        Ok(self.durable > before)
    }

    /// Stores the next piece. Another stream may have been faster with the same bytes; with others it sends another file.
    async fn keep(&mut self, piece: Bytes) -> Result<(), UploadError> {
        let (id, length) = (piece_id(&self.name, self.durable / PIECE_BYTES), piece.len() as u64);
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
                None => {}
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
        let store = Arc::clone(self.office.store());
        loop {
            // A file that is whole stays as it is: a job may have begun over it.
            let stored = office::read::<Head>(&*store, DocumentKind::Upload, &self.name).await?;
            let Some((stamp, stored)) = stored else { return Err(gone(&self.name).into()) };
            if let Some(stored) = stored.length {
                self.complete = true;
                self.durable = stored;
                return if stored == length {
                    Ok(())
                } else {
                    Err(UploadError::Length { said: length, received: stored })
                };
            }
            if !self.pending.is_empty() {
                let piece = self.pending.split().freeze();
                self.keep(piece).await?;
            }
            let head = Head { file_name: self.file_name.clone(), length: Some(length) };
            // Where it does not, another stream was faster: what it wrote is looked at.
            self.office.try_write(DocumentKind::Upload, &self.name, Some(stamp), &head).await?;
        }
    }
}

fn gone(name: &str) -> SupervisorError {
    SupervisorError::Document { what: format!("upload {name}"), reason: "it is gone again".to_owned() }
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

/// Reads an upload on a blocking thread.
pub(crate) struct Reader {
    store: Arc<dyn Store>,
    runtime: Handle,
    name: String,
    length: u64,
    offset: u64,
    piece: Option<(u64, Bytes)>,
}

impl Reader {
    /// Reads from `offset` on. Inside the runtime that the store works in.
    pub(crate) fn new(store: Arc<dyn Store>, name: &str, length: u64, offset: u64) -> Self {
        Self { store, runtime: Handle::current(), name: name.to_owned(), length, offset, piece: None }
    }
}

impl io::Read for Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.offset >= self.length || out.is_empty() {
            return Ok(0);
        }
        let number = self.offset / PIECE_BYTES;
        let piece = match &self.piece {
            Some((at, piece)) if *at == number => piece.clone(),
            _ => {
                let id = piece_id(&self.name, number);
                let read = self.store.document(DocumentKind::Upload, &id);
                let found = self.runtime.block_on(read).map_err(io::Error::other)?;
                let missing = || io::Error::new(io::ErrorKind::NotFound, format!("piece {id} of the upload is gone"));
                let piece = found.ok_or_else(missing)?.body;
                self.piece = Some((number, piece.clone()));
                piece
            }
        };
        let rest = piece.get((self.offset % PIECE_BYTES) as usize..).unwrap_or_default();
        if rest.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a piece of the upload is shorter than it was"));
        }
        let length = rest.len().min(out.len());
        out[..length].copy_from_slice(&rest[..length]);
        self.offset += length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use ensemble_store::{EmbeddedOptions, EmbeddedStore};

    use super::*;

    async fn office() -> (Office, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(dir.path(), EmbeddedOptions::default()).unwrap();
        (Office::take(store).await.unwrap(), dir)
    }

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|i| (i * 31 % 251) as u8).collect()
    }

    fn begin(office: &Office) -> impl Future<Output = Result<Receiver, UploadError>> + use<> {
        Receiver::begin(office.clone(), "u-1".to_owned(), "a.csv".to_owned())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_upload_that_breaks_anywhere_goes_on_from_what_is_durable() {
        let (office, _dir) = office().await;
        let all = bytes(PIECE_BYTES as usize * 5 + 77);
        for cut in [0, 1, PIECE_BYTES as usize - 1, PIECE_BYTES as usize, PIECE_BYTES as usize * 3 + 5, all.len()] {
            let mut receiver = begin(&office).await.unwrap();
            let from = receiver.durable() as usize;
            if from < cut {
                receiver.take(from as u64, &all[from..cut]).await.unwrap();
            }
            // The stream breaks here: what is not durable is lost.
            let expected = cut / PIECE_BYTES as usize * PIECE_BYTES as usize;
            assert_eq!(receiver.durable(), expected as u64);
        }
        let mut receiver = begin(&office).await.unwrap();
        let from = receiver.durable() as usize;
        let gap = receiver.take(all.len() as u64, b"x").await;
        assert!(matches!(gap, Err(UploadError::Gap { durable, .. }) if durable == from as u64));
        // Bytes that are known already are passed over.
        receiver.take(0, &all[..100]).await.unwrap();
        receiver.take(from as u64 - 10, &all[from - 10..]).await.unwrap();
        assert!(matches!(receiver.end(3).await, Err(UploadError::Length { said: 3, .. })));
        receiver.end(all.len() as u64).await.unwrap();
        let progress = progress(&**office.store(), "u-1").await.unwrap().unwrap();
        assert_eq!(progress, Progress { file_name: "a.csv".into(), durable: all.len() as u64, complete: true });

        let store = Arc::clone(office.store());
        for offset in [0, 5, PIECE_BYTES as usize * 2 + 9, all.len()] {
            let mut reader = Reader::new(Arc::clone(&store), "u-1", all.len() as u64, offset as u64);
            let read = tokio::task::spawn_blocking(move || {
                let mut read = Vec::new();
                reader.read_to_end(&mut read).map(|_| read)
            });
            assert!(read.await.unwrap().unwrap() == all[offset..]);
        }
        forget(&*store, "u-1").await.unwrap();
        assert_eq!(store.scan_documents(DocumentKind::Upload, None, 10).await.unwrap(), []);
    }

    #[tokio::test]
    async fn one_name_is_one_file_and_odd_names_are_refused() {
        let (office, _dir) = office().await;
        begin(&office).await.unwrap();
        let other = Receiver::begin(office.clone(), "u-1".to_owned(), "b.csv".to_owned()).await;
        assert!(matches!(other, Err(UploadError::OtherFile { .. })));
        for name in ["", "a/b", "ü", &"x".repeat(129)] {
            let refused = Receiver::begin(office.clone(), name.to_owned(), "b.csv".to_owned()).await;
            assert!(matches!(refused, Err(UploadError::Name(_))), "{name}");
        }
    }
}
