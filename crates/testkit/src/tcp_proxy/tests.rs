//! What passes, what does not, and that it was counted.

use std::{
    io,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{Gate, TcpCounts, TcpProxy};

const DEADLINE: Duration = Duration::from_secs(30);

/// A server that sends back what it gets, and a proxy before it.
async fn chain() -> TcpProxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = TcpProxy::start(listener.local_addr().unwrap()).await.unwrap();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut from, mut to) = client.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    proxy
}

async fn connect(proxy: &TcpProxy) -> TcpStream {
    TcpStream::connect(proxy.addr()).await.unwrap()
}

async fn read(client: &mut TcpStream) -> io::Result<[u8; 4]> {
    let mut got = [0; 4];
    timeout(DEADLINE, client.read_exact(&mut got)).await.expect("bytes, or the end")?;
    Ok(got)
}

async fn echoes(client: &mut TcpStream) {
    client.write_all(b"ping").await.unwrap();
    assert_eq!(&read(client).await.unwrap(), b"ping");
}

async fn until(proxy: &TcpProxy, is_so: impl Fn(TcpCounts) -> bool) {
    let poll = async {
        while !is_so(proxy.counts()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(DEADLINE, poll).await.unwrap_or_else(|_| panic!("in vain: {:?}", proxy.counts()));
}

#[tokio::test]
async fn bytes_pass_unchanged_and_the_end_passes_too() {
    let proxy = chain().await;
    let (mut from, mut to) = connect(&proxy).await.into_split();
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let send = async {
        to.write_all(&bytes).await.unwrap();
        to.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    let (_, read) = tokio::join!(send, timeout(DEADLINE, from.read_to_end(&mut back)));
    read.unwrap().unwrap();
    assert_eq!(back, bytes);
    let expected =
        TcpCounts { connected: 1, bytes_to_server: 1_000_000, bytes_to_client: 1_000_000, ..TcpCounts::default() };
    assert_eq!(proxy.counts(), expected);
}

#[tokio::test]
async fn pieces_are_delayed() {
    const DELAY: Duration = Duration::from_millis(40);
    let proxy = chain().await;
    let mut client = connect(&proxy).await;
    proxy.set_delay(DELAY);
    let start = Instant::now();
    echoes(&mut client).await;
    assert!(start.elapsed() >= 2 * DELAY);
    assert_eq!(proxy.counts().delayed, 2);
    proxy.set_delay(Duration::ZERO);
    echoes(&mut client).await;
    assert_eq!(proxy.counts().delayed, 2);
}

#[tokio::test]
async fn a_cut_closes_what_is_open() {
    let proxy = chain().await;
    let mut client = connect(&proxy).await;
    echoes(&mut client).await;
    proxy.cut();
    assert!(read(&mut client).await.is_err());
    assert_eq!(proxy.counts().cut, 1);
    echoes(&mut connect(&proxy).await).await;
}

#[tokio::test]
async fn one_way_the_answer_waits() {
    let proxy = chain().await;
    let mut client = connect(&proxy).await;
    proxy.set_gate(Gate::OneWay);
    client.write_all(b"ping").await.unwrap();
    until(&proxy, |counts| counts.held_back == 1).await;
    assert_eq!((proxy.counts().bytes_to_server, proxy.counts().bytes_to_client), (4, 0));
    proxy.set_gate(Gate::Open);
    assert_eq!(&read(&mut client).await.unwrap(), b"ping");
}

#[tokio::test]
async fn a_black_hole_forwards_nothing() {
    let proxy = chain().await;
    proxy.set_gate(Gate::BlackHole);
    let mut client = connect(&proxy).await;
    client.write_all(b"ping").await.unwrap();
    until(&proxy, |counts| counts.held_back == 1).await;
    assert_eq!(proxy.counts(), TcpCounts { held_back: 1, ..TcpCounts::default() });
    proxy.set_gate(Gate::Open);
    assert_eq!(&read(&mut client).await.unwrap(), b"ping");
}

#[tokio::test]
async fn new_connections_are_refused() {
    let proxy = chain().await;
    let mut open = connect(&proxy).await;
    echoes(&mut open).await;
    proxy.set_gate(Gate::Refuse);
    assert!(read(&mut connect(&proxy).await).await.is_err());
    assert_eq!(proxy.counts().refused, 1);
    echoes(&mut open).await;
}

#[tokio::test]
async fn a_stop_ends_connections_and_frees_the_port() {
    let mut retaken = false;
    // Between stop and start the port may go to another test.
    for _ in 0..10 {
        let proxy = chain().await;
        let mut client = connect(&proxy).await;
        echoes(&mut client).await;
        let addr = proxy.addr();
        assert_eq!(TcpProxy::start_at(addr.port(), addr).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        proxy.stop().await;
        assert!(read(&mut client).await.is_err());
        if let Ok(next) = TcpProxy::start_at(addr.port(), addr).await {
            assert_eq!(next.addr(), addr);
            retaken = true;
            break;
        }
    }
    assert!(retaken);
}
