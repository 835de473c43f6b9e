//! Time that passes when it is told to, and waiting without a timer.

use std::{
    pin::Pin,
    sync::atomic::{AtomicI64, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use ensemble_store::Clock;

/// Lets everybody else go first: `Pending` once.
pub fn yield_now() -> impl Future<Output = ()> + Send {
    YieldNow(false)
}

struct YieldNow(bool);

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A clock that stands still until [`SimClock::advance`]. The wall's can be set as a machine's can.
#[derive(Debug, Default)]
pub struct SimClock {
    passed_us: AtomicI64,
    /// What the wall's clock shows beyond what has passed.
    ahead_us: AtomicI64,
}

impl SimClock {
    /// Lets time pass.
    pub fn advance(&self, us: i64) {
        self.passed_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Sets the wall's clock forward, or back, by so much.
    pub fn jump(&self, us: i64) {
        self.ahead_us.fetch_add(us, Ordering::Relaxed);
    }
}

#[async_trait::async_trait]
impl Clock for SimClock {
    fn now_us(&self) -> i64 {
        self.monotonic_us() + self.ahead_us.load(Ordering::Relaxed)
    }

    fn monotonic_us(&self) -> i64 {
        self.passed_us.load(Ordering::Relaxed)
    }

    /// Yields some times, more for a longer wait: the clock itself need not go on for it to end.
    async fn sleep(&self, duration: Duration) {
        let doublings = u128::BITS - duration.as_millis().leading_zeros();
        for _ in 0..=doublings {
            yield_now().await;
        }
    }
}
