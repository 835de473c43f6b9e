//! What a session offers, and how others speak to it.

use std::sync::Arc;

use ensemble_protocol::v1;
use ensemble_store::JobNumber;
use ractor::{Actor, ActorId, ActorRef, SpawnErr};

use super::{Session, SessionArgs, SessionMsg};
use crate::{Lease, job::JobRef, table::SessionId};

/// Credit that a session offers.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) session: SessionRef,
    pub(crate) credit_bytes: u64,
    /// The worker holds nothing: it takes one shard of any size.
    pub(crate) whole: bool,
    /// The worker has finished what it held for this job's sake.
    pub(crate) reserved: Option<JobNumber>,
    pub(super) answered: bool,
}

impl Offer {
    /// Answers it with leases. A session that is gone has released what it held already, and never gets these: the job
    /// sees to that when it hears of the session's end.
    pub(crate) fn assign(mut self, job: JobRef, spec: Arc<v1::JobSpec>, lease_ms: u64, leases: Vec<Lease>) {
        self.answered = true;
        let _ = self.session.actor.cast(SessionMsg::Assign { job, spec, lease_ms, leases });
    }

    /// Answers it with nothing: the session asks again once it has more credit, or, where the job `rest`s its hope on a
    /// worker that holds nothing, once it holds nothing.
    pub(crate) fn put_off(mut self, job: JobNumber, rest: bool) {
        self.answered = true;
        let _ = self.session.actor.cast(SessionMsg::PutOff(rest.then_some(job)));
    }
}

impl Drop for Offer {
    /// Whoever had it is gone: the session offers again.
    fn drop(&mut self) {
        if !self.answered {
            let _ = self.session.actor.cast(SessionMsg::Unanswered);
        }
    }
}

/// Speaks to a session.
#[derive(Debug, Clone)]
pub(crate) struct SessionRef {
    pub(crate) id: SessionId,
    pub(super) actor: ActorRef<SessionMsg>,
}

impl SessionRef {
    pub(crate) async fn spawn(args: SessionArgs) -> Result<Self, SpawnErr> {
        let id = args.id;
        let supervisor = args.supervisor.get_cell();
        let (actor, _) = Actor::spawn_linked(None, Session, args, supervisor).await?;
        Ok(Self { id, actor })
    }

    pub(crate) fn job_ended(&self, job: JobNumber) {
        let _ = self.actor.cast(SessionMsg::JobEnded(job));
    }

    pub(crate) fn is(&self, actor: ActorId) -> bool {
        self.actor.get_id() == actor
    }

    pub(crate) fn drain(&self) {
        let _ = self.actor.cast(SessionMsg::Drain);
    }
}
