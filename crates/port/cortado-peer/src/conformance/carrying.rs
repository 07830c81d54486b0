//! Rules about what is carried: all of it, unchanged, to the node that was meant.

use super::case::{ASKED, Case, far};
use super::question::{Answer, Question};
use super::samples::answers::{answers, report_of};
use super::samples::messages::messages;
use super::samples::questions::{question_of, questions};
use super::served::Served;
use crate::{CallError, SnapshotChunk, SnapshotId};
use bytes::Bytes;
use cortado_model::NodeId;
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a deadline may gain or lose on its way: more than any way takes, and little of an hour.
const DEADLINE_SLACK: Duration = Duration::from_secs(60);

pub(super) async fn every_question_arrives_unchanged(case: &Case<'_>) {
    let (served, serves) = Served::usual();
    let _leave = case.join(ASKED, serves).await;
    let deadline = far();
    for (place, question) in questions(deadline).into_iter().enumerate() {
        let answer = case.ask(ASKED, question.clone()).await;
        assert!(answer.is_ok(), "{answer:?} to {question:?}");
        let mut arrived = served.questions();
        assert_eq!(arrived.len(), place + 1, "{question:?} arrived once");
        let arrived = arrived.remove(place).until(deadline);
        assert_eq!(arrived, question);
    }
}

pub(super) async fn every_answer_arrives_unchanged(case: &Case<'_>) {
    let next = Arc::new(Mutex::new(None));
    let (said, deadline) = (Arc::clone(&next), far());
    let (_, serves) = Served::answering(move |_| {
        let answer = said.lock().unwrap_or_else(PoisonError::into_inner).take();
        Box::pin(ready(answer.ok_or(CallError::Lost)))
    });
    let _leave = case.join(ASKED, serves).await;
    for answer in answers() {
        *next.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer.clone());
        let arrived = case.ask(ASKED, question_of(&answer, deadline)).await;
        assert_eq!(arrived, Ok(answer));
    }
}

pub(super) async fn every_message_arrives_unchanged(case: &Case<'_>) {
    let (served, serves) = Served::usual();
    let _leave = case.join(ASKED, serves).await;
    let messages = messages();
    for message in &messages {
        case.tell_until_heard(ASKED, &served, message).await;
    }
    for heard in served.messages() {
        assert!(messages.contains(&heard), "{heard:?} was never told");
    }
}

pub(super) async fn a_deadline_is_carried(case: &Case<'_>) {
    let (served, serves) = Served::usual();
    let _leave = case.join(ASKED, serves).await;
    let deadline = far();
    for question in questions(deadline) {
        let answer = case.ask(ASKED, question.clone()).await;
        assert!(answer.is_ok(), "{answer:?} to {question:?}");
    }
    for question in served.questions() {
        let arrived = question.deadline();
        let close = arrived <= deadline + DEADLINE_SLACK && arrived + DEADLINE_SLACK >= deadline;
        assert!(close, "{arrived:?} and not {deadline:?}: {question:?}");
    }
}

pub(super) async fn nodes_do_not_mix(case: &Case<'_>) {
    let nodes = [(NodeId(1), "one"), (NodeId(2), "two"), (NodeId(3), "three")];
    let mut memberships = Vec::new();
    for (node, address) in nodes {
        let answer = Answer::Report(report_of(address));
        let (_, serves) = Served::answering(move |_| Box::pin(ready(Ok(answer.clone()))));
        memberships.push(case.join(node, serves).await);
    }
    for (node, address) in nodes {
        let answer = case.ask(node, Question::Report(None, far())).await;
        assert_eq!(answer, Ok(Answer::Report(report_of(address))), "of {node}");
    }
}

pub(super) async fn a_chunk_is_carried_as_often_as_it_is_asked_for(case: &Case<'_>) {
    let chunk = Answer::SnapshotChunk(SnapshotChunk::Chunk(Bytes::from_static(b"chunk")));
    let said = chunk.clone();
    let (served, serves) = Served::answering(move |_| Box::pin(ready(Ok(said.clone()))));
    let _leave = case.join(ASKED, serves).await;
    for times in 1..=2 {
        let question = Question::SnapshotChunk(SnapshotId(1), 0, far());
        assert_eq!(case.ask(ASKED, question).await, Ok(chunk.clone()));
        assert_eq!(served.questions().len(), times, "the node is asked again");
    }
}

pub(super) async fn what_a_node_says_of_a_call_is_carried(case: &Case<'_>) {
    let said = Arc::new(Mutex::new(CallError::Lost));
    let says = Arc::clone(&said);
    let (_, serves) = Served::answering(move |_| {
        let error = *says.lock().unwrap_or_else(PoisonError::into_inner);
        Box::pin(ready(Err(error)))
    });
    let _leave = case.join(ASKED, serves).await;
    for error in words!(CallError: Unreachable, Lost, Late) {
        *said.lock().unwrap_or_else(PoisonError::into_inner) = error;
        let answer = case.ask(ASKED, Question::Report(None, far())).await;
        assert_eq!(answer, Err(error), "the node's own words");
    }
}
