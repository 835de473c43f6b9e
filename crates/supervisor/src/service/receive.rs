//! Receiving uploads.

use std::time::Duration;

use ensemble_protocol::{
    Refusal,
    v1::{self, upload_file_request::Message as Upload},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status, Streaming};

use super::{Answers, Desk, refused};
use crate::uploads::{self, Receiver, UploadError};

/// The most bytes of an upload in one message.
const MAX_CHUNK_BYTES: usize = 1 << 20;
/// How long an upload may stand still.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(60);

impl Desk {
    pub(super) async fn receive(
        &self,
        mut messages: Streaming<v1::UploadFileRequest>,
    ) -> Result<Response<Answers<v1::UploadFileResponse>>, Status> {
        let term = self.term()?;
        let Some(Upload::Start(start)) = next(&mut messages).await? else {
            return Err(Refusal::InvalidField("start").status("the first message says what comes"));
        };
        let office = term.supervisor.office().clone();
        let mut receiver = Receiver::begin(office, start.upload_id, start.file_name).await.map_err(upload_refused)?;
        let (sender, answers) = mpsc::channel(4);
        tokio::spawn(async move {
            let said = sender.send(Ok(how_far(&receiver))).await;
            if said.is_ok()
                && let Err(status) = receive(&mut receiver, &mut messages, &sender).await
            {
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    pub(super) async fn upload(&self, upload_id: String) -> Result<v1::Upload, Status> {
        uploads::check_name(&upload_id).map_err(upload_refused)?;
        let missing = || Refusal::NotFound.status(format!("there is no upload {upload_id:?}"));
        let progress = uploads::progress(&*self.store, &upload_id).await.map_err(refused)?.ok_or_else(missing)?;
        let uploads::Progress { file_name, durable, complete } = progress;
        Ok(v1::Upload { upload_id, file_name, durable_offset: durable, complete })
    }
}

async fn next(messages: &mut Streaming<v1::UploadFileRequest>) -> Result<Option<Upload>, Status> {
    let late = |_| Refusal::Unavailable.status("nothing came for a while; go on from what is durable");
    let message = tokio::time::timeout(UPLOAD_TIMEOUT, messages.message()).await.map_err(late)??;
    Ok(message.and_then(|m| m.message))
}

fn how_far(receiver: &Receiver) -> v1::UploadFileResponse {
    v1::UploadFileResponse { durable_offset: receiver.durable(), complete: receiver.is_complete() }
}

/// Takes an upload's bytes, and says how far they are durable.
async fn receive(
    receiver: &mut Receiver,
    messages: &mut Streaming<v1::UploadFileRequest>,
    to: &mpsc::Sender<Result<v1::UploadFileResponse, Status>>,
) -> Result<(), Status> {
    while let Some(message) = next(messages).await? {
        match message {
            Upload::Start(_) => {
                return Err(Refusal::InvalidField("start").status("an upload starts once a stream"));
            }
            Upload::Chunk(chunk) => {
                if chunk.data.len() > MAX_CHUNK_BYTES {
                    let message = format!("it has {} bytes, more than {MAX_CHUNK_BYTES}", chunk.data.len());
                    return Err(Refusal::InvalidField("chunk.data").status(message));
                }
                if crc32c::crc32c(&chunk.data) != chunk.crc32c {
                    let message = format!("the bytes from {} on arrived damaged: send them again", chunk.offset);
                    return Err(Refusal::DamagedBytes.status(message));
                }
                if receiver.take(chunk.offset, &chunk.data).await.map_err(upload_refused)?
                    && to.send(Ok(how_far(receiver))).await.is_err()
                {
                    return Ok(());
                }
            }
            Upload::End(end) => {
                receiver.end(end.length).await.map_err(upload_refused)?;
                // The client may not wait for it.
                let _ = to.send(Ok(how_far(receiver))).await;
                return Ok(());
            }
        }
    }
    Ok(())
}

pub(super) fn upload_refused(error: UploadError) -> Status {
    match error {
        UploadError::Supervisor(e) => refused(e),
        UploadError::Name(_) => Refusal::InvalidField("upload_id").status(error),
        UploadError::Gap { .. } | UploadError::Length { .. } => Refusal::DamagedBytes.status(error),
        UploadError::OtherFile { .. } | UploadError::OtherBytes { .. } => Refusal::WrongState.status(error),
    }
}
