//! A server that answers from a list, and remembers what it got.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bson::{RawDocumentBuf, oid::ObjectId, rawdoc};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::super::{
    frame::{CHECKSUM_PRESENT, Frame, OP_MSG, OP_QUERY},
    message::{Command, reply},
};
use crate::lock;

/// What reached the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Got {
    /// The names of whole commands.
    pub(super) commands: Vec<String>,
    /// Their flags.
    pub(super) flags: Vec<u32>,
    /// Connections that ended inside a frame.
    pub(super) cut_frames: u64,
}

pub(in super::super) struct FakeServer {
    addr: SocketAddr,
    got: Arc<Mutex<Got>>,
    task: JoinHandle<()>,
}

impl FakeServer {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let got = Arc::default();
        let task = tokio::spawn(accept(listener, addr, Arc::clone(&got)));
        Self { addr, got, task }
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(super) fn got(&self) -> Got {
        lock(&self.got).clone()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, addr: SocketAddr, got: Arc<Mutex<Got>>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        tokio::spawn(serve(client, addr, got.clone()));
    }
}

async fn serve(mut client: TcpStream, addr: SocketAddr, got: Arc<Mutex<Got>>) {
    let mut replies = 0;
    loop {
        let request = match Frame::read(&mut client).await {
            Ok(Some(request)) => request,
            Ok(None) => return,
            Err(e) => {
                lock(&got).cut_frames += u64::from(e.kind() == std::io::ErrorKind::UnexpectedEof);
                return;
            }
        };
        let command = Command::read(&request).expect("a command");
        {
            let mut got = lock(&got);
            got.commands.push(command.name.to_owned());
            got.flags.push(request.flags());
        }
        if !command.wants_reply {
            continue;
        }
        replies += 1;
        let answer = answer(command, &addr.to_string());
        let mut answer = reply(request.op() == OP_QUERY, replies, request.request_id(), &answer);
        if command.name == "insert" {
            answer = with_checksum(&answer);
        }
        if client.write_all(answer.bytes()).await.is_err() {
            return;
        }
    }
}

fn answer(command: Command<'_>, me: &str) -> RawDocumentBuf {
    match command.name {
        "find" if command.collection == Some("albums") => {
            rawdoc! { "cursor": { "firstBatch": [{ "_id": 1 }], "id": 7_i64, "ns": "music.albums" }, "ok": 1.0 }
        }
        "hello" => rawdoc! {
            "isWritablePrimary": true,
            "ismaster": true,
            "secondary": false,
            "topologyVersion": { "processId": ObjectId::new(), "counter": 0_i64 },
            "hosts": [me, "127.0.0.1:1"],
            "passives": ["127.0.0.1:2"],
            "setName": "rs0",
            "me": me,
            "primary": me,
            "maxBsonObjectSize": 16_777_216,
            "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000,
            "minWireVersion": 0,
            "maxWireVersion": 21,
            "compression": ["zlib"],
            "ok": 1.0,
        },
        "delete" => rawdoc! { "ok": 0.0, "errmsg": "no", "code": 13, "codeName": "Unauthorized" },
        _ => rawdoc! { "n": 1, "ok": 1.0 },
    }
}

/// Four bytes at the end and the flag that says so. Nobody here checks them.
fn with_checksum(frame: &Frame) -> Frame {
    let sections = frame.body().get(4..).unwrap();
    let body = [&CHECKSUM_PRESENT.to_le_bytes()[..], sections, b"CRC!"].concat();
    Frame::new(frame.request_id(), frame.response_to(), OP_MSG, &body)
}
