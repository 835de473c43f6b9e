//! A worker's attempt at a shard: the real validation and the real committer.

use std::{cell::Cell, rc::Rc, sync::Arc};

use ensemble_gold::Folder;
use ensemble_store::{ErrorClass, ShardId};
use ensemble_supervisor::Lease;
use ensemble_validation::{Fold, ValidatedShard, validate};
use ensemble_worker::ShardWork;

use crate::sim::{Inbox, JobMsg, LEASE, Owner, Sim, Source};

/// What the scheduler knows of an attempt.
pub(crate) struct Attempt {
    pub(crate) shard: ShardId,
    pub(crate) session: u64,
    pub(crate) inbox: Inbox,
    /// Cut off from its supervisor: it goes on, and nobody hears of it.
    pub(crate) is_zombie: Cell<bool>,
    /// The shard brings the worker down after so many more polls.
    pub(crate) crashes_in: Cell<Option<usize>>,
}

impl Attempt {
    /// Tells the job, unless nobody hears.
    pub(crate) fn say(&self, message: JobMsg) {
        if !self.is_zombie.get() {
            self.inbox.borrow_mut().push_back(message);
        }
    }
}

/// Starts a worker's attempt.
pub(crate) fn start(sim: &Rc<Sim>, source: &Rc<Source>, lease: Lease, session: u64, inbox: Inbox) {
    let shard = lease.plan.shard;
    sim.leased.borrow_mut().insert(shard);
    let is_poison = sim.scenario.is_poison(shard) && !sim.is_clear.get();
    let attempt = Rc::new(Attempt {
        shard,
        session,
        inbox,
        is_zombie: Cell::new(false),
        crashes_in: Cell::new((is_poison && sim.chance(0.9)).then(|| sim.below(30))),
    });
    let work = work(sim, source, lease);
    let (sim_, attempt_) = (Rc::clone(sim), Rc::clone(&attempt));
    sim.spawn(Owner::Attempt(attempt), async move { run(sim_, attempt_, work).await });
}

/// Judges the shard, here and there as another version would, or as a worker that saw a row panic.
fn work(sim: &Sim, source: &Source, lease: Lease) -> Result<ShardWork, String> {
    let job = &source.context;
    let mut panicked = Vec::new();
    if sim.misfortune(0.05) {
        sim.count("attempts that saw a row panic");
        panicked.extend(first_offset(sim, job.id, &lease));
    }
    let validated = validate(job, &lease.plan, lease.bytes.clone(), &panicked, Fold::Claims);
    let mut validated = validated.map_err(|e| e.to_string())?;
    if sim.chance(0.25) {
        sim.count("attempts of another version");
        let submission = sim.scenario.submission(job.id).ok_or("nobody submitted the job")?;
        as_another_version(
            &mut validated,
            |offset| submission.rows.iter().find(|r| r.offset == offset).map(|r| r.encode(true)),
            |rank| job.position(rank).offset(),
        );
        let mut folder = Folder::new(&job.views);
        let folded = validated.claims.iter().try_for_each(|new| folder.add(&new.claim.fields));
        folded.map_err(|e| e.to_string())?;
        validated.gold = folder.finish();
    }
    Ok(ShardWork { job: Arc::clone(job), plan: lease.plan, bytes: lease.bytes, validated, patience: LEASE })
}

/// The offset of some row of the shard.
fn first_offset(sim: &Sim, job: ensemble_store::JobId, lease: &Lease) -> Option<u64> {
    let span = lease.plan.offset..lease.plan.offset + lease.plan.length;
    let rows = &sim.scenario.submission(job)?.rows;
    let offsets: Vec<u64> = rows.iter().map(|r| r.offset).filter(|o| span.contains(o)).collect();
    offsets.get(sim.below(offsets.len())).copied()
}

fn as_another_version(
    validated: &mut ValidatedShard,
    encode: impl Fn(u64) -> Option<bytes::Bytes>,
    offset: impl Fn(ensemble_store::Rank) -> u64,
) {
    for new in Arc::make_mut(&mut validated.claims) {
        if let Some(fields) = encode(offset(new.claim.rank)) {
            new.claim.fields = fields;
        }
    }
}

async fn run(sim: Rc<Sim>, attempt: Rc<Attempt>, work: Result<ShardWork, String>) {
    let (session, number) = (attempt.session, attempt.shard.number);
    let work = match work {
        Ok(work) => work,
        Err(reason) => return sim.fail(format!("shard {} cannot be judged: {reason}", attempt.shard)),
    };
    match sim.committer.commit(work).await {
        Ok(_) => {
            if attempt.is_zombie.get() {
                sim.count("zombies that finished");
            }
            attempt.say(JobMsg::Finished { session, number });
        }
        Err(e) if e.class() == ErrorClass::Transient => {
            sim.count("attempts that gave up");
            attempt.say(JobMsg::Released { session, number });
        }
        Err(e) => sim.fail(format!("shard {} cannot be committed: {e}", attempt.shard)),
    }
}
