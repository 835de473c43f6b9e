//! What a store holds: its jobs, and the contracts under which its silver collections were built.

use ensemble_contract::{Contract, did_you_mean};
use ensemble_gold::Views;
use ensemble_store::{JobId, JobNumber, Store};
use ensemble_supervisor::{GoldState, JobRecord, list_jobs, load_gold};

use crate::exit::Failure;

/// The jobs of a store, oldest first.
pub(crate) struct Catalogue {
    jobs: Vec<JobRecord>,
}

/// A silver collection: what its latest job says of it.
pub(crate) struct Collection {
    pub(crate) contract: Contract,
    pub(crate) views: Views,
}

impl Catalogue {
    pub(crate) async fn read(store: &dyn Store) -> Result<Self, Failure> {
        let jobs = list_jobs(store).await.map_err(Failure::failed)?;
        Ok(Self { jobs: jobs.into_iter().map(|(_, job)| job).collect() })
    }

    pub(crate) fn jobs(&self) -> &[JobRecord] {
        &self.jobs
    }

    /// The job with this id.
    pub(crate) fn job(&self, id: JobId) -> Result<&JobRecord, Failure> {
        self.jobs.iter().find(|job| job.id == id).ok_or_else(|| unknown_job(id))
    }

    /// The job with this number.
    pub(crate) fn numbered(&self, number: JobNumber) -> Option<&JobRecord> {
        self.jobs.iter().find(|job| job.number == number)
    }

    /// The silver collections, the one of the latest job first.
    pub(crate) fn collections(&self) -> Result<Vec<Collection>, Failure> {
        let mut collections: Vec<Collection> = Vec::new();
        for job in self.jobs.iter().rev() {
            if collections.iter().all(|c| c.contract.silver != job.contract.silver) {
                let contract = job.compile().map_err(Failure::failed)?;
                collections.push(Collection { views: Views::new(&contract), contract });
            }
        }
        if collections.is_empty() {
            return Err(Failure::could_not_start(anyhow::anyhow!(
                "the store has no job yet; fill it with: ensemble run FILE"
            )));
        }
        Ok(collections)
    }

    /// The collection that has this view.
    pub(crate) fn with_view(&self, view: &str) -> Result<Collection, Failure> {
        self.find("view", view, |c| c.views.names().map(str::to_owned).collect())
    }

    /// The collection with this name.
    pub(crate) fn with_silver(&self, silver: &str) -> Result<Collection, Failure> {
        self.find("silver collection", silver, |c| vec![c.contract.silver.clone()])
    }

    /// The collection of the latest job.
    pub(crate) fn latest(&self) -> Result<Collection, Failure> {
        self.find("collection", "", |_| vec![String::new()])
    }

    /// Gold of a collection: all that is settled.
    pub(crate) async fn gold(&self, store: &dyn Store, collection: &Collection) -> Result<GoldState, Failure> {
        let Collection { contract, views } = collection;
        load_gold(store, &contract.silver, views.clone(), &self.jobs).await.map_err(Failure::failed)
    }

    /// The first collection that has `wanted` among its names; else an error that lists all names.
    fn find(
        &self,
        what: &str,
        wanted: &str,
        names: impl Fn(&Collection) -> Vec<String>,
    ) -> Result<Collection, Failure> {
        let mut known: Vec<String> = Vec::new();
        for collection in self.collections()? {
            let names = names(&collection);
            if names.iter().any(|name| name == wanted) {
                return Ok(collection);
            }
            known.extend(names);
        }
        let meant = did_you_mean(wanted, known.iter().map(String::as_str));
        let list = if known.is_empty() { "has none".to_owned() } else { format!("has: {}", known.join(", ")) };
        Err(Failure::could_not_start(anyhow::anyhow!("there is no {what} {wanted:?}{meant} The store {list}")))
    }
}

/// The error of naming a job that the store does not have.
pub(crate) fn unknown_job(id: JobId) -> Failure {
    Failure::could_not_start(anyhow::anyhow!("the store has no job {id}; see its jobs with: ensemble jobs"))
}
