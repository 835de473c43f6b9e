use super::*;
use crate::validate::tests::{job, plan};

const BYTES: &[u8] = b"b,0.1\n\na,\"0\n.2\"\nb,7\nc\nb,0.3\n";

fn examined(keep: &str, at: Place) -> Found<ExaminedRecord> {
    let bytes = Bytes::from_static(BYTES);
    examine(&job(keep), &plan(BYTES), &bytes, &[], at).unwrap()
}

fn record(keep: &str, at: Place) -> ExaminedRecord {
    let Found::Record(record) = examined(keep, at) else { panic!("no record at {at:?}") };
    record
}

#[test]
fn a_record_is_found_by_each_of_its_lines_and_bytes() {
    let (job, plan) = (job("first"), plan(BYTES));
    let found = |at| find(&job, &plan, BYTES, at).unwrap();
    let place = |at| match found(at) {
        Found::Record((place, _)) => (place.line, place.offset, place.raw),
        other => panic!("{at:?}: {other:?}"),
    };
    let quoted = (9, 107, Bytes::from_static(b"a,\"0\n.2\""));
    // The shard begins at line 7, byte 100.
    for at in [Place::Line(9), Place::Line(10), Place::Offset(107), Place::Offset(115)] {
        assert_eq!(place(at), quoted, "{at:?}");
    }
    assert_eq!(place(Place::Offset(105)), (7, 100, Bytes::from_static(b"b,0.1")), "the line end is the record's");
    assert_eq!([Place::Line(8), Place::Offset(106)].map(found), [Found::Empty, Found::Empty]);
    for outside in [Place::Line(6), Place::Line(14), Place::Offset(99), Place::Offset(128)] {
        assert_eq!(found(outside), Found::Outside, "{outside:?}");
    }
    let headed = ShardPlan { header_bytes: 7, ..plan.clone() };
    assert_eq!(find(&job, &headed, BYTES, Place::Line(8)).unwrap(), Found::Header);
}

#[test]
fn a_row_claims_its_key_or_another_of_the_shard_does() {
    let (first, last) = (Place::Line(7), Place::Line(13));
    let key = Bytes::from_static(b"b");
    let duplicate_of = |offset| Judged::Duplicate { key: key.clone(), of: Position::new(0, offset) };
    assert_eq!(record("first", first).judged, Judged::Claims { key: key.clone() });
    assert_eq!(record("first", last).judged, duplicate_of(100));
    assert_eq!(record("last", first).judged, duplicate_of(122));
    assert_eq!(record("last", last).judged, Judged::Claims { key: key.clone() });
    let raw: Vec<_> = record("first", last).columns.into_iter().map(|c| (c.source, c.raw)).collect();
    assert_eq!(raw, [(Some(0), Some(key)), (Some(1), Some(Bytes::from_static(b"0.3")))]);
}

#[test]
fn a_rejected_row_has_its_letter_and_the_rule_of_each_column() {
    let ExaminedRecord { columns, judged: Judged::Rejected(letter), .. } = record("first", Place::Line(11)) else {
        panic!("it is accepted")
    };
    assert_eq!(letter.rule, "energy.range");
    let FieldVerdict::Broken(rule) = &columns[1].verdict else { panic!("{:?}", columns[1]) };
    assert_eq!((rule.name(), matches!(columns[0].verdict, FieldVerdict::Value(_))), ("energy.range", true));
    let short = record("first", Place::Line(12));
    assert!(short.columns.iter().all(|c| c.verdict == FieldVerdict::NotJudged));
    assert_eq!((&short.columns[0].raw, &short.columns[1].raw), (&Some(Bytes::from_static(b"c")), &None));
}

#[test]
fn a_record_that_panics_is_not_judged_on_its_own() {
    let bytes = Bytes::from_static(BYTES);
    let found = examine(&job("first"), &plan(BYTES), &bytes, &[122], Place::Line(13)).unwrap();
    let Found::Record(ExaminedRecord { columns, judged: Judged::Rejected(letter), .. }) = found else {
        panic!("{found:?}")
    };
    assert_eq!((letter.rule.as_str(), &columns[1].verdict), ("row.panic", &FieldVerdict::NotJudged));
    assert_eq!(columns[1].raw.as_deref(), Some(&b"0.3"[..]));
}

#[test]
fn any_place_in_a_long_record_is_its_last_piece() {
    let head = Bytes::from_static(b"x,y");
    let kind = ShardKind::LastPiece { record_offset: 40, record_length: 64, record_line: 3, head: head.clone() };
    let plan = ShardPlan { kind, ..plan(b"xxx\n") };
    let bytes = Bytes::from_static(b"xxx\n");
    let Found::Record(record) = examine(&job("first"), &plan, &bytes, &[], Place::Offset(50)).unwrap() else {
        panic!("no record")
    };
    assert_eq!(record.place, RecordPlace { offset: 40, line: 3, raw: head, length: 63 });
    let Judged::Rejected(letter) = record.judged else { panic!("it is accepted") };
    assert_eq!((letter.rule.as_str(), record.columns[0].source), ("row.too_long", Some(0)));
}
