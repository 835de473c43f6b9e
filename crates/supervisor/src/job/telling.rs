//! What a job writes down of itself, and what it tells those who watch it.

use ensemble_store::DocumentKind;

use super::JobActorState;
use crate::{Ending, JobState, SupervisorError};

impl JobActorState {
    pub(super) fn active_us(&self) -> u64 {
        self.active_before_us + u64::try_from(self.clock.monotonic_us() - self.begun_us).unwrap_or(0)
    }

    /// The document's writes follow each other: each names the stamp of the one before.
    pub(super) async fn write_record(&mut self) -> Result<(), SupervisorError> {
        self.record.active_us = self.active_us();
        let id = self.record.id.to_string();
        self.stamp = self.office.write(DocumentKind::Job, &id, Some(self.stamp), &self.record).await?;
        Ok(())
    }

    pub(super) async fn become_state(&mut self, next: JobState) -> Result<(), SupervisorError> {
        debug_assert!(self.record.state == next || self.record.state.may_become(next));
        self.record.state = next;
        self.write_record().await
    }

    /// Tells the watchers, and ends the job where all is settled.
    pub(super) async fn advance(&mut self) {
        if !self.over
            && let Err(e) = self.end_if_done().await
        {
            self.abort(e.to_string()).await;
        }
        let (state, active_us) = (self.record.state, self.active_us());
        self.status.send_modify(|s| {
            s.state = state;
            s.totals.clone_from(self.table.totals());
            s.active_us = active_us;
            s.over = self.over;
            s.aborted = self.aborted.is_some();
            s.stalled = self.stalled();
            s.reason = self.aborted.clone().or_else(|| match &self.record.ending {
                Some(Ending::Failed { reason }) => Some(reason.clone()),
                _ => None,
            });
        });
    }

    /// What the job waits for: what its shards failed of, its source, or the store.
    pub(super) fn stalled(&self) -> Option<String> {
        let by_shards = self.breaker.reason().filter(|_| !self.over).map(str::to_owned);
        let by_source = || self.source_trouble.clone().filter(|_| !self.over);
        by_shards.or_else(by_source).or_else(|| self.patience.stalled().borrow().clone())
    }
}
