//! The join by key, partition by partition (I2, I6).
//!
//! Only the silver side of a partition is held in memory: one document a key. Bronze's claims and the events are streamed
//! past it, however often a key comes.

use std::{collections::HashMap, sync::Arc};

use crate::{
    AuditError,
    audit::Audit,
    events::Announced,
    explain::Explainer,
    jobs::{Bronze, Jobs},
    pipeline::InOrder,
    report::Invariant,
    tuples::{KeyHash, Partitions, Side, Tuple},
};

/// How many differences of an invariant are explained.
const MAX_EXPLAINED: usize = 10;

/// What is wrong with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Wrong {
    /// A row of bronze has a key that silver has not.
    NotInSilver,
    /// A row of bronze has a lower rank than the live one.
    NotTheLowest,
    /// A row of bronze is live with other fields, or as another shard's.
    OtherRow,
    /// Silver's live claim is no row of bronze.
    NotInBronze,
    /// Silver's live claim has no event.
    NoEvent,
    /// An event names a key that silver has not.
    EventWithoutKey,
    /// An event has a lower rank than the live row.
    EventBelowLive,
    /// The live row's event has other fields, or is another shard's.
    OtherEvent,
}

impl Wrong {
    fn invariant(self) -> Invariant {
        match self {
            Self::NotInSilver | Self::NotTheLowest | Self::OtherRow | Self::NotInBronze => Invariant::Silver,
            Self::NoEvent | Self::EventWithoutKey | Self::EventBelowLive | Self::OtherEvent => Invariant::Events,
        }
    }
}

/// A difference: the row, event or document that it shows at, and what is live.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Difference {
    pub(crate) wrong: Wrong,
    pub(crate) row: Tuple,
    pub(crate) live: Option<Tuple>,
}

/// Differences, of which the first are kept.
#[derive(Debug, Default)]
struct Differences {
    kinds: HashMap<Wrong, u64>,
    first: Vec<Difference>,
}

impl Differences {
    fn push(&mut self, wrong: Wrong, row: Tuple, live: Option<Tuple>) {
        *self.kinds.entry(wrong).or_default() += 1;
        self.keep(Difference { wrong, row, live });
    }

    fn keep(&mut self, difference: Difference) {
        let of = |d: &&Difference| d.wrong.invariant() == difference.wrong.invariant();
        if self.first.iter().filter(of).count() < MAX_EXPLAINED {
            self.first.push(difference);
        }
    }

    fn merge(&mut self, other: Self) {
        for (wrong, n) in other.kinds {
            *self.kinds.entry(wrong).or_default() += n;
        }
        other.first.into_iter().for_each(|d| self.keep(d));
    }

    fn count(&self, invariant: Invariant) -> u64 {
        self.kinds.iter().filter(|(wrong, _)| wrong.invariant() == invariant).map(|(_, n)| n).sum()
    }
}

/// Joins all partitions and explains what differs.
pub(crate) async fn run(
    audit: &mut Audit<'_>,
    jobs: Arc<Jobs>,
    announced: Announced,
    partitions: Partitions,
) -> Result<(), AuditError> {
    let count = partitions.count();
    let shared = Arc::new(Shared { jobs, announced, partitions });
    let mut joining = InOrder::new(audit.options.threads);
    let mut differences = Differences::default();
    for partition in 0..count {
        let shared = Arc::clone(&shared);
        if let Some(joined) = joining.submit(move || shared.join(partition)).await? {
            differences.merge(joined?);
            audit.meter.add(1, count as u64);
        }
    }
    while let Some(joined) = joining.next().await? {
        differences.merge(joined?);
        audit.meter.add(1, count as u64);
    }
    if differences.first.is_empty() {
        return Ok(());
    }
    let explained = Explainer::new(&audit.store, &shared.jobs).explain(&differences.first, audit).await?;
    for invariant in [Invariant::Silver, Invariant::Events] {
        let of = |(d, _): &(&Difference, String)| d.wrong.invariant() == invariant;
        let texts = differences.first.iter().zip(explained.clone()).filter(of).map(|(_, text)| text).collect();
        audit.findings.broken_many(invariant, differences.count(invariant), texts);
    }
    Ok(())
}

struct Shared {
    jobs: Arc<Jobs>,
    announced: Announced,
    partitions: Partitions,
}

/// One live document while its partition is joined.
#[derive(Debug)]
struct Live {
    tuple: Tuple,
    /// Bronze has this row, or another difference at this key was found already.
    found: bool,
    wrong: bool,
    announced: bool,
}

impl Shared {
    /// Blocks.
    fn join(&self, partition: usize) -> Result<Differences, AuditError> {
        let mut differences = Differences::default();
        let mut silver = Vec::new();
        self.partitions.read(Side::Silver, partition, |tuple| {
            silver.push(Live { tuple, found: false, wrong: false, announced: false });
        })?;
        silver.sort_unstable_by_key(|live| live.tuple.key);
        self.partitions.read(Side::Bronze, partition, |row| self.take_row(&mut silver, row, &mut differences))?;
        for live in silver.iter_mut().filter(|live| !live.found && self.is_judged(&live.tuple)) {
            live.wrong = true;
            differences.push(Wrong::NotInBronze, live.tuple, None);
        }
        self.partitions.read(Side::Events, partition, |event| self.take_event(&mut silver, event, &mut differences))?;
        for live in silver.iter().filter(|live| !live.announced && !live.wrong && self.must_be_announced(&live.tuple)) {
            differences.push(Wrong::NoEvent, live.tuple, None);
        }
        Ok(differences)
    }

    fn take_row(&self, silver: &mut [Live], row: Tuple, differences: &mut Differences) {
        let Some(live) = find(silver, row.key) else {
            if self.is_settled(&row) {
                differences.push(Wrong::NotInSilver, row, None);
            }
            return;
        };
        let tuple = live.tuple;
        if tuple.rank == row.rank {
            live.found = true;
            if tuple != row {
                live.wrong = true;
                differences.push(Wrong::OtherRow, row, Some(tuple));
            }
        } else if tuple.rank > row.rank && self.is_settled(&row) {
            live.wrong = true;
            differences.push(Wrong::NotTheLowest, row, Some(tuple));
        }
    }

    fn take_event(&self, silver: &mut [Live], event: Tuple, differences: &mut Differences) {
        let Some(live) = find(silver, event.key) else {
            differences.push(Wrong::EventWithoutKey, event, None);
            return;
        };
        let tuple = live.tuple;
        if tuple.rank == event.rank {
            live.announced = true;
        }
        // What is wrong with silver is said once.
        if live.wrong {
            return;
        }
        if tuple.rank == event.rank && tuple != event {
            differences.push(Wrong::OtherEvent, event, Some(tuple));
        } else if tuple.rank > event.rank {
            differences.push(Wrong::EventBelowLive, event, Some(tuple));
        }
    }

    fn is_settled(&self, row: &Tuple) -> bool {
        self.jobs.shard(row.job, row.shard).is_some_and(|(_, shard)| shard.settled)
    }

    /// Whether the rows of its shard were judged again.
    fn is_judged(&self, live: &Tuple) -> bool {
        self.jobs.shard(live.job, live.shard).is_some_and(|(_, shard)| shard.bronze == Bronze::Judged)
    }

    fn must_be_announced(&self, live: &Tuple) -> bool {
        self.announced.covers(live.job as usize) && self.is_settled(live) && self.is_judged(live)
    }
}

fn find(silver: &mut [Live], key: KeyHash) -> Option<&mut Live> {
    silver.binary_search_by_key(&key, |live| live.tuple.key).ok().map(|i| &mut silver[i])
}
