//! Loads small stores, breaks one thing, and looks for exactly that.
#![allow(clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use ensemble_audit::{AuditError, Check, Outcome, Report, Scope, VerifyOptions, verify};
use ensemble_contract::row::{RowRef, RowWriter, Value};
use ensemble_events::{EmbeddedLogOptions, EventLog};
use ensemble_store::{Decision, Document, DocumentKind, Epoch, GoldCell, JobNumber, Position, ShardId, Stamp, Store};
use ensemble_supervisor::{Ending, JobState};
use support::{Hooks, SONGS, Step, World, songs};

fn check<'r>(report: &'r Report, id: &str) -> &'r Check {
    report.checks.iter().find(|c| c.id == id).unwrap()
}

fn assert_all_hold(report: &Report) {
    for check in &report.checks {
        assert_eq!(check.outcome, Outcome::Holds, "{check:#?}");
    }
    assert!(report.holds());
}

/// Exactly this check is broken, and an example says so.
fn assert_broken(report: &Report, id: &str, words: &[&str]) {
    let broken: Vec<_> = report.checks.iter().filter(|c| c.outcome == Outcome::Broken).map(|c| c.id).collect();
    assert_eq!(broken, [id], "{report:#?}");
    assert!(!report.holds());
    let examples = &check(report, id).examples;
    assert!(examples.iter().any(|e| words.iter().all(|w| e.contains(w))), "{words:?} in {examples:#?}");
}

/// A row with another value in one column.
fn with_column(fields: &Bytes, column: usize, value: Value<'_>) -> Bytes {
    let (mut out, mut row, mut at) = (Vec::new(), RowRef::new(fields), 0);
    let mut writer = RowWriter::new(&mut out);
    while let Some(old) = row.next_value().unwrap() {
        writer.push(if at == column { value } else { old });
        at += 1;
    }
    out.into()
}

async fn loaded(hooks: Hooks) -> World {
    let world = World::new().await;
    world.load(SONGS, &[&songs(0, 60), &songs(40, 90)], hooks).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_store_holds_trivially() {
    let report = World::new().await.verify().await;
    assert_all_hold(&report);
    assert_eq!(report.checks.len(), 7);
    assert!(report.checks.iter().all(|c| c.detail.contains("nothing to check")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_loaded_in_order_holds() {
    let world = loaded(Hooks::default()).await;
    let report = world.verify().await;
    assert_all_hold(&report);
    assert!(check(&report, "I2").detail.contains("110 rows judged again"), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_loaded_backwards_and_by_several_jobs_holds() {
    for contract in [SONGS.to_owned(), SONGS.replace("\"first\"", "\"last\"")] {
        let world = World::new().await;
        world.load(&contract, &[&songs(0, 60)], Hooks { backwards: true, ..Hooks::default() }).await;
        world.load(&contract, &[&songs(30, 90)], Hooks { backwards: true, at_once: 4, ..Hooks::default() }).await;
        let other = contract
            .replace("\"songs\"", "\"others\"")
            .replace("by_genre", "other")
            .replace("popularity = { by", "p = { by");
        world.load(&other, &[&songs(10, 20)], Hooks::default()).await;
        assert_all_hold(&world.verify().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_joins_partitions_change_nothing() {
    let world = World::new().await;
    world.load(SONGS, &[&songs(0, 2_000)], Hooks { shard_bytes: 2000, ..Hooks::default() }).await;
    world.load(SONGS, &[&songs(0, 5_000)], Hooks { shard_bytes: 20_000, ..Hooks::default() }).await;
    let options = VerifyOptions { memory_bytes: 0, threads: 3, ..VerifyOptions::new(world.scratch()) };
    assert_all_hold(&world.verify_with(Scope::All, options.clone()).await.unwrap());
    assert_eq!(
        std::fs::read_dir(world.scratch()).unwrap().count(),
        0,
        "the join went through files, and they are gone"
    );
    world.set_fields("songs", "s77", |doc| doc.live.fields = with_column(&doc.live.fields, 1, Value::Str("x"))).await;
    let report = world.verify_with(Scope::All, options).await.unwrap();
    assert_broken(&report, "I2", &["key s77:", "title is \"x\" in silver"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_job_can_be_verified_among_others() {
    let world = World::new().await;
    let first = world.load(SONGS, &[&songs(0, 50)], Hooks::default()).await;
    let second = world.load(SONGS, &[&songs(30, 90)], Hooks { events: |_| false, ..Hooks::default() }).await;
    let verify = |id| world.verify_with(Scope::Job(id), VerifyOptions::new(world.scratch()));
    assert_all_hold(&verify(first.id).await.unwrap());
    assert_broken(&verify(second.id).await.unwrap(), "I6", &["shard 2/0 is settled, and has no events"]);
    let unknown = "01890000-0000-7000-8000-999999999999".parse().unwrap();
    assert!(matches!(verify(unknown).await, Err(AuditError::UnknownJob(id)) if id == unknown));
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_ends_at_its_total_and_never_goes_back() {
    let world = loaded(Hooks::default()).await;
    let seen = std::sync::Mutex::new(Vec::new());
    let options = VerifyOptions::new(world.scratch());
    verify(world.store.clone(), Some(world.log.clone()), Scope::All, options, |p| seen.lock().unwrap().push(p))
        .await
        .unwrap();
    let seen = seen.into_inner().unwrap();
    assert!(seen.is_sorted_by_key(|p| p.done_bytes) && seen.len() > 4);
    let last = seen.last().unwrap();
    assert!(last.total_bytes > 0 && last.done_bytes == last.total_bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_job_may_have_half_a_shard() {
    for step in [Step::HalfOfTheClaims, Step::Letters, Step::Entry] {
        let hooks = Hooks { state: None, shard_1_ends_before: Some(step), ..Hooks::default() };
        let report = loaded(hooks).await.verify().await;
        for check in &report.checks {
            match check.id {
                "I3" => {
                    assert!(matches!(&check.outcome, Outcome::Skipped(r) if r.contains("1 shards of songs are open")))
                }
                _ => assert_eq!(check.outcome, Outcome::Holds, "{step:?}: {check:#?}"),
            }
        }
        assert!(report.holds());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_shard_is_named_and_breaks_nothing() {
    let report = loaded(Hooks { aside: |n| n == 2, ..Hooks::default() }).await.verify().await;
    assert_all_hold(&report);
    assert!(check(&report, "I4").detail.contains("lost: shard 1/2, bytes"), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_not_counted_breaks_i1() {
    let hooks = Hooks { entry: |e| e.rows += u64::from(e.plan.shard.number == 3), ..Hooks::default() };
    assert_broken(&loaded(hooks).await.verify().await, "I1", &["shard 1/3:", "rows, but"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_that_are_not_the_ledgers_break_i1() {
    let hooks = Hooks { record: |r| r.totals.as_mut().unwrap().bytes += 1, ..Hooks::default() };
    assert_broken(&loaded(hooks).await.verify().await, "I1", &["job 1: its record says"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_documents_than_the_ledger_knows_break_i1_and_i2() {
    let world = loaded(Hooks::default()).await;
    let doc = world.store.read_claims("songs", vec![Bytes::from("s3")]).await.unwrap().remove(0).unwrap();
    let claim = ensemble_store::NewClaim { key: Bytes::from("stranger"), claim: doc.live };
    world.store.insert_claims("songs", vec![claim].into()).await.unwrap();
    let report = world.verify().await;
    assert_eq!(check(&report, "I1").outcome, Outcome::Broken, "{report:#?}");
    assert!(check(&report, "I2").examples[0].contains("key stranger: the live row"), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_document_breaks_i2() {
    let world = loaded(Hooks::default()).await;
    let change = |doc: &mut ensemble_store::SilverDoc| {
        doc.live.fields = with_column(&doc.live.fields, 1, Value::Str("another song"));
    };
    world.set_fields("songs", "s12", change).await;
    let words = ["key s12:", "shard 1/", "title is \"another song\" in silver, expected \"song, no 12\""];
    assert_broken(&world.verify().await, "I2", &words);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_row_that_is_live_breaks_i2() {
    let world = loaded(Hooks::default()).await;
    // Song 45 stands in both files. Where the second one is live, the sums stay as they are.
    let second = world.store.scan_decisions(JobNumber(1), 0, 100).await.unwrap().into_iter().find_map(|record| {
        let Decision::Process { bytes, .. } = record.decision else { return None };
        let at = bytes.windows(5).position(|w| w == b"\ns45,").filter(|_| record.plan.file == 1)?;
        Some((record.plan.shard, Position::new(1, record.plan.offset + at as u64 + 1)))
    });
    let (shard, position) = second.unwrap();
    let later = move |doc: &mut ensemble_store::SilverDoc| {
        doc.live.shard = shard;
        doc.live.rank = ensemble_store::Rank::first(JobNumber(1), position);
    };
    world.set_fields("songs", "s45", later).await;
    assert_broken(&world.verify().await, "I2", &["key s45: the row at byte", "comes before the live one, at byte"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_a_shard_that_was_never_decided_breaks_i2() {
    let world = loaded(Hooks::default()).await;
    world.set_fields("songs", "s3", |doc| doc.live.shard = ShardId { job: JobNumber(1), number: 60 }).await;
    assert_broken(&world.verify().await, "I2", &["key s3 is held by shard 1/60, which was never decided"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_cell_breaks_i3() {
    let world = loaded(Hooks::default()).await;
    let cell = world.store.scan_cells("by_genre", None, 1).await.unwrap().remove(0);
    let mut wrong = ensemble_gold::Cell::decode(&cell.cell).unwrap();
    wrong.measures[0].sum += 1;
    let stamp = Stamp { version: 9, ..cell.stamp };
    let cell = GoldCell { cell: wrong.encode().into(), stamp, ..cell };
    world.store.write_cells(vec![cell]).await.unwrap();
    assert_broken(
        &world.verify().await,
        "I3",
        &["by_genre, [\"folk\"]: the ledger has measure 0", "the stored view has"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_cell_breaks_i3() {
    let world = loaded(Hooks::default()).await;
    let cell = world.store.scan_cells("by_genre", None, 2).await.unwrap().remove(1);
    let stamp = Stamp { version: 9, ..cell.stamp };
    world.store.write_cells(vec![GoldCell { cell: Bytes::new(), stamp, ..cell }]).await.unwrap();
    assert_broken(&world.verify().await, "I3", &["by_genre, [\"jazz\"]: the stored view has no such cell"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_that_is_not_the_rows_breaks_i3() {
    let hooks = Hooks {
        entry: |e| {
            if e.plan.shard.number == 2 {
                e.delta = Bytes::new();
            }
        },
        ..Hooks::default()
    };
    assert_broken(&loaded(hooks).await.verify().await, "I3", &["a recompute from silver has count"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_gold_of_a_running_job_may_be_behind() {
    let world = loaded(Hooks { state: None, ..Hooks::default() }).await;
    assert_all_hold(&world.verify().await);
    let cell = world.store.scan_cells("by_genre", None, 1).await.unwrap().remove(0);
    let stamp = Stamp { version: 9, ..cell.stamp };
    world.store.write_cells(vec![GoldCell { cell: Bytes::new(), stamp, ..cell }]).await.unwrap();
    let report = world.verify().await;
    assert!(matches!(&check(&report, "I3").outcome, Outcome::Skipped(r) if r.contains("has not ended")), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_the_planned_ones_break_i4() {
    let hooks = Hooks {
        decision: |r| {
            if r.plan.shard.number == 1 {
                r.plan.digest[0] ^= 1;
            }
        },
        ..Hooks::default()
    };
    assert_broken(&loaded(hooks).await.verify().await, "I4", &["shard 1/1 (file 0, byte", "digest"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_between_plans_breaks_i4() {
    let hooks = Hooks {
        decision: |r| {
            if r.plan.shard.number == 1 {
                r.plan.next_line += 1;
            }
        },
        ..Hooks::default()
    };
    assert_broken(&loaded(hooks).await.verify().await, "I4", &["shard 1/2: expected file 0, byte", "line"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_was_longer_breaks_i4() {
    let hooks = Hooks {
        record: |r| {
            if let ensemble_supervisor::Source::Files(files) = &mut r.source {
                files[0].file.as_mut().unwrap().size += 7;
            }
        },
        ..Hooks::default()
    };
    assert_broken(&loaded(hooks).await.verify().await, "I4", &["1-0.csv: the file had", "bytes, and bronze has"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_too_many_breaks_i5() {
    let world = loaded(Hooks::default()).await;
    let mut letter = world.store.scan_dead_letters(None, None, 1).await.unwrap().remove(0);
    letter.position = Position(letter.position.0 + 1);
    world.store.put_dead_letters(vec![letter.clone()]).await.unwrap();
    assert_broken(
        &world.verify().await,
        "I5",
        &["has a dead letter (popularity.range), and the rules do not reject it"],
    );
    letter.shard.number = 50;
    world.store.put_dead_letters(vec![letter]).await.unwrap();
    assert_broken(&world.verify().await, "I5", &["shard 1/50", "its shard was never decided"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_is_missing_or_changed_breaks_i5() {
    let hooks = Hooks { letters: |l| l.truncate(0), ..Hooks::default() };
    assert_broken(
        &loaded(hooks).await.verify().await,
        "I5",
        &["line 7 breaks popularity.range and has no dead letter"],
    );
    let hooks = Hooks { letters: |l| l.iter_mut().for_each(|l| l.value = Some(Bytes::from("4"))), ..Hooks::default() };
    assert_broken(&loaded(hooks).await.verify().await, "I5", &["the dead letter's value is \"4\", expected \"400\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_missing_breaks_i6() {
    let hooks = Hooks { events: |e| e.shard.number != 2, ..Hooks::default() };
    assert_broken(&loaded(hooks).await.verify().await, "I6", &["shard 1/2 is settled, and has no events"]);
    let hooks = Hooks {
        events: |e| {
            e.accepted.retain(|r| r.key != "s3");
            true
        },
        ..Hooks::default()
    };
    assert_broken(&loaded(hooks).await.verify().await, "I6", &["key s3: the live row, at byte", "has no event"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_with_another_rank_or_row_or_twice_breaks_i6() {
    let hooks = Hooks {
        events: |e| {
            e.accepted.iter_mut().filter(|r| r.key == "s3").for_each(|r| r.rank.0[2] += 1);
            true
        },
        ..Hooks::default()
    };
    assert_broken(&loaded(hooks).await.verify().await, "I6", &["/0:", "its rank is [1, ", "expected [1, "]);
    let hooks = Hooks {
        events: |e| {
            e.accepted.iter_mut().filter(|r| r.key == "s3").for_each(|r| r.fields = Bytes::from_static(&[0; 4]));
            true
        },
        ..Hooks::default()
    };
    assert_broken(&loaded(hooks).await.verify().await, "I6", &["key s3: the event for the row at", "other fields"]);
    let hooks = Hooks {
        events: |e| {
            e.accepted.extend(e.accepted.iter().find(|r| r.key == "s3").cloned());
            true
        },
        ..Hooks::default()
    };
    assert_broken(&loaded(hooks).await.verify().await, "I6", &["stands twice in one batch of shard 1/0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_rows_event_that_is_missing_breaks_i6() {
    let hooks = Hooks {
        events: |e| {
            e.rejected.clear();
            true
        },
        ..Hooks::default()
    };
    assert_broken(&loaded(hooks).await.verify().await, "I6", &["the events of its rejected rows are not those"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_log_events_are_skipped() {
    let world = loaded(Hooks::default()).await;
    let options = VerifyOptions::new(world.scratch());
    let report = verify(world.store.clone(), None, Scope::All, options, |_| {}).await.unwrap();
    assert!(matches!(check(&report, "I6").outcome, Outcome::Skipped(_)));
    assert!(report.holds());
}

#[tokio::test(flavor = "multi_thread")]
async fn retired_events_are_named_and_break_nothing() {
    let log = EmbeddedLogOptions { segment_bytes: 1, retain_bytes: Some(0), ..EmbeddedLogOptions::default() };
    let world = World::within(tempfile::tempdir().unwrap(), log).await;
    let first = world.load(SONGS, &[&songs(0, 50)], Hooks::default()).await;
    world.log.job_ended(first.id).await.unwrap();
    world.load(SONGS, &[&songs(30, 90)], Hooks::default()).await;
    let report = world.verify().await;
    assert_all_hold(&report);
    let detail = &check(&report, "I6").detail;
    assert!(detail.contains("not checked") && detail.contains(&first.id.to_string()), "{report:#?}");
    let report = world.verify_with(Scope::Job(first.id), VerifyOptions::new(world.scratch())).await.unwrap();
    assert!(matches!(&check(&report, "I6").outcome, Outcome::Skipped(r) if r.contains("retired")), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_rows_hold_too() {
    let long = "x".repeat(700);
    let csv = format!(
        "\u{feff}id,title,genre,popularity\r\n\r\ns1,\"a\nb\",pop,1\r\ns2,{long},pop,2\r\ns3,too,many,4,5\rs4\ns5,\u{fffd},,\n\
         ,no key,pop,1\ns6,\"open,pop,3\ns7,c,pop,5\n"
    );
    let world = World::new().await;
    let hooks = Hooks { shard_bytes: 20, record_limit_bytes: 200, ..Hooks::default() };
    world.load(SONGS, &[&csv, &songs(0, 20)], hooks).await;
    let report = world.verify().await;
    assert_all_hold(&report);
    assert!(check(&report, "I5").detail.contains("7 rejected rows"), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_batch_is_harmless() {
    let world = loaded(Hooks::default()).await;
    let page = world.log.scan(Default::default(), 3).await.unwrap().unwrap();
    for batch in page.records {
        world.log.append(batch.into()).await.unwrap();
    }
    assert_all_hold(&world.verify().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_job_with_a_shard_that_is_not_settled_breaks_i7() {
    let hooks = Hooks {
        state: Some(JobState::Failed),
        shard_1_ends_before: Some(Step::Entry),
        record: |r| r.ending = Some(Ending::Failed { reason: "a test".into() }),
        ..Hooks::default()
    };
    let report = loaded(hooks).await.verify().await;
    assert_broken(&report, "I7", &["shard 1/1 has no ledger entry, and its job has ended"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_not_as_decided_breaks_i7() {
    // Shard 0 of the first file is only the header, so that nothing else is wrong with it.
    let world = World::new().await;
    let hooks = Hooks { shard_bytes: 1, entry: aside_without_rows, ..Hooks::default() };
    world.load(SONGS, &["id,title,genre,popularity\ns1,a,pop,1\n"], hooks).await;
    let report = world.verify().await;
    let examples = &check(&report, "I7").examples;
    assert!(examples.iter().any(|e| e.contains("was to be processed, and the ledger has it set aside")), "{report:#?}");
}

fn aside_without_rows(entry: &mut ensemble_store::LedgerEntry) {
    *entry = ensemble_store::LedgerEntry::set_aside(entry.plan.clone(), "a test".into(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_or_cell_of_a_later_epoch_breaks_i7() {
    let world = loaded(Hooks::default()).await;
    let stamp = Stamp { epoch: Epoch(7), version: 1 };
    let document = Document { id: "stray".into(), stamp, body: Bytes::from("{}") };
    assert!(world.store.write_document(DocumentKind::Counter, None, &document).await.unwrap());
    let cell = world.store.scan_cells("by_genre", None, 1).await.unwrap().remove(0);
    world.store.write_cells(vec![GoldCell { stamp, ..cell }]).await.unwrap();
    let report = world.verify().await;
    assert_broken(&report, "I7", &["the counter stray was written under epoch 7, and epoch 1 is in office"]);
    assert_broken(&report, "I7", &["of by_genre was written under epoch 7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_another_engine_is_skipped_and_the_rest_is_checked() {
    let hooks = Hooks { record: |r| r.contract.engine_version += 1, ..Hooks::default() };
    let report = loaded(hooks).await.verify().await;
    for id in ["I2", "I5", "I6"] {
        let outcome = &check(&report, id).outcome;
        assert!(matches!(outcome, Outcome::Skipped(r) if r.contains("engine version")), "{id}: {outcome:?}");
    }
    for id in ["I1", "I3", "I4", "I7"] {
        assert_eq!(check(&report, id).outcome, Outcome::Holds, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_bronze_breaks_i4_and_the_rest_is_still_read() {
    let world = loaded(Hooks::default()).await;
    let dir = world.dir.path().join("store/bronze");
    let segment = std::fs::read_dir(dir).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 0xff;
    std::fs::write(&segment, bytes).unwrap();
    let report = world.verify().await;
    assert_broken(&report, "I4", &["is damaged"]);
    assert_broken(&report, "I4", &["is settled, and has no bronze"]);
}
