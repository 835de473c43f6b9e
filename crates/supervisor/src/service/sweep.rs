//! Deleting uploads that nobody needs any more: those of jobs that have ended, and those that no job ever took.

use std::{collections::HashSet, sync::Arc, time::Duration};

use ensemble_store::{Clock, JobId, Store, SystemClock, micros};

use super::InOffice;
use crate::{SupervisorError, list_jobs, read_job, uploads};

/// How often it is looked for uploads that no job has taken.
const MOST: Duration = Duration::from_secs(3600);
const LEAST: Duration = Duration::from_secs(1);

/// Deletes what a job that has ended had uploaded.
pub(super) async fn forget_uploads(store: &dyn Store, id: JobId) -> Result<(), SupervisorError> {
    let Some((_, record)) = read_job(store, id).await? else { return Ok(()) };
    let mine: Vec<&str> = record.files().iter().filter_map(|f| f.upload.as_ref()).map(|u| u.id.as_str()).collect();
    if mine.is_empty() {
        return Ok(());
    }
    // Another job may have been submitted over the same one.
    let wanted = wanted(store).await?;
    for id in mine.into_iter().filter(|id| !wanted.contains(*id)) {
        uploads::forget(store, id).await?;
    }
    Ok(())
}

/// Deletes, as long as the term lasts, uploads that no job has taken within `keep`: their clients are gone, or the
/// process that was to delete them was.
pub(super) fn sweep_now_and_then(term: &Arc<InOffice>, store: Arc<dyn Store>, keep: Duration) {
    let term = Arc::downgrade(term);
    tokio::spawn(async move {
        while let Some(term) = term.upgrade() {
            if let Err(error) = sweep(&term, &*store, SystemClock.now_us() - micros(keep)).await {
                tracing::warn!(%error, "cannot delete uploads that no job has taken; they are looked at again");
            }
            drop(term);
            tokio::time::sleep((keep / 8).clamp(LEAST, MOST)).await;
        }
    });
}

async fn sweep(term: &InOffice, store: &dyn Store, before_us: i64) -> Result<(), SupervisorError> {
    for name in uploads::written_before(store, before_us).await? {
        // No job is to take it in between.
        let _submitting = term.submitting.lock().await;
        if !wanted(store).await?.contains(&name) {
            tracing::info!(upload = name, "no job has taken this upload; it is deleted");
            uploads::forget(store, &name).await?;
        }
    }
    Ok(())
}

/// The uploads of the jobs that have not ended.
async fn wanted(store: &dyn Store) -> Result<HashSet<String>, SupervisorError> {
    let jobs = list_jobs(store).await?.into_iter().map(|(_, job)| job).filter(|job| !job.state.is_terminal());
    Ok(jobs.flat_map(|job| job.files().to_vec()).filter_map(|f| f.upload).map(|u| u.id).collect())
}
