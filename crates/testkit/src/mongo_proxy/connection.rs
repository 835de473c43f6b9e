//! One client's connection: its requests go to the server and the replies come back, each with the fault it meets.
//!
//! At most one frame a direction is in memory. Two halves of one task run at the same time, so that a request which
//! waits does not hold back a reply; either half's error closes both connections.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI32, Ordering},
    },
};

use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::{
    Fault, FaultKind, HelloChange, ServerError,
    counts::Counts,
    frame::{EXHAUST_ALLOWED, Frame, OP_COMPRESSED, OP_QUERY, OP_REPLY},
    hello,
    message::{Command, is_ok, reply, reply_document, without_documents},
    plan::Plan,
};
use crate::{
    listener::{GateWatch, Serve, Way, connect},
    lock,
};

/// Requests of one connection whose replies are to be changed. Drivers send one at a time.
const MAX_AWAITED: usize = 1024;

/// What all connections of a proxy share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Where the server listens.
    pub(super) upstream: SocketAddr,
    /// Where the proxy listens, as `hello` says it.
    pub(super) addr: String,
    pub(super) plan: Mutex<Plan>,
    pub(super) counts: Counts,
}

impl Serve for Shared {
    fn refused(&self) {
        self.counts.fire(FaultKind::Refused);
    }

    fn cut(&self) {
        self.counts.fire(FaultKind::Cut);
    }

    async fn serve(self: Arc<Self>, client: TcpStream, gate: GateWatch) {
        // Otherwise an error is one side's going away, or a fault that has been counted.
        if let Err(e) = forward(&self, client, gate).await
            && e.kind() == io::ErrorKind::InvalidData
        {
            self.counts.fire(FaultKind::Unreadable);
        }
    }
}

async fn forward(shared: &Shared, client: TcpStream, mut gate: GateWatch) -> io::Result<()> {
    gate.pass(Way::Connect, || shared.counts.fire(FaultKind::HeldBack)).await?;
    client.set_nodelay(true)?;
    let (from_server, to_server) = connect(shared.upstream).await?.into_split();
    let (from_client, to_client) = client.into_split();
    let link = Link {
        shared,
        to_client: tokio::sync::Mutex::new(to_client),
        awaited: Mutex::default(),
        next_id: AtomicI32::new(1),
    };
    tokio::try_join!(link.requests(from_client, to_server, gate.clone()), link.replies(from_server, gate))?;
    Ok(())
}

/// What a request met, and what is to be known of it when its reply comes.
#[derive(Debug)]
struct Met {
    fault: Option<Fault>,
    hello: bool,
    legacy: bool,
    retryable_write: bool,
}

struct Link<'a> {
    shared: &'a Shared,
    /// Both halves write here: replies, and answers instead of them.
    to_client: tokio::sync::Mutex<OwnedWriteHalf>,
    /// By request id.
    awaited: Mutex<HashMap<i32, Met>>,
    /// For the answers that no server gave.
    next_id: AtomicI32,
}

impl Link<'_> {
    async fn requests(&self, from: OwnedReadHalf, mut to: OwnedWriteHalf, mut gate: GateWatch) -> io::Result<()> {
        let mut from = BufReader::new(from);
        while let Some(frame) = Frame::read(&mut from).await? {
            let met = self.meet(&frame)?;
            gate.pass(Way::ToServer, || self.fire(FaultKind::HeldBack)).await?;
            self.request(frame, met, &mut to).await?;
        }
        to.shutdown().await
    }

    async fn request(&self, frame: Frame, met: Option<Met>, to: &mut OwnedWriteHalf) -> io::Result<()> {
        // A server that may not push answers each request once, which is what this module goes by.
        let exhaust = frame.flags() & EXHAUST_ALLOWED != 0;
        let frame = if exhaust { frame.without_flags(EXHAUST_ALLOWED) } else { frame };
        let Some(met) = met else { return to.write_all(frame.bytes()).await };
        match met.fault {
            Some(Fault::CutRequest) => {
                self.fire(FaultKind::CutRequest);
                to.write_all(frame.first_half()).await?;
                to.shutdown().await?;
                Err(closed())
            }
            Some(Fault::AnswerInstead(error)) => {
                let id = self.next_id.fetch_add(1, Ordering::Relaxed);
                let answer = error.answer(met.retryable_write);
                self.fire(FaultKind::AnswerInstead);
                self.send(reply(met.legacy, id, frame.request_id(), &answer).bytes()).await
            }
            Some(Fault::DelayRequest(delay)) => {
                tokio::time::sleep(delay).await;
                self.fire(FaultKind::DelayRequest);
                self.await_reply(&frame, Met { fault: None, ..met })?;
                to.write_all(frame.bytes()).await
            }
            _ => {
                self.await_reply(&frame, met)?;
                to.write_all(frame.bytes()).await
            }
        }
    }

    /// Counts the command, and asks the plan; `None` where the frame has no command that can be read.
    fn meet(&self, frame: &Frame) -> io::Result<Option<Met>> {
        if frame.op() == OP_COMPRESSED {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a compressed message cannot be read"));
        }
        let Some(command) = Command::read(frame) else { return Ok(None) };
        self.shared.counts.see(command.name);
        let fault = lock(&self.shared.plan).meet(&command);
        let legacy = frame.op() == OP_QUERY;
        Ok(Some(Met { fault, hello: command.is_hello(), legacy, retryable_write: command.retryable_write }))
    }

    fn await_reply(&self, request: &Frame, met: Met) -> io::Result<()> {
        if !met.hello && met.fault.is_none() {
            return Ok(());
        }
        let mut awaited = lock(&self.awaited);
        if awaited.len() >= MAX_AWAITED {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too many requests wait for their replies"));
        }
        awaited.insert(request.request_id(), met);
        Ok(())
    }

    async fn replies(&self, from: OwnedReadHalf, mut gate: GateWatch) -> io::Result<()> {
        let mut from = BufReader::new(from);
        while let Some(frame) = Frame::read(&mut from).await? {
            gate.pass(Way::ToClient, || self.fire(FaultKind::HeldBack)).await?;
            let met = lock(&self.awaited).remove(&frame.response_to());
            match met {
                None => self.send(frame.bytes()).await?,
                Some(met) => self.reply(frame, met).await?,
            }
        }
        self.to_client.lock().await.shutdown().await
    }

    async fn reply(&self, frame: Frame, met: Met) -> io::Result<()> {
        let frame = if met.hello { self.hello(&frame, &met)? } else { frame };
        match met.fault {
            Some(Fault::DropReply) => {
                self.fire(FaultKind::DropReply);
                Err(closed())
            }
            Some(Fault::CutReply) => {
                self.fire(FaultKind::CutReply);
                self.send(frame.first_half()).await?;
                self.to_client.lock().await.shutdown().await?;
                Err(closed())
            }
            Some(Fault::DelayReply(delay)) => {
                tokio::time::sleep(delay).await;
                self.fire(FaultKind::DelayReply);
                self.send(frame.bytes()).await
            }
            Some(Fault::AnswerAfter(error)) => {
                self.fire(FaultKind::AnswerAfter);
                self.send(answered(&frame, &error.answer(met.retryable_write)).bytes()).await
            }
            Some(Fault::WriteConcernError(error)) => self.reply_beside(frame, error, met.retryable_write).await,
            Some(Fault::FindNothing) => self.reply_without_documents(frame).await,
            _ => self.send(frame.bytes()).await,
        }
    }

    /// A reply that says the write failed stays as it is: there is nothing to wait for.
    async fn reply_beside(&self, frame: Frame, error: ServerError, retryable_write: bool) -> io::Result<()> {
        let document = reply_document(&frame).filter(|document| is_ok(document));
        match document.and_then(|document| error.beside(document, retryable_write)) {
            Some(answer) => {
                self.fire(FaultKind::WriteConcernError);
                self.send(answered(&frame, &answer).bytes()).await
            }
            None => self.send(frame.bytes()).await,
        }
    }

    /// A reply that has no documents, or says that the command failed, stays as it is.
    async fn reply_without_documents(&self, frame: Frame) -> io::Result<()> {
        match reply_document(&frame).and_then(without_documents) {
            Some(answer) => {
                self.fire(FaultKind::FindNothing);
                self.send(answered(&frame, &answer).bytes()).await
            }
            None => self.send(frame.bytes()).await,
        }
    }

    fn hello(&self, frame: &Frame, met: &Met) -> io::Result<Frame> {
        let changes: &[HelloChange] = if let Some(Fault::ChangeHello(changes)) = &met.fault { changes } else { &[] };
        let answer = reply_document(frame).and_then(|answer| hello::rewritten(answer, &self.shared.addr, changes));
        // As it is it would send the driver past the proxy.
        let answer = answer.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "hello has no document"))?;
        if !changes.is_empty() {
            self.fire(FaultKind::ChangeHello);
        }
        Ok(answered(frame, &answer))
    }

    async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        self.to_client.lock().await.write_all(bytes).await
    }

    fn fire(&self, kind: FaultKind) {
        self.shared.counts.fire(kind);
    }
}

/// The server's reply with another document.
fn answered(frame: &Frame, answer: &bson::RawDocument) -> Frame {
    reply(frame.op() == OP_REPLY, frame.request_id(), frame.response_to(), answer)
}

/// Ends both halves after a fault.
fn closed() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}
