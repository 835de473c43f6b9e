use std::{pin::pin, task::Poll, time::Duration};

use ensemble_store::{JobNumber, Position};
use ensemble_testkit::sim_store::{Broken, Random, SimClock, SimStore, Weather};
use futures::task::{Context, noop_waker_ref};

use super::*;

const SILVER: &str = "tracks";
const QUIET: Weather = Weather { self_replicating: false, ..Weather::CALM };
const POLLS: usize = 1_000;

/// A claim of the row at `position` of a job's shard with the job's number.
fn claim(key: &'static str, job: u64, position: u64) -> NewClaim {
    let shard = ShardId { job: JobNumber(job), number: 0 };
    let rank = Rank::first(JobNumber(job), Position(position));
    NewClaim { key: Bytes::from(key), claim: Claim { rank, shard, fields: Bytes::from(format!("{key}{job}")) } }
}

/// Writes to the primary alone, and does not wait for a majority.
fn put<T>(call: impl Future<Output = T>) {
    let mut call = pin!(call);
    for _ in 0..4 {
        let waits = call.as_mut().poll(&mut Context::from_waker(noop_waker_ref())).is_pending();
        assert!(waits, "it was to wait for a majority");
    }
}

/// Of two keys the first loses a race and the second is refused by what is not durable yet, so that both go round
/// again, and the second is known to do so before the first.
#[test]
fn each_key_that_goes_round_again_meets_its_own_document() {
    for seed in 0..16 {
        let store = SimStore::new(Random::new(seed), QUIET, Broken::default());
        put(store.insert_claims(SILVER, Arc::new(vec![claim("a", 9, 0)])));
        while store.replicate() {}
        let earlier = Replacement {
            key: Bytes::from("a"),
            expected: (claim("a", 9, 0).claim.rank, claim("a", 9, 0).claim.shard),
            doc: SilverDoc { live: claim("a", 3, 0).claim, displaced: vec![claim("a", 9, 0).claim] },
        };
        put(store.replace_claims(SILVER, vec![earlier]));
        put(store.insert_claims(SILVER, Arc::new(vec![claim("b", 7, 0)])));

        let clock = SimClock::default();
        let mut retry = Retry::within(&clock, Duration::MAX);
        let mine = Arc::new(vec![claim("a", 5, 0), claim("b", 5, 1)]);
        let mut claiming = pin!(claim_all(&store, &mut retry, SILVER, &mine));
        let outcomes = (0..POLLS).find_map(|_| {
            // Only once the race is lost may the majority catch up.
            if store.counts().lost_races > 0 {
                store.replicate();
            }
            match claiming.as_mut().poll(&mut Context::from_waker(noop_waker_ref())) {
                Poll::Ready(outcomes) => Some(outcomes.unwrap()),
                Poll::Pending => None,
            }
        });
        assert_ne!(store.counts().lost_races, 0, "seed {seed}: nobody lost a race");
        let stands = Standing { fields: mine[1].claim.fields.clone(), before: Some(claim("b", 7, 0).claim) };
        assert_eq!(outcomes, Some(vec![Outcome::Duplicate, Outcome::Stands(Box::new(stands))]), "seed {seed}");
    }
}
