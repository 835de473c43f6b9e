use ensemble_store::Position;

use super::*;

fn sum(rows: &[u64]) -> RejectedSum {
    RejectedSum::of(rows.iter().map(|n| (Position(*n), n + 1, "tempo.range", &[][..])))
}

#[test]
fn parts_add_up_whatever_their_order_and_repeats() {
    let wanted = sum(&[1, 2, 3]);
    for (parts, right) in [
        (vec![sum(&[1, 2, 3])], Some(true)),
        (vec![sum(&[3]), sum(&[1, 2])], Some(true)),
        (vec![sum(&[1, 2]), sum(&[3, 1]), sum(&[2, 3])], Some(true)),
        (vec![], Some(false)),
        (vec![sum(&[1, 2])], Some(false)),
        (vec![sum(&[1, 2, 4])], Some(false)),
        (vec![sum(&[1, 2, 3, 1])], None),
    ] {
        let mut batches = Batches::default();
        parts.iter().for_each(|part| batches.part(0, *part));
        assert_eq!(batches.rejected(wanted, false), right, "{parts:?}");
    }
    let mut none = Batches::default();
    none.part(3, RejectedSum::default());
    assert_eq!(none.rejected(RejectedSum::default(), false), Some(true));
    none.part(0, sum(&[1]));
    assert_eq!(none.rejected(RejectedSum::default(), false), Some(false));
}

#[test]
fn of_whole_batches_one_has_to_be_right() {
    let mut batches = Batches::default();
    batches.whole(3, false);
    assert_eq!(batches.rejected(sum(&[1]), true), Some(false));
    batches.whole(2, true);
    assert_eq!((batches.rejected(sum(&[1]), true), batches.accepted), (Some(true), 3));
}
