//! `GoldService`: views out of what is settled.

use std::{
    collections::{BTreeMap, btree_map::Entry},
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
use crate::{JobRecord, SupervisorError, list_jobs, load_gold};

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
        let (mut found, mut known) = (Vec::new(), Vec::new());
        for job in self.collections().await? {
            if request.silver.is_empty() || request.silver == job.contract.silver {
                let views = views_of(&job)?;
                known.extend(views.names().map(str::to_owned));
                if views.names().any(|name| name == request.view) {
                    found.push((job, views));
                }
            }
        }
        let Some((job, views)) = found.into_iter().max_by_key(|(job, _)| job.number) else {
            let meant = did_you_mean(&request.view, known.iter().map(String::as_str));
            let message = match known.as_slice() {
                [] => format!("there is no view {:?}, since there is no job yet", request.view),
                known => format!("there is no view {:?}{meant} There is: {}", request.view, known.join(", ")),
            };
            return Err(Refusal::NotFound.status(message));
        };
        let silver = &job.contract.silver;
        let rows = match self.term().ok() {
            // What the aggregator has in memory is newest.
            Some(term) => term.supervisor.gold(silver, &request.view).await.map_err(refused)?,
            None => None,
        };
        let rows = match rows {
            Some(rows) => rows,
            None => {
                let gold =
                    load_gold(&*self.store, silver, views.clone(), &self.jobs().await?).await.map_err(refused)?;
                views.rows(&request.view, gold.cells()).unwrap_or_default()
            }
        };
        let limit = if request.limit == 0 { usize::MAX } else { request.limit as usize };
        Ok(v1::ReadViewResponse {
            columns: columns(&views.columns(&request.view)),
            rows: rows.iter().take(limit).map(row).collect(),
        })
    }
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
