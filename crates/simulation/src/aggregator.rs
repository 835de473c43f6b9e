//! The aggregator of a term of office: the real collection of gold, driven as the actor drives it.

use std::{cell::Cell, collections::VecDeque, rc::Rc, sync::Arc, task::Poll};

use ensemble_store::LedgerEntry;
use ensemble_supervisor::{Collection, CurrentHead, Office, SupervisorError};
use ensemble_testkit::sim_store::yield_now;
use futures::{FutureExt, future::LocalBoxFuture};

use crate::{sim::Sim, term::Term};

/// Where the answer to a flush is put.
type Answer = Rc<Cell<Option<Result<(), SupervisorError>>>>;

/// What an aggregator is told.
pub(crate) enum AggregatorMsg {
    /// This entry is in the ledger.
    Fold(Arc<LedgerEntry>),
    /// Write everything out, with a checkpoint.
    Flush(Answer),
}

/// Where its messages are put.
pub(crate) type Mailbox = std::cell::RefCell<VecDeque<AggregatorMsg>>;

/// Gold on its way to the store, and who waits for it.
struct Writing {
    write: LocalBoxFuture<'static, Result<Option<CurrentHead>, SupervisorError>>,
    flush: Option<Answer>,
}

/// Folds, and writes meanwhile, until it is dropped.
pub(crate) async fn run(sim: Rc<Sim>, term: Rc<Term>, office: Office, mut collection: Collection) {
    let mut flushes = VecDeque::new();
    let mut writing: Option<Writing> = None;
    loop {
        yield_now().await;
        match writing.take() {
            None if !flushes.is_empty() || sim.chance(0.1) => {
                let flush: Option<Answer> = flushes.pop_front();
                let (draft, office) = (collection.draft(&office, flush.is_some()), office.clone());
                writing = Some(Writing { write: async move { draft.write(&office).await }.boxed_local(), flush });
            }
            None => {}
            Some(mut under_way) => match futures::poll!(&mut under_way.write) {
                Poll::Pending => writing = Some(under_way),
                Poll::Ready(written) => {
                    let written = collection.written(written);
                    if written.is_err() {
                        sim.count("failed writes of gold");
                    }
                    if let Some(answer) = under_way.flush {
                        answer.set(Some(written));
                    }
                }
            },
        }
        match term.mailbox.borrow_mut().pop_front() {
            Some(AggregatorMsg::Fold(entry)) => {
                if writing.is_some() {
                    sim.count("entries folded during a write of gold");
                }
                if let Err(e) = collection.state_mut().fold(&entry) {
                    sim.fail(format!("cannot fold {} into gold: {e}", entry.plan.shard));
                }
            }
            Some(AggregatorMsg::Flush(answer)) => flushes.push_back(answer),
            None => {}
        }
    }
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
