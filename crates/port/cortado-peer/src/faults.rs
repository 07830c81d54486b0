//! What goes wrong on the ways between nodes: what tests say, when they say it, and nothing else.
//!
//! No randomness and no clock. Start reading at [`Faults`].

use crate::Message;
use cortado_model::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::watch;

/// The faults of all ways between nodes; none at first.
///
/// A way has a direction: a question takes the one to the asked node, its answer the one back.
#[derive(Default)]
pub struct Faults {
    ways: watch::Sender<Ways>,
}

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Passage {
    /// It arrives.
    #[default]
    Open,
    /// It is lost.
    Cut,
    /// It stays on its way.
    Held,
}

type Ways = BTreeMap<(NodeId, NodeId), Way>;

/// The way from one node to another.
#[derive(Default)]
struct Way {
    /// Of questions and answers.
    calls: Passage,
    /// Questions and answers that are held now.
    calls_held: usize,
    messages: Passage,
    messages_held: Vec<Message>,
    /// Chunks of snapshots of which the next answer is lost.
    chunks_lost: BTreeSet<u64>,
}

impl Faults {
    /// Everything that `from` sends to `to`: questions, answers and messages.
    pub fn set(&self, from: NodeId, to: NodeId, passage: Passage) {
        self.set_calls(from, to, passage);
        self.set_messages(from, to, passage);
    }

    /// The questions that `from` asks `to`, and the answers that it gives it.
    ///
    /// What was held goes on as `passage` says.
    pub fn set_calls(&self, from: NodeId, to: NodeId, passage: Passage) {
        self.change(from, to, |way| way.calls = passage);
    }

    /// What `from` tells `to`. What was held waits for [`take_messages`](Self::take_messages).
    pub fn set_messages(&self, from: NodeId, to: NodeId, passage: Passage) {
        self.change(from, to, |way| way.messages = passage);
    }

    /// Cuts two nodes off from one another.
    pub fn part(&self, one: NodeId, other: NodeId) {
        self.set(one, other, Passage::Cut);
        self.set(other, one, Passage::Cut);
    }

    /// Takes the messages that are held, in the order in which they were told. The test then
    /// tells them to the peers underneath: late, in another order, twice or not at all.
    pub fn take_messages(&self, from: NodeId, to: NodeId) -> Vec<Message> {
        self.change(from, to, |way| std::mem::take(&mut way.messages_held))
    }

    /// Loses the next answer that brings `asking` chunk `number` of a snapshot, once.
    pub fn lose_chunk(&self, asking: NodeId, asked: NodeId, number: u64) {
        self.change(asked, asking, |way| way.chunks_lost.insert(number));
    }

    /// Waits until that many questions and answers are held, or more.
    pub async fn until_held(&self, from: NodeId, to: NodeId, calls: usize) {
        let held = |ways: &Ways| ways.get(&(from, to)).map_or(0, |way| way.calls_held);
        self.wait_for(|ways| held(ways) >= calls).await;
    }

    /// Carries a question or an answer; whether it arrives.
    pub(crate) async fn carry(&self, from: NodeId, to: NodeId) -> bool {
        let passage = |ways: &Ways| ways.get(&(from, to)).map_or(Passage::Open, |way| way.calls);
        if passage(&self.ways.borrow()) == Passage::Held {
            let _held = Held::on(self, from, to);
            self.wait_for(|ways| passage(ways) != Passage::Held).await;
        }
        passage(&self.ways.borrow()) != Passage::Cut
    }

    /// Takes a message on its way; gives it back if it arrives now.
    pub(crate) fn send(&self, from: NodeId, to: NodeId, message: Message) -> Option<Message> {
        self.change(from, to, |way| match way.messages {
            Passage::Open => Some(message),
            Passage::Cut => None,
            Passage::Held => {
                way.messages_held.push(message);
                None
            }
        })
    }

    /// Whether this answer with a chunk of a snapshot is lost.
    pub(crate) fn loses_chunk(&self, asking: NodeId, asked: NodeId, number: u64) -> bool {
        self.change(asked, asking, |way| way.chunks_lost.remove(&number))
    }

    fn change<T>(&self, from: NodeId, to: NodeId, change: impl FnOnce(&mut Way) -> T) -> T {
        let mut changed = None;
        self.ways.send_modify(|ways| {
            changed = Some(change(ways.entry((from, to)).or_default()));
        });
        changed.expect("the change was called")
    }

    async fn wait_for(&self, condition: impl FnMut(&Ways) -> bool) {
        let mut ways = self.ways.subscribe();
        let met = ways.wait_for(condition).await;
        assert!(met.is_ok(), "the sender is borrowed");
    }
}

/// Counts a call as held as long as it is.
struct Held<'a> {
    faults: &'a Faults,
    from: NodeId,
    to: NodeId,
}

impl<'a> Held<'a> {
    fn on(faults: &'a Faults, from: NodeId, to: NodeId) -> Held<'a> {
        faults.change(from, to, |way| way.calls_held += 1);
        Held { faults, from, to }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.faults.change(self.from, self.to, |way| way.calls_held -= 1);
    }
}
