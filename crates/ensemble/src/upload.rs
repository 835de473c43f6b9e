//! Sending a file to a server, going on where a broken connection left off.

use std::{
    collections::VecDeque,
    io::Read,
    time::{Duration, Instant},
};

use bytes::Bytes;
use ensemble_protocol::v1::{
    UploadChunk, UploadEnd, UploadFileRequest, UploadFileResponse, UploadStart, upload_file_request::Message,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::{
    exit::Failure,
    remote::{Jobs, Remote, is_passing},
};

/// The bytes of a message.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that are sent and not durable yet are kept, to be sent again: so many at the most. More than what a server
/// collects before it keeps it, a MiB.
const WINDOW: usize = 32;
/// How long no server may answer at first, and once one has.
const FIRST_PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(120);

/// A chunk and where it begins.
type Chunk = (u64, Bytes);

/// One upload.
pub(crate) struct Upload<'a> {
    pub(crate) remote: &'a Remote,
    pub(crate) id: String,
    pub(crate) file_name: String,
}

/// What has been read of the file.
struct Reading {
    chunks: mpsc::Receiver<std::io::Result<Bytes>>,
    /// The chunks that may not be durable yet.
    window: VecDeque<Chunk>,
    read_to: u64,
    /// The file's length, once its end has been read.
    end: Option<u64>,
    /// A server has answered.
    heard: bool,
}

impl Reading {
    fn new(source: Box<dyn Read + Send>) -> Self {
        Self { chunks: read_ahead(source), window: VecDeque::new(), read_to: 0, end: None, heard: false }
    }

    /// The next chunk, which is kept until it is durable; none at the file's end.
    fn took(&mut self, chunk: Option<std::io::Result<Bytes>>) -> Result<Option<Chunk>, Broken> {
        let Some(chunk) = chunk else {
            self.end = Some(self.read_to);
            return Ok(None);
        };
        let chunk = (self.read_to, chunk.map_err(|e| Broken::Source(e.into()))?);
        self.read_to += chunk.1.len() as u64;
        self.window.push_back(chunk.clone());
        Ok(Some(chunk))
    }

    /// Everything below is durable.
    fn durable(&mut self, durable: u64) {
        while self.window.front().is_some_and(|(at, bytes)| at + bytes.len() as u64 <= durable) {
            self.window.pop_front();
        }
    }

    /// Reads past what an earlier command has sent.
    async fn skip_to(&mut self, durable: u64) -> Result<(), Broken> {
        while self.read_to < durable && self.end.is_none() {
            let chunk = self.chunks.recv().await;
            self.took(chunk)?;
            self.durable(durable);
        }
        Ok(())
    }
}

impl Upload<'_> {
    /// Sends all that `source` has; returns how many bytes that was. `durable_is` hears how many the server has.
    pub(crate) async fn send(
        &self,
        source: Box<dyn Read + Send>,
        mut durable_is: impl FnMut(u64),
    ) -> Result<u64, Failure> {
        let mut reading = Reading::new(source);
        let (mut furthest, mut last_news) = (0, Instant::now());
        loop {
            let mut heard = |durable| {
                // A server that answers and keeps nothing is none.
                if durable > furthest {
                    (furthest, last_news) = (durable, Instant::now());
                }
                durable_is(durable);
            };
            match self.stream(&mut reading, &mut heard).await {
                Ok(length) => return Ok(length),
                Err(Broken::Source(error)) => {
                    return Err(Failure::failed(error.context(format!("cannot read {}", self.file_name))));
                }
                Err(Broken::Link(status)) if is_passing(&status) && last_news.elapsed() < PATIENCE => {
                    tracing::info!(%status, upload = self.id, "the connection has broken; going on from what is durable");
                    tokio::time::sleep(Duration::from_millis(200).mul_f64(fastrand::f64())).await;
                }
                Err(Broken::Link(status)) => {
                    let error = anyhow::anyhow!("cannot upload {}: {}", self.file_name, status.message());
                    return Err(Failure::could_not_start(error));
                }
                Err(Broken::Server(failure)) => return Err(failure),
            }
        }
    }

    /// Sends on one connection.
    async fn stream(&self, reading: &mut Reading, durable_is: &mut impl FnMut(u64)) -> Result<u64, Broken> {
        let start = UploadStart { upload_id: self.id.clone(), file_name: self.file_name.clone() };
        let open = async |mut jobs: Jobs| {
            let (requests, outgoing) = mpsc::channel(WINDOW);
            let first = UploadFileRequest { message: Some(Message::Start(start.clone())) };
            requests.send(first).await.map_err(|_| Status::cancelled("the call was dropped"))?;
            Ok((requests, jobs.upload_file(ReceiverStream::new(outgoing)).await?.into_inner()))
        };
        let patience = if reading.heard { PATIENCE } else { FIRST_PATIENCE };
        let (requests, mut answers) = self.remote.call(patience, open).await.map_err(Broken::Server)?;
        reading.heard = true;
        let gone = || Broken::Link(Status::unavailable("the server has ended the upload"));
        let first = answers.message().await.map_err(Broken::Link)?.ok_or_else(gone)?;
        reading.skip_to(first.durable_offset).await?;
        reading.durable(first.durable_offset);
        durable_is(first.durable_offset);
        let mut complete = first.complete;
        let mut unsent: VecDeque<Chunk> = reading.window.clone();
        let mut end_sent = false;
        loop {
            if let (Some(length), true) = (reading.end, complete) {
                return Ok(length);
            }
            let next = match (unsent.front(), reading.end) {
                (Some((offset, data)), _) => {
                    let crc32c = crc32c::crc32c(data);
                    Some(Message::Chunk(UploadChunk { offset: *offset, data: data.clone(), crc32c }))
                }
                (None, Some(length)) if !end_sent => Some(Message::End(UploadEnd { length })),
                _ => None,
            };
            let may_read = unsent.is_empty() && reading.end.is_none() && reading.window.len() < WINDOW;
            tokio::select! {
                answer = answers.message() => {
                    let UploadFileResponse { durable_offset, complete: whole } =
                        answer.map_err(Broken::Link)?.ok_or_else(gone)?;
                    reading.durable(durable_offset);
                    durable_is(durable_offset);
                    complete = whole;
                }
                permit = requests.reserve(), if next.is_some() => {
                    end_sent |= matches!(next, Some(Message::End(_)));
                    permit.map_err(|_| gone())?.send(UploadFileRequest { message: next });
                    unsent.pop_front();
                }
                chunk = reading.chunks.recv(), if may_read => unsent.extend(reading.took(chunk)?),
            }
        }
    }
}

/// Why a connection did not bring the upload to its end.
enum Broken {
    /// The connection, or what the server said on it.
    Link(Status),
    /// No server took it.
    Server(Failure),
    /// The file cannot be read.
    Source(anyhow::Error),
}

/// Reads on a thread, a few chunks ahead.
fn read_ahead(mut source: Box<dyn Read + Send>) -> mpsc::Receiver<std::io::Result<Bytes>> {
    let (sender, chunks) = mpsc::channel(4);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            let read = source.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk);
            let more = !chunk.is_empty();
            match read {
                Ok(0) if !more => return,
                Ok(_) => {
                    if sender.blocking_send(Ok(chunk.into())).is_err() {
                        return;
                    }
                }
                Err(error) => {
                    let _ = sender.blocking_send(Err(error));
                    return;
                }
            }
        }
    });
    chunks
}
