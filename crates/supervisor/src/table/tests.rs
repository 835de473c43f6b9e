use std::collections::BTreeMap;

use ensemble_store::ShardKind;

use super::*;

const JOB: JobNumber = JobNumber(7);
const NO_LIMITS: Limits = Limits { max_reject_ratio: 1.0, after_rows: 0 };

fn plan(number: u32) -> ShardPlan {
    ShardPlan {
        shard: ShardId { job: JOB, number },
        file: 0,
        offset: u64::from(number) * 10,
        length: 10,
        first_line: 1,
        next_line: 2,
        header_bytes: 0,
        last_of_file: false,
        kind: ShardKind::Records,
        digest: [0; 32],
    }
}

fn entry(number: u32, rows: u64, rejected: u64) -> LedgerEntry {
    let rejected_by_rule =
        if rejected > 0 { BTreeMap::from([("a.range".to_owned(), rejected)]) } else { BTreeMap::new() };
    LedgerEntry {
        rows,
        claims: rows - rejected,
        rejected_by_rule,
        aside: None,
        ..LedgerEntry::set_aside(plan(number), String::new(), 0)
    }
}

/// A table whose shards `0..n` are planned and can be leased.
fn table(n: u32) -> ShardTable {
    let mut table = ShardTable::new(JOB, 64, NO_LIMITS);
    for number in 0..n {
        assert!(table.plan(plan(number)));
        table.fetched(number, Bytes::from_static(b"0123456789"));
    }
    table
}

fn lease(table: &mut ShardTable, session: SessionId) -> u32 {
    match table.next(session, 1 << 20, false, 100) {
        Next::Lease(lease) => lease.plan.shard.number,
        other => panic!("no lease: {other:?}"),
    }
}

#[test]
fn leases_go_out_in_order_and_never_before_leased_below_is_raised() {
    let mut table = ShardTable::new(JOB, 0, NO_LIMITS);
    table.plan(plan(0));
    assert!(matches!(table.next(1, 100, true, 9), Next::Nothing), "its bytes are not here");
    table.fetched(0, Bytes::from_static(b"x"));
    assert!(matches!(table.next(1, 100, true, 9), Next::Raise(64)));
    assert!(matches!(table.next(1, 100, true, 9), Next::Nothing), "raised once at a time");
    table.raised(64);
    assert_eq!(lease(&mut table, 1), 0);
}

#[test]
fn a_shard_larger_than_the_credit_waits_unless_the_worker_holds_nothing() {
    let mut table = table(1);
    assert!(matches!(table.next(1, 9, false, 100), Next::Nothing));
    assert!(matches!(table.next(1, 9, true, 100), Next::Lease(_)));
}

#[test]
fn a_lease_that_lapses_goes_to_another_and_a_beat_extends_it() {
    let mut table = table(2);
    assert_eq!((lease(&mut table, 1), lease(&mut table, 1)), (0, 1));
    table.beat(1, [0].into_iter(), 200);
    table.beat(2, [1].into_iter(), 200);
    assert_eq!(table.lapsed(150), [(1, 1)], "only the holder's beat counts");
    assert_eq!(table.released(1, 2), Trouble::Nothing, "only the holder can release");
    assert_eq!(table.released(1, 1), Trouble::Fetch(1));
    table.fetched(1, Bytes::from_static(b"x"));
    assert_eq!(lease(&mut table, 2), 1);
}

#[test]
fn a_shard_that_crashes_three_times_is_set_aside() {
    let mut table = table(1);
    for _ in 0..2 {
        lease(&mut table, 1);
        assert_eq!(table.crashed(0, 1, "boom"), Trouble::Fetch(0));
        table.fetched(0, Bytes::from_static(b"x"));
    }
    lease(&mut table, 1);
    assert!(matches!(table.crashed(0, 1, "boom"), Trouble::SetAside(0, reason) if reason.contains("boom")));
    // A worker had decided first: from then on it can only be finished.
    table.must_process(0, plan(0), Bytes::from_static(b"x"));
    for _ in 0..5 {
        lease(&mut table, 1);
        assert_eq!(table.crashed(0, 1, "boom"), Trouble::Fetch(0));
        table.fetched(0, Bytes::from_static(b"x"));
    }
}

/// Leases the next shard to a worker that holds nothing; its number, and whether it is to hold nothing else.
fn lease_whole(table: &mut ShardTable, session: SessionId) -> (u32, bool) {
    match table.next(session, 1 << 20, true, 100) {
        Next::Lease(lease) => (lease.plan.shard.number, lease.alone),
        other => panic!("no lease: {other:?}"),
    }
}

fn lose(table: &mut ShardTable, session: SessionId) {
    for number in table.held_by(session) {
        assert_eq!(table.lost(number, session), Trouble::Fetch(number));
        table.fetched(number, Bytes::from_static(b"x"));
    }
}

#[test]
fn a_shard_whose_holders_go_down_is_leased_alone_and_only_what_it_does_then_counts() {
    let mut table = table(3);
    for session in [1, 2] {
        assert_eq!((lease(&mut table, session), lease(&mut table, session)), (0, 1));
        lose(&mut table, session);
    }
    assert!(!table.only_suspects_wait());
    assert_eq!(lease(&mut table, 3), 2, "who holds something, or may, gets no suspect");
    assert!(table.only_suspects_wait());
    assert!(matches!(table.next(3, 100, false, 100), Next::Nothing) && table.has_work());
    assert_eq!(lease_whole(&mut table, 4), (0, true));
    assert!(table.settle(&entry(0, 1, 0)), "it was not to blame");
    for session in [5, 6] {
        assert_eq!(lease_whole(&mut table, session), (1, true));
        lose(&mut table, session);
    }
    assert_eq!(lease_whole(&mut table, 7), (1, true));
    assert_eq!(table.lost(1, 6), Trouble::Nothing, "only the holder's end counts");
    let Trouble::SetAside(1, reason) = table.lost(1, 7) else { panic!("it is not set aside") };
    assert!(reason.contains("failed 3 times: its worker went down"), "{reason}");
    lose(&mut table, 3);
    assert_eq!(lease_whole(&mut table, 8), (2, false), "lost once, which proves nothing");
}

#[test]
fn stopping_sets_aside_what_may_have_been_leased_and_forgets_the_rest() {
    let mut table = ShardTable::new(JOB, 4, NO_LIMITS);
    table.raised(64);
    for number in 0..6 {
        table.plan(plan(number));
        table.fetched(number, Bytes::from_static(b"x"));
    }
    assert_eq!(lease(&mut table, 1), 0);
    table.settle(&entry(1, 5, 0));
    // 2 and 3 may have been leased by an earlier process; 4 and 5 only by this one, which has not.
    assert_eq!(table.stop(), [2, 3], "0 is left to its worker, 1 is settled, 4 and 5 were never leased");
    assert!(!table.plan(plan(6)), "nothing new");
    assert!(!table.is_done());
    assert_eq!(table.released(0, 1), Trouble::SetAside(0, "the job was stopped".to_owned()));
    for number in [0, 2, 3] {
        assert!(table.settle(&LedgerEntry::set_aside(plan(number), "stopped".to_owned(), 0)));
    }
    assert!(table.is_done());
    assert_eq!((table.totals().shards, table.totals().aside, table.totals().rows), (4, 3, 5));
}

#[test]
fn stopping_after_a_restart_settles_shards_that_nobody_knows() {
    let mut table = ShardTable::new(JOB, 3, NO_LIMITS);
    table.settle(&entry(1, 5, 0));
    assert_eq!(table.stop(), [0, 2]);
    assert!(table.plan_of(0).is_none());
}

#[test]
fn an_entry_counts_once_and_the_job_is_done_when_the_prefix_reaches_the_end() {
    let mut table = table(3);
    table.source_ended(3);
    assert!(table.settle(&entry(2, 1, 0)) && !table.settle(&entry(2, 1, 0)));
    assert!(table.settle(&entry(0, 1, 0)));
    assert_eq!((table.prefix(), table.totals().rows, table.prefix_totals().rows), (1, 2, 1));
    assert!(!table.is_done());
    assert!(table.settle(&entry(1, 1, 0)));
    assert!(table.is_done());
    assert!(!table.plan(plan(1)), "a settled shard is not planned again");
}

#[test]
fn an_entry_of_another_job_is_not_taken() {
    let mut table = table(1);
    let mut other = entry(0, 1, 0);
    other.plan.shard.job = JobNumber(8);
    assert!(!table.settle(&other));
}

#[test]
fn the_limit_is_judged_on_the_settled_prefix_whatever_the_order() {
    let limits = Limits { max_reject_ratio: 0.5, after_rows: 10 };
    // Shards of 10 rows with 0, 9, 9 and 0 rejected: the prefix passes one half at the third.
    let entries = [entry(0, 10, 0), entry(1, 10, 9), entry(2, 10, 9), entry(3, 10, 0)];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 2, 3, 0], [2, 0, 3, 1]] {
        let mut table = ShardTable::new(JOB, 64, limits);
        for i in order {
            table.settle(&entries[i]);
        }
        let tripped = table.tripped().expect("the limit is passed");
        assert_eq!((tripped.rows, tripped.rejected()), (30, 18), "{order:?}");
    }
    let mut table = ShardTable::new(JOB, 64, limits);
    table.settle(&entries[1]);
    table.settle(&entries[2]);
    assert!(table.tripped().is_none(), "shard 0 is missing: nothing can be said");
}
