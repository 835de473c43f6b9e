//! `GoldService`: views out of what is settled.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use ensemble_contract::did_you_mean;
use ensemble_gold::{GoldColumnKind, GoldRow, GoldValue, Views};
use ensemble_protocol::{
    Refusal,
    v1::{self, gold_service_server::GoldService, value},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};

use super::{Answers, Desk, lock, refused};
use crate::{GoldState, JobRecord, SupervisorError, list_jobs, load_gold};

/// How often a watcher hears of a view.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);

#[async_trait]
impl GoldService for Desk {
    type WatchViewStream = Answers<v1::ReadViewResponse>;

    async fn list_views(&self, _: Request<v1::ListViewsRequest>) -> Result<Response<v1::ListViewsResponse>, Status> {
        let mut listed = Vec::new();
        for job in self.collections().await? {
            let views = views_of(&job)?;
            for name in views.names() {
                let columns = columns(&views.columns(name));
                listed.push(v1::View { name: name.to_owned(), silver: job.contract.silver.clone(), columns });
            }
        }
        Ok(Response::new(v1::ListViewsResponse { views: listed }))
    }

    async fn read_view(&self, request: Request<v1::ReadViewRequest>) -> Result<Response<v1::ReadViewResponse>, Status> {
        self.view(request.get_ref()).await.map(Response::new)
    }

    async fn watch_view(
        &self,
        request: Request<v1::ReadViewRequest>,
    ) -> Result<Response<Self::WatchViewStream>, Status> {
        let request = request.into_inner();
        let mut sent = self.view(&request).await?;
        let desk = self.clone();
        let (sender, states) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut next = Ok(sent.clone());
            loop {
                let failed = next.is_err();
                if sender.send(next).await.is_err() || failed {
                    return;
                }
                next = loop {
                    tokio::time::sleep(WATCH_INTERVAL).await;
                    if sender.is_closed() {
                        return;
                    }
                    match desk.view(&request).await {
                        Ok(view) if view == sent => {}
                        Ok(view) => {
                            sent = view.clone();
                            break Ok(view);
                        }
                        Err(status) => break Err(status),
                    }
                };
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(states))))
    }
}

impl Desk {
    pub(super) async fn jobs(&self) -> Result<Vec<JobRecord>, Status> {
        Ok(list_jobs(&*self.store).await.map_err(refused)?.into_iter().map(|(_, record)| record).collect())
    }

    /// The latest job of each silver collection, which says what the collection is. A supervisor in office knows without
    /// asking the store, which may be away or busy.
    async fn collections(&self) -> Result<Vec<Arc<JobRecord>>, Status> {
        let term = self.term.borrow().clone();
        match term {
            Some(term) => Ok(lock(&term.collections).latest()),
            None => {
                let mut collections = Collections::default();
                self.jobs().await?.into_iter().for_each(|job| collections.note(Arc::new(job)));
                Ok(collections.latest())
            }
        }
    }

    async fn view(&self, request: &v1::ReadViewRequest) -> Result<v1::ReadViewResponse, Status> {
        let collections = self.collections().await?;
        let is_wanted = |job: &&Arc<JobRecord>| request.silver.is_empty() || request.silver == job.contract.silver;
        let (mut found, mut known) = (None, BTreeSet::new());
        for job in collections.iter().filter(is_wanted) {
            let views = views_of(job)?;
            known.extend(views.names().map(str::to_owned));
            if views.names().any(|name| name == request.view) {
                found = Some((job, views));
            }
        }
        let Some((job, views)) = found else { return Err(no_view(request, &collections, &known)) };
        let rows = self.rows(job, &views, &request.view).await?;
        let limit = if request.limit == 0 { usize::MAX } else { request.limit as usize };
        Ok(v1::ReadViewResponse {
            columns: columns(&views.columns(&request.view)),
            rows: rows.iter().take(limit).map(row).collect(),
        })
    }

    /// The rows of a view. What the aggregator has is newest. It knows the collections that jobs of its term fill; what the
    /// others have stays as it is, so the first reader reads it for all.
    async fn rows(&self, job: &JobRecord, views: &Views, view: &str) -> Result<Vec<GoldRow>, Status> {
        let silver = &job.contract.silver;
        let term = self.term.borrow().clone();
        let Some(term) = term else {
            let gold = self.load_gold(silver, views).await?;
            return Ok(views.rows(view, gold.cells()).unwrap_or_default());
        };
        if let Some(rows) = term.supervisor.gold(silver, view).await.map_err(refused)? {
            return Ok(rows);
        }
        let mut resting = term.resting.lock().await;
        let gold = match resting.get(silver) {
            Some(gold) => Arc::clone(gold),
            None => {
                let gold = Arc::new(self.load_gold(silver, views).await?);
                // A job may have begun to fill the collection meanwhile; then the aggregator answers from now on.
                resting.insert(silver.clone(), Arc::clone(&gold));
                gold
            }
        };
        drop(resting);
        Ok(views.rows(view, gold.cells()).unwrap_or_default())
    }

    async fn load_gold(&self, silver: &str, views: &Views) -> Result<GoldState, Status> {
        load_gold(&*self.store, silver, views.clone(), &self.jobs().await?).await.map_err(refused)
    }
}

/// The error of asking for a view that is not there.
fn no_view(request: &v1::ReadViewRequest, collections: &[Arc<JobRecord>], known: &BTreeSet<String>) -> Status {
    let v1::ReadViewRequest { view, silver, .. } = request;
    let names: Vec<&str> = collections.iter().map(|job| job.contract.silver.as_str()).collect();
    let message = if names.is_empty() {
        format!("there is no view {view:?}, since there is no job yet")
    } else if !silver.is_empty() && !names.contains(&silver.as_str()) {
        let meant = did_you_mean(silver, names.iter().copied());
        format!("there is no silver collection {silver:?}{meant} There is: {}", names.join(", "))
    } else if known.is_empty() {
        format!("there is no view {view:?}: the contract has none")
    } else {
        let meant = did_you_mean(view, known.iter().map(String::as_str));
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        format!("there is no view {view:?}{meant} There is: {}", known.join(", "))
    };
    Refusal::NotFound.status(message)
}

/// The silver collections of a store.
#[derive(Debug, Default)]
pub(super) struct Collections(BTreeMap<String, Arc<JobRecord>>);

impl Collections {
    /// Takes note of a job; the latest one of a collection counts.
    pub(super) fn note(&mut self, job: Arc<JobRecord>) {
        match self.0.entry(job.contract.silver.clone()) {
            Entry::Vacant(place) => drop(place.insert(job)),
            Entry::Occupied(mut known) if known.get().number <= job.number => drop(known.insert(job)),
            Entry::Occupied(_) => {}
        }
    }

    /// The latest job of each, by the collections' names.
    pub(super) fn latest(&self) -> Vec<Arc<JobRecord>> {
        self.0.values().cloned().collect()
    }
}

fn views_of(job: &JobRecord) -> Result<Views, Status> {
    job.compile().map(|contract| Views::new(&contract)).map_err(|e| refused(SupervisorError::Contract(e)))
}

fn columns(columns: &[(String, GoldColumnKind)]) -> Vec<v1::Column> {
    let kind = |kind: GoldColumnKind| match kind {
        GoldColumnKind::Int => v1::ColumnKind::Int,
        GoldColumnKind::Float => v1::ColumnKind::Float,
        GoldColumnKind::Text => v1::ColumnKind::Text,
        GoldColumnKind::Bool => v1::ColumnKind::Bool,
    };
    columns.iter().map(|(name, k)| v1::Column { name: name.clone(), kind: kind(*k).into() }).collect()
}

fn row(row: &GoldRow) -> v1::Row {
    let value = |value: &GoldValue| v1::Value {
        value: match value {
            GoldValue::Null => None,
            GoldValue::Int(v) => Some(value::Value::Int(*v)),
            GoldValue::Float(v) => Some(value::Value::Float(*v)),
            GoldValue::Text(v) => Some(value::Value::Text(v.clone())),
            GoldValue::Bool(v) => Some(value::Value::Bool(*v)),
        },
    };
    v1::Row { values: row.values().iter().map(value).collect() }
}

#[cfg(test)]
mod tests {
    use ensemble_store::JobId;

    use super::*;
    use crate::{gold_state::tests::CONTRACT, samples};

    #[test]
    fn the_latest_job_says_what_a_collection_is() {
        let job = |number, silver: &str| {
            let contract = CONTRACT.replace("key = \"id\"", &format!("key = \"id\"\nsilver = {silver:?}"));
            Arc::new(samples::job(JobId(uuid::Uuid::nil()), number, &contract))
        };
        let mut collections = Collections::default();
        for (number, silver) in [(2, "b"), (1, "b"), (3, "a"), (4, "a")] {
            collections.note(job(number, silver));
        }
        let latest = collections.latest();
        let latest: Vec<_> = latest.iter().map(|job| (job.contract.silver.as_str(), job.number.0)).collect();
        assert_eq!(latest, [("a", 4), ("b", 2)]);
    }

    #[test]
    fn a_view_that_is_not_there_is_told_apart_from_a_collection_that_is_not() {
        let songs = [Arc::new(samples::job(JobId(uuid::Uuid::nil()), 1, CONTRACT))];
        let known: BTreeSet<String> = ["by_genre", "pairs"].map(str::to_owned).into();
        let ask = |view: &str, silver: &str| v1::ReadViewRequest { view: view.into(), silver: silver.into(), limit: 0 };
        for (request, collections, known, message) in [
            (ask("x", ""), &[][..], BTreeSet::new(), "there is no view \"x\", since there is no job yet"),
            (
                ask("by_gnere", ""),
                &songs[..],
                known,
                "there is no view \"by_gnere\"; did you mean \"by_genre\"? There is: by_genre, pairs",
            ),
            (
                ask("by_genre", "movies"),
                &songs[..],
                BTreeSet::new(),
                "there is no silver collection \"movies\". There is: songs",
            ),
            (ask("x", "songs"), &songs[..], BTreeSet::new(), "there is no view \"x\": the contract has none"),
        ] {
            let status = no_view(&request, collections, &known);
            assert_eq!((status.code(), status.message()), (tonic::Code::NotFound, message));
        }
    }
}
