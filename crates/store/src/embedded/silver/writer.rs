//! The silver thread: collects requests into groups while there is load, and commits each group at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use super::{
    Collection, Collections,
    commit::commit,
    prepare::{self, Answer, Request},
};
use crate::{
    ClaimInsert, NewClaim, Replacement, StoreError,
    embedded::{
        engine::Engine,
        options::EmbeddedOptions,
        queue::{Permits, Queued, Reply, Writer, answer_all},
        readers::Readers,
    },
};

/// A group that begins within this time of the last one is under load.
const BUSY: Duration = Duration::from_millis(50);
/// How long a lingering group waits for the next request where none is being prepared.
const QUIET: Duration = Duration::from_millis(20);

/// The handle of the silver thread.
pub(in crate::embedded) struct SilverWriter {
    writer: Writer<Request>,
    engine: Arc<Engine>,
    collections: Arc<Collections>,
    readers: Arc<Readers>,
    preparing: Arc<AtomicUsize>,
}

/// Counts a request that is on its way to the queue.
struct Preparing(Arc<AtomicUsize>);

impl Preparing {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Preparing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl SilverWriter {
    pub(in crate::embedded) fn spawn(
        engine: &Arc<Engine>,
        collections: &Arc<Collections>,
        readers: &Arc<Readers>,
        options: &EmbeddedOptions,
    ) -> Result<Self, StoreError> {
        let preparing = Arc::new(AtomicUsize::new(0));
        let grouping = Grouping {
            rows: options.group_rows,
            bytes: options.group_bytes,
            linger: options.group_linger,
            preparing: Arc::clone(&preparing),
        };
        let thread_engine = Arc::clone(engine);
        let run = move |queue: Receiver<Queued<Request>>| run(&thread_engine, &grouping, &queue);
        Ok(Self {
            writer: Writer::spawn("silver", options.queue_bytes, Arc::clone(&engine.health), run)?,
            engine: Arc::clone(engine),
            collections: Arc::clone(collections),
            readers: Arc::clone(readers),
            preparing,
        })
    }

    pub(in crate::embedded) async fn insert(
        &self,
        silver: &str,
        claims: Arc<Vec<NewClaim>>,
    ) -> Result<Vec<ClaimInsert>, StoreError> {
        let prepare = move |engine: &Engine, collection: &Collection| prepare::inserts(engine, collection, claims);
        let (on_its_way, collection, (rows, results)) = self.prepare(silver, prepare).await?;
        if rows.is_empty() {
            return Ok(results);
        }
        let bytes = rows.len_bytes();
        let request = |reply| Request { collection, rows, answer: Answer::Insert { results, reply } };
        self.call(on_its_way, bytes, request).await
    }

    pub(in crate::embedded) async fn replace(
        &self,
        silver: &str,
        replacements: Vec<Replacement>,
    ) -> Result<Vec<bool>, StoreError> {
        let results = vec![false; replacements.len()];
        let prepare = move |engine: &Engine, collection: &Collection| {
            collection.filter(engine)?;
            prepare::replacements(replacements)
        };
        let (on_its_way, collection, rows) = self.prepare(silver, prepare).await?;
        if rows.is_empty() {
            return Ok(results);
        }
        let bytes = rows.len_bytes();
        let request = |reply| Request { collection, rows, answer: Answer::Replace { results, reply } };
        self.call(on_its_way, bytes, request).await
    }

    async fn prepare<T: Send + 'static>(
        &self,
        silver: &str,
        prepare: impl FnOnce(&Engine, &Collection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<(Preparing, Arc<Collection>, T), StoreError> {
        let on_its_way = Preparing::new(&self.preparing);
        let (engine, collections, silver) =
            (Arc::clone(&self.engine), Arc::clone(&self.collections), silver.to_owned());
        self.readers
            .run(move || {
                let collection = collections.create(&silver)?;
                let prepared = prepare(&engine, &collection)?;
                Ok((on_its_way, collection, prepared))
            })
            .await
    }

    async fn call<T>(
        &self,
        on_its_way: Preparing,
        bytes: usize,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<T, StoreError> {
        self.writer
            .call(bytes, |reply| {
                let request = request(reply);
                drop(on_its_way);
                request
            })
            .await
    }

    pub(in crate::embedded) fn close(&self) {
        self.writer.close();
    }
}

/// When a group is large enough, or has waited long enough.
struct Grouping {
    rows: usize,
    bytes: usize,
    linger: Duration,
    preparing: Arc<AtomicUsize>,
}

/// Requests that are committed together.
struct Group {
    requests: Vec<Request>,
    permits: Vec<Permits>,
    rows: usize,
    bytes: usize,
}

impl Group {
    fn new(first: Queued<Request>) -> Self {
        let mut group = Self { requests: Vec::new(), permits: Vec::new(), rows: 0, bytes: 0 };
        group.push(first);
        group
    }

    fn push(&mut self, queued: Queued<Request>) {
        self.rows += queued.request.rows.len();
        self.bytes += queued.request.rows.len_bytes();
        self.requests.push(queued.request);
        self.permits.push(queued.permits);
    }
}

impl Grouping {
    /// Takes what is queued, and waits for as many requests as are expected. The request that does not fit is handed
    /// back.
    fn collect(
        &self,
        queue: &Receiver<Queued<Request>>,
        first: Queued<Request>,
        expected: usize,
    ) -> (Group, Option<Queued<Request>>) {
        let mut group = Group::new(first);
        let deadline = Instant::now() + self.linger;
        loop {
            let next = match queue.try_recv() {
                Ok(next) => Some(next),
                Err(_) if group.requests.len() < expected => self.wait(queue, deadline),
                Err(_) => None,
            };
            match next {
                None => return (group, None),
                Some(next) if group.rows + next.request.rows.len() > self.rows || group.bytes >= self.bytes => {
                    return (group, Some(next));
                }
                Some(next) => group.push(next),
            }
            if group.rows >= self.rows || group.bytes >= self.bytes {
                return (group, None);
            }
        }
    }

    /// Waits for one more request until the deadline, or until it is quiet.
    fn wait(&self, queue: &Receiver<Queued<Request>>, deadline: Instant) -> Option<Queued<Request>> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match queue.recv_timeout(left.min(QUIET)) {
                Ok(next) => return Some(next),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    if left <= QUIET || self.preparing.load(Ordering::Relaxed) == 0 {
                        return None;
                    }
                }
            }
        }
    }
}

fn run(engine: &Engine, grouping: &Grouping, queue: &Receiver<Queued<Request>>) {
    let mut left_over = None;
    let mut last_end = Instant::now();
    // How many requests the last two groups had: who has been answered comes back with the next request.
    let mut callers = [0, 0];
    while let Some(first) = left_over.take().or_else(|| queue.recv().ok()) {
        let expected = if last_end.elapsed() < BUSY { callers[0].max(callers[1]) } else { 0 };
        let (group, next) = grouping.collect(queue, first, expected);
        left_over = next;
        callers = [callers[1], group.requests.len()];
        let begin = Instant::now();
        let (rows, requests) = (group.rows, group.requests.len());
        commit_group(engine, group.requests);
        drop(group.permits);
        last_end = Instant::now();
        tracing::debug!(rows, requests, expected, took = ?last_end - begin, "committed to silver");
    }
}

/// Commits requests to several collections, one collection after the other, and answers them.
fn commit_group(engine: &Engine, requests: Vec<Request>) {
    let mut rest = requests;
    while let Some(first) = rest.first() {
        let collection = Arc::clone(&first.collection);
        let (mut same, others): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|r| Arc::ptr_eq(&r.collection, &collection));
        rest = others;
        let outcome = engine.health.check().and_then(|()| commit(engine, &collection, &mut same));
        if let Err(e) = outcome {
            engine.health.fail(&e);
        }
        for request in same {
            match request.answer {
                Answer::Insert { results, reply } => answer_all(&engine.health, vec![(reply, results)]),
                Answer::Replace { results, reply } => answer_all(&engine.health, vec![(reply, results)]),
            }
        }
    }
}
