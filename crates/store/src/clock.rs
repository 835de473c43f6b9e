//! Time as an argument, so that a simulation decides it.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Tells the time and waits.
#[async_trait::async_trait]
pub trait Clock: Send + Sync + 'static {
    /// Microseconds since the Unix epoch: for people, and for ordering observations. It jumps, in both directions, when
    /// somebody sets the machine's clock.
    fn now_us(&self) -> i64;

    /// Microseconds since some moment of this process: for deadlines, leases and durations. It never goes back, however
    /// the machine's clock is set, and says nothing to another process.
    fn monotonic_us(&self) -> i64;

    /// Waits. Cancel-safe.
    async fn sleep(&self, duration: Duration);
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait::async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now_us(&self) -> i64 {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, micros)
    }

    fn monotonic_us(&self) -> i64 {
        static BEGIN: OnceLock<Instant> = OnceLock::new();
        micros(BEGIN.get_or_init(Instant::now).elapsed())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A duration in microseconds; one of more than 292,000 years is cut there.
pub fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
