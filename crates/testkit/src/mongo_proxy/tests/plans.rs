//! Which commands a rule takes.

use super::super::{Fault, Rule, ServerError, Switch, Turn, When, message::Command, plan::Plan};

fn command(name: &'static str, collection: Option<&'static str>) -> Command<'static> {
    Command { name, collection, retryable_write: false, wants_reply: true }
}

/// The numbers, from 1, of those of `n` inserts that the rule takes.
fn taken(rule: Rule, n: u64) -> Vec<u64> {
    let mut plan = Plan::default();
    plan.add(rule);
    (1..=n).filter(|_| plan.meet(&command("insert", Some("tracks"))).is_some()).collect()
}

fn inserts(turn: Turn) -> Rule {
    Rule::new(When::command("insert").turn(turn), Fault::DropReply)
}

#[test]
fn turns_are_counted_from_one() {
    assert_eq!(taken(inserts(Turn::Each), 3), [1, 2, 3]);
    assert_eq!(taken(inserts(Turn::Nth(3)), 9), [3]);
    assert_eq!(taken(inserts(Turn::Nth(0)), 9), [] as [u64; 0]);
    assert_eq!(taken(inserts(Turn::Every(3)), 9), [3, 6, 9]);
    assert_eq!(taken(inserts(Turn::Every(0)), 9), [] as [u64; 0]);
}

#[test]
fn a_rule_takes_no_more_than_it_may() {
    assert_eq!(taken(inserts(Turn::Every(2)).times(2), 9), [2, 4]);
    assert_eq!(taken(inserts(Turn::Each).times(0), 9), [] as [u64; 0]);
}

#[test]
fn chance_is_what_its_seed_says() {
    let chance = |probability, seed| taken(inserts(Turn::Chance { probability, seed }), 10_000);
    assert_eq!(chance(0.25, 1), chance(0.25, 1));
    assert_ne!(chance(0.25, 1), chance(0.25, 2));
    assert!((2_300..2_700).contains(&chance(0.25, 1).len()));
    assert_eq!((chance(0.0, 1).len(), chance(1.0, 1).len()), (0, 10_000));
}

#[test]
fn names_and_collections_have_to_match() {
    let takes = |when, name, collection| {
        let mut plan = Plan::default();
        plan.add(Rule::new(when, Fault::DropReply));
        plan.meet(&command(name, collection)).is_some()
    };
    assert!(takes(When::write(), "findAndModify", Some("jobs")));
    assert!(!takes(When::write(), "find", Some("jobs")));
    assert!(takes(When::any().on("jobs"), "find", Some("jobs")));
    assert!(!takes(When::any().on("jobs"), "find", Some("tracks")));
    assert!(!takes(When::any().on("jobs"), "ping", None));
    assert!(!takes(When::any(), "hello", None));
    assert!(takes(When::hello(), "hello", None));
}

#[test]
fn a_switch_arms_rules_and_turns_count_only_then() {
    let switch = Switch::off();
    let mut plan = Plan::default();
    plan.add(Rule::new(When::any().turn(Turn::Nth(2)).while_on(&switch), Fault::DropReply));
    let mut meet = || plan.meet(&command("insert", None)).is_some();
    assert_eq!([meet(), meet(), meet()], [false; 3]);
    switch.set(true);
    assert_eq!([meet(), meet(), meet()], [false, true, false]);
}

#[test]
fn the_first_rule_that_takes_a_command_keeps_it() {
    let mut plan = Plan::default();
    plan.add(inserts(Turn::Nth(2)));
    plan.add(Rule::new(When::any().turn(Turn::Nth(2)), Fault::AnswerInstead(ServerError::NotWritablePrimary)));
    let met: Vec<_> = (0..3).map(|_| plan.meet(&command("insert", None))).collect();
    // The later rule has seen the first and the third.
    let expected = [None, Some(Fault::DropReply), Some(Fault::AnswerInstead(ServerError::NotWritablePrimary))];
    assert_eq!(met, expected);
    plan.clear();
    assert_eq!(plan.meet(&command("insert", None)), None);
}
