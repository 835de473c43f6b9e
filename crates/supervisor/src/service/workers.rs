//! `WorkerService`: links from workers.

use std::time::Duration;

use ensemble_contract::ENGINE_VERSION;
use ensemble_protocol::{
    Refusal, from_stream, hello_mismatch,
    v1::{SupervisorMessage, WorkerMessage, worker_message, worker_service_server::WorkerService},
};
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{Answers, Desk, refused};

/// How long a worker may take to say hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

#[async_trait]
impl WorkerService for Desk {
    type AttachStream = Answers<SupervisorMessage>;

    async fn attach(&self, request: Request<Streaming<WorkerMessage>>) -> Result<Response<Self::AttachStream>, Status> {
        let term = self.term()?;
        let mut messages = request.into_inner();
        let late = |_| Refusal::Unavailable.status("the worker did not say hello in time");
        let first = tokio::time::timeout(HELLO_TIMEOUT, messages.message()).await.map_err(late)??;
        let Some(WorkerMessage { message: Some(worker_message::Message::Hello(hello)) }) = &first else {
            return Err(Refusal::WrongState.status("a worker's first message is its hello"));
        };
        if let Some(mismatch) = hello_mismatch(hello, ENGINE_VERSION) {
            return Err(Refusal::WrongState.status(mismatch));
        }
        let (link, answers) = from_stream(first.unwrap_or_default(), messages);
        term.supervisor.attach(link).await.map_err(refused)?;
        Ok(Response::new(Box::pin(answers)))
    }
}
