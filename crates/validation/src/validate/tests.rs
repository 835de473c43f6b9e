use ensemble_protocol::v1;
use ensemble_store::{JobNumber, Rank, ShardId};

use super::*;

const CONTRACT: &str = r#"
name = "songs"
key = "id"
keep = "KEEP"
silver = "songs"
bronze = "songs_raw"

[columns]
id = { type = "string", required = true }
energy = { type = "float", range = "0..=1" }

[gold]
all = { measures = ["energy"] }
"#;

pub(crate) fn job(keep: &str) -> JobContext {
    let spec = v1::JobSpec {
        job_number: 3,
        job_id: "01a1fcba-01b5-70fb-8ff8-1fc5697c5b13".to_owned(),
        contract_toml: CONTRACT.replace("KEEP", keep),
        engine_version: ensemble_contract::ENGINE_VERSION,
        observed_at_us: 1_000_000,
        files: vec![v1::SourceFile {
            name: "songs.csv".to_owned(),
            delimiter: b','.into(),
            header: vec!["id".to_owned(), "energy".to_owned()],
            path: String::new(),
        }],
        ..v1::JobSpec::default()
    };
    JobContext::new(&spec).unwrap()
}

pub(crate) fn plan(bytes: &[u8]) -> ShardPlan {
    ShardPlan {
        shard: ShardId { job: JobNumber(3), number: 1 },
        file: 0,
        offset: 100,
        length: bytes.len() as u64,
        first_line: 7,
        next_line: 9,
        header_bytes: 0,
        last_of_file: true,
        kind: ShardKind::Records,
        digest: [0; 32],
    }
}

fn judged(keep: &str, bytes: &'static [u8]) -> ValidatedShard {
    validate(&job(keep), &plan(bytes), Bytes::from_static(bytes), &[], Fold::Claims).unwrap()
}

fn ranks(shard: &ValidatedShard) -> Vec<(&[u8], Rank)> {
    shard.claims.iter().map(|c| (&*c.key, c.claim.rank)).collect()
}

#[test]
fn one_claim_a_key_sorted_by_key_and_the_first_row_wins() {
    let shard = judged("first", b"b,0.1\na,0.2\nb,0.3\n");
    assert_eq!((shard.rows, shard.duplicates), (3, 1));
    let rank = |offset| Rank::first(JobNumber(3), Position::new(0, offset));
    assert_eq!(ranks(&shard), [(&b"a"[..], rank(106)), (b"b", rank(100))]);
}

#[test]
fn gold_is_that_of_the_claims_alone() {
    let (job, bytes) = (job("first"), b"b,0.1\na,0.2\nb,0.3\n");
    let gold = |fold| validate(&job, &plan(bytes), Bytes::from_static(bytes), &[], fold).unwrap().gold;
    let mut folder = Folder::new(&job.views);
    for claim in judged("first", bytes).claims.iter() {
        folder.add(&claim.claim.fields).unwrap();
    }
    let claims = folder.finish();
    assert_eq!(claims.iter().map(|(_, cell)| cell.count).collect::<Vec<_>>(), [2]);
    assert_eq!((gold(Fold::Claims), gold(Fold::Nothing)), (claims, Cells::default()));
}

#[test]
fn with_keep_last_the_last_row_wins() {
    let shard = judged("last", b"b,0.1\na,0.2\nb,0.3\n");
    assert_eq!(ranks(&shard)[1], (&b"b"[..], Rank::last(1_000_000, 0, Position::new(0, 112))));
}

#[test]
fn a_bad_row_is_a_dead_letter_with_its_place_rule_and_value() {
    let shard = judged("first", b"a,0.1\nb, 7 \n\nc\n");
    let [range, columns] = &shard.dead_letters[..] else { panic!("{:?}", shard.dead_letters) };
    assert_eq!((shard.rows, shard.claims.len()), (3, 1));
    assert_eq!((range.line, range.position, &*range.rule), (8, Position::new(0, 106), "energy.range"));
    assert_eq!((range.column.as_deref(), range.value.as_deref()), (Some("energy"), Some(&b" 7 "[..])));
    assert_eq!((&range.raw[..], range.length), (&b"b, 7 "[..], 5));
    assert_eq!((columns.line, &*columns.rule, &columns.value), (10, "row.columns", &None));
}

#[test]
fn a_shard_that_ends_inside_a_quote_ends_with_an_unterminated_row() {
    let shard = judged("first", b"a,0.1\n\"b,0.2\n");
    assert_eq!((shard.rows, shard.claims.len()), (2, 1));
    assert_eq!(shard.dead_letters[0].rule, "row.unterminated_quote");
    assert_eq!(&shard.dead_letters[0].raw[..], b"\"b,0.2");
}

#[test]
fn the_last_piece_of_a_long_record_stands_for_its_one_row_and_the_others_for_none() {
    let head = Bytes::from(vec![b'x'; DEAD_LETTER_BYTES]);
    let last = ShardKind::LastPiece { record_offset: 40, record_length: 5_000_000, record_line: 3, head: head.clone() };
    let shard = validate(
        &job("first"),
        &ShardPlan { kind: last, ..plan(b"x\r\n") },
        Bytes::from_static(b"x\r\n"),
        &[],
        Fold::Claims,
    )
    .unwrap();
    let letter = &shard.dead_letters[0];
    assert_eq!((shard.rows, &*letter.rule, letter.line), (1, "row.too_long", 3));
    assert_eq!((&letter.raw, letter.length, letter.position), (&head, 4_999_998, Position::new(0, 40)));
    let piece = ShardPlan { kind: ShardKind::Piece, ..plan(b"xx") };
    assert_eq!(
        validate(&job("first"), &piece, Bytes::from_static(b"xx"), &[], Fold::Claims).unwrap(),
        ValidatedShard::default()
    );
}

#[test]
fn a_row_that_panics_the_rules_is_found_and_rejected_and_the_rest_goes_on() {
    let (job, bytes) = (job("first"), b"a,0.1\nboom,0.2\nc,0.3\n");
    let (plan, file) = (plan(bytes), job.file(0).unwrap());
    let panics = std::cell::Cell::new(0);
    let judge = |record: &Record<'_>, out: &mut Vec<u8>| {
        let first = record.fields[0];
        if &record.bytes[first.start as usize..first.end as usize] == b"boom" {
            panics.set(panics.get() + 1);
            panic!("a bug in a rule");
        }
        file.judge.judge(record, out)
    };
    let validator = ShardValidator { judge: &judge, job: &job, file, plan: &plan, fold: Fold::Claims };
    let shard = validator.validate(bytes, &[]).unwrap();
    assert_eq!(panics.get(), 2, "once in the shard, once alone");
    assert_eq!(shard.panicked, [106]);
    assert_eq!((shard.rows, shard.claims.len(), &*shard.dead_letters[0].rule), (3, 2, "row.panic"));
    // Whoever repeats the shard obeys what was found, and judges that row no more.
    assert_eq!(validator.validate(bytes, &shard.panicked).unwrap(), shard);
    assert_eq!(panics.get(), 2);
}

#[test]
fn a_shard_of_another_job_is_an_error() {
    let other = ShardPlan { file: 9, ..plan(b"") };
    assert_eq!(
        validate(&job("first"), &other, Bytes::new(), &[], Fold::Claims),
        Err(ValidateError::NoSuchFile { file: 9, files: 1 })
    );
}
