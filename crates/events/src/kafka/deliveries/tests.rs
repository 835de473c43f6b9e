use std::{sync::Arc, time::Duration};

use super::*;

fn undelivered(code: RDKafkaErrorCode) -> Undelivered {
    Undelivered { topic: "t".into(), code: Some(code) }
}

#[tokio::test]
async fn all_answers_are_waited_for_and_the_sender_too() {
    let deliveries = Arc::new(Deliveries::new());
    deliveries.begin();
    deliveries.begin();
    let waiting = tokio::spawn({
        let deliveries = deliveries.clone();
        async move { deliveries.all_answered().await }
    });
    for left in [2, 1, 0] {
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        deliveries.end();
        assert_eq!(deliveries.unanswered(), left);
    }
    waiting.await.unwrap();
    assert_eq!(deliveries.undelivered(), None);
    // Nothing is left to wait for.
    deliveries.all_answered().await;
}

#[test]
fn the_first_failure_counts_and_ends_the_sending() {
    let deliveries = Deliveries::new();
    assert!(!deliveries.is_lost());
    deliveries.fail(undelivered(RDKafkaErrorCode::MessageSizeTooLarge));
    deliveries.fail(undelivered(RDKafkaErrorCode::MessageTimedOut));
    assert!(deliveries.is_lost());
    assert_eq!(deliveries.undelivered(), Some(&undelivered(RDKafkaErrorCode::MessageSizeTooLarge)));
}

#[test]
fn an_append_that_nobody_waits_for_ends_the_sending() {
    let deliveries = Deliveries::new();
    drop(Abandon(&deliveries));
    assert!(deliveries.is_lost());
}

#[test]
fn room_is_waited_for_until_the_deadline() {
    let room = Arc::new(Room::default());
    let mark = room.mark();
    assert!(!room.wait(mark, Instant::now() + Duration::from_millis(20)));
    let freeing = std::thread::spawn({
        let room = room.clone();
        move || room.freed()
    });
    assert!(room.wait(mark, Instant::now() + Duration::from_secs(60)));
    freeing.join().unwrap();
    assert!(room.wait(mark, Instant::now()), "what was freed before counts");
}
