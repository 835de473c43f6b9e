use std::{path::Path, time::Duration};

use tokio::time::timeout;

use super::*;

enum Request {
    Echo(u32, Reply<u32>),
    Panic(Reply<u32>),
}

fn writer(max_bytes: usize) -> (Arc<Writer<Request>>, Arc<Health>) {
    let health = Arc::new(Health::new(Path::new("store")));
    let run = |queue: Receiver<Queued<Request>>| {
        for queued in queue {
            match queued.request {
                Request::Echo(value, reply) => drop(reply.send(Ok(value))),
                Request::Panic(_reply) => panic!("as the test asked"),
            }
        }
    };
    (Arc::new(Writer::spawn("test", max_bytes, Arc::clone(&health), run).unwrap()), health)
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), work).await.expect("no caller hangs")
}

#[tokio::test]
async fn many_callers_are_answered_through_little_room() {
    let (writer, _) = writer(100);
    let call = |n| {
        let writer = Arc::clone(&writer);
        tokio::spawn(async move { writer.call(60 + n as usize, |reply| Request::Echo(n, reply)).await.unwrap() })
    };
    let calls: Vec<_> = (0..500).map(call).collect();
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(soon(call).await.unwrap(), n as u32);
    }
}

#[tokio::test]
async fn a_panic_of_the_thread_answers_every_caller() {
    let (writer, health) = writer(1000);
    let calls = |n| {
        let writer = Arc::clone(&writer);
        tokio::spawn(async move {
            if n == 5 {
                writer.call(1, Request::Panic).await
            } else {
                writer.call(1, |reply| Request::Echo(n, reply)).await
            }
        })
    };
    let calls: Vec<_> = (0..50).map(calls).collect();
    let mut failed = 0;
    for call in calls {
        failed += u32::from(soon(call).await.unwrap().is_err());
    }
    assert!(failed >= 1);
    let error = soon(writer.call(1, |reply| Request::Echo(1, reply))).await.unwrap_err();
    assert!(matches!(error, StoreError::Database(_)), "{error}");
    writer.close();
    assert!(health.check().is_err());
}

#[tokio::test]
async fn a_closed_writer_answers_closed() {
    let (writer, _) = writer(1000);
    writer.close();
    assert!(matches!(writer.call(1, |reply| Request::Echo(1, reply)).await, Err(StoreError::Closed)));
}
