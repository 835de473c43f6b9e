//! Write commands: many documents or statements, cut into batches, several batches under way at once.

use std::{
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::future::join_all;
use mongodb::bson::{Bson, Document, RawDocumentBuf};

use super::{
    errors::{Attempt, MAX_DOCUMENT, is_duplicate},
    server::{Limits, Server},
    writer::{Index, Writer},
};
use crate::StoreError;

type Result<T> = std::result::Result<T, StoreError>;

/// What is done to the documents of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// Items are documents.
    Insert,
    /// Items are statements `{q, u, upsert}`.
    Update,
    /// Items are statements `{q, limit}`.
    Delete,
}

impl Verb {
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Insert => ("insert", "documents"),
            Self::Update => ("update", "updates"),
            Self::Delete => ("delete", "deletes"),
        }
    }
}

/// Writes the fields of one item into the document that is open for it.
pub(super) type PutItem<'a> = &'a (dyn Fn(usize, &mut Writer) -> Result<()> + Send + Sync);

/// A write of any number of items, none of which depends on another.
#[derive(Clone, Copy)]
pub(super) struct Write<'a> {
    /// What errors call it.
    pub(super) action: &'static str,
    pub(super) verb: Verb,
    pub(super) collection: &'a str,
    pub(super) count: usize,
    pub(super) put: PutItem<'a>,
}

/// What came of a write, all of which that was done is durable.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Items whose id is there already, ascending.
    pub(super) refused: Vec<usize>,
    /// Items of batches of which not every one was done: the server tells only how many. Ascending.
    pub(super) doubtful: Vec<Range<usize>>,
}

impl Written {
    /// Whether each of `count` items was done, where refusals are told one by one.
    pub(super) fn done(&self, count: usize) -> Vec<bool> {
        let mut done = vec![true; count];
        self.refused.iter().for_each(|at| done[*at] = false);
        done
    }

    /// Adds what came of other items.
    fn absorb(&mut self, other: Self) {
        self.refused.extend(other.refused);
        self.doubtful.extend(other.doubtful);
    }
}

/// Cuts a write into commands.
struct Batches<'a> {
    write: Write<'a>,
    limits: Limits,
    next: usize,
}

/// A command and the items that are in it.
type Batch = (Range<usize>, RawDocumentBuf);

impl Batches<'_> {
    fn is_empty(&self) -> bool {
        self.next >= self.write.count
    }

    /// There are no more.
    fn end(&mut self) {
        self.next = self.write.count;
    }

    fn next(&mut self) -> Result<Option<Batch>> {
        let start = self.next;
        if self.is_empty() {
            return Ok(None);
        }
        let (verb, list) = self.write.verb.names();
        let mut command = Writer::new();
        command.text(verb, self.write.collection);
        command.boolean("ordered", false);
        put_write_concern(&mut command, &self.limits);
        let items = command.open_array(list);
        let (mut index, first) = (Index::new(), command.len());
        while self.next < self.write.count && self.next - start < self.limits.batch_documents {
            let before = command.len();
            let item = command.open_document(index.name(self.next - start));
            (self.write.put)(self.next, &mut command)?;
            let length = command.close(item);
            if length > MAX_DOCUMENT {
                let what = format!("what is to be written to {}", self.write.collection);
                return Err(StoreError::TooLarge { what, length, limit: MAX_DOCUMENT });
            }
            if before > first && command.len() - first > self.limits.batch_bytes {
                command.truncate(before);
                break;
            }
            if before == first {
                // Most items of a write are about as long as its first.
                let more = (self.write.count - start).min(self.limits.batch_documents) - 1;
                command.reserve(length.saturating_mul(more).min(self.limits.batch_bytes));
            }
            self.next += 1;
        }
        command.close(items);
        let what = || format!("a command for {}", self.write.collection);
        let too_large = |_| StoreError::TooLarge { what: what(), length: usize::MAX, limit: MAX_DOCUMENT };
        Ok(Some((start..self.next, command.finish().map_err(too_large)?)))
    }
}

/// Acknowledged by a majority, in their journals, a little before the caller stops waiting: so it is the server that
/// says that it took too long.
fn put_write_concern(command: &mut Writer, limits: &Limits) {
    command.only("writeConcern", |w| {
        w.text("w", "majority");
        w.boolean("j", true);
        let timeout = limits.operation_timeout.as_millis() * 9 / 10;
        w.long("wtimeout", i64::try_from(timeout).unwrap_or(i64::MAX));
    });
}

impl Server {
    /// Writes all items.
    ///
    /// # Errors
    /// Those of [`Server::run`] and of `put`; where a batch fails, others may have worked.
    pub(super) async fn write(&self, write: Write<'_>) -> Result<Written> {
        self.write_all(write, false).await
    }

    /// The same, of which hundreds may be waiting: each command waits for its turn, see [`Server::queue`].
    ///
    /// # Errors
    /// Those of [`Server::write`] and of [`Server::queue`].
    pub(super) async fn write_queued(&self, write: Write<'_>) -> Result<Written> {
        self.write_all(write, true).await
    }

    async fn write_all(&self, write: Write<'_>, is_queued: bool) -> Result<Written> {
        self.check()?;
        let batches = Mutex::new(Batches { write, limits: self.limits, next: 0 });
        let lanes = write.count.div_ceil(self.limits.batch_documents).clamp(1, self.limits.in_flight);
        // What is under way is waited for also after a failure: ending it would cost its connections.
        let lanes = join_all((0..lanes).map(|_| self.write_in_turn(write, is_queued, &batches))).await;
        let mut written = Written::default();
        for lane in lanes {
            written.absorb(lane?);
        }
        written.refused.sort_unstable();
        written.doubtful.sort_unstable_by_key(|range| range.start);
        Ok(written)
    }

    /// Writes one batch after the other, as others do, until none is left; the first failure ends the batches.
    async fn write_in_turn(&self, write: Write<'_>, is_queued: bool, batches: &Mutex<Batches<'_>>) -> Result<Written> {
        let mut written = Written::default();
        while !lock(batches).is_empty() {
            let batch = self.write_next(write, is_queued, batches).await;
            written.absorb(batch.inspect_err(|_| lock(batches).end())?);
        }
        Ok(written)
    }

    /// Writes one item; whether it was done.
    ///
    /// # Errors
    /// As [`Server::write`].
    pub(super) async fn write_one(
        &self,
        action: &'static str,
        verb: Verb,
        collection: &str,
        put: &(dyn Fn(&mut Writer) -> Result<()> + Send + Sync),
    ) -> Result<bool> {
        let written = self.write(Write { action, verb, collection, count: 1, put: &|_, w| put(w) }).await?;
        Ok(written == Written::default())
    }

    async fn write_next(&self, write: Write<'_>, is_queued: bool, batches: &Mutex<Batches<'_>>) -> Result<Written> {
        let action = write.action;
        // A command is built once it has its turn: those that wait would take memory.
        let _turn = if is_queued { Some(self.queue(action).await?) } else { None };
        let next = lock(batches).next()?;
        let Some((items, command)) = next else { return Ok(Written::default()) };
        let reply = self.run(action, command).await?;
        let (done, refused) = read_reply(self.attempt(action), &reply)?;
        let refused: Vec<_> = refused.into_iter().map(|at| items.start + at).collect();
        let is_told = done + refused.len() >= items.len();
        Ok(Written { refused, doubtful: if is_told { Vec::new() } else { vec![items] } })
    }
}

fn lock<'a, 'b>(batches: &'a Mutex<Batches<'b>>) -> MutexGuard<'a, Batches<'b>> {
    batches.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many items were done, and which were refused because their id is there.
fn read_reply(attempt: Attempt<'_>, reply: &Document) -> Result<(usize, Vec<usize>)> {
    let mut refused = Vec::new();
    for error in reply.get_array("writeErrors").into_iter().flatten().filter_map(Bson::as_document) {
        let code = number(error, "code").and_then(|code| i32::try_from(code).ok()).unwrap_or(0);
        match number(error, "index").and_then(|at| usize::try_from(at).ok()) {
            Some(at) if is_duplicate(code) => refused.push(at),
            _ => return Err(attempt.by_code(code, error.get_str("errmsg").unwrap_or("no reason given"))),
        }
    }
    // Done, but perhaps not to stay.
    if let Ok(error) = reply.get_document("writeConcernError") {
        return Err(attempt.unavailable(error.get_str("errmsg").unwrap_or("no majority has it yet")));
    }
    let done = number(reply, "n").and_then(|n| usize::try_from(n).ok());
    done.map(|done| (done, refused)).ok_or_else(|| attempt.unavailable("the reply does not say how many"))
}

/// A whole number, of whatever type.
fn number(document: &Document, name: &str) -> Option<i64> {
    match document.get(name)? {
        Bson::Int32(n) => Some(i64::from(*n)),
        Bson::Int64(n) => Some(*n),
        Bson::Double(n) if n.fract() == 0.0 => Some(*n as i64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mongodb::bson::doc;

    use super::*;
    use crate::ErrorClass;

    fn cut(sizes: &[usize], batch_documents: usize, batch_bytes: usize) -> Result<Vec<Range<usize>>> {
        let put: PutItem<'_> = &|at, w| {
            w.text("_id", &"x".repeat(sizes[at]));
            Ok(())
        };
        let write = Write { action: "test", verb: Verb::Insert, collection: "c", count: sizes.len(), put };
        let limits = Limits { operation_timeout: Duration::from_secs(10), in_flight: 1, batch_documents, batch_bytes };
        let mut batches = Batches { write, limits, next: 0 };
        let mut found = Vec::new();
        while let Some((range, command)) = batches.next()? {
            let command = Document::try_from(&*command).unwrap();
            let documents = command.get_array("documents").unwrap();
            let lengths: Vec<_> =
                documents.iter().map(|d| d.as_document().unwrap().get_str("_id").unwrap().len()).collect();
            assert_eq!(lengths, sizes[range.clone()]);
            let concern = command.get_document("writeConcern").unwrap();
            assert_eq!((concern.get_str("w").unwrap(), concern.get_bool("j").unwrap()), ("majority", true));
            assert_eq!(concern.get_i64("wtimeout").unwrap(), 9_000);
            found.push(range);
        }
        Ok(found)
    }

    #[test]
    fn writes_are_cut_by_documents_and_by_bytes() {
        assert!(cut(&[], 3, 1000).unwrap().is_empty());
        assert_eq!(cut(&[1; 7], 3, 1000).unwrap(), [0..3, 3..6, 6..7]);
        assert_eq!(cut(&[400, 400, 400, 400], 100, 1000).unwrap(), [0..2, 2..4]);
        assert_eq!(cut(&[5000, 1, 1, 5000, 5000], 100, 1000).unwrap(), [0..1, 1..3, 3..4, 4..5]);
    }

    #[test]
    fn a_document_that_no_server_takes_is_too_large() {
        assert!(matches!(cut(&[MAX_DOCUMENT], 10, 1000), Err(StoreError::TooLarge { .. })));
        assert_eq!(cut(&[MAX_DOCUMENT - 20, 1], 10, 1000).unwrap(), [0..1, 1..2]);
    }
    #[test]
    fn a_reply_tells_what_was_done_and_what_was_refused() {
        let read = |reply| read_reply(Attempt { server: "s", action: "test" }, &reply);
        let error = |index: i32, code: i32| doc! { "index": index, "code": code, "errmsg": "words" };
        assert_eq!(read(doc! { "ok": 1.0, "n": 3 }).unwrap(), (3, vec![]));
        assert_eq!(read(doc! { "ok": 1.0, "n": 3_i64, "writeErrors": [] }).unwrap(), (3, vec![]));
        let some = doc! { "ok": 1.0, "n": 1.0, "writeErrors": [error(0, 11000), error(2, 11000)] };
        assert_eq!(read(some).unwrap(), (1, vec![0, 2]));
        let class = |reply| read(reply).unwrap_err().class();
        assert_eq!(class(doc! { "n": 1, "writeErrors": [error(0, 11000), error(1, 10107)] }), ErrorClass::Transient);
        assert_eq!(class(doc! { "n": 1, "writeErrors": [error(0, 13)] }), ErrorClass::Fatal);
        assert_eq!(class(doc! { "n": 1, "writeErrors": [error(0, 10334)] }), ErrorClass::Invalid);
        // Whatever the code: it was done, and may be undone.
        let concern = doc! { "code": 100, "errmsg": "not enough data-bearing nodes" };
        assert_eq!(class(doc! { "n": 3, "writeConcernError": concern }), ErrorClass::Transient);
        assert_eq!(class(doc! { "ok": 1.0 }), ErrorClass::Transient);
    }
}
