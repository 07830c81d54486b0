//! What every implementation of the port must do, as one suite that its tests run.
//!
//! The suite knows only the port; it plays the nodes that are asked. It waits for what must happen,
//! and for time only where a deadline is the rule: on a paused clock it runs in no time. Start
//! reading at [`run`].

// First: its macros are used below.
#[macro_use]
mod samples;

mod answering;
mod carrying;
mod case;
mod gossip;
mod membership;
mod question;
mod served;
mod subject;

pub use gossip::{GossipSubject, TakesPart, run_gossip};
pub use question::{Answer, AtOnce, FnPeer, Question};
pub use subject::{Leave, Subject};

use case::Case;
use std::pin::Pin;
use std::thread;

/// Runs every rule on peers of its own.
///
/// * `fresh`: makes them; called once for every rule, with its name.
///
/// # Panics
/// When a rule is broken; standard error names it.
pub async fn run(fresh: &mut dyn FnMut(&'static str) -> Box<dyn Subject>) {
    for (name, rule) in RULES {
        let _naming = Naming(name);
        let subject = fresh(name);
        rule(&Case::new(name, subject.as_ref())).await;
    }
}

/// Names the rule during which something panics.
struct Naming<'a>(&'a str);

impl Drop for Naming<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the peers break this rule: {}", self.0);
        }
    }
}

type Rule = for<'a> fn(&'a Case<'a>) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A rule under its own name, in words.
macro_rules! rule {
    ($name:literal, $rule:path) => {
        ($name, |case| Box::pin($rule(case)))
    };
}

/// A rule stands before those that rest on it.
const RULES: &[(&str, Rule)] = &[
    rule!("every question arrives unchanged", carrying::every_question_arrives_unchanged),
    rule!("every answer arrives unchanged", carrying::every_answer_arrives_unchanged),
    rule!("every message arrives unchanged", carrying::every_message_arrives_unchanged),
    rule!("a deadline is carried", carrying::a_deadline_is_carried),
    rule!("nodes do not mix", carrying::nodes_do_not_mix),
    rule!(
        "a chunk is carried as often as it is asked for",
        carrying::a_chunk_is_carried_as_often_as_it_is_asked_for
    ),
    rule!("what a node says of a call is carried", carrying::what_a_node_says_of_a_call_is_carried),
    rule!(
        "an answer at once is what a read would answer",
        answering::an_answer_at_once_is_what_a_read_would_answer
    ),
    rule!("calls are answered side by side", answering::calls_are_answered_side_by_side),
    rule!("a call ends by its deadline", answering::a_call_ends_by_its_deadline),
    rule!("a call that is dropped does no harm", answering::a_call_that_is_dropped_does_no_harm),
    rule!(
        "a call that is not awaited asks nothing",
        answering::a_call_that_is_not_awaited_asks_nothing
    ),
    rule!("a message waits for no call", answering::a_message_waits_for_no_call),
    rule!(
        "a node that never joined is unreachable",
        membership::a_node_that_never_joined_is_unreachable
    ),
    rule!("a node that has left is unreachable", membership::a_node_that_has_left_is_unreachable),
    rule!(
        "a node that has left answers nothing at once",
        membership::a_node_that_has_left_answers_nothing_at_once
    ),
    rule!("a newer life is reached", membership::a_newer_life_is_reached),
    rule!("a call to a node that leaves is lost", membership::a_call_to_a_node_that_leaves_is_lost),
    rule!("an older life takes nothing with it", membership::an_older_life_takes_nothing_with_it),
];
