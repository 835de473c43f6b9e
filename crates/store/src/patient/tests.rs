use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use super::Patience;
use crate::{Clock, ErrorClass, StoreError, SystemClock};

fn patience() -> Arc<Patience> {
    Arc::new(Patience::new(Arc::new(SystemClock)))
}

/// Time that passes as fast as it is slept.
struct Hasty(std::sync::atomic::AtomicI64);

#[async_trait::async_trait]
impl Clock for Hasty {
    fn now_us(&self) -> i64 {
        0
    }

    fn monotonic_us(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    async fn sleep(&self, duration: Duration) {
        self.0.fetch_add(duration.as_micros() as i64, Ordering::Relaxed);
        tokio::task::yield_now().await;
    }
}

fn hasty() -> Arc<Patience> {
    Arc::new(Patience::new(Arc::new(Hasty(0.into()))))
}

fn away() -> StoreError {
    StoreError::Unavailable("away".to_owned())
}

#[tokio::test]
async fn a_transient_error_is_waited_out_and_told_meanwhile() {
    let patience = hasty();
    let calls = AtomicU32::new(0);
    let mut stalled = patience.stalled();
    let answer = patience
        .wait(|| async {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            // Long enough to be told.
            if call < 20 { Err(away()) } else { Ok(call) }
        })
        .await;
    assert_eq!(answer.unwrap(), 20);
    assert!(stalled.has_changed().unwrap(), "nobody was told");
    assert_eq!(*stalled.borrow_and_update(), None, "it is over");
}

#[tokio::test]
async fn a_short_trouble_is_not_told() {
    let patience = hasty();
    let calls = AtomicU32::new(0);
    let stalled = patience.stalled();
    let answer =
        patience.wait(|| async { if calls.fetch_add(1, Ordering::Relaxed) < 3 { Err(away()) } else { Ok(()) } }).await;
    answer.unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 4);
    assert!(!stalled.has_changed().unwrap());
}

#[tokio::test]
async fn what_no_waiting_mends_is_answered_at_once() {
    let patience = patience();
    let error = patience.wait(|| async { Err::<(), _>(StoreError::Closed) }).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Fatal);
}

#[tokio::test]
async fn patience_that_ends_answers_the_error() {
    let patience = hasty();
    patience.end_within(Duration::from_secs(15));
    let error = patience.wait(|| async { Err::<(), _>(away()) }).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)));
    assert!(patience.stalled().borrow().is_some(), "what it waited for last stays known");
}
