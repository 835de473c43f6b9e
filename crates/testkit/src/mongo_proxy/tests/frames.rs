//! What no rule changes passes byte for byte, wherever it is split.

use bson::{RawDocumentBuf, rawdoc};
use proptest::{
    collection::vec,
    prelude::any,
    prop_assert_eq, prop_oneof, proptest,
    strategy::{Just, Strategy},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{
    super::{
        MongoProxy,
        frame::{CHECKSUM_PRESENT, EXHAUST_ALLOWED, Frame, OP_MSG, OP_QUERY, OP_REPLY},
        message::Command,
    },
    DEADLINE,
};

fn command() -> impl Strategy<Value = RawDocumentBuf> {
    ("[a-z]{1,8}", "[a-z]{0,8}", vec(any::<u8>(), 0..300)).prop_map(|(name, collection, bytes)| {
        let name = format!("x{name}");
        let binary = bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes };
        RawDocumentBuf::from_iter([
            (bson::raw::CString::try_from(name).unwrap(), bson::RawBson::from(collection)),
            (bson::raw::CString::try_from("b").unwrap(), bson::RawBson::Binary(binary)),
        ])
    })
}

/// Sections of both kinds in either order, with and without a checksum.
fn message() -> impl Strategy<Value = Vec<u8>> {
    (command(), vec(command(), 0..3), any::<bool>(), any::<bool>()).prop_map(|(body, documents, first, checksum)| {
        let documents: Vec<u8> = documents.into_iter().flat_map(RawDocumentBuf::into_bytes).collect();
        let size = i32::try_from(4 + 10 + documents.len()).unwrap();
        let sequence = [&[1], &size.to_le_bytes()[..], b"documents\0", &documents].concat();
        let body = [&[0], body.as_bytes()].concat();
        let sections = if first { [sequence, body].concat() } else { [body, sequence].concat() };
        let flags = if checksum { CHECKSUM_PRESENT } else { 0 };
        let checksum: &[u8] = if checksum { b"CRC!" } else { &[] };
        [&flags.to_le_bytes()[..], &sections, checksum].concat()
    })
}

/// Messages, and frames of any other kind with anything in them.
fn frame() -> impl Strategy<Value = Frame> {
    let noise =
        (prop_oneof![Just(OP_REPLY), Just(OP_QUERY), Just(OP_MSG), Just(2006), Just(-1)], vec(any::<u8>(), 0..200));
    let noise = noise.prop_filter("the proxy clears this flag", |(_, body)| {
        Frame::new(0, 0, OP_MSG, body).flags() & EXHAUST_ALLOWED == 0
    });
    let body = prop_oneof![3 => message().prop_map(|body| (OP_MSG, body)), 1 => noise];
    (any::<i32>(), any::<i32>(), body).prop_map(|(id, to, (op, body))| Frame::new(id, to, op, &body))
}

/// Sends what it gets back, and is done when the sender is.
async fn echo(listener: TcpListener) -> Vec<u8> {
    let (mut client, _) = listener.accept().await.unwrap();
    let mut got = Vec::new();
    let mut piece = [0; 777];
    loop {
        let bytes = client.read(&mut piece).await.unwrap();
        if bytes == 0 {
            return got;
        }
        got.extend(&piece[..bytes]);
        client.write_all(&piece[..bytes]).await.unwrap();
    }
}

/// What the server got, and what came back.
async fn pass(bytes: &[u8], cuts: &[usize]) -> (Vec<u8>, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = MongoProxy::start(listener.local_addr().unwrap()).await.unwrap();
    let server = tokio::spawn(echo(listener));
    let client = TcpStream::connect(proxy.addr()).await.unwrap();
    client.set_nodelay(true).unwrap();
    let (mut from, mut to) = client.into_split();
    let send = async {
        let mut sent = 0;
        for cut in cuts.iter().copied().chain([bytes.len()]) {
            to.write_all(&bytes[sent..cut]).await.unwrap();
            sent = cut;
            tokio::task::yield_now().await;
        }
        to.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    let (_, read) = tokio::join!(send, from.read_to_end(&mut back));
    read.unwrap();
    (server.await.unwrap(), back)
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]

    #[test]
    fn frames_pass_unchanged_wherever_they_are_split(
        frames in vec(frame(), 0..6),
        cuts in vec(any::<proptest::sample::Index>(), 0..12),
    ) {
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.bytes().to_vec()).collect();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let passed = runtime.block_on(async { timeout(DEADLINE, pass(&bytes, &cuts)).await });
        let (got, back) = passed.expect("all has passed");
        prop_assert_eq!(&got, &bytes);
        prop_assert_eq!(&back, &bytes);
    }

    #[test]
    fn a_command_is_read_wherever_its_section_stands(body in message()) {
        let frame = Frame::new(1, 0, OP_MSG, &body);
        let command = Command::read(&frame).expect("a command");
        assert!(command.name.starts_with('x') && command.collection.is_some() && command.wants_reply);
    }

    #[test]
    fn reading_never_panics(op in prop_oneof![Just(OP_MSG), Just(OP_QUERY), Just(OP_REPLY)], body in vec(any::<u8>(), 0..80)) {
        let frame = Frame::new(1, 2, op, &body);
        let _ = Command::read(&frame);
        let _ = super::super::message::reply_document(&frame);
        let cleared = frame.without_flags(EXHAUST_ALLOWED);
        assert_eq!(cleared.flags() & (EXHAUST_ALLOWED | CHECKSUM_PRESENT), 0);
    }
}

#[tokio::test]
async fn flags_are_cleared_and_the_checksum_goes_with_them() {
    let command = rawdoc! { "hello": 1 };
    let body = |flags: u32, end: &[u8]| [&flags.to_le_bytes()[..], &[0], command.as_bytes(), end].concat();
    let frame = Frame::new(5, 6, OP_MSG, &body(EXHAUST_ALLOWED | CHECKSUM_PRESENT, b"CRC!"));
    assert_eq!(frame.without_flags(EXHAUST_ALLOWED), Frame::new(5, 6, OP_MSG, &body(0, b"")));
}
