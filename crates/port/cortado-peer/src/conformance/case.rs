//! One rule on peers that no node has joined yet, and what rules do with them.
//!
//! Start reading at [`Case`].

use super::question::{Answer, Question};
use super::samples::ASKING;
use super::served::Served;
use super::subject::{Leave, Subject};
use crate::{CallError, Message, Peer, Peers};
use cortado_model::NodeId;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// The node that is asked.
pub(super) const ASKED: NodeId = NodeId(1);
/// What takes longer than this will never come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Far beyond any patience.
const FAR: Duration = Duration::from_secs(3_600);
/// Soon, for a rule that waits for it.
const NEAR: Duration = Duration::from_millis(50);
/// A message that was not heard after this is told again.
const TELL_AGAIN: Duration = Duration::from_millis(20);

/// One rule on peers of its own.
pub(super) struct Case<'a> {
    name: &'a str,
    subject: &'a dyn Subject,
    peers: Arc<dyn Peers>,
}

impl<'a> Case<'a> {
    pub(super) fn new(name: &'a str, subject: &'a dyn Subject) -> Case<'a> {
        Case { name, subject, peers: subject.peers(ASKING) }
    }

    /// Lets a node be reached.
    pub(super) async fn join(&self, node: NodeId, serves: Arc<dyn Peer>) -> Leave {
        self.within(self.subject.join(node, serves)).await
    }

    /// The node as others reach it, if it is known.
    pub(super) fn peer(&self, node: NodeId) -> Option<Arc<dyn Peer>> {
        self.peers.peer(node)
    }

    /// Asks a node; one that is not known cannot be reached.
    pub(super) async fn ask(&self, node: NodeId, question: Question) -> Result<Answer, CallError> {
        match self.peer(node) {
            Some(peer) => self.within(question.put_to(peer.as_ref())).await,
            None => Err(CallError::Unreachable),
        }
    }

    /// Tells a node something, if it is known.
    pub(super) fn tell(&self, node: NodeId, message: Message) {
        if let Some(peer) = self.peer(node) {
            peer.tell(message);
        }
    }

    /// Tells a node something as often as it takes: one message may be lost.
    pub(super) async fn tell_until_heard(&self, node: NodeId, served: &Served, message: &Message) {
        let told = async {
            loop {
                self.tell(node, message.clone());
                if timeout(TELL_AGAIN, served.told(message)).await.is_ok() {
                    return;
                }
            }
        };
        self.within(told).await;
    }

    /// Begins a call and lets it go on while `meanwhile` lasts, which must end first.
    pub(super) async fn during<T>(
        &self,
        call: impl Future<Output = Result<Answer, CallError>>,
        meanwhile: impl Future<Output = T>,
    ) -> T {
        let met = async {
            tokio::select! {
                answer = call => panic!("{}: answered with {answer:?} too soon", self.name),
                met = meanwhile => met,
            }
        };
        self.within(met).await
    }

    /// What must come, and soon.
    pub(super) async fn within<T>(&self, future: impl Future<Output = T>) -> T {
        let came = timeout(PATIENCE, future).await;
        came.unwrap_or_else(|_| panic!("{}: nothing came in {PATIENCE:?}", self.name))
    }
}

/// A deadline that never comes.
pub(super) fn far() -> Instant {
    Instant::now() + FAR
}

/// A deadline that comes soon.
pub(super) fn near() -> Instant {
    Instant::now() + NEAR
}
