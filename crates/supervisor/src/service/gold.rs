//! `GoldService`: views out of what is settled.

use std::time::Duration;

use ensemble_gold::{GoldColumnKind, GoldRow, GoldValue, Views};
use ensemble_protocol::{
    Refusal,
    v1::{self, gold_service_server::GoldService, value},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};

use super::{Answers, Desk, refused};
use crate::{JobRecord, SupervisorError, list_jobs, load_gold};

/// How often a watcher hears of a view.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);

#[async_trait]
impl GoldService for Desk {
    type WatchViewStream = Answers<v1::ReadViewResponse>;

    async fn list_views(&self, _: Request<v1::ListViewsRequest>) -> Result<Response<v1::ListViewsResponse>, Status> {
        let jobs = self.jobs().await?;
        let mut listed = Vec::new();
        for job in collections(&jobs) {
            let views = views_of(job)?;
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

    async fn view(&self, request: &v1::ReadViewRequest) -> Result<v1::ReadViewResponse, Status> {
        let jobs = self.jobs().await?;
        let mut found: Vec<(&JobRecord, Views)> = Vec::new();
        for job in collections(&jobs) {
            let views = views_of(job)?;
            let is_wanted = request.silver.is_empty() || request.silver == job.contract.silver;
            if is_wanted && views.names().any(|name| name == request.view) {
                found.push((job, views));
            }
        }
        let (job, views) = match found.len() {
            1 => found.swap_remove(0),
            0 => return Err(Refusal::NotFound.status(format!("there is no view {:?}; see ListViews", request.view))),
            _ => {
                let message = format!("several collections have a view {:?}: name one", request.view);
                return Err(Refusal::InvalidField("silver").status(message));
            }
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
                let gold = load_gold(&*self.store, silver, views.clone(), &jobs).await.map_err(refused)?;
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

/// The latest job of each silver collection, which says what the collection is.
fn collections(jobs: &[JobRecord]) -> Vec<&JobRecord> {
    let mut latest: Vec<&JobRecord> = Vec::new();
    for job in jobs.iter().rev() {
        if latest.iter().all(|known| known.contract.silver != job.contract.silver) {
            latest.push(job);
        }
    }
    latest
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
