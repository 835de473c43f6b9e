//! A supervisor's term of office: takes over what others left, submits what is missing, and runs the jobs.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::Arc,
};

use ensemble_contract::{Contract, ENGINE_VERSION};
use ensemble_sources::csv::{Dialect, Preamble};
use ensemble_store::{Clock, DocumentKind, JobId, Stamp, Store};
use ensemble_supervisor::{
    Collection, JobRecord, JobState, Office, PinnedContract, PinnedFile, Source, SupervisorError, list_jobs,
};
use ensemble_testkit::sim_store::yield_now;

use crate::{
    aggregator::{self, Mailbox},
    job,
    scenario::{SILVER, Submission},
    sim::{Owner, Sim, is_transient},
};

/// A term of office.
pub(crate) struct Term {
    pub(crate) number: u64,
    pub(crate) mailbox: Mailbox,
    /// What this process does about the jobs.
    pub(crate) jobs: RefCell<BTreeMap<JobId, Progress>>,
    pub(crate) end: Cell<Option<End>>,
}

/// What became of a job in this term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Running,
    /// It has ended for good.
    Over,
    /// This process cannot go on with it.
    Aborted,
}

/// How a term ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// All jobs have ended.
    Complete,
    /// The process cannot go on; another one has to.
    Broken,
}

/// Starts a term of office.
pub(crate) fn start(sim: &Rc<Sim>, number: u64) -> Rc<Term> {
    let term = Rc::new(Term { number, mailbox: Mailbox::default(), jobs: RefCell::default(), end: Cell::new(None) });
    let (sim_, term_) = (Rc::clone(sim), Rc::clone(&term));
    sim.spawn(Owner::Term(number), async move {
        let end = match serve(&sim_, &term_).await {
            Ok(()) => End::Complete,
            Err(e) => {
                if !is_transient(&e) {
                    sim_.fail(format!("the supervisor cannot go on: {e}"));
                }
                End::Broken
            }
        };
        term_.end.set(Some(end));
    });
    term
}

async fn serve(sim: &Rc<Sim>, term: &Rc<Term>) -> Result<(), SupervisorError> {
    let store = Arc::clone(&sim.store) as Arc<dyn Store>;
    let office = Office::take(store).await?;
    let mut known = sim.patiently(async || list_jobs(&*sim.store).await).await?;
    for (stamp, record) in known.iter_mut().filter(|(_, record)| !record.state.is_terminal()) {
        // Under this term's epoch, so that whoever was in office before can change nothing from here on.
        *stamp = write(sim, &office, Some(*stamp), record).await?;
    }
    let mut has_gold = false;
    for wave in &sim.scenario.waves {
        for submission in wave {
            let (stamp, record) = match known.iter().find(|(_, record)| record.id == submission.id) {
                Some((_, record)) if record.state.is_terminal() => continue,
                Some(job) => job.clone(),
                None => submit(sim, &office, submission).await?,
            };
            if !std::mem::replace(&mut has_gold, true) {
                open_gold(sim, term, &office, &record).await?;
            }
            term.jobs.borrow_mut().insert(record.id, Progress::Running);
            job::start(sim, term, &office, stamp, record);
        }
        while !is_over(sim, term)? {
            yield_now().await;
        }
    }
    Ok(())
}

/// Whether all jobs so far have ended. A process that cannot go on with one of its jobs ends in the end.
fn is_over(sim: &Sim, term: &Term) -> Result<bool, SupervisorError> {
    let jobs = term.jobs.borrow();
    let any = |progress| jobs.values().any(|p| *p == progress);
    if any(Progress::Aborted) && (!any(Progress::Running) || sim.chance(0.02)) {
        return Err(SupervisorError::NoAnswer("job"));
    }
    Ok(!any(Progress::Running) && !any(Progress::Aborted))
}

async fn open_gold(sim: &Rc<Sim>, term: &Rc<Term>, office: &Office, record: &JobRecord) -> Result<(), SupervisorError> {
    let jobs = sim.patiently(async || list_jobs(&*sim.store).await).await?;
    let jobs: Vec<JobRecord> = jobs.into_iter().map(|(_, job)| job).collect();
    let collection = sim.patiently(async || Collection::open(office, record, &jobs).await).await?;
    let run = aggregator::run(Rc::clone(sim), Rc::clone(term), office.clone(), collection);
    sim.spawn(Owner::Term(term.number), run);
    Ok(())
}

async fn submit(sim: &Sim, office: &Office, submission: &Submission) -> Result<(Stamp, JobRecord), SupervisorError> {
    let now_us = sim.clock.now_us();
    let (number, observed_at_us) = sim.patiently(async || office.next_job(now_us).await).await?;
    let contract = Contract::parse(&sim.scenario.contract, "numbers.toml")?;
    let preamble = Preamble {
        dialect: Dialect::default(),
        header: contract.columns.iter().map(|c| c.name.clone()).collect(),
        header_bytes: Submission::header_bytes(),
        next_line: 2,
    };
    let file = PinnedFile { name: "numbers.csv".to_owned(), file: None, upload: None, preamble, ignored: Vec::new() };
    let record = JobRecord {
        id: submission.id,
        number,
        state: JobState::Queued,
        ending: None,
        contract: PinnedContract {
            name: contract.name,
            silver: SILVER.to_owned(),
            text: contract.text,
            hash: contract.hash,
            engine_version: ENGINE_VERSION,
        },
        source: Source::Files(vec![file]),
        shard_bytes: submission.shard_bytes as u64,
        record_limit_bytes: 1 << 20,
        weight: 1,
        observed_at_us,
        created_at_us: now_us,
        ended_at_us: None,
        active_us: 0,
        leased_below: 0,
        totals: None,
    };
    Ok((write(sim, office, None, &record).await?, record))
}

/// Writes a job's document.
///
/// # Errors
/// Those of the office.
pub(crate) async fn write(
    sim: &Sim,
    office: &Office,
    expected: Option<Stamp>,
    record: &JobRecord,
) -> Result<Stamp, SupervisorError> {
    let id = record.id.to_string();
    sim.patiently(async || office.write(DocumentKind::Job, &id, expected, record).await).await
}
