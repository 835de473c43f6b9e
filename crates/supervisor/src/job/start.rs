//! How a job begins, or goes on where another process left it.

use std::sync::Arc;

use ensemble_store::{DocumentKind, LedgerEntry, ShardId, ShardKind, ShardPlan, Store};
use ractor::ActorRef;
use rustc_hash::FxHashMap;
use tokio::sync::watch;

use super::{Breaker, JobActorState, JobArgs, JobMsg, TICK};
use crate::{
    Ending, JobRecord, JobState, JobStatus, ShardTable, Source, SourceReader, SupervisorError, Totals,
    ledger::each_entry,
    planner::{Window, spawn_planner},
};

/// The status before anything is known.
pub(super) fn first_status(record: &JobRecord) -> JobStatus {
    JobStatus {
        id: record.id,
        number: record.number,
        state: record.state,
        totals: Totals::default(),
        source_bytes: record.source_bytes(),
        active_us: record.active_us,
        reason: None,
        stalled: None,
        over: false,
        aborted: false,
    }
}

pub(super) async fn start(
    myself: ActorRef<JobMsg>,
    args: JobArgs,
    status: watch::Sender<JobStatus>,
) -> Result<JobActorState, SupervisorError> {
    let JobArgs { record, mut stamp, stream, ending, office, patience, events, clock, aggregator, options, supervisor } =
        args;
    let limits = record.compile()?.limits;
    // Whoever held the job until now can move `leased_below` no more, so what is read from here on is all that it leased.
    // A job that this term made was never held by another.
    if stamp.version > 1 || stamp.epoch != office.epoch() {
        stamp = office.write(DocumentKind::Job, &record.id.to_string(), Some(stamp), &record).await?;
        office.confirm().await?;
    }
    let mut table = ShardTable::new(record.number, record.leased_below, limits);
    // What earlier processes settled.
    let settle = |entry: &LedgerEntry| {
        table.settle(entry);
        Ok::<_, SupervisorError>(())
    };
    each_entry(&**office.store(), record.number, 0, settle).await?;
    // What an earlier term's worker settled after the aggregator had read the ledger, and before this, nobody will tell.
    aggregator.register(&record).await?;
    let mut state = JobActorState {
        spec: Arc::new(record.spec()),
        begun_us: clock.monotonic_us(),
        active_before_us: record.active_us,
        window: Window::new(options.read_ahead_bytes),
        myself,
        record,
        stamp,
        table,
        permits: FxHashMap::default(),
        breaker: Breaker::default(),
        patience,
        source_trouble: None,
        dry: true,
        leasing: true,
        interrupted: false,
        aborted: None,
        over: false,
        status,
        office,
        events,
        clock,
        aggregator,
        options,
        supervisor,
    };
    drop(state.myself.send_after(TICK, || JobMsg::Tick));
    let lost = matches!(state.record.source, Source::StandardInput(_)) && stream.is_none();
    let ending = state.record.ending.clone().or(ending).or_else(|| {
        lost.then(|| Ending::Failed {
            reason: "standard input cannot be read again: only what was read is settled".into(),
        })
    });
    match ending {
        Some(ending) => state.begin_to_stop(ending).await?,
        None => {
            // One that is queued runs from its first lease on.
            if state.record.state == JobState::Paused {
                state.become_state(JobState::Running).await?;
            }
            let after = last_cursor(&**state.office.store(), &state.table).await?;
            let (job, from) = (state.myself.clone(), state.table.prefix());
            let reader = SourceReader::new(&state.record, stream).with_uploads(Arc::clone(state.office.store()));
            spawn_planner(reader, after, from, state.window.clone(), move |p| job.cast(JobMsg::Planned(p)).is_ok());
        }
    }
    Ok(state)
}

/// The last shard of the settled prefix behind which reading can begin.
async fn last_cursor(store: &dyn Store, table: &ShardTable) -> Result<Option<ShardPlan>, SupervisorError> {
    for number in (0..table.prefix()).rev() {
        let ShardId { job, .. } = table.shard(number);
        let Some(entry) = store.ledger(ShardId { job, number }).await? else { return Ok(None) };
        if entry.plan.kind != ShardKind::Piece {
            return Ok(Some(entry.plan));
        }
    }
    Ok(None)
}
