//! Between the messages of `layers.proto` and the store's records.

use ensemble_store as store;
use ensemble_store::{Epoch, JobNumber, Position, Rank, ShardId, ShardPlan, SilverDoc};

use crate::{ConvertError, v1};

type Result<T> = std::result::Result<T, ConvertError>;

fn invalid(field: &'static str, reason: impl Into<String>) -> ConvertError {
    ConvertError::Invalid { field, reason: reason.into() }
}

impl From<store::Stamp> for v1::Stamp {
    fn from(stamp: store::Stamp) -> Self {
        Self { epoch: stamp.epoch.0, version: stamp.version }
    }
}

impl From<v1::Stamp> for store::Stamp {
    fn from(stamp: v1::Stamp) -> Self {
        Self { epoch: Epoch(stamp.epoch), version: stamp.version }
    }
}

impl From<store::DocumentKind> for v1::DocumentKind {
    fn from(kind: store::DocumentKind) -> Self {
        match kind {
            store::DocumentKind::Job => Self::Job,
            store::DocumentKind::Counter => Self::Counter,
            store::DocumentKind::Checkpoint => Self::Checkpoint,
            store::DocumentKind::Leadership => Self::Leadership,
            store::DocumentKind::Request => Self::Request,
            store::DocumentKind::Upload => Self::Upload,
        }
    }
}

impl TryFrom<v1::DocumentKind> for store::DocumentKind {
    type Error = ConvertError;

    fn try_from(kind: v1::DocumentKind) -> Result<Self> {
        Ok(match kind {
            v1::DocumentKind::Job => Self::Job,
            v1::DocumentKind::Counter => Self::Counter,
            v1::DocumentKind::Checkpoint => Self::Checkpoint,
            v1::DocumentKind::Leadership => Self::Leadership,
            v1::DocumentKind::Request => Self::Request,
            v1::DocumentKind::Upload => Self::Upload,
            v1::DocumentKind::Unspecified => return Err(ConvertError::Missing("kind")),
        })
    }
}

impl From<store::Document> for v1::StoredDocument {
    fn from(document: store::Document) -> Self {
        Self { id: document.id, stamp: Some(document.stamp.into()), body: document.body }
    }
}

impl TryFrom<v1::StoredDocument> for store::Document {
    type Error = ConvertError;

    fn try_from(document: v1::StoredDocument) -> Result<Self> {
        let stamp = document.stamp.ok_or(ConvertError::Missing("stamp"))?.into();
        Ok(Self { id: document.id, stamp, body: document.body })
    }
}

impl From<store::LedgerEntry> for v1::LedgerEntry {
    fn from(entry: store::LedgerEntry) -> Self {
        Self {
            plan: Some((&entry.plan).into()),
            aside: entry.aside,
            rows: entry.rows,
            claims: entry.claims,
            duplicates: entry.duplicates,
            displaced_same: entry.displaced_same,
            updated: entry.updated,
            rejected_by_rule: entry.rejected_by_rule.into_iter().collect(),
            delta: entry.delta,
            settled_at_us: entry.settled_at_us,
        }
    }
}

impl TryFrom<v1::LedgerEntry> for store::LedgerEntry {
    type Error = ConvertError;

    fn try_from(entry: v1::LedgerEntry) -> Result<Self> {
        Ok(Self {
            plan: entry.plan.ok_or(ConvertError::Missing("plan"))?.try_into()?,
            aside: entry.aside,
            rows: entry.rows,
            claims: entry.claims,
            duplicates: entry.duplicates,
            displaced_same: entry.displaced_same,
            updated: entry.updated,
            rejected_by_rule: entry.rejected_by_rule.into_iter().collect(),
            delta: entry.delta,
            settled_at_us: entry.settled_at_us,
        })
    }
}

impl From<store::DecisionRecord> for v1::DecisionRecord {
    fn from(record: store::DecisionRecord) -> Self {
        use v1::decision_record::{Aside, Decision, Process};
        let decision = match record.decision {
            store::Decision::Process { bytes, panicked } => Decision::Process(Process { bytes, panicked }),
            store::Decision::Aside { reason, bytes } => Decision::Aside(Aside { reason, bytes }),
        };
        Self { plan: Some((&record.plan).into()), decision: Some(decision) }
    }
}

impl TryFrom<v1::DecisionRecord> for store::DecisionRecord {
    type Error = ConvertError;

    fn try_from(record: v1::DecisionRecord) -> Result<Self> {
        use v1::decision_record::{Aside, Decision, Process};
        let plan: ShardPlan = record.plan.ok_or(ConvertError::Missing("plan"))?.try_into()?;
        let decision = match record.decision.ok_or(ConvertError::Missing("decision"))? {
            Decision::Process(Process { bytes, panicked }) => store::Decision::Process { bytes, panicked },
            Decision::Aside(Aside { reason, bytes }) => store::Decision::Aside { reason, bytes },
        };
        Ok(Self { plan, decision })
    }
}

impl From<store::Claim> for v1::Claim {
    fn from(claim: store::Claim) -> Self {
        Self {
            rank: claim.rank.0.to_vec(),
            job_number: claim.shard.job.0,
            shard_number: claim.shard.number,
            fields: claim.fields,
        }
    }
}

impl TryFrom<v1::Claim> for store::Claim {
    type Error = ConvertError;

    fn try_from(claim: v1::Claim) -> Result<Self> {
        let rank = claim.rank.try_into().map_err(|_| invalid("rank", "it has other than three numbers"))?;
        let shard = ShardId { job: JobNumber(claim.job_number), number: claim.shard_number };
        Ok(Self { rank: Rank(rank), shard, fields: claim.fields })
    }
}

impl From<(bytes::Bytes, Option<SilverDoc>)> for v1::SilverDocument {
    fn from((key, doc): (bytes::Bytes, Option<SilverDoc>)) -> Self {
        match doc {
            None => Self { key, live: None, displaced: Vec::new() },
            Some(SilverDoc { live, displaced }) => {
                Self { key, live: Some(live.into()), displaced: displaced.into_iter().map(Into::into).collect() }
            }
        }
    }
}

impl TryFrom<v1::SilverDocument> for (bytes::Bytes, Option<SilverDoc>) {
    type Error = ConvertError;

    fn try_from(document: v1::SilverDocument) -> Result<Self> {
        let displaced = document.displaced.into_iter().map(TryInto::try_into).collect::<Result<_>>()?;
        let live = document.live.map(TryInto::try_into).transpose()?;
        Ok((document.key, live.map(|live| SilverDoc { live, displaced })))
    }
}

impl From<store::GoldCell> for v1::GoldCell {
    /// Without what readers see of the cell, and without the view, which was asked for.
    fn from(cell: store::GoldCell) -> Self {
        Self { key: cell.key, stamp: Some(cell.stamp.into()), cell: cell.cell }
    }
}

impl From<(ShardId, Position)> for v1::LetterPlace {
    fn from((shard, position): (ShardId, Position)) -> Self {
        Self { job_number: shard.job.0, shard_number: shard.number, position: position.0 }
    }
}

impl From<v1::LetterPlace> for (ShardId, Position) {
    fn from(place: v1::LetterPlace) -> Self {
        (ShardId { job: JobNumber(place.job_number), number: place.shard_number }, Position(place.position))
    }
}

impl From<store::DeadLetter> for v1::StoredLetter {
    fn from(letter: store::DeadLetter) -> Self {
        Self {
            place: Some((letter.shard, letter.position).into()),
            line: letter.line,
            rule: letter.rule,
            rules: letter.rules,
            column: letter.column,
            value: letter.value,
            raw: letter.raw,
            length: letter.length,
        }
    }
}

impl TryFrom<v1::StoredLetter> for store::DeadLetter {
    type Error = ConvertError;

    fn try_from(letter: v1::StoredLetter) -> Result<Self> {
        let (shard, position) = letter.place.ok_or(ConvertError::Missing("place"))?.into();
        Ok(Self {
            shard,
            position,
            line: letter.line,
            rule: letter.rule,
            rules: letter.rules,
            column: letter.column,
            value: letter.value,
            raw: letter.raw,
            length: letter.length,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn shard() -> ShardId {
        ShardId { job: JobNumber(3), number: 7 }
    }

    fn claim(rank: i64) -> store::Claim {
        store::Claim { rank: Rank([rank, -2, i64::MIN]), shard: shard(), fields: Bytes::from_static(b"row") }
    }

    #[test]
    fn silver_survives_the_way_there_and_back() {
        let doc = SilverDoc { live: claim(1), displaced: vec![claim(2), claim(i64::MAX)] };
        for doc in [None, Some(doc)] {
            let there = v1::SilverDocument::from((Bytes::from_static(b"k"), doc.clone()));
            assert_eq!(<(Bytes, Option<SilverDoc>)>::try_from(there), Ok((Bytes::from_static(b"k"), doc)));
        }
        let mut half = v1::Claim::from(claim(1));
        half.rank.pop();
        assert!(matches!(store::Claim::try_from(half), Err(ConvertError::Invalid { field: "rank", .. })));
    }

    #[test]
    fn a_dead_letter_survives_the_way_there_and_back() {
        let letter = store::DeadLetter {
            shard: shard(),
            position: Position::new(2, 99),
            line: 5,
            rule: "a.b".into(),
            rules: vec!["a.b".into(), "c.d".into()],
            column: None,
            value: Some(Bytes::from_static(b"\xff")),
            raw: Bytes::from_static(b"x,y"),
            length: 3,
        };
        assert_eq!(store::DeadLetter::try_from(v1::StoredLetter::from(letter.clone())), Ok(letter));
    }

    #[test]
    fn every_kind_of_document_survives_and_no_kind_is_refused() {
        use store::DocumentKind::{Checkpoint, Counter, Job, Leadership, Request, Upload};
        for kind in [Job, Counter, Checkpoint, Leadership, Request, Upload] {
            assert_eq!(store::DocumentKind::try_from(v1::DocumentKind::from(kind)), Ok(kind));
        }
        assert!(store::DocumentKind::try_from(v1::DocumentKind::Unspecified).is_err());
    }
}
