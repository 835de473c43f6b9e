//! Who is in office: a lease on the office itself, so that of many supervisors one works and the others wait.
//!
//! Safety does not rest on it: every document of a supervisor is written by compare-and-set under its epoch, so one that
//! comes back late changes nothing ([`Office`]). The lease only says when it is worth taking over. It is told by watching
//! the stored stamp: as long as that changes somebody is in office, whatever the clocks of the machines say.

use std::{sync::Arc, time::Duration};

use ensemble_store::{Document, DocumentKind, Epoch, ErrorClass, Stamp, Store};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::{Office, SupervisorError, office::LEADERSHIP};

/// A supervisor that would like to be in office.
pub struct Candidate {
    store: Arc<dyn Store>,
    holder: Holder,
    alone: bool,
}

/// What the office's document says. One that was taken without a lease is free for whoever wants it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Holder {
    /// What people call it.
    name: String,
    lease_ms: u64,
    /// It has left by itself.
    released: bool,
}

/// An office with a lease on it.
pub struct Term {
    office: Office,
    holder: Holder,
    stamp: Stamp,
}

impl Candidate {
    /// A candidate that people call `name`, and that is succeeded once it has not been heard of for `lease`.
    pub fn new(store: Arc<dyn Store>, name: &str, lease: Duration) -> Self {
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        Self { store, holder: Holder { name: name.to_owned(), lease_ms, released: false }, alone: false }
    }

    /// Whether no other process can have the store open: whoever was in office is gone, and need not be waited for.
    pub fn alone(self, alone: bool) -> Self {
        Self { alone, ..self }
    }

    /// Waits until nobody is in office, and takes it. `waits` hears of whom it waits for, each once, or of why the store
    /// cannot be asked. Dropping it gives up waiting.
    ///
    /// # Errors
    /// Those of the store that do not pass.
    pub async fn take(&self, mut waits: impl FnMut(&str)) -> Result<Term, SupervisorError> {
        let mut watched = Watched::default();
        let mut told = String::new();
        loop {
            match self.attempt(&mut watched).await {
                Ok(Attempt::Taken(term)) => return Ok(term),
                Ok(Attempt::Held(by)) if by == told => {}
                Ok(Attempt::Held(by)) => {
                    waits(&format!("supervisor {by} is in office"));
                    told = by;
                }
                Err(SupervisorError::Store(e)) if e.class() == ErrorClass::Transient => {
                    // What was not watched may have moved.
                    watched = Watched::default();
                    if told != e.to_string() {
                        told = e.to_string();
                        waits(&told);
                    }
                }
                Err(e) => return Err(e),
            }
            sleep(self.holder.pause()).await;
        }
    }

    async fn attempt(&self, watched: &mut Watched) -> Result<Attempt, SupervisorError> {
        let Some(stored) = self.store.document(DocumentKind::Leadership, LEADERSHIP).await? else {
            return self.succeed(None).await;
        };
        let holder = Holder::of(&stored);
        if self.alone || watched.is_silent(&stored, &holder) {
            return self.succeed(Some(stored.stamp)).await;
        }
        Ok(Attempt::Held(holder.name))
    }

    async fn succeed(&self, before: Option<Stamp>) -> Result<Attempt, SupervisorError> {
        let stamp = succeeding(before);
        if !write(&*self.store, before, stamp, &self.holder).await? {
            return Ok(Attempt::Held("another candidate".to_owned()));
        }
        let office = Office::of_epoch(Arc::clone(&self.store), stamp.epoch);
        Ok(Attempt::Taken(Term { office, holder: self.holder.clone(), stamp }))
    }
}

/// Takes an office without a lease, so that whoever wants it has it next; a supervisor that holds a lease on it has to
/// have been silent for the lease's time.
///
/// # Errors
/// [`SupervisorError::Held`] where it is not; [`SupervisorError::Deposed`] where somebody else takes office at the same
/// moment; those of the store.
pub(crate) async fn take_once(store: Arc<dyn Store>) -> Result<Office, SupervisorError> {
    let mut watched = Watched::default();
    let before = loop {
        let Some(stored) = store.document(DocumentKind::Leadership, LEADERSHIP).await? else { break None };
        let holder = Holder::of(&stored);
        if watched.is_silent(&stored, &holder) {
            break Some(stored.stamp);
        }
        if watched.has_moved {
            return Err(SupervisorError::Held(holder.name));
        }
        sleep(holder.pause()).await;
    };
    let (stamp, holder) = (succeeding(before), Holder::default());
    if !write(&*store, before, stamp, &holder).await? {
        return Err(SupervisorError::Deposed);
    }
    Ok(Office::of_epoch(store, stamp.epoch))
}

/// The office's stamp, as it is watched.
#[derive(Default)]
struct Watched {
    since: Option<(Stamp, Instant)>,
    /// It has changed while it was watched.
    has_moved: bool,
}

impl Watched {
    /// Whether whoever is in office has left, or has not been heard of for the lease's time.
    fn is_silent(&mut self, stored: &Document, holder: &Holder) -> bool {
        let (stamp, since) = *self.since.get_or_insert((stored.stamp, Instant::now()));
        if stamp == stored.stamp {
            return holder.released || since.elapsed() >= Duration::from_millis(holder.lease_ms);
        }
        self.since = Some((stored.stamp, Instant::now()));
        self.has_moved = true;
        false
    }
}

impl Holder {
    fn of(stored: &Document) -> Self {
        serde_json::from_slice(&stored.body).unwrap_or_default()
    }

    /// How long to wait before the office is looked at again.
    fn pause(&self) -> Duration {
        Duration::from_millis((self.lease_ms / 20).clamp(10, 1000))
    }
}

/// The first stamp of the next term.
fn succeeding(before: Option<Stamp>) -> Stamp {
    Stamp { epoch: Epoch(before.map_or(0, |s| s.epoch.0) + 1), version: 1 }
}

enum Attempt {
    Taken(Term),
    Held(String),
}

impl Term {
    /// The office.
    pub fn office(&self) -> &Office {
        &self.office
    }

    /// Keeps the lease, and ends once somebody else is in office. A store that is away is asked again for as long as it
    /// takes: nobody else can take over meanwhile either.
    pub async fn keep(&mut self) {
        let pause = Duration::from_millis(self.holder.lease_ms / 3);
        let mut next = pause;
        loop {
            // Whichever hears of the successor first.
            let end = Instant::now() + next;
            while Instant::now() < end {
                if self.office.is_deposed() {
                    return;
                }
                sleep(Duration::from_millis(100).min(end.saturating_duration_since(Instant::now()))).await;
            }
            next = match self.renew().await {
                Ok(true) => pause,
                Ok(false) => return self.office.depose(),
                Err(error) => {
                    tracing::warn!(%error, "cannot renew the lease on the office");
                    pause / 4
                }
            };
        }
    }

    async fn renew(&mut self) -> Result<bool, SupervisorError> {
        let store = Arc::clone(self.office.store());
        loop {
            let next = Stamp { version: self.stamp.version + 1, ..self.stamp };
            if write(&*store, Some(self.stamp), next, &self.holder).await? {
                self.stamp = next;
                return Ok(true);
            }
            // Its own earlier write, where the answer was lost or nobody waited for it: this one comes on top.
            match store.document(DocumentKind::Leadership, LEADERSHIP).await? {
                Some(stored) if stored.stamp.epoch == self.stamp.epoch && stored.stamp > self.stamp => {
                    self.stamp = stored.stamp;
                }
                _ => return Ok(false),
            }
        }
    }

    /// Leaves the office, so that nobody has to wait for the lease's end.
    ///
    /// # Errors
    /// Those of the store; the lease then lapses.
    pub async fn release(mut self) -> Result<(), SupervisorError> {
        self.holder.released = true;
        self.renew().await.map(drop)
    }
}

async fn write(
    store: &dyn Store,
    before: Option<Stamp>,
    stamp: Stamp,
    holder: &Holder,
) -> Result<bool, SupervisorError> {
    let body = serde_json::to_vec(holder)
        .map_err(|e| SupervisorError::Document { what: LEADERSHIP.to_owned(), reason: e.to_string() })?;
    let document = Document { id: LEADERSHIP.to_owned(), stamp, body: body.into() };
    Ok(store.write_document(DocumentKind::Leadership, before, &document).await?)
}

#[cfg(test)]
mod tests {
    use ensemble_store::{EmbeddedOptions, EmbeddedStore};

    use super::*;

    const LEASE: Duration = Duration::from_millis(300);

    fn store() -> (Arc<dyn Store>, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        (EmbeddedStore::open(dir.path(), EmbeddedOptions::default()).unwrap(), dir)
    }

    #[tokio::test]
    async fn the_second_waits_as_long_as_the_first_renews_and_takes_over_once_it_does_not() {
        let (store, _dir) = store();
        let mut first = Candidate::new(Arc::clone(&store), "a", LEASE).take(|_| {}).await.unwrap();
        let second = Candidate::new(store, "b", LEASE);
        let mut told = Vec::new();
        {
            let waiting = second.take(|of| told.push(of.to_owned()));
            tokio::pin!(waiting);
            tokio::select! {
                _ = &mut waiting => panic!("two are in office"),
                () = first.keep() => panic!("nobody has deposed the first"),
                () = sleep(LEASE * 4) => {}
            }
            // The first is silent from here on.
            let term = tokio::time::timeout(LEASE * 20, &mut waiting).await.expect("it takes over").unwrap();
            assert_eq!(term.office().epoch(), Epoch(first.office().epoch().0 + 1));
        }
        assert_eq!(told, ["supervisor a is in office"]);
        tokio::time::timeout(LEASE * 20, first.keep()).await.expect("the first hears of it");
        assert!(first.office().is_deposed());
        let refused = first.office().write(DocumentKind::Job, "j", None, &1).await;
        assert!(matches!(refused, Err(SupervisorError::Deposed)));
    }

    #[tokio::test]
    async fn who_leaves_by_itself_is_succeeded_at_once() {
        let (store, _dir) = store();
        let long = Duration::from_secs(3600);
        let first = Candidate::new(Arc::clone(&store), "a", long).take(|_| {}).await.unwrap();
        first.release().await.unwrap();
        let second = Candidate::new(store, "b", long);
        let term = tokio::time::timeout(Duration::from_secs(30), second.take(|_| {})).await.expect("at once").unwrap();
        assert_eq!(term.office().epoch(), Epoch(2));
    }
}
