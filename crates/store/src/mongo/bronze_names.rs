//! Which collection a job's bronze is in: one small document a job, read once by every process.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::{
    errors::corrupt,
    names::parts_of,
    options::{MongoCollections, is_collection_name},
    server::{Query, Server},
    silver::Declared,
};
use crate::{JobNumber, StoreError};

type Result<T> = std::result::Result<T, StoreError>;

/// The most jobs that are remembered.
const REMEMBERED: usize = 10_000;

/// The bronze collections of the jobs that have been asked for.
#[derive(Debug)]
pub(super) struct BronzeNames {
    names: MongoCollections,
    default: Arc<str>,
    known: RwLock<HashMap<JobNumber, Arc<str>>>,
}

impl BronzeNames {
    pub(super) fn new(names: MongoCollections) -> Self {
        Self { default: names.bronze.as_str().into(), names, known: RwLock::default() }
    }

    /// The collection of a job's bronze; the default one where nobody has declared another.
    ///
    /// # Errors
    /// Those of [`Server::find`].
    pub(super) async fn of(&self, server: &Server, job: JobNumber) -> Result<Arc<str>> {
        Ok(self.find(server, job).await?.unwrap_or_else(|| Arc::clone(&self.default)))
    }

    async fn find(&self, server: &Server, job: JobNumber) -> Result<Option<Arc<str>>> {
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&job) {
            return Ok(Some(Arc::clone(known)));
        }
        let id = id(job);
        let found = server.find("read where bronze is", &self.names.bronze_names, Query::id(&id), |found| {
            let name = found.get_str("bronze").map(Arc::<str>::from);
            name.map_err(|e| corrupt("the bronze collection of job", &id, e))
        });
        // Not remembered: it may be declared yet.
        let Some(name) = found.await?.pop() else { return Ok(None) };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        Ok(Some(Arc::clone(known.entry(job).or_insert(name))))
    }

    /// Declares where a job's bronze is to be, unless that is known.
    ///
    /// # Errors
    /// [`StoreError::Bronze`] where something else has this name, or the job has another collection; those of
    /// [`Server::keep`].
    pub(super) async fn declare(
        &self,
        server: &Server,
        declared: &Declared,
        job: JobNumber,
        bronze: &str,
    ) -> Result<()> {
        let is_declared = self.find(server, job).await?.is_some();
        if !is_declared && bronze != &*self.default {
            if self.names.is_taken(bronze) || !is_collection_name(bronze) {
                return Err(wrong(bronze, "has a name that this store needs itself or that MongoDB does not take"));
            }
            declared.reserve(server, bronze).await?;
            server.create(bronze).await?;
            server.create(&parts_of(bronze)).await?;
        }
        // The default as well: it is a setting, which may change.
        let ids = [id(job)];
        server
            .keep("declare where bronze is", &self.names.bronze_names, &ids, &|at, w| {
                w.text("_id", &ids[at]);
                w.text("bronze", bronze);
                Ok(())
            })
            .await?;
        let stored = self.of(server, job).await?;
        if &*stored == bronze {
            return Ok(());
        }
        Err(wrong(bronze, &format!("is not where job {} has its bronze: that is {stored}", job.0)))
    }
}

fn id(job: JobNumber) -> String {
    format!("{:020}", job.0)
}

pub(super) fn wrong(bronze: &str, problem: &str) -> StoreError {
    StoreError::Bronze { bronze: bronze.to_owned(), problem: problem.to_owned() }
}
