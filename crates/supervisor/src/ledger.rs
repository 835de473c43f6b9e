//! Reading a job's ledger, page by page.

use ensemble_store::{JobNumber, LedgerEntry, Store};

use crate::{JobRecord, SupervisorError, Totals};

/// How many entries are read at once.
const PAGE: usize = 256;

/// Gives a job's entries from shard `from` on to `take`, in their order.
///
/// # Errors
/// Those of the store; the first of `take`.
pub(crate) async fn each_entry<E: Into<SupervisorError>>(
    store: &dyn Store,
    job: JobNumber,
    mut from: u32,
    mut take: impl FnMut(&LedgerEntry) -> Result<(), E>,
) -> Result<(), SupervisorError> {
    loop {
        let page = store.scan_ledger(job, from, PAGE).await?;
        page.iter().try_for_each(&mut take).map_err(Into::into)?;
        match page.last() {
            Some(last) if page.len() == PAGE => from = last.plan.shard.number + 1,
            _ => return Ok(()),
        }
    }
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
