//! A client that sends what it is told and reads what comes.

use std::{io, net::SocketAddr};

use bson::{RawDocument, RawDocumentBuf};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use super::{
    super::{
        frame::{Frame, OP_MSG, OP_QUERY},
        message::reply_document,
    },
    DEADLINE,
};

pub(in super::super) struct Client {
    stream: TcpStream,
    next_id: i32,
}

impl Client {
    pub(super) async fn connect(addr: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(addr).await.unwrap(), next_id: 100 }
    }

    /// Sends bytes as they are.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Sends a command, as one section, with these flags; its id.
    pub(super) async fn send(&mut self, command: &RawDocument, flags: u32) -> i32 {
        let body = [&flags.to_le_bytes()[..], &[0], command.as_bytes()].concat();
        self.send_as(OP_MSG, &body).await
    }

    /// Sends a command in the way from before `OP_MSG`; its id.
    pub(super) async fn send_legacy(&mut self, command: &RawDocument) -> i32 {
        let (skip, take) = (0_i32.to_le_bytes(), (-1_i32).to_le_bytes());
        let body = [&0_i32.to_le_bytes()[..], b"admin.$cmd\0", &skip, &take, command.as_bytes()].concat();
        self.send_as(OP_QUERY, &body).await
    }

    async fn send_as(&mut self, op: i32, body: &[u8]) -> i32 {
        self.next_id += 1;
        self.write(Frame::new(self.next_id, 0, op, body).bytes()).await.unwrap();
        self.next_id
    }

    /// The next frame; `None` where the connection ends between two, an error where it breaks.
    pub(super) async fn read(&mut self) -> io::Result<Option<Frame>> {
        timeout(DEADLINE, Frame::read(&mut self.stream)).await.expect("a frame, or the end")
    }

    /// Whether the connection ends or breaks before another byte.
    pub(super) async fn is_closed(&mut self) -> bool {
        match self.read().await {
            Ok(None) => true,
            Ok(Some(_)) => false,
            Err(e) => matches!(e.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe),
        }
    }

    /// Sends a command and reads its reply.
    pub(super) async fn call(&mut self, command: &RawDocument) -> RawDocumentBuf {
        let id = self.send(command, 0).await;
        self.reply_to(id).await
    }

    /// Reads the reply to this request.
    pub(super) async fn reply_to(&mut self, id: i32) -> RawDocumentBuf {
        let frame = self.read().await.unwrap().expect("a reply");
        assert_eq!(frame.response_to(), id);
        reply_document(&frame).expect("a document").to_owned()
    }
}
