//! The progress bar: on a terminal only, on stderr.

use std::time::Duration;

use ensemble_supervisor::JobStatus;
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

const REDRAW: Duration = Duration::from_millis(100);

/// Draws a job's progress, or nothing.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Shards that earlier processes settled count for the bar's place, not for its speed.
    known: bool,
}

impl Progress {
    /// A bar over `total` bytes, or a spinner where nobody knows how many there are.
    pub(crate) fn new(visible: bool, total: Option<u64>) -> Self {
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::new_spinner(),
        };
        bar.set_draw_target(if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() });
        let template = match total {
            Some(_) => "{bar:30.cyan/dim} {percent:>3}% {bytes}/{total_bytes} {binary_bytes_per_sec} {msg} eta {eta}",
            None => "{spinner} {bytes} {binary_bytes_per_sec} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if visible {
            bar.enable_steady_tick(REDRAW);
        }
        Self { bar, known: total.is_some() }
    }

    /// Shows where the job is.
    pub(crate) fn update(&self, status: &JobStatus) {
        let totals = &status.totals;
        if !self.known || self.bar.position() != totals.bytes {
            self.bar.set_position(totals.bytes);
        }
        let seconds = (status.active_us as f64 / 1e6).max(0.001);
        let speed = (totals.rows as f64 / seconds) as u64;
        let stalled = if status.stalled.is_some() { ", Stalled" } else { "" };
        let rejected = HumanCount(totals.rejected());
        self.bar.set_message(format!("{} rows/s, {rejected} rejected{stalled}", HumanCount(speed)));
    }

    /// Prints a line above the bar, or where there is none.
    pub(crate) fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Draws the progress of reading, or nothing.
pub(crate) struct Bytes(ProgressBar);

impl Bytes {
    pub(crate) fn new(visible: bool) -> Self {
        let bar = ProgressBar::new(0);
        bar.set_draw_target(if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() });
        if let Ok(style) = ProgressStyle::with_template("{bar:30.cyan/dim} {percent:>3}% {elapsed} eta {eta}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Shows how many bytes are done.
    pub(crate) fn update(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
