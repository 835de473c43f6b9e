use std::sync::Arc;

use ensemble_store::{
    Claim, Decision, DecisionRecord, EmbeddedOptions, EmbeddedStore, Insert, JobNumber, LedgerEntry, NewClaim,
    Position, Rank, Replacement, ShardId, ShardKind, ShardPlan, SilverDoc, Store,
};

use super::*;
use crate::{JobRecord, JobState, samples};

const CONTRACT: &str = "name = \"t\"\nkey = \"id\"\nkeep = \"first\"\nsilver = \"t\"\nbronze = \"t_raw\"\n\n[columns]\n\
                        id = { type = \"string\", required = true }\n";
const ID: &str = "01a1fcba-01b5-70fb-8ff8-1fc5697c5b13";

/// Shards of one column, each of some rows: the file is `id`, then they one after the other.
struct Layers {
    store: Arc<EmbeddedStore>,
    next: ShardPlan,
    _dir: tempfile::TempDir,
}

impl Layers {
    async fn new(state: JobState) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(dir.path(), EmbeddedOptions::default()).unwrap();
        let job = JobRecord { state, ..samples::job(ID.parse().unwrap(), 1, CONTRACT) };
        samples::put(&*store, &job).await;
        let mut next = ShardPlan::unknown(ShardId { job: JobNumber(1), number: 0 });
        (next.first_line, next.next_line, next.kind, next.header_bytes) = (1, 1, ShardKind::Records, 3);
        Self { store, next, _dir: dir }
    }

    /// The plan of the next shard, of these bytes.
    fn plan(&mut self, bytes: &str, kind: ShardKind) -> ShardPlan {
        let lines = bytes.matches('\n').count() as u64;
        let plan = ShardPlan {
            length: bytes.len() as u64,
            next_line: self.next.next_line + lines,
            kind,
            digest: ShardPlan::digest_of(bytes.as_bytes()),
            ..self.next.clone()
        };
        self.next = ShardPlan {
            shard: ShardId { number: plan.shard.number + 1, ..plan.shard },
            offset: plan.offset + plan.length,
            first_line: plan.next_line,
            next_line: plan.next_line,
            header_bytes: 0,
            ..plan.clone()
        };
        plan
    }

    async fn settle(&self, plan: ShardPlan, decision: Decision, counts: (u64, u64)) {
        let aside = match &decision {
            Decision::Aside { reason, .. } => Some(reason.clone()),
            Decision::Process { .. } => None,
        };
        let record = DecisionRecord { plan: plan.clone(), decision };
        assert_eq!(self.store.insert_decision(&record).await.unwrap(), Insert::Inserted);
        let entry = LedgerEntry::set_aside(plan, String::new(), 1);
        let entry = LedgerEntry { aside, claims: counts.0, duplicates: counts.1, ..entry };
        assert_eq!(self.store.insert_ledger(&entry).await.unwrap(), Insert::Inserted);
    }

    /// Settles the next shard as processed.
    async fn process(&mut self, bytes: &str, counts: (u64, u64)) -> ShardPlan {
        let plan = self.plan(bytes, ShardKind::Records);
        let decision = Decision::Process { bytes: Bytes::copy_from_slice(bytes.as_bytes()), panicked: Vec::new() };
        self.settle(plan.clone(), decision, counts).await;
        plan
    }

    async fn explain(&self, line: u64) -> Result<RowExplanation, ExplainError> {
        let query = RowQuery { job: ID.parse().unwrap(), file: None, at: Place::Line(line) };
        explain_row(&*self.store, &query).await
    }

    /// Makes a row live, over a chain of displaced ones.
    async fn put(&self, key: &str, live: Claim, displaced: Vec<Claim>) {
        let new = NewClaim { key: Bytes::copy_from_slice(key.as_bytes()), claim: live.clone() };
        let (rank, shard) = (Rank([i64::MAX; 3]), live.shard);
        let first = NewClaim { claim: Claim { rank, ..live.clone() }, ..new.clone() };
        self.store.insert_claims("t", Arc::new(vec![first])).await.unwrap();
        let doc = SilverDoc { live, displaced };
        let replacement = Replacement { key: new.key, expected: (rank, shard), doc };
        assert_eq!(self.store.replace_claims("t", vec![replacement]).await.unwrap(), [true]);
    }
}

fn claim(plan: &ShardPlan, offset: u64) -> Claim {
    let rank = Rank::first(plan.shard.job, Position::new(0, offset));
    Claim { rank, shard: plan.shard, fields: Bytes::from_static(b"\x04\x01a") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_was_set_aside_says_why_with_its_bytes_or_without() {
    let mut layers = Layers::new(JobState::Succeeded).await;
    let aside = |bytes: Option<&'static str>| Decision::Aside {
        reason: "it ended its workers".to_owned(),
        bytes: bytes.map(|text| Bytes::from_static(text.as_bytes())),
    };
    let plan = layers.plan("id\na\nb\n", ShardKind::Records);
    layers.settle(plan, aside(Some("id\na\nb\n")), (0, 0)).await;
    let plan = ShardPlan { last_of_file: true, ..layers.plan("c\nd\n", ShardKind::Records) };
    layers.settle(plan, aside(None), (0, 0)).await;
    let outcome = RowOutcome::Aside { reason: "it ended its workers".to_owned() };
    let known = layers.explain(3).await.unwrap();
    assert_eq!((&known.outcome, &known.row.raw[..], known.row.line), (&outcome, &b"b"[..], 3));
    assert_eq!((known.columns[0].raw.as_deref(), known.columns[0].judged), (Some(&b"b"[..]), false));
    let unknown = layers.explain(4).await.unwrap();
    assert_eq!((&unknown.outcome, unknown.row.line, unknown.columns.len()), (&outcome, 0, 0));
    assert!(matches!(layers.explain(1).await, Err(ExplainError::NoRow { .. })), "the header");
    assert!(matches!(layers.explain(9).await, Err(ExplainError::NoRow { .. })), "behind the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_in_the_ledger_is_not_settled_and_what_stands_behind_it_is_found() {
    let mut layers = Layers::new(JobState::Running).await;
    let first = layers.process("id\na\n", (1, 0)).await;
    layers.put("a", claim(&first, 3), Vec::new()).await;
    layers.plan("b\nc\n", ShardKind::Records);
    // A successor that never saw a shard knows no place of it.
    let lost = ShardPlan::unknown(layers.plan("", ShardKind::Records).shard);
    layers.settle(lost, Decision::Aside { reason: String::new(), bytes: None }, (0, 0)).await;
    let last = layers.process("d\n", (1, 0)).await;
    layers.put("d", claim(&last, last.offset), Vec::new()).await;
    for line in [2, 5] {
        assert_eq!(layers.explain(line).await.unwrap().outcome, RowOutcome::Live, "line {line}");
    }
    for line in [3, 4, 6] {
        assert!(matches!(layers.explain(line).await, Err(ExplainError::NotSettled { .. })), "line {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_stands_for_its_record_once_the_last_one_is_settled() {
    let mut layers = Layers::new(JobState::Running).await;
    layers.process("id\n", (0, 0)).await;
    let process =
        |text: &'static str| Decision::Process { bytes: Bytes::from_static(text.as_bytes()), panicked: vec![] };
    for _ in 0..2 {
        let plan = layers.plan("xxxx", ShardKind::Piece);
        layers.settle(plan, process("xxxx"), (0, 0)).await;
    }
    assert!(matches!(layers.explain(2).await, Err(ExplainError::NotSettled { .. })));
    let head = Bytes::from_static(b"xx");
    let kind = ShardKind::LastPiece { record_offset: 3, record_length: 11, record_line: 2, head };
    let plan = layers.plan("xx\n", kind);
    layers.settle(plan, process("xx\n"), (0, 0)).await;
    for at in [Place::Line(2), Place::Offset(3), Place::Offset(8), Place::Offset(12)] {
        let query = RowQuery { job: ID.parse().unwrap(), file: Some("in.csv".to_owned()), at };
        let row = explain_row(&*layers.store, &query).await.unwrap();
        assert_eq!(row.outcome, RowOutcome::Rejected { rules: vec!["row.too_long".to_owned()] }, "{at:?}");
        assert_eq!((row.row.offset, row.row.length, row.row.line), (3, 10, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_silver_has_forgotten_is_said_only_as_far_as_it_is_known() {
    let mut layers = Layers::new(JobState::Running).await;
    let live = layers.process("id\na\n", (1, 0)).await;
    let before = layers.process("a\n", (1, 0)).await;
    // Of two rows, one had the key of another shard; it cannot be told which.
    layers.process("a\nb\n", (1, 1)).await;
    layers.process("a\n", (0, 1)).await;
    layers.process("a\n", (1, 0)).await;
    layers.put("a", claim(&live, 3), vec![claim(&before, before.offset)]).await;
    let outcome = async |line| layers.explain(line).await.unwrap().outcome;
    let RowOutcome::Displaced { by: Some(by), live } = outcome(3).await else { panic!("it is in the chain") };
    assert_eq!((&by, by.line), (&live, 2));
    assert_eq!(outcome(4).await, RowOutcome::Superseded { live: live.clone() });
    assert_eq!(outcome(6).await, RowOutcome::Duplicate { of: live.clone(), live: live.clone() });
    assert_eq!(outcome(7).await, RowOutcome::Displaced { by: None, live });
    // The other row has no document: what is stored does not fit together.
    assert!(matches!(layers.explain(5).await, Err(ExplainError::Inconsistent(_))));
}
