//! What every event log must do, as cases that every backend runs.
//!
//! A backend's tests implement [`Place`] and name it to [`conformance_tests!`](crate::conformance_tests), which makes
//! one test of each case:
//!
//! ```ignore
//! ensemble_events::conformance_tests!(embedded, EmbeddedPlace::new());
//! ```
//!
//! The cases panic where the log does not do as it should; they belong in tests only.
// These are test bodies that other crates can run.
#![allow(clippy::unwrap_used)]

mod appends;
pub mod kafka;
mod pages;
mod samples;

use std::sync::Arc;

pub use self::{
    appends::{
        a_closed_log_answers_closed, a_hundred_concurrent_appends_are_all_there, a_repeat_keeps_its_ids,
        an_append_that_is_dropped_may_be_repeated, an_ended_job_may_be_named_again,
        appends_of_one_caller_keep_their_order, every_call_may_be_repeated, what_was_acknowledged_is_there_again,
        what_was_appended_is_read_back,
    },
    pages::{a_cursor_stays_good_while_the_log_grows, an_empty_log_has_an_empty_page, pages_of_every_size_agree},
    samples::{large_shard, sample_shard, shard_with_every_kind_of_text, shard_without_rows},
};
use crate::{EventLog, LogCursor, ShardEvents};

/// Where one log is; each case gets a new and empty one.
#[async_trait::async_trait]
pub trait Place: Send + Sync {
    /// Opens the log. Called again once the log from before is closed or dropped, it opens the same log again.
    async fn open(&self) -> Arc<dyn EventLog>;

    /// Everything that the log holds, oldest first: by [`EventLog::scan`], unless the log cannot be read back that way.
    async fn read_all(&self, log: &dyn EventLog) -> Vec<ShardEvents> {
        let (mut all, mut after) = (Vec::new(), LogCursor::default());
        loop {
            let page = log.scan(after, 16).await.unwrap().unwrap();
            let last = page.records.len() < 16;
            all.extend(page.records);
            after = page.next;
            if last {
                return all;
            }
        }
    }
}

/// Makes a module `$name` with one test for each case; `$place` makes a new [`Place`]. The crate that calls it needs
/// `tokio` with its macros and the multi-threaded runtime.
///
/// `conformance_tests!(one after the other, $place)` runs all cases where it stands, in an `async` function: for places
/// on a server that is started for them.
#[macro_export]
macro_rules! conformance_tests {
    (one after the other, $place:expr) => {
        $crate::conformance_tests!(@all run here, $place)
    };
    ($name:ident, $place:expr) => {
        $crate::conformance_tests!(@all test $name, $place);
    };
    (@all $how:ident $name:ident, $place:expr) => {
        $crate::conformance_tests! { @$how $name, $place,
            what_was_appended_is_read_back
            a_repeat_keeps_its_ids
            appends_of_one_caller_keep_their_order
            an_append_that_is_dropped_may_be_repeated
            every_call_may_be_repeated
            a_hundred_concurrent_appends_are_all_there
            what_was_acknowledged_is_there_again
            a_closed_log_answers_closed
            an_ended_job_may_be_named_again
            an_empty_log_has_an_empty_page
            pages_of_every_size_agree
            a_cursor_stays_good_while_the_log_grows
        }
    };
    (@run $name:ident, $place:expr, $($case:ident)*) => {{
        $(
            println!(stringify!($case));
            $crate::conformance::$case(&$place).await;
        )*
    }};
    (@test $name:ident, $place:expr, $($case:ident)*) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::conformance::$case(&$place).await;
                }
            )*
        }
    };
}
