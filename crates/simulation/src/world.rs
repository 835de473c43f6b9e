//! The scheduler: decides what happens next, one step at a time.

use std::{
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use ensemble_testkit::sim_store::{Broken, Random, SimClock, SimEvents, SimStore, Weather};
use futures::task::noop_waker_ref;

use crate::{
    Rule, Tally,
    attempt::Attempt,
    check,
    scenario::Scenario,
    sim::{JobMsg, Owner, STEP_US, Sim, Task},
    term::{self, End, Term},
};

/// Once the weather has cleared, everything has to end within so many steps.
const PATIENCE: i64 = 40_000;

/// How likely a primary that is cut off is replaced, for one step.
const CUT_OFF_FAIL_OVER: f64 = 0.003;

/// Runs one seed to its end.
pub(crate) fn run(seed: u64, left_out: Option<Rule>) -> (Tally, Result<(), String>) {
    let scenario = Scenario::new(seed);
    let mut random = Random::new(seed ^ 0xd1ce);
    let broken = Broken {
        read: left_out == Some(Rule::Read),
        concern: left_out == Some(Rule::Concern),
        ledger: left_out == Some(Rule::Ledger),
    };
    let weather = scenario.rates.weather;
    let store = Arc::new(SimStore::new(random.fork(), weather, broken));
    let events = Arc::new(SimEvents::new(random.fork(), weather));
    let clock = Arc::new(SimClock::default());
    let sim = Rc::new(Sim::new(scenario, left_out, (store, events, clock), random));
    let mut world = World { sim: Rc::clone(&sim), tasks: Vec::new(), term: None, terms: 0, last: 0, cut_off_until: 0 };
    let end = world.run().and_then(|()| {
        world.outlive();
        world.tasks.clear();
        sim.take_spawned();
        sim.store.set_weather(Weather::CALM);
        while sim.store.replicate() {}
        check::check(&sim)
    });
    (sim.tally(), end)
}

struct World {
    sim: Rc<Sim>,
    tasks: Vec<Task>,
    /// Who is in office, as far as the world knows.
    term: Option<Rc<Term>>,
    terms: u64,
    /// Who had the last step.
    last: usize,
    /// The step until which the primary is cut off from the majority.
    cut_off_until: i64,
}

impl World {
    /// Goes on until all jobs have ended.
    fn run(&mut self) -> Result<(), String> {
        let clear_at = self.sim.scenario.rates.clear_at;
        while self.term.as_ref().and_then(|t| t.end.get()) != Some(End::Complete) {
            self.step();
            let step = self.sim.step();
            if step == clear_at {
                self.clear();
            }
            if step > clear_at + PATIENCE {
                return Err("it does not come to an end".to_owned());
            }
            if let Some(reason) = self.sim.failure.borrow().clone() {
                return Err(reason);
            }
        }
        Ok(())
    }

    fn step(&mut self) {
        let sim = Rc::clone(&self.sim);
        sim.clock.advance(STEP_US);
        self.set_clock();
        self.replicate();
        self.rule();
        self.tasks.extend(sim.take_spawned());
        if self.last >= self.tasks.len() || !sim.chance(sim.scenario.rates.sticky) {
            self.last = sim.below(self.tasks.len());
        }
        self.poll(self.last);
    }

    /// Sets the wall's clock forward or back, by up to two hours.
    fn set_clock(&self) {
        let sim = &self.sim;
        if sim.misfortune(sim.scenario.rates.jump) {
            let by_us = sim.below(7_200) as i64 * 1_000_000;
            let is_forward = sim.chance(0.5);
            sim.count(if is_forward { "clocks set forward" } else { "clocks set back" });
            sim.clock.jump(if is_forward { by_us } else { -by_us });
        }
    }

    /// Lets the majority catch up, or loses what it does not have. While the primary is cut off, writes pile up.
    fn replicate(&mut self) {
        let (sim, rates) = (Rc::clone(&self.sim), self.sim.scenario.rates);
        if sim.misfortune(rates.partition) {
            sim.count("partitions of the store");
            self.cut_off_until = sim.step() + sim.below(rates.partition_steps) as i64;
        }
        let is_cut_off = sim.step() < self.cut_off_until && !sim.is_clear.get();
        if !is_cut_off && (sim.is_clear.get() || sim.chance(rates.replicate)) {
            sim.store.replicate();
        }
        if sim.misfortune(rates.fail_over) || is_cut_off && sim.misfortune(CUT_OFF_FAIL_OVER) {
            sim.store.fail_over();
            self.cut_off_until = 0;
        }
    }

    /// Sees to it that somebody is in office, now and then somebody else.
    fn rule(&mut self) {
        let (sim, rates) = (Rc::clone(&self.sim), self.sim.scenario.rates);
        if let Some(term) = self.term.clone() {
            if term.end.get() == Some(End::Broken) || sim.misfortune(rates.death) {
                sim.count("supervisors that died");
                self.drop_term(term.number);
                self.term = None;
            } else if sim.misfortune(rates.coup) {
                sim.count("supervisors that were succeeded while they lived");
                self.term = None;
            }
        }
        if self.term.is_none() && sim.chance(0.1) {
            self.terms += 1;
            sim.count("terms of office");
            self.term = Some(term::start(&sim, self.terms));
        }
    }

    /// Nothing fails from here on, and who was succeeded is gone.
    fn clear(&mut self) {
        self.sim.is_clear.set(true);
        let calm = Weather { self_replicating: false, ..Weather::CALM };
        self.sim.store.set_weather(calm);
        self.sim.events.set_weather(calm);
        let in_office = self.term.as_ref().map(|t| t.number);
        self.tasks.retain(|t| !matches!(t.owner, Owner::Term(n) if Some(n) != in_office));
    }

    fn drop_term(&mut self, number: u64) {
        self.tasks.retain(|t| !matches!(t.owner, Owner::Term(n) if n == number));
    }

    fn poll(&mut self, at: usize) {
        let Some(task) = self.tasks.get_mut(at) else { return };
        if let Owner::Attempt(attempt) = task.owner.clone()
            && is_ended(&self.sim, &attempt)
        {
            self.tasks.swap_remove(at);
            return;
        }
        if task.future.as_mut().poll(&mut Context::from_waker(noop_waker_ref())) != Poll::Pending {
            self.tasks.swap_remove(at);
        }
    }

    /// Zombies outlive their job.
    fn outlive(&mut self) {
        for _ in 0..self.sim.below(400) {
            if self.tasks.is_empty() {
                break;
            }
            self.sim.store.replicate();
            let at = self.sim.below(self.tasks.len());
            self.poll(at);
            self.tasks.extend(self.sim.take_spawned());
        }
    }
}

/// What befalls a worker before its next step; `true` where it is gone.
fn is_ended(sim: &Sim, attempt: &Attempt) -> bool {
    let (session, number) = (attempt.session, attempt.shard.number);
    if sim.misfortune(sim.scenario.rates.kill) {
        if sim.chance(0.5) {
            sim.count("workers that were cut off");
            attempt.is_zombie.set(true);
            return false;
        }
        sim.count("workers that died");
        // Its link is seen to be gone, or its lease lapses.
        if sim.chance(0.5) {
            attempt.say(JobMsg::Lost { session, number });
        }
        return true;
    }
    match attempt.crashes_in.get() {
        Some(0) => {
            sim.count("workers brought down by their shard");
            attempt.say(JobMsg::Crashed { session, number });
            return true;
        }
        Some(n) => attempt.crashes_in.set(Some(n - 1)),
        None => {}
    }
    if sim.chance(0.2) {
        attempt.say(JobMsg::Beat { session, number });
    }
    false
}
