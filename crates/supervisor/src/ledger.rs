//! Reading a job's ledger, page by page.

use ensemble_store::{JobNumber, LedgerEntry, Store, StoreError};

use crate::{JobRecord, SupervisorError, Totals};

/// How many entries are read at once.
const PAGE: usize = 256;

/// A job's entries from some shard on, in their order.
pub(crate) struct Pages<'a> {
    store: &'a dyn Store,
    job: JobNumber,
    /// The first shard of the next page; `None` behind the last one.
    from: Option<u32>,
}

impl<'a> Pages<'a> {
    pub(crate) fn from(store: &'a dyn Store, job: JobNumber, from: u32) -> Self {
        Self { store, job, from: Some(from) }
    }

    /// The next page, which has entries; `None` where no more are there.
    ///
    /// # Errors
    /// Those of the store; the same page is then asked for again.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<LedgerEntry>>, StoreError> {
        let Some(from) = self.from else { return Ok(None) };
        let page = self.store.scan_ledger(self.job, from, PAGE).await?;
        self.from = page.last().filter(|_| page.len() == PAGE).map(|last| last.plan.shard.number + 1);
        Ok(Some(page).filter(|page| !page.is_empty()))
    }
}

/// Gives a job's entries from shard `from` on to `take`, in their order.
///
/// # Errors
/// Those of the store; the first of `take`.
pub(crate) async fn each_entry<E: Into<SupervisorError>>(
    store: &dyn Store,
    job: JobNumber,
    from: u32,
    mut take: impl FnMut(&LedgerEntry) -> Result<(), E>,
) -> Result<(), SupervisorError> {
    let mut pages = Pages::from(store, job, from);
    while let Some(page) = pages.next().await? {
        page.iter().try_for_each(&mut take).map_err(Into::into)?;
    }
    Ok(())
}

/// What a job that nobody works on has settled.
///
/// # Errors
/// Those of the store.
pub async fn settled_totals(store: &dyn Store, job: &JobRecord) -> Result<Totals, SupervisorError> {
    if let Some(totals) = &job.totals {
        return Ok(totals.clone());
    }
    let mut totals = Totals::default();
    let add = |entry: &LedgerEntry| {
        totals.add(entry);
        Ok::<_, SupervisorError>(())
    };
    each_entry(store, job.number, 0, add).await?;
    Ok(totals)
}
