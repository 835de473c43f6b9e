//! The jobs of a verification, and what the passes have found out about them.

use std::sync::Arc;

use ensemble_gold::Views;
use ensemble_store::Stamp;
use ensemble_store::{JobId, JobNumber, ShardId};
use ensemble_supervisor::{JobRecord, Totals};
use ensemble_validation::JobContext;
use rustc_hash::FxHashMap;

use crate::{AuditError, Scope, replay::RejectedSum};

/// The jobs in scope, and all others that fill the same silver collections.
#[derive(Debug)]
pub(crate) struct Jobs {
    /// In the order of their numbers.
    pub(crate) list: Vec<Job>,
    /// The silver collections that jobs in scope fill.
    pub(crate) collections: Vec<Collection>,
    by_number: FxHashMap<JobNumber, usize>,
    by_id: FxHashMap<JobId, usize>,
}

/// One silver collection.
#[derive(Debug)]
pub(crate) struct Collection {
    pub(crate) name: String,
    /// The gold views over it, or why they are not known.
    pub(crate) views: Result<Views, String>,
}

/// One job.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) record: JobRecord,
    pub(crate) in_scope: bool,
    /// The index of its collection.
    pub(crate) collection: usize,
    /// What judges its rows, or why nothing can.
    pub(crate) context: Result<Arc<JobContext>, String>,
    /// What its ledger adds up to.
    pub(crate) totals: Totals,
    /// Decided shards without a ledger entry.
    pub(crate) open: u64,
    /// By number; as many as may have been leased.
    pub(crate) shards: Vec<Shard>,
}

/// What is known of a shard.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shard {
    /// It has a ledger entry.
    pub(crate) settled: bool,
    /// Its ledger entry says that it was set aside.
    pub(crate) aside: bool,
    /// The ledger's claims.
    pub(crate) claims: u64,
    /// What bronze says.
    pub(crate) bronze: Bronze,
    /// How many rows are rejected, judged again.
    pub(crate) rejected: u64,
    /// What the events of these rejected rows have to be.
    pub(crate) rejected_sum: RejectedSum,
}

/// What bronze says of a shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Bronze {
    /// No decision record was read.
    #[default]
    Nothing,
    /// Its rows were judged again.
    Judged,
    /// Its rows are to be processed, and cannot be judged again.
    NotJudged,
    /// It is set aside.
    Aside,
}

impl Jobs {
    pub(crate) fn new(records: Vec<(Stamp, JobRecord)>, scope: Scope) -> Result<Self, AuditError> {
        let in_scope = |record: &JobRecord| match scope {
            Scope::All => true,
            Scope::Job(id) => record.id == id,
        };
        let mut names: Vec<&str> = Vec::new();
        for (_, record) in records.iter().filter(|(_, r)| in_scope(r)) {
            if !names.contains(&record.contract.silver.as_str()) {
                names.push(&record.contract.silver);
            }
        }
        if let (Scope::Job(id), true) = (scope, names.is_empty()) {
            return Err(AuditError::UnknownJob(id));
        }
        let collections: Vec<Collection> = names
            .iter()
            .map(|name| {
                let jobs = records.iter().map(|(_, r)| r).filter(|r| r.contract.silver == *name);
                Collection { name: (*name).to_owned(), views: common_views(jobs) }
            })
            .collect();
        let mut list = Vec::new();
        for (_, record) in records {
            if let Some(collection) = collections.iter().position(|c| c.name == record.contract.silver) {
                list.push(Job::new(in_scope(&record), collection, record));
            }
        }
        let by_number = list.iter().enumerate().map(|(i, job)| (job.record.number, i)).collect();
        let by_id = list.iter().enumerate().map(|(i, job)| (job.record.id, i)).collect();
        Ok(Self { list, collections, by_number, by_id })
    }

    /// The index of the job with this number.
    pub(crate) fn index(&self, number: JobNumber) -> Option<usize> {
        self.by_number.get(&number).copied()
    }

    /// The index of the job with this public name.
    pub(crate) fn index_of(&self, id: JobId) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    /// The jobs in scope, with their indexes.
    pub(crate) fn in_scope(&self) -> impl Iterator<Item = (usize, &Job)> {
        self.list.iter().enumerate().filter(|(_, job)| job.in_scope)
    }

    /// The jobs that fill a collection.
    pub(crate) fn of_collection(&self, collection: usize) -> impl Iterator<Item = &Job> {
        self.list.iter().filter(move |job| job.collection == collection)
    }

    /// The shard that a tuple names, with its job.
    pub(crate) fn shard(&self, job: u32, number: u32) -> Option<(&Job, Shard)> {
        self.list.get(job as usize).map(|job| (job, job.shard(number)))
    }
}

impl Job {
    fn new(in_scope: bool, collection: usize, record: JobRecord) -> Self {
        Self {
            in_scope,
            collection,
            context: JobContext::new(&record.spec()).map(Arc::new).map_err(|e| e.to_string()),
            totals: Totals::default(),
            open: 0,
            shards: vec![Shard::default(); record.leased_below as usize],
            record,
        }
    }

    /// What is known of a shard; nothing where it was never leased.
    pub(crate) fn shard(&self, number: u32) -> Shard {
        self.shards.get(number as usize).copied().unwrap_or_default()
    }

    pub(crate) fn shard_mut(&mut self, number: u32) -> Option<&mut Shard> {
        self.shards.get_mut(number as usize)
    }

    pub(crate) fn shard_id(&self, number: u32) -> ShardId {
        ShardId { job: self.record.number, number }
    }

    /// The name of a file, as the user gave it.
    pub(crate) fn file_name(&self, file: u32) -> &str {
        self.record.files().get(file as usize).map_or("an unknown file", |f| &f.name)
    }
}

/// The views of the jobs that fill one collection, where they agree on what a row is.
fn common_views<'a>(jobs: impl Iterator<Item = &'a JobRecord>) -> Result<Views, String> {
    let mut common: Option<(String, Views)> = None;
    for record in jobs {
        let contract = record.compile().map_err(|e| format!("job {}: {e}", record.id))?;
        let columns: Vec<_> = contract.columns.iter().map(|c| (&c.name, c.ty)).collect();
        let shape = format!("{:?}", (contract.key, contract.keep, columns, &contract.views));
        if common.as_ref().is_some_and(|(first, _)| *first != shape) {
            return Err(format!("job {} fills the collection under other columns or views", record.id));
        }
        common = Some((shape, Views::new(&contract)));
    }
    common.map(|(_, views)| views).ok_or_else(|| "no job fills the collection".to_owned())
}
