//! The aggregator of a term of office: the real collection of gold, driven as the actor drives it.

use std::{cell::Cell, collections::VecDeque, rc::Rc, sync::Arc};

use ensemble_store::LedgerEntry;
use ensemble_supervisor::{Collection, Office, SupervisorError};
use ensemble_testkit::sim_store::yield_now;

use crate::{scenario::SILVER, sim::Sim, term::Term};

/// What an aggregator is told.
pub(crate) enum AggregatorMsg {
    /// This entry is in the ledger.
    Fold(Arc<LedgerEntry>),
    /// Write everything out, with a checkpoint; the answer goes into the cell.
    Flush(Rc<Cell<Option<Result<(), SupervisorError>>>>),
}

/// Where its messages are put.
pub(crate) type Mailbox = std::cell::RefCell<VecDeque<AggregatorMsg>>;

/// Folds and writes until it is dropped.
pub(crate) async fn run(sim: Rc<Sim>, term: Rc<Term>, office: Office, mut collection: Collection) {
    loop {
        yield_now().await;
        let message = term.mailbox.borrow_mut().pop_front();
        match message {
            Some(AggregatorMsg::Fold(entry)) => {
                if let Err(e) = collection.state_mut().fold(&entry) {
                    sim.fail(format!("cannot fold {} into gold: {e}", entry.plan.shard));
                }
            }
            Some(AggregatorMsg::Flush(answer)) => answer.set(Some(flush(&mut collection, &office).await)),
            None if sim.chance(0.1) => write(&sim, &mut collection, &office).await,
            None => {}
        }
    }
}

/// What could not be written is written the next time.
async fn write(sim: &Sim, collection: &mut Collection, office: &Office) {
    if collection.write_cells(office).await.is_err() {
        sim.count("failed writes of gold");
    }
}

async fn flush(collection: &mut Collection, office: &Office) -> Result<(), SupervisorError> {
    collection.write_cells(office).await?;
    collection.checkpoint(office, SILVER).await
}

/// Waits until all that was folded before is written.
pub(crate) async fn flushed(term: &Term) -> Result<(), SupervisorError> {
    let answer = Rc::new(Cell::new(None));
    term.mailbox.borrow_mut().push_back(AggregatorMsg::Flush(Rc::clone(&answer)));
    loop {
        yield_now().await;
        if let Some(answer) = answer.take() {
            return answer;
        }
    }
}
