//! A job: plans its shards, leases them, and ends when all that was leased is settled.
//!
//! Owns the job's document, its [`ShardTable`] and its planner. What a shard came to is read from the ledger, never
//! from a message. If it dies, the job's document and the ledger say all that the next one needs.

mod breaker;
mod ending;
mod fetch;
mod messages;
mod start;
mod telling;

use std::{sync::Arc, time::Duration};

use ensemble_events::EventLog;
use ensemble_protocol::v1;
use ensemble_store::{Clock, LedgerEntry, Patience, Stamp, StoreError, micros};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use rustc_hash::FxHashMap;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::{
    AggregatorHandle, Aside, JobRecord, JobState, JobStatus, Next, Office, ShardTable, SupervisorError,
    SupervisorOptions, Trouble, planner::Window, session::Offer, supervisor::SupervisorMsg, table::SessionId,
};

use breaker::Breaker;
pub(crate) use messages::{JobArgs, JobMsg, JobRef};

/// How often leases are looked over.
const TICK: Duration = Duration::from_secs(1);
/// A session gets at most this many shards at once, so that a job's shards spread over its workers.
const LEASES_AT_ONCE: usize = 4;

struct Job;

pub(crate) struct JobActorState {
    myself: ActorRef<JobMsg>,
    record: JobRecord,
    stamp: Stamp,
    spec: Arc<v1::JobSpec>,
    table: ShardTable,
    window: Window,
    /// Room in the window that planned shards take until they are leased.
    permits: FxHashMap<u32, OwnedSemaphorePermit>,
    breaker: Breaker,
    patience: Arc<Patience>,
    /// Why the source cannot be read for now.
    source_trouble: Option<String>,
    /// The supervisor was told that there is nothing to lease.
    dry: bool,
    leasing: bool,
    interrupted: bool,
    /// When this process began to work on the job, by the monotonic clock, and how long others had before.
    begun_us: i64,
    active_before_us: u64,
    aborted: Option<String>,
    over: bool,
    status: watch::Sender<JobStatus>,
    office: Office,
    events: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    aggregator: AggregatorHandle,
    options: SupervisorOptions,
    supervisor: ActorRef<SupervisorMsg>,
}

impl Actor for Job {
    type Msg = JobMsg;
    type State = JobActorState;
    type Arguments = (JobArgs, watch::Sender<JobStatus>);

    async fn pre_start(
        &self,
        myself: ActorRef<JobMsg>,
        (args, status): Self::Arguments,
    ) -> Result<JobActorState, ActorProcessingErr> {
        Ok(start::start(myself, args, status).await?)
    }

    async fn post_start(&self, _: ActorRef<JobMsg>, state: &mut JobActorState) -> Result<(), ActorProcessingErr> {
        // A job that was settled to its end before, or has nothing to settle, is over at once.
        state.advance().await;
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<JobMsg>,
        message: JobMsg,
        state: &mut JobActorState,
    ) -> Result<(), ActorProcessingErr> {
        if let Err(e) = state.on(message).await {
            state.abort(e.to_string()).await;
        }
        state.advance().await;
        if state.over {
            myself.stop(None);
        }
        Ok(())
    }
}

impl JobActorState {
    async fn on(&mut self, message: JobMsg) -> Result<(), SupervisorError> {
        match message {
            JobMsg::Planned(planned) => self.planned(planned).await,
            JobMsg::Fetched(number, bytes) => self.fetched(number, bytes).await,
            JobMsg::FetchAgain(number) => {
                self.fetch(number);
                Ok(())
            }
            JobMsg::Take(offer) => self.take(offer).await,
            JobMsg::Settled(entry) => self.settled(&entry).await,
            JobMsg::GivenUp(number, aside) => self.given_up(number, aside).await,
            JobMsg::Released { session, numbers } => self.released(session, &numbers),
            JobMsg::Failed { session, number, class, reason } => self.failed(session, number, class, reason).await,
            JobMsg::Beat { session, numbers } => {
                let until_us = self.lease_end();
                self.table.beat(session, numbers.into_iter(), until_us);
                Ok(())
            }
            JobMsg::SessionGone(session) => {
                let numbers = self.table.held_by(session);
                // While servers are away links break as well, and no shard is to blame for it.
                if self.stalled().is_some() {
                    return self.released(session, &numbers);
                }
                for number in numbers {
                    let trouble = self.table.lost(number, session);
                    self.mend(trouble);
                }
                Ok(())
            }
            JobMsg::Stop(ending) => self.stop(ending).await,
            JobMsg::Pause => self.pause().await,
            JobMsg::Interrupt => {
                self.interrupt();
                Ok(())
            }
            JobMsg::Tick => self.tick(),
        }
    }

    /// Leases shards to a session as far as its credit goes.
    async fn take(&mut self, offer: Offer) -> Result<(), SupervisorError> {
        let most = self.breaker.allowance(LEASES_AT_ONCE, self.clock.monotonic_us());
        if !self.leasing || most == 0 || !self.table.has_work() {
            self.dry = true;
            let _ = self.supervisor.cast(SupervisorMsg::Dry(self.record.number, offer));
            return Ok(());
        }
        let mut leases = Vec::new();
        let mut credit = offer.credit_bytes;
        while leases.len() < most {
            let until_us = self.lease_end();
            match self.table.next(offer.session.id, credit, offer.whole && leases.is_empty(), until_us) {
                Next::Lease(lease) => {
                    self.permits.remove(&lease.plan.shard.number);
                    self.breaker.leased(lease.plan.shard.number);
                    credit = credit.saturating_sub(lease.bytes.len() as u64);
                    let alone = lease.alone;
                    leases.push(lease);
                    if alone {
                        break;
                    }
                }
                // Before a lease: whoever comes after us settles all below.
                Next::Raise(to) => {
                    self.record.leased_below = to;
                    self.become_state(JobState::Running).await?;
                    self.table.raised(to);
                }
                Next::Nothing => break,
            }
        }
        if leases.is_empty() && !self.table.has_work() {
            self.dry = true;
            let _ = self.supervisor.cast(SupervisorMsg::Dry(self.record.number, offer));
            return Ok(());
        }
        if leases.is_empty() {
            // Too little credit for what is next, or company that it must not have.
            offer.put_off(self.record.number, self.table.only_suspects_wait());
            return Ok(());
        }
        let lease_ms = u64::try_from(self.options.lease.as_millis()).unwrap_or(u64::MAX);
        offer.assign(JobRef(self.myself.clone()), Arc::clone(&self.spec), lease_ms, leases);
        Ok(())
    }

    async fn settled(&mut self, entry: &LedgerEntry) -> Result<(), SupervisorError> {
        let number = entry.plan.shard.number;
        self.permits.remove(&number);
        self.breaker.settled();
        if !self.table.settle(entry) {
            return Ok(());
        }
        self.offer_work();
        self.forget_spooled(entry.plan.shard);
        if let Some(totals) = self.table.tripped()
            && self.record.ending.is_none()
        {
            let reason = format!(
                "{} of the first {} rows were rejected, more than the contract's max_reject_ratio of {}; \
                 look at them with: ensemble rejects",
                totals.rejected(),
                totals.rows,
                self.table.limits().max_reject_ratio,
            );
            return self.fail(reason).await;
        }
        Ok(())
    }

    async fn given_up(&mut self, number: u32, aside: Result<Aside, StoreError>) -> Result<(), SupervisorError> {
        match aside? {
            Aside::Settled(entry) => {
                if !entry.plan.is_unknown() {
                    tracing::warn!(shard = %entry.plan.shard, reason = entry.aside, "a shard was set aside");
                }
                let entry = Arc::new(entry);
                self.aggregator.fold(Arc::clone(&entry));
                self.settled(&entry).await
            }
            Aside::MustProcess(record) => {
                let (plan, bytes) = fetch::decided_bytes(record);
                self.table.must_process(number, plan, bytes);
                self.offer_work();
                Ok(())
            }
        }
    }

    fn released(&mut self, session: SessionId, numbers: &[u32]) -> Result<(), SupervisorError> {
        for &number in numbers {
            self.breaker.released(number);
            let trouble = self.table.released(number, session);
            self.mend(trouble);
        }
        Ok(())
    }

    async fn failed(
        &mut self,
        session: SessionId,
        number: u32,
        class: v1::FailureClass,
        reason: String,
    ) -> Result<(), SupervisorError> {
        let trouble = match class {
            v1::FailureClass::Transient => {
                self.breaker.failed(number, reason, self.clock.monotonic_us());
                self.table.released(number, session)
            }
            // The next lease brings its bytes.
            v1::FailureClass::Unreadable => {
                self.breaker.released(number);
                self.table.released(number, session)
            }
            v1::FailureClass::Crashed => self.table.crashed(number, session, &reason),
            v1::FailureClass::Fatal | v1::FailureClass::Unspecified => {
                self.abort(reason).await;
                return Ok(());
            }
        };
        self.mend(trouble);
        Ok(())
    }

    fn tick(&mut self) -> Result<(), SupervisorError> {
        for (number, session) in self.table.lapsed(self.clock.monotonic_us()) {
            tracing::warn!(shard = %self.table.shard(number), session, "a lease has lapsed");
            metrics::counter!("ensemble_leases_lapsed_total").increment(1);
            self.breaker.released(number);
            let trouble = self.table.released(number, session);
            self.mend(trouble);
        }
        self.offer_work();
        if !self.over {
            drop(self.myself.send_after(TICK, || JobMsg::Tick));
        }
        Ok(())
    }

    /// Says that there is something to lease, where the supervisor believes that there is not.
    fn offer_work(&mut self) {
        let may_lease = self.leasing && self.breaker.allowance(1, self.clock.monotonic_us()) > 0;
        if self.dry && may_lease && self.table.has_work() {
            self.dry = false;
            let _ = self.supervisor.cast(SupervisorMsg::HasWork(self.record.number));
        }
    }

    fn lease_end(&self) -> i64 {
        self.clock.monotonic_us().saturating_add(micros(self.options.lease))
    }

    fn mend(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Fetch(number) => self.fetch(number),
            Trouble::SetAside(number, reason) => self.give_up(number, reason),
            Trouble::Nothing => {}
        }
    }
}
