//! One database of a server: commands and queries, bounded in number and in time.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use mongodb::{
    Client, Database,
    bson::{Bson, Document, RawDocument, RawDocumentBuf, doc},
    error::ErrorKind,
};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::errors::Attempt;
use crate::StoreError;

type Result<T> = std::result::Result<T, StoreError>;

/// The server's code for a collection that is there already.
const NAMESPACE_EXISTS: i32 = 48;

/// The bounds of everything that is asked of the server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) operation_timeout: Duration,
    pub(super) in_flight: usize,
    pub(super) batch_documents: usize,
    pub(super) batch_bytes: usize,
}

/// The database that holds a store. Reads return what a majority has, from the primary, as the client's options say.
#[derive(Debug)]
pub(super) struct Server {
    client: Client,
    database: Database,
    /// What errors call it.
    pub(super) name: String,
    pub(super) limits: Limits,
    permits: Semaphore,
    /// Turns of commands that come in long queues, fewer than there are permits.
    queue: Semaphore,
    is_closed: AtomicBool,
}

/// Which documents are read.
#[derive(Debug)]
pub(super) struct Query {
    filter: Document,
    is_sorted: bool,
    limit: Option<usize>,
    fields: Option<Document>,
}

impl Query {
    /// The documents with these ids, in any order.
    pub(super) fn ids(ids: Vec<String>) -> Self {
        Self { filter: doc! { "_id": { "$in": ids } }, is_sorted: false, limit: None, fields: None }
    }

    /// The document with this id.
    pub(super) fn id(id: &str) -> Self {
        Self { filter: doc! { "_id": id }, is_sorted: false, limit: Some(1), fields: None }
    }

    /// The first documents by id of those whose id the condition, such as `{$gt: "a"}`, lets through.
    pub(super) fn page(condition: Document, limit: usize) -> Self {
        let filter = if condition.is_empty() {
            doc! {}
        } else {
            doc! { "_id": condition }
        };
        Self { filter, is_sorted: true, limit: Some(limit.max(1)), fields: None }
    }

    /// The same, of which only `_id` and these fields are returned.
    pub(super) fn only(self, fields: &[&str]) -> Self {
        let fields = fields.iter().map(|field| ((*field).to_owned(), Bson::Int32(1))).collect();
        Self { fields: Some(fields), ..self }
    }
}

impl Server {
    pub(super) fn new(client: Client, database: &str, name: String, limits: Limits) -> Self {
        let database = client.database(database);
        let permits = Semaphore::new(limits.in_flight);
        let queue = Semaphore::new((limits.in_flight * 3 / 4).max(1));
        Self { client, database, name, limits, permits, queue, is_closed: AtomicBool::new(false) }
    }

    pub(super) fn attempt(&self, action: &'static str) -> Attempt<'_> {
        Attempt { server: &self.name, action }
    }

    /// # Errors
    /// [`StoreError::Closed`] once it is closed.
    pub(super) fn check(&self) -> Result<()> {
        if self.is_closed.load(Ordering::Acquire) { Err(StoreError::Closed) } else { Ok(()) }
    }

    /// Runs a command on the primary. Neither the driver nor this repeats it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where it may have worked; the server's other errors by their meaning.
    pub(super) async fn run(&self, action: &'static str, command: RawDocumentBuf) -> Result<Document> {
        self.bounded(action, async { self.database.run_raw_command(command).await.map(Ok) }).await
    }

    /// Waits for the turn of a command of which hundreds may be waiting; to be held until its answer is there. Other calls
    /// wait for those of them that are under way and not for the rest: else every call of a shard that is nearly through
    /// would wait for all shards that have just begun.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where it does not come in time; [`StoreError::Closed`].
    pub(super) async fn queue(&self, action: &'static str) -> Result<SemaphorePermit<'_>> {
        self.turn(action, &self.queue).await
    }

    /// Reads documents.
    ///
    /// # Errors
    /// As [`Server::run`]; those of `read`.
    pub(super) async fn find<T: Send>(
        &self,
        action: &'static str,
        collection: &str,
        query: Query,
        mut read: impl FnMut(&RawDocument) -> Result<T> + Send,
    ) -> Result<Vec<T>> {
        let Query { filter, is_sorted, limit, fields } = query;
        let collection = self.database.collection::<RawDocumentBuf>(collection);
        let mut find = collection.find(filter).max_time(self.limits.operation_timeout);
        if is_sorted {
            find = find.sort(doc! { "_id": 1 });
        }
        if let Some(limit) = limit {
            find = find.limit(i64::try_from(limit).unwrap_or(i64::MAX));
            find = find.batch_size(u32::try_from(limit).unwrap_or(u32::MAX).min(10_000));
        }
        if let Some(fields) = fields {
            find = find.projection(fields);
        }
        self.bounded(action, async {
            let mut cursor = find.await?;
            let mut found = Vec::new();
            while cursor.advance().await? {
                match read(cursor.current()) {
                    Ok(record) => found.push(record),
                    Err(error) => return Ok(Err(error)),
                }
            }
            Ok(Ok(found))
        })
        .await
    }

    /// Creates a collection where it is absent.
    ///
    /// # Errors
    /// As [`Server::run`].
    pub(super) async fn create(&self, collection: &str) -> Result<()> {
        self.bounded("create a collection", async {
            match self.database.create_collection(collection).await {
                Err(error) if matches!(&*error.kind, ErrorKind::Command(e) if e.code == NAMESPACE_EXISTS) => Ok(Ok(())),
                other => other.map(Ok),
            }
        })
        .await
    }

    /// Waits its turn, and then for the answer, each for as long as one operation may take.
    async fn bounded<T>(
        &self,
        action: &'static str,
        work: impl Future<Output = mongodb::error::Result<Result<T>>>,
    ) -> Result<T> {
        let _permit = self.turn(action, &self.permits).await?;
        let limit = self.limits.operation_timeout;
        match tokio::time::timeout(limit, Box::pin(work)).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => Err(self.attempt(action).error(&error)),
            Err(_) => Err(self.attempt(action).unavailable(format!("no answer within {limit:?}"))),
        }
    }

    /// Waits for a turn, for as long as one operation may take.
    async fn turn<'a>(&self, action: &'static str, turns: &'a Semaphore) -> Result<SemaphorePermit<'a>> {
        self.check()?;
        let limit = self.limits.operation_timeout;
        let Ok(permit) = tokio::time::timeout(limit, turns.acquire()).await else {
            return Err(self.attempt(action).unavailable(format!("other calls took longer than {limit:?}")));
        };
        let permit = permit.map_err(|_| StoreError::Closed)?;
        // It may have been closed meanwhile.
        self.check()?;
        Ok(permit)
    }

    /// Ends all connections. What is under way may or may not work; later calls answer [`StoreError::Closed`].
    pub(super) async fn close(&self) {
        if self.is_closed.swap(true, Ordering::AcqRel) {
            return;
        }
        // A call that has its turn is waited for; the rest are turned away.
        let all = u32::try_from(self.limits.in_flight).unwrap_or(u32::MAX);
        drop(tokio::time::timeout(self.limits.operation_timeout, self.permits.acquire_many(all)).await);
        self.permits.close();
        self.queue.close();
        let shutdown = self.client.clone().shutdown().immediate(true);
        drop(tokio::time::timeout(self.limits.operation_timeout, shutdown).await);
    }
}
