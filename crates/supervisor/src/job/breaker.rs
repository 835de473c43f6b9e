//! Holding leases back while shards fail because the store or the event log is away.

use std::time::Duration;

use ensemble_store::micros;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// Open while workers could not finish shards for a reason that may pass. Then one shard at a time is leased as a probe,
/// after pauses that double from 1 s to 8 s; the first shard that is settled closes it. Pure: the time is an argument.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    reason: String,
    pause: Duration,
    probe_at_us: i64,
    /// The shard that a worker has been given to see whether things are better.
    probe: Option<u32>,
}

impl Breaker {
    /// A worker gave this shard up for a reason that may pass.
    pub(super) fn failed(&mut self, number: u32, reason: String, now_us: i64) {
        let pause = match &self.open {
            None => FIRST_PAUSE,
            Some(open) if open.probe == Some(number) => (open.pause * 2).min(LONGEST_PAUSE),
            // What was leased before fails too, in its time.
            Some(_) => {
                self.open.iter_mut().for_each(|open| open.reason.clone_from(&reason));
                return;
            }
        };
        let probe_at_us = now_us + micros(pause);
        self.open = Some(Open { reason, pause, probe_at_us, probe: None });
    }

    /// A shard came back without a reason of its own (its lease or link is gone): it tells nothing about the store.
    pub(super) fn released(&mut self, number: u32) {
        if let Some(open) = self.open.as_mut().filter(|open| open.probe == Some(number)) {
            open.probe = None;
        }
    }

    /// A shard is settled: whatever was away is back.
    pub(super) fn settled(&mut self) {
        self.open = None;
    }

    /// How many shards may be leased now, of `most`.
    pub(super) fn allowance(&self, most: usize, now_us: i64) -> usize {
        match &self.open {
            None => most,
            Some(open) => usize::from(open.probe.is_none() && now_us >= open.probe_at_us),
        }
    }

    /// This shard is leased.
    pub(super) fn leased(&mut self, number: u32) {
        self.open.iter_mut().for_each(|open| open.probe = Some(number));
    }

    /// Why leases are held back.
    pub(super) fn reason(&self) -> Option<&str> {
        self.open.as_ref().map(|open| open.reason.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_failure_holds_leases_back_until_the_probe_is_due() {
        let mut breaker = Breaker::default();
        assert_eq!((breaker.allowance(4, 0), breaker.reason()), (4, None));
        breaker.failed(7, "away".to_owned(), 0);
        assert_eq!((breaker.allowance(4, SECOND - 1), breaker.reason()), (0, Some("away")));
        assert_eq!(breaker.allowance(4, SECOND), 1);
        breaker.leased(9);
        assert_eq!(breaker.allowance(4, 100 * SECOND), 0, "one probe at a time");
    }

    #[test]
    fn pauses_double_with_each_failed_probe_and_with_nothing_else() {
        let mut breaker = Breaker::default();
        let mut now_us = 0;
        breaker.failed(1, "away".to_owned(), now_us);
        breaker.failed(2, "still away".to_owned(), now_us + 10);
        assert_eq!((breaker.allowance(4, SECOND), breaker.reason()), (1, Some("still away")));
        for pause in [2, 4, 8, 8] {
            now_us += 100 * SECOND;
            breaker.leased(5);
            breaker.failed(5, "away".to_owned(), now_us);
            assert_eq!(breaker.allowance(4, now_us + pause * SECOND - 1), 0, "after {pause} s");
            assert_eq!(breaker.allowance(4, now_us + pause * SECOND), 1, "after {pause} s");
        }
    }

    #[test]
    fn a_settled_shard_closes_it_and_a_lost_probe_makes_room_for_another() {
        let mut breaker = Breaker::default();
        breaker.failed(1, "away".to_owned(), 0);
        breaker.leased(3);
        breaker.released(4);
        assert_eq!(breaker.allowance(4, 2 * SECOND), 0);
        breaker.released(3);
        assert_eq!(breaker.allowance(4, 2 * SECOND), 1);
        breaker.settled();
        assert_eq!((breaker.allowance(4, 0), breaker.reason()), (4, None));
    }
}
