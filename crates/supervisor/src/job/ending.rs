//! How a job ends: by itself, by a failure, by a person, or for this process only.

use super::JobActorState;
use crate::{Ending, JobState, SupervisorError, supervisor::SupervisorMsg};

impl JobActorState {
    pub(super) async fn fail(&mut self, reason: String) -> Result<(), SupervisorError> {
        self.stop(Ending::Failed { reason }).await
    }

    /// Settles what was leased, then the job ends so. The first ending counts.
    pub(super) async fn stop(&mut self, ending: Ending) -> Result<(), SupervisorError> {
        if self.record.ending.is_some() || self.over {
            return Ok(());
        }
        self.begin_to_stop(ending).await
    }

    /// [`JobActorState::stop`] for a job that may have begun to stop in an earlier process.
    pub(super) async fn begin_to_stop(&mut self, ending: Ending) -> Result<(), SupervisorError> {
        let reason = match &ending {
            Ending::Failed { reason } => reason.clone(),
            Ending::Cancelled => "the job was cancelled".to_owned(),
        };
        self.record.ending = Some(ending);
        self.become_state(JobState::Stopping).await?;
        self.window.close();
        self.permits.clear();
        for number in self.table.stop() {
            self.give_up(number, reason.clone());
        }
        Ok(())
    }

    /// A job that is ending ends; any other one waits until a person resumes it.
    pub(super) async fn pause(&mut self) -> Result<(), SupervisorError> {
        if self.over || !self.record.state.may_become(JobState::Paused) {
            return Ok(());
        }
        self.interrupt();
        self.become_state(JobState::Paused).await
    }

    /// Leases nothing more.
    pub(super) fn interrupt(&mut self) {
        self.leasing = false;
        self.interrupted = true;
        self.window.close();
    }

    /// This process cannot go on with the job: the store is full or damaged, say. Nothing is decided about the job; the
    /// next process resumes it.
    pub(super) async fn abort(&mut self, reason: String) {
        if !self.over && self.aborted.is_none() {
            tracing::error!(job = %self.record.id, reason, "the job cannot go on");
            self.aborted = Some(reason);
            self.leasing = false;
            self.window.close();
            self.be_over();
        }
    }

    pub(super) async fn end_if_done(&mut self) -> Result<(), SupervisorError> {
        if self.table.is_done() {
            let state = match self.record.ending {
                None => JobState::Succeeded,
                Some(Ending::Failed { .. }) => JobState::Failed,
                Some(Ending::Cancelled) => JobState::Cancelled,
            };
            // Gold first: a job that has ended is wholly in it.
            self.aggregator.flush().await?;
            self.record.ended_at_us = Some(self.clock.now_us());
            self.record.totals = Some(self.table.totals().clone());
            if self.record.state == JobState::Queued {
                // Nothing was there to lease.
                self.record.state = JobState::Running;
            }
            self.become_state(state).await?;
            self.events.job_ended(self.record.id).await?;
            self.be_over();
        } else if self.interrupted && self.table.leased() == 0 {
            self.aggregator.flush().await?;
            self.write_record().await?;
            self.be_over();
        }
        Ok(())
    }

    fn be_over(&mut self) {
        self.over = true;
        let _ = self.supervisor.cast(SupervisorMsg::JobOver(self.record.number));
    }
}
