use proptest::{collection::vec, prelude::*};

use super::*;

fn accepted() -> impl Strategy<Value = AcceptedRow> {
    (any::<u64>(), any::<[i64; 3]>(), vec(any::<u8>(), 0..12), vec(any::<u8>(), 0..40), any::<bool>()).prop_map(
        |(position, rank, key, mut fields, holds_key)| {
            if holds_key {
                fields.splice(0..0, key.iter().copied());
            }
            AcceptedRow { position: Position(position), rank: Rank(rank), key: key.into(), fields: fields.into() }
        },
    )
}

fn rejected() -> impl Strategy<Value = RejectedRow> {
    (any::<u64>(), any::<u64>(), ".{0,8}", vec(".{0,8}", 0..3)).prop_map(|(position, line, rule, rules)| RejectedRow {
        position: Position(position),
        line,
        rule,
        rules,
    })
}

fn events() -> impl Strategy<Value = ShardEvents> {
    let names = (".{0,12}", vec(".{0,8}", 0..4), ".{0,12}");
    (any::<(u128, u64, u32, i64)>(), names, vec(accepted(), 0..8), vec(rejected(), 0..4)).prop_map(
        |((job, number, shard, time_us), (contract, columns, source), accepted, rejected)| ShardEvents {
            job: JobId(uuid::Uuid::from_u128(job)),
            shard: ShardId { job: JobNumber(number), number: shard },
            contract,
            columns,
            source,
            time_us,
            accepted,
            rejected,
        },
    )
}

proptest! {
    #[test]
    fn reads_back_what_was_written(events in events()) {
        let mut out = Vec::new();
        encode(&events, &mut out);
        prop_assert_eq!(decode(&Bytes::from(out)), Ok(events));
    }

    #[test]
    fn a_record_that_is_cut_short_is_refused(events in events(), cut in any::<prop::sample::Index>()) {
        let mut out = Vec::new();
        encode(&events, &mut out);
        out.truncate(cut.index(out.len()));
        prop_assert!(decode(&Bytes::from(out)).is_err());
    }

    #[test]
    fn noise_ends_in_an_answer_and_never_in_a_panic(events in events(), at in any::<prop::sample::Index>(), noise in vec(any::<u8>(), 1..20)) {
        let mut out = Vec::new();
        encode(&events, &mut out);
        let at = at.index(out.len());
        out.splice(at..(at + noise.len()).min(out.len()), noise.iter().copied());
        let _ = decode(&Bytes::from(out));
        let _ = decode(&Bytes::from(noise));
    }
}

#[test]
fn a_key_that_is_a_column_is_stored_once() {
    let row = |n: u8| AcceptedRow {
        position: Position(u64::from(n)),
        rank: Rank([1, i64::from(n), 0]),
        key: vec![b'k'; 22].into(),
        fields: [&[4, 22][..], &[b'k'; 22], &[n]].concat().into(),
    };
    let mut one = Vec::new();
    let mut before = Before::default();
    put_accepted(&mut one, &row(1), &mut before);
    let first = one.len();
    put_accepted(&mut one, &row(2), &mut before);
    assert_eq!(one.len() - first, 4 + 2 + 1 + 25);
}
