//! Rules about which nodes are reached: those that have joined and not left, in their newest life.

use super::case::{ASKED, Case, far};
use super::question::{Answer, FnPeer, Question};
use super::samples::answers::{answer_to, report_of};
use super::samples::questions::one_of_each;
use super::served::Served;
use crate::{CallError, Peer, ReadAnswer};
use std::future::ready;
use std::sync::Arc;

pub(super) async fn a_node_that_never_joined_is_unreachable(case: &Case<'_>) {
    for question in one_of_each(far()) {
        let answer = case.ask(ASKED, question.clone()).await;
        assert_eq!(answer, Err(CallError::Unreachable), "to {question:?}");
    }
}

pub(super) async fn a_node_that_has_left_is_unreachable(case: &Case<'_>) {
    let (served, serves) = Served::usual();
    let leave = case.join(ASKED, serves).await;
    assert!(case.ask(ASKED, Question::Report(None, far())).await.is_ok());
    let kept = case.peer(ASKED).expect("it has joined");
    case.within(leave()).await;
    for question in one_of_each(far()) {
        let answer = case.ask(ASKED, question.clone()).await;
        assert_eq!(answer, Err(CallError::Unreachable), "to {question:?}");
        let answer = case.within(question.clone().put_to(kept.as_ref())).await;
        assert_eq!(
            answer,
            Err(CallError::Unreachable),
            "by a peer kept from before, to {question:?}"
        );
    }
    assert_eq!(served.questions().len(), 1, "certainly nothing was asked");
}

pub(super) async fn a_node_that_has_left_answers_nothing_at_once(case: &Case<'_>) {
    let serves = FnPeer {
        call: Box::new(|question| Box::pin(ready(Ok(answer_to(&question))))),
        at_once: Box::new(|_| Some(ReadAnswer::Behind)),
        tell: Box::new(drop),
    };
    let leave = case.join(ASKED, Arc::new(serves)).await;
    let kept = case.peer(ASKED).expect("it has joined");
    case.within(leave()).await;
    for question in one_of_each(far()) {
        if let Question::Read(read) = question {
            assert_eq!(kept.read_at_once(&read), None, "to {read:?}");
        }
    }
}

pub(super) async fn a_call_to_a_node_that_leaves_is_lost(case: &Case<'_>) {
    for question in one_of_each(far()) {
        let (served, serves) = Served::silent();
        let leave = case.join(ASKED, serves).await;
        let leaves = async {
            served.asked(1).await;
            leave().await;
        };
        let call = case.ask(ASKED, question.clone());
        let (answer, ()) = case.within(async { tokio::join!(call, leaves) }).await;
        assert_eq!(answer, Err(CallError::Lost), "to {question:?}");
    }
}

pub(super) async fn a_newer_life_is_reached(case: &Case<'_>) {
    let _older = case.join(ASKED, named("older")).await;
    expect(case, "older").await;
    let _newer = case.join(ASKED, named("newer")).await;
    expect(case, "newer").await;
}

pub(super) async fn an_older_life_takes_nothing_with_it(case: &Case<'_>) {
    let older = case.join(ASKED, named("older")).await;
    let newer = case.join(ASKED, named("newer")).await;
    case.within(older()).await;
    expect(case, "newer").await;
    case.within(newer()).await;
    let answer = case.ask(ASKED, Question::Report(None, far())).await;
    assert_eq!(answer, Err(CallError::Unreachable), "the last one has left");
}

/// A life of a node that says its name.
fn named(name: &str) -> Arc<dyn Peer> {
    let answer = Answer::Report(report_of(name));
    Served::answering(move |_| Box::pin(ready(Ok(answer.clone())))).1
}

async fn expect(case: &Case<'_>, name: &str) {
    let answer = case.ask(ASKED, Question::Report(None, far())).await;
    assert_eq!(answer, Ok(Answer::Report(report_of(name))));
}
