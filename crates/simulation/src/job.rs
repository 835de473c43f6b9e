//! A job in a term of office: the real shard table and the real office, driven as the actor drives them.

use std::{collections::VecDeque, rc::Rc, sync::Arc};

use ensemble_store::{Clock, Decision, LedgerEntry, Stamp, Store};
use ensemble_supervisor::{
    Aside, Ending, JobRecord, JobState, Next, Office, ShardTable, SupervisorError, Trouble, give_up,
};
use ensemble_testkit::sim_store::yield_now;

use crate::{
    Rule,
    aggregator::{AggregatorMsg, flushed},
    attempt,
    sim::{Inbox, JobMsg, Owner, Sim, Source, is_transient},
    term::{Progress, Term, write},
};

/// How many shards of a job workers hold at once.
const WORKERS: usize = 4;
/// How many ledger entries are read at once; few, so that there are pages.
const PAGE: usize = 4;

/// Starts to work on a job.
pub(crate) fn start(sim: &Rc<Sim>, term: &Rc<Term>, office: &Office, stamp: Stamp, record: JobRecord) {
    let (sim_, term_, office) = (Rc::clone(sim), Rc::clone(term), office.clone());
    sim.spawn(Owner::Term(term.number), async move {
        let id = record.id;
        let progress = match run(&sim_, &term_, office, stamp, record).await {
            Ok(()) => Progress::Over,
            Err(e) => {
                if !is_transient(&e) {
                    sim_.fail(format!("job {id} cannot go on: {e}"));
                }
                Progress::Aborted
            }
        };
        term_.jobs.borrow_mut().insert(id, progress);
    });
}

async fn run(
    sim: &Rc<Sim>,
    term: &Rc<Term>,
    office: Office,
    stamp: Stamp,
    record: JobRecord,
) -> Result<(), SupervisorError> {
    let source = sim.source(&record)?;
    let table = ShardTable::new(record.number, record.leased_below, record.compile()?.limits);
    let inbox = Inbox::default();
    let mut job = Job { sim: Rc::clone(sim), term: Rc::clone(term), office, stamp, record, source, table, inbox };
    job.begin().await?;
    while !job.is_over().await? {
        yield_now().await;
        job.go_on().await?;
    }
    Ok(())
}

struct Job {
    sim: Rc<Sim>,
    term: Rc<Term>,
    office: Office,
    stamp: Stamp,
    record: JobRecord,
    source: Rc<Source>,
    table: ShardTable,
    inbox: Inbox,
}

impl Job {
    /// Takes up where others left off.
    async fn begin(&mut self) -> Result<(), SupervisorError> {
        self.load_ledger().await?;
        if let Some(ending) = self.record.ending.clone() {
            return self.begin_to_stop(ending).await;
        }
        if self.record.state != JobState::Running {
            self.record.state = JobState::Running;
            self.write_record().await?;
        }
        let source = Rc::clone(&self.source);
        for shard in &source.shards {
            if self.table.plan(shard.plan.clone()) {
                self.table.fetched(shard.plan.shard.number, shard.bytes.clone());
            }
        }
        self.table.source_ended(source.shards.len() as u32);
        Ok(())
    }

    /// What others settled. The aggregator hears of it too: it may have read the ledger a moment before.
    async fn load_ledger(&mut self) -> Result<(), SupervisorError> {
        let mut from = 0;
        loop {
            let (sim, number) = (&self.sim, self.record.number);
            let page = sim.patiently(async || Ok(sim.store.scan_ledger(number, from, PAGE).await?)).await?;
            for entry in &page {
                self.table.settle(entry);
                self.fold(entry);
            }
            match page.last() {
                Some(last) if page.len() >= PAGE => from = last.plan.shard.number + 1,
                _ => return Ok(()),
            }
        }
    }

    fn fold(&self, entry: &LedgerEntry) {
        self.term.mailbox.borrow_mut().push_back(AggregatorMsg::Fold(Arc::new(entry.clone())));
    }

    async fn go_on(&mut self) -> Result<(), SupervisorError> {
        let messages: VecDeque<JobMsg> = std::mem::take(&mut *self.inbox.borrow_mut());
        for message in messages {
            self.on(message).await?;
        }
        for (number, session) in self.table.lapsed(self.sim.clock.monotonic_us()) {
            self.sim.count("lapsed leases");
            let trouble = self.table.released(number, session);
            self.mend(trouble);
        }
        let submission = self.sim.scenario.submission(self.record.id);
        if submission.and_then(|s| s.cancel_at).is_some_and(|at| self.sim.step() >= at) && self.record.ending.is_none()
        {
            self.sim.count("cancelled jobs");
            self.begin_to_stop(Ending::Cancelled).await?;
        }
        if self.table.leased() < WORKERS && self.sim.chance(0.5) {
            self.lease().await?;
        }
        Ok(())
    }

    async fn on(&mut self, message: JobMsg) -> Result<(), SupervisorError> {
        match message {
            JobMsg::Finished { session, number } => self.finished(session, number).await,
            JobMsg::Released { session, number } => {
                let trouble = self.table.released(number, session);
                self.mend(trouble);
                Ok(())
            }
            JobMsg::Lost { session, number } => {
                let trouble = self.table.lost(number, session);
                self.mend(trouble);
                Ok(())
            }
            JobMsg::Crashed { session, number } => {
                let trouble = self.table.crashed(number, session, "the worker went down");
                self.mend(trouble);
                Ok(())
            }
            JobMsg::Beat { session, number } => {
                self.table.beat(session, std::iter::once(number), self.sim.lease_end_us());
                Ok(())
            }
            JobMsg::GivenUp { number, aside } => self.given_up(number, (*aside)?).await,
        }
    }

    /// The message is only a hint: what counts is the entry in the ledger.
    async fn finished(&mut self, session: u64, number: u32) -> Result<(), SupervisorError> {
        let shard = self.table.shard(number);
        let entry = {
            let (sim, mut retry) = (&self.sim, self.sim.retry());
            retry.run(|| sim.store.ledger(shard)).await
        };
        match entry {
            Ok(Some(entry)) => {
                self.fold(&entry);
                self.settled(&entry).await
            }
            _ => {
                self.sim.count("shards that were said to be settled and were not");
                let trouble = self.table.released(number, session);
                self.mend(trouble);
                Ok(())
            }
        }
    }

    async fn settled(&mut self, entry: &LedgerEntry) -> Result<(), SupervisorError> {
        if self.table.settle(entry) && self.table.tripped().is_some() && self.record.ending.is_none() {
            self.sim.count("jobs that failed by their tolerance");
            return self.begin_to_stop(Ending::Failed { reason: "too many rejected rows".to_owned() }).await;
        }
        Ok(())
    }

    async fn given_up(&mut self, number: u32, aside: Aside) -> Result<(), SupervisorError> {
        match aside {
            Aside::Settled(entry) => {
                self.sim.count("shards set aside");
                self.fold(&entry);
                self.settled(&entry).await
            }
            Aside::MustProcess(record) => {
                self.sim.count("shards that could not be set aside");
                if let Decision::Process { bytes, .. } = record.decision {
                    self.table.must_process(number, record.plan, bytes);
                }
                Ok(())
            }
        }
    }

    async fn begin_to_stop(&mut self, ending: Ending) -> Result<(), SupervisorError> {
        self.record.ending = Some(ending);
        self.record.state = JobState::Stopping;
        self.write_record().await?;
        for number in self.table.stop() {
            self.give_up(number, "the job was stopped".to_owned());
        }
        Ok(())
    }

    async fn lease(&mut self) -> Result<(), SupervisorError> {
        let session = self.sim.next_session();
        match self.table.next(session, u64::MAX, true, self.sim.lease_end_us()) {
            Next::Lease(lease) => {
                if lease.attempt > 1 {
                    self.sim.count("repeated leases");
                }
                attempt::start(&self.sim, &self.source, lease, session, Rc::clone(&self.inbox));
            }
            // Before a lease: whoever comes after us settles all below.
            Next::Raise(to) => {
                self.record.leased_below = to;
                self.write_record().await?;
                self.table.raised(to);
            }
            Next::Nothing => {}
        }
        Ok(())
    }

    fn mend(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Fetch(number) => match self.source.shards.get(number as usize) {
                Some(shard) => self.table.fetched(number, shard.bytes.clone()),
                None => self.sim.fail(format!("shard {} was never planned", self.table.shard(number))),
            },
            Trouble::SetAside(number, reason) => self.give_up(number, reason),
            Trouble::Nothing => {}
        }
    }

    fn give_up(&self, number: u32, reason: String) {
        let (shard, plan) = (self.table.shard(number), self.table.plan_of(number).cloned());
        let (sim, inbox) = (Rc::clone(&self.sim), Rc::clone(&self.inbox));
        self.sim.spawn(Owner::Term(self.term.number), async move {
            let aside = give_up(&*sim.store, &*sim.clock, &mut sim.retry(), shard, plan, reason).await;
            if matches!(&aside, Ok(Aside::Settled(entry)) if entry.plan.is_unknown()) {
                sim.count("shards of earlier terms given up unseen");
            }
            let aside = Box::new(aside);
            inbox.borrow_mut().push_back(JobMsg::GivenUp { number, aside });
        });
    }

    /// The document's writes follow each other: each names the stamp of the one before.
    async fn write_record(&mut self) -> Result<(), SupervisorError> {
        self.stamp = write(&self.sim, &self.office, Some(self.stamp), &self.record).await?;
        Ok(())
    }

    async fn is_over(&mut self) -> Result<bool, SupervisorError> {
        let forgets = self.sim.left_out == Some(Rule::Settle) && self.record.ending.is_some();
        if !self.table.is_done() && !forgets {
            return Ok(false);
        }
        // Gold first: a job that has ended is wholly in it.
        flushed(&self.term).await?;
        self.record.state = match self.record.ending {
            None => JobState::Succeeded,
            Some(Ending::Failed { .. }) => JobState::Failed,
            Some(Ending::Cancelled) => JobState::Cancelled,
        };
        self.record.ended_at_us = Some(self.sim.clock.now_us());
        self.record.totals = Some(self.table.totals().clone());
        self.write_record().await?;
        Ok(true)
    }
}
