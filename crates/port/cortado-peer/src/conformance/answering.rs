//! Rules about when a call ends, and what it does to others.

use super::case::{ASKED, Case, far, near};
use super::question::{Answer, FnPeer, Question};
use super::samples::answers::{answer_to, answers, report_of};
use super::samples::messages::log_grew;
use super::samples::questions::{one_of_each, question_of};
use super::served::Served;
use crate::{CallError, ReadAnswer, SnapshotChunk, SnapshotId};
use bytes::Bytes;
use std::future::ready;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// More messages than an adapter keeps for a node that hangs.
const MESSAGES: u64 = 5_000;

pub(super) async fn an_answer_at_once_is_what_a_read_would_answer(case: &Case<'_>) {
    let says = Arc::new(Mutex::new((Answer::Read(ReadAnswer::Behind), true)));
    let (said, at_once) = (Arc::clone(&says), Arc::clone(&says));
    let serves = FnPeer {
        call: Box::new(move |_| Box::pin(ready(Ok(locked(&said).0.clone())))),
        at_once: Box::new(move |_| match locked(&at_once).clone() {
            (Answer::Read(answer), true) => Some(answer),
            _ => None,
        }),
        tell: Box::new(drop),
    };
    let _leave = case.join(ASKED, Arc::new(serves)).await;
    let peer = case.peer(ASKED).expect("it has joined");
    let question = question_of(&locked(&says).0, far());
    let Question::Read(read) = question.clone() else { panic!("{question:?} is no read") };
    for (place, answer) in answers().into_iter().enumerate() {
        let Answer::Read(want) = answer.clone() else { continue };
        let waits = place.is_multiple_of(2);
        *locked(&says) = (answer.clone(), !waits);
        let at_once = peer.read_at_once(&read);
        let right = at_once.as_ref().is_none_or(|at_once| *at_once == want && !waits);
        assert!(right, "{at_once:?} at once, where the node would say {want:?}");
        assert_eq!(case.ask(ASKED, question.clone()).await, Ok(answer));
    }
}

pub(super) async fn calls_are_answered_side_by_side(case: &Case<'_>) {
    const CALLS: usize = 3;
    let arrived = watch::Sender::new(0);
    let (_, serves) = Served::answering(move |question| {
        arrived.send_modify(|arrived| *arrived += 1);
        let mut arrived = arrived.subscribe();
        Box::pin(async move {
            let all = arrived.wait_for(|arrived| *arrived == CALLS).await;
            assert!(all.is_ok(), "the node is there while it is asked");
            drop(all);
            Ok(numbered(&question))
        })
    });
    let _leave = case.join(ASKED, serves).await;
    let questions = [3, 1, 2].map(|number| Question::SnapshotChunk(SnapshotId(1), number, far()));
    let ask = |question: &Question| case.ask(ASKED, question.clone());
    let [first, second, third] = &questions;
    let (one, two, three) = tokio::join!(ask(first), ask(second), ask(third));
    assert_eq!(
        [one, two, three],
        questions.map(|question| Ok(numbered(&question))),
        "each its own"
    );
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An answer that names the question.
fn numbered(question: &Question) -> Answer {
    match question {
        Question::SnapshotChunk(_, number, _) => {
            let bytes = Bytes::from(number.to_string());
            Answer::SnapshotChunk(SnapshotChunk::Chunk(bytes))
        }
        other => answer_to(other),
    }
}

pub(super) async fn a_call_ends_by_its_deadline(case: &Case<'_>) {
    let (_, serves) = Served::silent();
    let _leave = case.join(ASKED, serves).await;
    for question in one_of_each(far()) {
        let question = question.until(near());
        let answer = case.ask(ASKED, question.clone()).await;
        assert_eq!(answer, Err(CallError::Late), "to {question:?}");
    }
}

pub(super) async fn a_call_that_is_dropped_does_no_harm(case: &Case<'_>) {
    let asked = AtomicUsize::new(0);
    let released = watch::Sender::new(false);
    let release = released.clone();
    let (served, serves) = Served::answering(move |question| {
        // Every second question is held.
        let held = asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
        let mut released = released.subscribe();
        Box::pin(async move {
            if held {
                let _ = released.wait_for(|released| *released).await;
                return match question {
                    Question::Report(..) => Ok(Answer::Report(report_of("too late"))),
                    other => Ok(numbered(&other)),
                };
            }
            Ok(answer_to(&question))
        })
    });
    let _leave = case.join(ASKED, serves).await;
    for (place, question) in one_of_each(far()).into_iter().enumerate() {
        release.send_replace(false);
        let dropped = case.ask(ASKED, question.clone());
        case.during(dropped, served.asked(2 * place + 1)).await;
        release.send_replace(true);
        let answer = case.ask(ASKED, question.clone()).await;
        assert_eq!(answer, Ok(answer_to(&question)), "to the second {question:?}");
    }
}

pub(super) async fn a_call_that_is_not_awaited_asks_nothing(case: &Case<'_>) {
    let (served, serves) = Served::usual();
    let _leave = case.join(ASKED, serves).await;
    let peer = case.peer(ASKED).expect("it has joined");
    drop(peer.report(None, far()));
    let question = Question::Report(None, far());
    assert!(case.ask(ASKED, question).await.is_ok());
    assert_eq!(served.questions().len(), 1, "what was dropped was not asked");
}

pub(super) async fn a_message_waits_for_no_call(case: &Case<'_>) {
    let (served, serves) = Served::silent();
    let _leave = case.join(ASKED, serves).await;
    let told = async {
        served.asked(1).await;
        for number in 0..MESSAGES {
            case.tell(ASKED, log_grew(number));
        }
        case.tell_until_heard(ASKED, &served, &log_grew(MESSAGES)).await;
    };
    case.during(case.ask(ASKED, Question::Report(None, far())), told).await;
}
