//! A store, loaded shard by shard in one process, with a hook at every step that a test wants to go wrong.
// Each target uses a part of it; the benchmark is none of the targets that clippy takes for tests.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{collections::BTreeMap, fs, io, path::PathBuf, sync::Arc};

use bytes::Bytes;
use ensemble_audit::{AuditError, Report, Scope, VerifyOptions, verify};
use ensemble_contract::Contract;
use ensemble_events::{AcceptedRow, EmbeddedLog, EmbeddedLogOptions, EventLog, RejectedRow, ShardEvents};
use ensemble_gold::{Folder, Views};
use ensemble_sources::{Input, SourceFile, csv::PlannedShard};
use ensemble_store::{
    Claim, ClaimInsert, DeadLetter, Decision, DecisionRecord, DocumentKind, EmbeddedOptions, EmbeddedStore, Insert,
    LedgerEntry, NewClaim, Replacement, SilverDoc, Stamp, Store,
};
use ensemble_supervisor::{JobRecord, JobState, Office, SourceReader, Submission, Totals, list_jobs, load_gold};
use ensemble_validation::{Fold, JobContext, ValidatedShard, validate};

pub const SONGS: &str = r#"
name = "songs"
key = "id"
keep = "first"
silver = "songs"
bronze = "songs_raw"

[columns]
id         = { type = "string", required = true }
title      = { type = "string" }
genre      = { type = "string" }
popularity = { type = "int", range = "0..=100" }

[gold]
by_genre   = { by = ["genre"], measures = ["popularity"] }
popularity = { by = ["popularity/10"] }
"#;

/// What a test does to the steps of a commit.
#[derive(Clone, Copy)]
pub struct Hooks {
    pub shard_bytes: u64,
    pub record_limit_bytes: u64,
    /// Later shards first.
    pub backwards: bool,
    /// How the job ends; `None`: it is left running.
    pub state: Option<JobState>,
    /// Where shard 1 stops.
    pub shard_1_ends_before: Option<Step>,
    pub aside: fn(u32) -> bool,
    pub decision: fn(&mut DecisionRecord),
    pub letters: fn(&mut Vec<DeadLetter>),
    /// `false` delivers nothing.
    pub events: fn(&mut ShardEvents) -> bool,
    pub entry: fn(&mut LedgerEntry),
    pub record: fn(&mut JobRecord),
    /// How many shards are committed at a time.
    pub at_once: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    HalfOfTheClaims,
    Letters,
    Entry,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            shard_bytes: 500,
            record_limit_bytes: 1 << 20,
            backwards: false,
            state: Some(JobState::Succeeded),
            shard_1_ends_before: None,
            aside: |_| false,
            decision: |_| {},
            letters: |_| {},
            events: |_| true,
            entry: |_| {},
            record: |_| {},
            at_once: 1,
        }
    }
}

#[derive(Clone)]
pub struct World {
    pub dir: Arc<tempfile::TempDir>,
    pub store: Arc<EmbeddedStore>,
    pub log: Arc<EmbeddedLog>,
    pub office: Office,
}

impl World {
    pub async fn new() -> Self {
        Self::within(tempfile::tempdir().unwrap(), EmbeddedLogOptions::default()).await
    }

    pub async fn within(dir: tempfile::TempDir, log: EmbeddedLogOptions) -> Self {
        let store = EmbeddedStore::open(&dir.path().join("store"), EmbeddedOptions::default()).unwrap();
        let log = EmbeddedLog::open(&dir.path().join("events"), log).unwrap();
        let office = Office::take(store.clone()).await.unwrap();
        Self { dir: Arc::new(dir), store, log, office }
    }

    pub fn scratch(&self) -> PathBuf {
        self.dir.path().join("scratch")
    }

    pub async fn verify(&self) -> Report {
        self.verify_with(Scope::All, VerifyOptions::new(self.scratch())).await.unwrap()
    }

    pub async fn verify_with(&self, scope: Scope, options: VerifyOptions) -> Result<Report, AuditError> {
        verify(self.store.clone(), Some(self.log.clone()), scope, options, |_| {}).await
    }

    /// Loads one job of these files and returns its record as it was at last.
    pub async fn load(&self, contract: &str, files: &[&str], hooks: Hooks) -> JobRecord {
        let (number, observed_at_us) = self.office.next_job(1_700_000_000_000_000).await.unwrap();
        let inputs = files.iter().enumerate().map(|(i, text)| {
            let path = self.dir.path().join(format!("{}-{i}.csv", number.0));
            fs::write(&path, text).unwrap();
            Input::File(SourceFile::inspect(path.to_str().unwrap()).unwrap())
        });
        let contract = Contract::parse(contract, "test").unwrap();
        let stdin = || Box::new(io::empty()) as Box<dyn io::Read + Send>;
        let submission =
            Submission::inspect(inputs.collect(), &contract, hooks.shard_bytes, hooks.record_limit_bytes, stdin)
                .unwrap();
        let mut record = JobRecord {
            id: format!("01890000-0000-7000-8000-{:012}", number.0).parse().unwrap(),
            number,
            state: JobState::Running,
            ending: None,
            contract: submission.contract,
            source: submission.source,
            shard_bytes: hooks.shard_bytes,
            record_limit_bytes: hooks.record_limit_bytes,
            weight: 1,
            observed_at_us,
            created_at_us: observed_at_us,
            ended_at_us: None,
            active_us: 0,
            leased_below: 0,
            totals: None,
        };
        let mut shards = Vec::new();
        SourceReader::new(&record, None)
            .read(None, 0, |shard| {
                shards.push(shard);
                true
            })
            .unwrap();
        record.leased_below = (shards.len() as u32).next_multiple_of(64);
        if hooks.backwards {
            shards.reverse();
        }
        let context = Arc::new(JobContext::new(&record.spec()).unwrap());
        let totals = self.commit_all(&context, shards, hooks).await;
        if let Some(state) = hooks.state {
            record.state = state;
            record.totals = Some(totals);
        }
        (hooks.record)(&mut record);
        self.office.write(DocumentKind::Job, &record.id.to_string(), None, &record).await.unwrap();
        self.write_gold(&contract).await;
        record
    }

    async fn commit_all(&self, context: &Arc<JobContext>, shards: Vec<PlannedShard>, hooks: Hooks) -> Totals {
        let mut totals = Totals::default();
        let mut running = tokio::task::JoinSet::new();
        for shard in shards {
            let (world, context) = (self.clone(), Arc::clone(context));
            running.spawn(async move { world.commit(&context, shard, hooks).await });
            if running.len() >= hooks.at_once
                && let Some(entry) = running.join_next().await.unwrap().unwrap()
            {
                totals.add(&entry);
            }
        }
        while let Some(entry) = running.join_next().await {
            entry.unwrap().iter().for_each(|entry| totals.add(entry));
        }
        totals
    }

    /// One shard, step by step; `None` where a hook ends it early.
    async fn commit(&self, context: &JobContext, shard: PlannedShard, hooks: Hooks) -> Option<LedgerEntry> {
        let number = shard.plan.shard.number;
        let ends = |step| number == 1 && hooks.shard_1_ends_before == Some(step);
        let PlannedShard { plan, bytes } = shard;
        if (hooks.aside)(number) {
            let decision = Decision::Aside { reason: "it failed 3 times".into(), bytes: None };
            self.store.insert_decision(&DecisionRecord { plan: plan.clone(), decision }).await.unwrap();
            let entry = LedgerEntry::set_aside(plan, "it failed 3 times".into(), 1);
            self.store.insert_ledger(&entry).await.unwrap();
            return Some(entry);
        }
        let mut judged = validate(context, &plan, bytes.clone(), &[], Fold::Nothing).unwrap();
        let decision = Decision::Process { bytes, panicked: Vec::new() };
        let mut record = DecisionRecord { plan, decision };
        (hooks.decision)(&mut record);
        let plan = record.plan.clone();
        assert_eq!(self.store.insert_decision(&record).await.unwrap(), Insert::Inserted);
        let claims = if ends(Step::HalfOfTheClaims) { judged.claims.len() / 2 } else { judged.claims.len() };
        let mut outcomes = Vec::new();
        if claims > 0 {
            outcomes = self.claim(&context.contract.silver, &judged.claims[..claims]).await;
        }
        if ends(Step::HalfOfTheClaims) || ends(Step::Letters) {
            return None;
        }
        let mut letters = judged.dead_letters.clone();
        (hooks.letters)(&mut letters);
        self.store.put_dead_letters(letters).await.unwrap();
        let mut entry = entry(context, plan, &judged, &outcomes);
        let stands = |(claim, outcome): (&NewClaim, &Option<_>)| outcome.as_ref().map(|_| claim.clone());
        judged.claims = Arc::new(judged.claims.iter().zip(&outcomes).filter_map(stands).collect());
        let mut events = events(context, &entry, judged);
        if (hooks.events)(&mut events) {
            self.log.append(events.into()).await.unwrap();
        }
        if ends(Step::Entry) {
            return None;
        }
        (hooks.entry)(&mut entry);
        self.store.insert_ledger(&entry).await.unwrap();
        Some(entry)
    }

    /// `None` for a duplicate, else the claim that was displaced.
    async fn claim(&self, silver: &str, claims: &[NewClaim]) -> Vec<Option<Option<Claim>>> {
        let inserted = self.store.insert_claims(silver, claims.to_vec().into()).await.unwrap();
        let mut outcomes: Vec<Option<Option<Claim>>> = inserted.iter().map(|_| Some(None)).collect();
        let mut open: Vec<usize> = (0..claims.len()).filter(|i| inserted[*i] != ClaimInsert::Inserted).collect();
        while !open.is_empty() {
            let keys = open.iter().map(|i| claims[*i].key.clone()).collect();
            let docs = self.store.read_claims(silver, keys).await.unwrap();
            let (mut replacing, mut replacements) = (Vec::new(), Vec::new());
            for (i, doc) in std::mem::take(&mut open).into_iter().zip(docs) {
                let SilverDoc { live, mut displaced } = doc.unwrap();
                let mine = &claims[i];
                if live.rank <= mine.claim.rank {
                    outcomes[i] = None;
                    continue;
                }
                outcomes[i] = Some(Some(live.clone()));
                let expected = (live.rank, live.shard);
                displaced.push(live);
                replacing.push(i);
                let doc = SilverDoc { live: mine.claim.clone(), displaced };
                replacements.push(Replacement { key: mine.key.clone(), expected, doc });
            }
            let replaced = self.store.replace_claims(silver, replacements).await.unwrap();
            open = replacing.into_iter().zip(replaced).filter(|(_, done)| !done).map(|(i, _)| i).collect();
        }
        outcomes
    }

    /// Writes gold as the ledger adds up to.
    pub async fn write_gold(&self, contract: &Contract) {
        let jobs: Vec<JobRecord> = list_jobs(&*self.store).await.unwrap().into_iter().map(|(_, job)| job).collect();
        let mut gold = load_gold(&*self.store, &contract.silver, Views::new(contract), &jobs).await.unwrap();
        gold.touch_all();
        let stamp = Stamp { epoch: self.office.epoch(), version: jobs.len() as u64 };
        self.store.write_cells(gold.changed(stamp, false)).await.unwrap();
    }

    /// Replaces a document's live fields.
    pub async fn set_fields(&self, silver: &str, key: &str, change: impl Fn(&mut SilverDoc)) {
        let key = Bytes::copy_from_slice(key.as_bytes());
        let mut doc = self.store.read_claims(silver, vec![key.clone()]).await.unwrap().remove(0).unwrap();
        let expected = (doc.live.rank, doc.live.shard);
        change(&mut doc);
        let replaced = self.store.replace_claims(silver, vec![Replacement { key, expected, doc }]).await.unwrap();
        assert_eq!(replaced, [true]);
    }
}

fn entry(
    context: &JobContext,
    plan: ensemble_store::ShardPlan,
    judged: &ValidatedShard,
    outcomes: &[Option<Option<Claim>>],
) -> LedgerEntry {
    let mut folder = Folder::new(&context.views);
    let (mut claims, mut same, mut updated) = (0, 0, 0);
    for (claim, before) in judged.claims.iter().zip(outcomes).filter_map(|(c, o)| Some((c, o.as_ref()?))) {
        claims += 1;
        folder.add(&claim.claim.fields).unwrap();
        if let Some(before) = before {
            folder.subtract(&before.fields).unwrap();
            *(if before.shard.job == plan.shard.job { &mut same } else { &mut updated }) += 1;
        }
    }
    let mut rejected_by_rule = BTreeMap::new();
    for letter in &judged.dead_letters {
        *rejected_by_rule.entry(letter.rule.clone()).or_default() += 1;
    }
    LedgerEntry {
        plan,
        aside: None,
        rows: judged.rows,
        claims,
        duplicates: judged.rows - claims - judged.dead_letters.len() as u64,
        displaced_same: same,
        updated,
        rejected_by_rule,
        delta: folder.finish().encode().into(),
        settled_at_us: 1,
    }
}

fn events(context: &JobContext, entry: &LedgerEntry, judged: ValidatedShard) -> ShardEvents {
    let mut accepted: Vec<AcceptedRow> = Arc::unwrap_or_clone(judged.claims)
        .into_iter()
        .map(|NewClaim { key, claim }| AcceptedRow {
            position: context.position(claim.rank),
            rank: claim.rank,
            key,
            fields: claim.fields,
        })
        .collect();
    accepted.sort_unstable_by_key(|r| r.position);
    let rejected = judged.dead_letters.into_iter();
    ShardEvents {
        job: context.id,
        shard: entry.plan.shard,
        contract: context.contract.name.clone(),
        columns: context.contract.columns.iter().map(|c| c.name.clone()).collect(),
        source: context.file(entry.plan.file).unwrap().name.clone(),
        time_us: 1,
        accepted,
        rejected: rejected
            .map(|l| RejectedRow { position: l.position, line: l.line, rule: l.rule, rules: l.rules })
            .collect(),
    }
}

/// Songs `from..to`, of which some repeat a key and some are rejected.
pub fn songs(from: u32, to: u32) -> String {
    let mut csv = String::from("id,title,genre,popularity\n");
    for n in from..to {
        let (id, genre) = (if n % 11 == 7 { n / 2 } else { n }, ["pop", "jazz", "folk"][n as usize % 3]);
        let popularity = if n % 13 == 5 { 400 } else { n % 101 };
        csv.push_str(&format!("s{id},\"song, no {n}\",{genre},{popularity}\n"));
    }
    csv
}
