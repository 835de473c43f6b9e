//! The suite for every backend, through the proxy: with nothing injected, and with one kind of fault after the other,
//! none of which lets the server work on what it fails. (What a lost reply changes is in `lost_replies`.)

use std::{sync::Arc, time::Duration};

use ensemble_store::{Store, conformance::Fixture};
use ensemble_testkit::mongo_proxy::{Fault, FaultKind, Rule, ServerError, Switch, Turn, When};

use crate::{repeating::Repeating, support::Chain};

/// The commands of the store's calls; what opens it is left alone.
const COMMANDS: [&str; 5] = ["insert", "update", "delete", "find", "getMore"];
/// A fail-over takes the driver half a second, so there are not many in one case.
const FAILURES: u64 = 5;
const DELAY: Duration = Duration::from_millis(10);

/// A store behind the proxy, whose calls meet one kind of fault. Ends with a panic where none was met.
struct Faulty {
    chain: Chain,
    fault: Option<FaultKind>,
    armed: Switch,
}

impl Faulty {
    async fn with(fault: Option<Fault>) -> Self {
        let faulty = Self { chain: Chain::new().await, fault: fault.as_ref().map(Fault::kind), armed: Switch::off() };
        let when = || When { commands: COMMANDS.map(str::to_owned).to_vec(), ..When::any() }.while_on(&faulty.armed);
        let Some(fault) = fault else { return faulty };
        if let Fault::DelayRequest(_) | Fault::DelayReply(_) = fault {
            faulty.chain.proxy.add(Rule::new(when(), fault));
        } else {
            // The first command of all, since some cases have no other.
            faulty.chain.proxy.add(Rule::new(when().turn(Turn::Nth(1)), fault.clone()));
            faulty.chain.proxy.add(Rule::new(when().turn(Turn::Every(3)), fault).times(FAILURES));
        }
        faulty
    }
}

#[async_trait::async_trait]
impl Fixture for Faulty {
    async fn open(&self) -> Arc<dyn Store> {
        self.armed.set(false);
        let store = self.chain.store().await;
        self.armed.set(true);
        Arc::new(Repeating::new(store, self.chain.options().batch_documents))
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let fired = self.chain.proxy.fired();
        match self.fault {
            Some(kind) => assert!(fired.get(&kind).is_some_and(|times| *times > 0), "no {kind:?}: {fired:?}"),
            None => {
                let passed = COMMANDS.iter().map(|command| self.chain.proxy.seen_of(command)).sum::<u64>();
                assert!(fired.is_empty() && passed > 0, "{passed} commands passed; {fired:?}");
            }
        }
    }
}

/// A module a fault.
macro_rules! suites {
    ($($name:ident: $fault:expr;)*) => {
        $(mod $name {
            use super::*;

            ensemble_store::conformance_tests!(Faulty::with($fault).await);
        })*
    };
}

suites! {
    nothing: None;
    late_requests: Some(Fault::DelayRequest(DELAY));
    late_replies: Some(Fault::DelayReply(DELAY));
    not_writable_primary: Some(Fault::AnswerInstead(ServerError::NotWritablePrimary));
    shutdown_in_progress: Some(Fault::AnswerInstead(ServerError::ShutdownInProgress));
    exceeded_time_limit: Some(Fault::AnswerInstead(ServerError::ExceededTimeLimit));
    cut_requests: Some(Fault::CutRequest);
}
