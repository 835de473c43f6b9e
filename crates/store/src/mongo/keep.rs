//! *Keeps*: inserts what is absent and answers only once all of it is durable, also what somebody else had written.

use std::{collections::HashSet, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    command::{PutItem, Verb, Write},
    server::{Query, Server},
};
use crate::StoreError;

type Result<T> = std::result::Result<T, StoreError>;

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// How many ids one query asks for.
const IDS_AT_ONCE: usize = 1_000;

/// Waits for a majority to get what is there: pauses that double, until as much time has passed as one operation may
/// take.
pub(super) struct MajorityWait {
    deadline: Instant,
    pause: Duration,
}

impl MajorityWait {
    pub(super) fn new(limit: Duration) -> Self {
        Self { deadline: Instant::now() + limit, pause: FIRST_PAUSE }
    }

    /// Pauses; `false` once the time is over.
    pub(super) async fn pause(&mut self) -> bool {
        if Instant::now() >= self.deadline {
            return false;
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}

impl Server {
    /// Inserts those of the documents whose id is absent, and waits until a majority has the others: they may be
    /// another caller's, not durable yet, and go again with a fail-over.
    ///
    /// # Errors
    /// Those of [`Server::write`]; [`StoreError::Unavailable`] where a majority does not get them in time.
    pub(super) async fn keep(
        &self,
        action: &'static str,
        collection: &str,
        ids: &[String],
        put: PutItem<'_>,
    ) -> Result<()> {
        let written = self.write(Write { action, verb: Verb::Insert, collection, count: ids.len(), put }).await?;
        let mut open: Vec<&String> = written.refused.iter().filter_map(|at| ids.get(*at)).collect();
        let mut majority = MajorityWait::new(self.limits.operation_timeout);
        loop {
            let mut missing = Vec::new();
            for part in open.chunks(IDS_AT_ONCE) {
                let found = self.present(action, collection, part.iter().map(|id| (*id).clone()).collect()).await?;
                missing.extend(part.iter().copied().filter(|id| !found.contains(*id)));
            }
            open = missing;
            if open.is_empty() {
                return Ok(());
            }
            if !majority.pause().await {
                return Err(self.attempt(action).unavailable("no majority has yet what was there before"));
            }
        }
    }

    /// Those of the ids that a majority has.
    pub(super) async fn present(
        &self,
        action: &'static str,
        collection: &str,
        ids: Vec<String>,
    ) -> Result<HashSet<String>> {
        let found = self.find(action, collection, Query::ids(ids).only(&["_id"]), |found| {
            Ok(found.get_str("_id").unwrap_or_default().to_owned())
        });
        Ok(found.await?.into_iter().collect())
    }
}
