//! What every backend must do, as cases that each backend's tests run.
//!
//! A backend brings a [`Fixture`] and says [`conformance_tests!`](crate::conformance_tests): each case becomes a test
//! of its own, on a store of its own.
//!
//! ```ignore
//! ensemble_store::conformance_tests!(EmbeddedFixture::new());
//! ```

mod bronze;
mod documents;
mod ledger;
mod repeats;
pub mod sample;
mod silver;

use std::{path::Path, sync::Arc};

pub use bronze::{
    a_decision_is_inserted_once, a_large_chunk_of_bronze_comes_back, aside_decisions_keep_their_reason,
    chunks_of_more_than_sixteen_mib_come_back, decisions_are_scanned_in_order, jobs_may_have_bronze_of_their_own,
    large_chunks_of_different_attempts_are_apart, spooled_shards_are_kept_until_forgotten,
};
pub use documents::{
    a_deleted_document_is_gone, documents_are_scanned_in_order_of_their_ids, documents_give_way_only_to_higher_stamps,
    gold_cells_are_scanned_by_view, gold_cells_give_way_only_to_higher_stamps, one_of_many_writers_of_a_document_wins,
};
pub use ledger::{
    a_large_delta_comes_back, a_ledger_entry_is_inserted_once, closed_stores_answer_closed, dead_letters_are_kept_once,
    dead_letters_are_scanned_in_order, ledger_entries_are_scanned_in_order,
};
pub use repeats::a_repeat_of_every_call_changes_nothing;
pub use silver::{
    a_batch_of_ten_thousand_claims_is_inserted, a_hundred_claimants_share_the_keys, batches_of_every_size_are_claimed,
    claims_are_inserted_where_absent, collections_are_apart, documents_are_read_in_the_order_asked,
    keys_of_every_kind_are_kept, one_of_many_replacements_wins, replacements_need_the_live_stamp,
    silver_is_scanned_in_order_of_its_keys,
};

use crate::{EmbeddedOptions, EmbeddedStore, Store, StoreError};

type Result<T = ()> = std::result::Result<T, StoreError>;

/// Runs a case to its end; an error of the store fails it.
async fn check(case: impl Future<Output = Result>) {
    if let Err(error) = case.await {
        panic!("the store answered: {error}");
    }
}

/// One store, empty at first, that can be opened again and again.
#[async_trait::async_trait]
pub trait Fixture: Send + Sync {
    /// Opens the store. Whoever opens it again has dropped the one before, without closing it, as a crash would.
    async fn open(&self) -> Arc<dyn Store>;
}

/// An embedded store in a directory that goes when the fixture goes. Also handy for other crates' tests.
#[derive(Debug)]
pub struct EmbeddedFixture {
    dir: tempfile::TempDir,
    options: EmbeddedOptions,
}

impl EmbeddedFixture {
    /// A directory for a store with small buffers.
    #[expect(clippy::expect_used, reason = "tests alone use it, and a test without a directory has failed")]
    pub fn new() -> Self {
        let options = EmbeddedOptions { key_filter_bytes: 1 << 20, ..EmbeddedOptions::default() };
        Self { dir: tempfile::tempdir().expect("a temporary directory"), options }
    }

    /// The store's directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Default for EmbeddedFixture {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait::async_trait]
impl Fixture for EmbeddedFixture {
    #[expect(clippy::expect_used, reason = "tests alone use it, and a test without a store has failed")]
    async fn open(&self) -> Arc<dyn Store> {
        EmbeddedStore::open(self.dir.path(), self.options.clone()).expect("the store opens")
    }
}

/// Runs every case as a test of its own; `$fixture` is evaluated anew for each.
#[macro_export]
macro_rules! conformance_tests {
    ($fixture:expr) => {
        $crate::conformance_tests!(@each $fixture;
            a_decision_is_inserted_once,
            aside_decisions_keep_their_reason,
            decisions_are_scanned_in_order,
            jobs_may_have_bronze_of_their_own,
            a_large_chunk_of_bronze_comes_back,
            chunks_of_more_than_sixteen_mib_come_back,
            large_chunks_of_different_attempts_are_apart,
            spooled_shards_are_kept_until_forgotten,
            claims_are_inserted_where_absent,
            a_batch_of_ten_thousand_claims_is_inserted,
            batches_of_every_size_are_claimed,
            a_hundred_claimants_share_the_keys,
            documents_are_read_in_the_order_asked,
            replacements_need_the_live_stamp,
            one_of_many_replacements_wins,
            keys_of_every_kind_are_kept,
            silver_is_scanned_in_order_of_its_keys,
            collections_are_apart,
            dead_letters_are_kept_once,
            dead_letters_are_scanned_in_order,
            a_ledger_entry_is_inserted_once,
            ledger_entries_are_scanned_in_order,
            a_large_delta_comes_back,
            closed_stores_answer_closed,
            documents_give_way_only_to_higher_stamps,
            one_of_many_writers_of_a_document_wins,
            documents_are_scanned_in_order_of_their_ids,
            a_deleted_document_is_gone,
            gold_cells_give_way_only_to_higher_stamps,
            gold_cells_are_scanned_by_view,
            a_repeat_of_every_call_changes_nothing,
        );
    };
    (@each $fixture:expr; $($case:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::conformance::$case(&$fixture).await;
            }
        )+
    };
}
