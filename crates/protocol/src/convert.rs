//! Between messages and the store's types.

use ensemble_store::{JobNumber, ShardId, ShardKind, ShardPlan};

use crate::v1;

/// A message that breaks the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// A field that must be there is not.
    #[error("the message lacks {0}")]
    Missing(&'static str),
    /// A field has a value that it cannot have.
    #[error("the message's {field} is wrong: {reason}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// Why.
        reason: String,
    },
}

impl From<&ShardPlan> for v1::ShardPlan {
    fn from(plan: &ShardPlan) -> Self {
        use v1::shard_plan::{Kind, LastPiece, Piece, Records};
        Self {
            job_number: plan.shard.job.0,
            shard_number: plan.shard.number,
            file: plan.file,
            offset: plan.offset,
            length: plan.length,
            first_line: plan.first_line,
            next_line: plan.next_line,
            header_bytes: plan.header_bytes,
            last_of_file: plan.last_of_file,
            digest: plan.digest.to_vec().into(),
            kind: Some(match &plan.kind {
                ShardKind::Records => Kind::Records(Records {}),
                ShardKind::Piece => Kind::Piece(Piece {}),
                ShardKind::LastPiece { record_offset, record_length, record_line, head } => {
                    Kind::LastPiece(LastPiece {
                        record_offset: *record_offset,
                        record_length: *record_length,
                        record_line: *record_line,
                        head: head.clone(),
                    })
                }
            }),
        }
    }
}

impl TryFrom<v1::ShardPlan> for ShardPlan {
    type Error = ConvertError;

    fn try_from(plan: v1::ShardPlan) -> Result<Self, Self::Error> {
        use v1::shard_plan::{Kind, LastPiece};
        Ok(Self {
            shard: ShardId { job: JobNumber(plan.job_number), number: plan.shard_number },
            file: plan.file,
            offset: plan.offset,
            length: plan.length,
            first_line: plan.first_line,
            next_line: plan.next_line,
            header_bytes: plan.header_bytes,
            last_of_file: plan.last_of_file,
            kind: match plan.kind.ok_or(ConvertError::Missing("plan.kind"))? {
                Kind::Records(_) => ShardKind::Records,
                Kind::Piece(_) => ShardKind::Piece,
                Kind::LastPiece(LastPiece { record_offset, record_length, record_line, head }) => {
                    ShardKind::LastPiece { record_offset, record_length, record_line, head }
                }
            },
            digest: plan.digest.as_ref().try_into().map_err(|_| ConvertError::Invalid {
                field: "plan.digest",
                reason: format!("{} bytes instead of 32", plan.digest.len()),
            })?,
        })
    }
}

impl From<ShardId> for v1::ShardFinished {
    fn from(shard: ShardId) -> Self {
        Self { job_number: shard.job.0, shard_number: shard.number, traceparent: String::new() }
    }
}

impl From<&v1::ShardFinished> for ShardId {
    fn from(shard: &v1::ShardFinished) -> Self {
        Self { job: JobNumber(shard.job_number), number: shard.shard_number }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(kind: ShardKind) -> ShardPlan {
        ShardPlan {
            shard: ShardId { job: JobNumber(3), number: 9 },
            file: 1,
            offset: 5,
            length: 6,
            first_line: 2,
            next_line: 4,
            header_bytes: 0,
            last_of_file: true,
            kind,
            digest: [7; 32],
        }
    }

    #[test]
    fn a_plan_survives_the_way_there_and_back() {
        let last = ShardKind::LastPiece {
            record_offset: 1,
            record_length: 1 << 40,
            record_line: 2,
            head: bytes::Bytes::from_static(b"head"),
        };
        for kind in [ShardKind::Records, ShardKind::Piece, last] {
            let plan = plan(kind);
            assert_eq!(ShardPlan::try_from(v1::ShardPlan::from(&plan)), Ok(plan));
        }
    }

    #[test]
    fn a_plan_without_a_kind_or_with_half_a_hash_is_refused() {
        let mut message = v1::ShardPlan::from(&plan(ShardKind::Records));
        message.digest = vec![1; 16].into();
        assert!(matches!(
            ShardPlan::try_from(message.clone()),
            Err(ConvertError::Invalid { field: "plan.digest", .. })
        ));
        message.kind = None;
        assert_eq!(ShardPlan::try_from(message), Err(ConvertError::Missing("plan.kind")));
    }
}
