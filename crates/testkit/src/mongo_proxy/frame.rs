//! One message on the wire as bytes: a header of 16 bytes (length, request id, id it answers, kind of body), then the body.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest frame that is taken. Servers take 48,000,000 bytes, drivers up to this.
pub(super) const MAX_FRAME_BYTES: usize = 48 * 1024 * 1024;
pub(super) const HEADER_BYTES: usize = 16;

pub(super) const OP_REPLY: i32 = 1;
pub(super) const OP_QUERY: i32 = 2004;
pub(super) const OP_COMPRESSED: i32 = 2012;
pub(super) const OP_MSG: i32 = 2013;

/// `OP_MSG` flags: four bytes of CRC-32C stand at the end.
pub(super) const CHECKSUM_PRESENT: u32 = 1;
/// `OP_MSG` flags: another message follows unasked; of a request: no reply is wanted.
pub(super) const MORE_TO_COME: u32 = 1 << 1;
/// `OP_MSG` flags: the client takes several replies to one request.
pub(super) const EXHAUST_ALLOWED: u32 = 1 << 16;

/// A whole frame, header and all. Its length is the one that its header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame(Vec<u8>);

impl Frame {
    /// Puts a header before a body.
    pub(super) fn new(request_id: i32, response_to: i32, op: i32, body: &[u8]) -> Self {
        let length = HEADER_BYTES + body.len();
        let mut bytes = Vec::with_capacity(length);
        // What does not fit in 32 bits would be refused by any reader; no body here comes near.
        for field in [i32::try_from(length).unwrap_or(i32::MAX), request_id, response_to, op] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(body);
        Self(bytes)
    }

    /// Reads the next frame; `None` where the sender has ended between two frames.
    ///
    /// # Errors
    /// Those of the connection; `UnexpectedEof` where it ends inside a frame; `InvalidData` where the header says less
    /// than a header or more than [`MAX_FRAME_BYTES`].
    pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        if !fill(from, &mut bytes, HEADER_BYTES).await? {
            return Ok(None);
        }
        let length = i32_at(&bytes, 0).and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
        if !(HEADER_BYTES..=MAX_FRAME_BYTES).contains(&length) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {length} bytes is not taken")));
        }
        fill(from, &mut bytes, length).await?;
        Ok(Some(Self(bytes)))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn body(&self) -> &[u8] {
        self.0.get(HEADER_BYTES..).unwrap_or_default()
    }

    /// The part that is sent when the frame is cut: more than nothing, less than the whole.
    pub(super) fn first_half(&self) -> &[u8] {
        self.0.get(..self.0.len() / 2).unwrap_or_default()
    }

    pub(super) fn request_id(&self) -> i32 {
        i32_at(&self.0, 4).unwrap_or_default()
    }

    pub(super) fn response_to(&self) -> i32 {
        i32_at(&self.0, 8).unwrap_or_default()
    }

    pub(super) fn op(&self) -> i32 {
        i32_at(&self.0, 12).unwrap_or_default()
    }

    /// The flags of an `OP_MSG`; none of any other kind.
    pub(super) fn flags(&self) -> u32 {
        match self.op() {
            OP_MSG => i32_at(&self.0, HEADER_BYTES).unwrap_or_default() as u32,
            _ => 0,
        }
    }

    /// Clears flags of an `OP_MSG`, and takes the checksum away, which would no longer be right.
    pub(super) fn without_flags(self, cleared: u32) -> Self {
        let flags = self.flags() & !(cleared | CHECKSUM_PRESENT);
        let checksum_bytes = if self.flags() & CHECKSUM_PRESENT == 0 { 0 } else { 4 };
        let body = self.body();
        let sections = body.get(4..body.len().saturating_sub(checksum_bytes)).unwrap_or_default();
        let body = [&flags.to_le_bytes(), sections].concat();
        Self::new(self.request_id(), self.response_to(), OP_MSG, &body)
    }
}

/// Reads until there are `length` bytes; `false` where the sender has ended and there is not one.
async fn fill(from: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>, length: usize) -> io::Result<bool> {
    let missing = length.saturating_sub(bytes.len());
    // Grows as the bytes come, so that a header that lies costs no memory.
    from.take(missing as u64).read_to_end(bytes).await?;
    match bytes.len() {
        0 => Ok(length == 0),
        n if n < length => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(true),
    }
}

/// The little-endian number at this byte.
pub(super) fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..)?.first_chunk().map(|four| i32::from_le_bytes(*four))
}
