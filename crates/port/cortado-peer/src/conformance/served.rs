//! A node as the suite plays it: it answers as told, and remembers what reached it.
//!
//! Start reading at [`Served`].

use super::question::{Answer, FnPeer, Question};
use super::samples::answers::answer_to;
use crate::{CallError, Message, Peer, Pending};
use std::future::{pending, ready};
use std::sync::Arc;
use tokio::sync::watch;

/// A node that answers as a rule tells it.
pub(super) struct Served {
    heard: watch::Sender<Heard>,
}

/// What has reached a node, in order.
#[derive(Default)]
struct Heard {
    questions: Vec<Question>,
    messages: Vec<Message>,
}

/// What a node says to a question.
pub(super) type Said = Pending<'static, Result<Answer, CallError>>;

impl Served {
    /// A node, and what answers for it: something that is no answer to be kept.
    pub(super) fn usual() -> (Arc<Served>, Arc<dyn Peer>) {
        Served::answering(|question| Box::pin(ready(Ok(answer_to(&question)))))
    }

    /// One that never answers.
    pub(super) fn silent() -> (Arc<Served>, Arc<dyn Peer>) {
        Served::answering(|_| Box::pin(pending()))
    }

    /// One that answers with `answer`.
    pub(super) fn answering(
        answer: impl Fn(Question) -> Said + Send + Sync + 'static,
    ) -> (Arc<Served>, Arc<dyn Peer>) {
        let served = Arc::new(Served { heard: watch::Sender::default() });
        let (asked, told) = (Arc::clone(&served), Arc::clone(&served));
        let peer = FnPeer {
            call: Box::new(move |question| {
                // Noted when its answer is begun: a rule that has seen it does not overtake it.
                let said = answer(question.clone());
                asked.heard.send_modify(|heard| heard.questions.push(question));
                said
            }),
            at_once: Box::new(|_| None),
            tell: Box::new(move |message| {
                told.heard.send_modify(|heard| heard.messages.push(message));
            }),
        };
        (served, Arc::new(peer))
    }

    /// What it was asked.
    pub(super) fn questions(&self) -> Vec<Question> {
        self.heard.borrow().questions.clone()
    }

    /// What it was told.
    pub(super) fn messages(&self) -> Vec<Message> {
        self.heard.borrow().messages.clone()
    }

    /// Waits until it was asked that often.
    pub(super) async fn asked(&self, times: usize) {
        self.wait_for(|heard| heard.questions.len() >= times).await;
    }

    /// Waits until it was told `message`.
    pub(super) async fn told(&self, message: &Message) {
        self.wait_for(|heard| heard.messages.contains(message)).await;
    }

    async fn wait_for(&self, condition: impl FnMut(&Heard) -> bool) {
        let mut heard = self.heard.subscribe();
        let met = heard.wait_for(condition).await;
        assert!(met.is_ok(), "the sender is borrowed");
    }
}
