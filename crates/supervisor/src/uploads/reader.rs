//! Reading an upload as a job's source.

use std::{io, sync::Arc};

use bytes::Bytes;
use ensemble_store::Store;
use tokio::runtime::Handle;

use super::{Head, PIECE_BYTES, SMALL_BYTES, piece};
use crate::SupervisorError;

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

    async fn fetch(&self, number: u64) -> Result<Option<Bytes>, SupervisorError> {
        if self.length <= SMALL_BYTES {
            return Ok(Head::read(&*self.store, &self.name).await?.map(|(_, _, content)| content));
        }
        piece(&*self.store, &self.name, number).await
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
                let found = self.runtime.block_on(self.fetch(number)).map_err(io::Error::other)?;
                let gone = || format!("piece {number} of upload {} is gone", self.name);
                let piece = found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, gone()))?;
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
