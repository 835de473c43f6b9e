//! The passes of a verification, in their order.

use std::{path::PathBuf, sync::Arc};

use ensemble_events::EventLog;
use ensemble_store::{JobId, Store};
use ensemble_supervisor::list_jobs;

use crate::{
    AuditError, Progress, Report, bronze, events, gold,
    jobs::Jobs,
    join, ledger,
    progress::{Meter, Pass},
    report::{Findings, Invariant},
    silver, stamps,
    tuples::{Partitions, TUPLE_BYTES},
};

/// What a thread can look up fast.
const CACHED_BYTES: usize = 1 << 20;

/// What is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every job of the store.
    All,
    /// One job: its bronze, dead letters, events and ledger. Silver and gold belong to all jobs, so that gold is
    /// recomputed as a whole, and only this job's rows are looked for in silver.
    Job(JobId),
}

/// What a verification may use.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// Where files go that memory has no room for: about 170 bytes a row. They are gone at the end.
    pub scratch_dir: PathBuf,
    /// About how much memory it takes, in bytes; at least 1 MiB. The shards that are being judged come on top, a few
    /// times their size a thread.
    pub memory_bytes: u64,
    /// How many threads judge, fold and join; at least 1.
    pub threads: usize,
}

impl VerifyOptions {
    /// 64 MiB and one thread a processor.
    pub fn new(scratch_dir: PathBuf) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { scratch_dir, memory_bytes: 64 << 20, threads }
    }

    /// The part of the memory that is `1 / parts`.
    pub(crate) fn memory_part(&self, parts: usize) -> usize {
        usize::try_from(self.memory_bytes.max(1 << 20)).unwrap_or(usize::MAX) / parts
    }

    /// How many things of about `bytes` each make a page of a sixteenth of the memory.
    pub(crate) fn page(&self, bytes: u64, most: usize) -> usize {
        (self.memory_part(16) as u64 / bytes.max(1)).clamp(1, most as u64) as usize
    }
}

/// What all passes share.
pub(crate) struct Audit<'a> {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) options: VerifyOptions,
    pub(crate) findings: Findings,
    pub(crate) meter: Meter<'a>,
}

/// Recomputes the invariants I1 to I7 from what is stored and says which hold.
///
/// It only reads, and takes about as long as loading took. `events` is `None` where there is no log to be read, which
/// skips I6. Nothing else should write to the store meanwhile.
///
/// # Errors
/// Where something cannot be read at all, or the scope names no job. A broken invariant is no error. Dropping the future
/// leaves nothing behind.
pub async fn verify(
    store: Arc<dyn Store>,
    events: Option<Arc<dyn EventLog>>,
    scope: Scope,
    options: VerifyOptions,
    progress: impl Fn(Progress) + Send + Sync,
) -> Result<Report, AuditError> {
    let mut audit = Audit { store, options, findings: Findings::default(), meter: Meter::new(&progress) };
    let mut jobs = Jobs::new(list_jobs(&*audit.store).await?, scope)?;
    if jobs.list.is_empty() {
        return Ok(nothing_to_check());
    }
    let ledger_gold = ledger::check(&mut audit, &mut jobs).await?;
    stamps::check(&mut audit, &jobs).await?;
    audit.meter.set_bronze_bytes(jobs.in_scope().map(|(_, job)| job.totals.bytes).sum());
    let mut partitions = audit.partitions(&jobs);
    audit.meter.begin(Pass::Bronze);
    bronze::replay(&mut audit, &mut jobs, &mut partitions).await?;
    let jobs = Arc::new(jobs);
    audit.meter.begin(Pass::Silver);
    let recomputed = silver::scan(&mut audit, &jobs, &mut partitions).await?;
    gold::compare(&mut audit, &jobs, recomputed, ledger_gold).await?;
    audit.meter.begin(Pass::Events);
    let announced = events::scan(&mut audit, &jobs, events.as_deref(), &mut partitions).await?;
    audit.meter.begin(Pass::Join);
    join::run(&mut audit, jobs, announced, partitions).await?;
    audit.meter.end();
    Ok(audit.findings.into_report())
}

fn nothing_to_check() -> Report {
    let mut findings = Findings::default();
    for invariant in Invariant::ALL {
        findings.note(invariant, "nothing to check: the store has no job");
    }
    findings.into_report()
}

impl Audit<'_> {
    /// A quarter of the memory holds tuples before they go to disk. In the join, at most half of it holds the silver side
    /// of as many partitions as there are threads; less where that is enough, so that it stays in the processor's caches.
    fn partitions(&self, jobs: &Jobs) -> Partitions {
        // Keys of shards that are not settled are not counted; there are few.
        let keys: u64 = jobs.list.iter().map(|job| job.totals.accepted()).sum();
        let part_bytes = (self.options.memory_part(2) / self.options.threads.max(1)).min(CACHED_BYTES);
        Partitions::new(&self.options.scratch_dir, self.options.memory_part(4), keys, part_bytes.max(TUPLE_BYTES))
    }

    /// Writes the tuples out where they are many.
    pub(crate) async fn spill(&self, partitions: &mut Partitions) -> Result<(), AuditError> {
        let mut spilling = std::mem::replace(partitions, Partitions::new(&self.options.scratch_dir, 0, 0, 1));
        let (spilled, result) = crate::pipeline::blocking(move || {
            let result = spilling.spill();
            (spilling, result)
        })
        .await?;
        *partitions = spilled;
        result
    }
}
