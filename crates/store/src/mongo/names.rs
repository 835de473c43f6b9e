//! The ids of documents: texts whose bytewise order is the order in which they are scanned.

use crate::{JobNumber, Position, ShardId, StoreError};

/// The longest key of silver, in bytes: as the embedded store has it, so that a contract fits both.
pub(super) const MAX_KEY: usize = u16::MAX as usize - 1;

/// A shard's id: job and number with as many zeros in front as make all ids equally long.
pub(super) fn shard_id(shard: ShardId) -> String {
    format!("{:020}/{:010}", shard.job.0, shard.number)
}

/// The ids of a job's shards from a number on, both ends included.
pub(super) fn shard_range(job: JobNumber, from: u32) -> (String, String) {
    (shard_id(ShardId { job, number: from }), shard_id(ShardId { job, number: u32::MAX }))
}

/// A dead letter's id.
pub(super) fn letter_id(shard: ShardId, position: Position) -> String {
    format!("{}/{:020}", shard_id(shard), position.0)
}

/// The collection of the parts of documents that are too large for one.
pub(super) fn parts_of(collection: &str) -> String {
    format!("{collection}.parts")
}

/// A key of silver as the text that it is.
///
/// # Errors
/// [`StoreError::TooLarge`] and [`StoreError::NotText`].
pub(super) fn silver_key(key: &[u8]) -> Result<&str, StoreError> {
    if key.len() > MAX_KEY {
        return Err(StoreError::TooLarge { what: "a key of silver".to_owned(), length: key.len(), limit: MAX_KEY });
    }
    std::str::from_utf8(key).map_err(|_| StoreError::NotText { what: "a key of silver" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::records::{from_hex, to_hex};

    proptest! {
        #[test]
        fn ids_are_in_the_order_of_what_they_name(a: (u64, u32, u64), b: (u64, u32, u64)) {
            let id = |(job, number, position)| letter_id(ShardId { job: JobNumber(job), number }, Position(position));
            prop_assert_eq!(id(a).cmp(&id(b)), a.cmp(&b));
        }

        #[test]
        fn hex_keeps_bytes_and_their_order(a: Vec<u8>, b: Vec<u8>) {
            let (x, y) = (to_hex(&a), to_hex(&b));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(from_hex(&x), Some(a));
        }
    }

    #[test]
    fn a_job_s_shards_are_between_the_ends_of_its_range() {
        let (from, to) = shard_range(JobNumber(2), 7);
        let id = |job, number| shard_id(ShardId { job: JobNumber(job), number });
        assert!(id(2, 6) < from && id(2, 7) >= from && id(2, u32::MAX) <= to && id(3, 0) > to);
    }
}
