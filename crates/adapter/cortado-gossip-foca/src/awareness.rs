//! What a node's own messages say about how well it hears and answers.
//!
//! After Lifeguard: who is slow itself takes others for dead. Start reading at [`Observed`].

use crate::identity::Identity;
use crate::limits::MEMBERS_MAX;
use cortado_model::NodeId;
use cortado_peer::SelfAwareness;
use foca::{Header, Message};
use std::collections::BTreeSet;

/// What was observed.
#[derive(Default)]
pub(crate) struct Observed {
    pub(crate) awareness: SelfAwareness,
    /// Who was probed last and has not answered.
    probed: Option<(NodeId, u8)>,
    /// How often foca has contradicted for the telling that is current.
    contradicted: (u32, u16),
    known: BTreeSet<NodeId>,
}

impl Observed {
    pub(crate) fn sends(&mut self, header: &Header<Identity>) {
        let (telling, count) = (header.src.telling, header.src_incarnation);
        if self.contradicted.0 != telling {
            self.contradicted = (telling, 0);
        }
        let more = count.saturating_sub(self.contradicted.1);
        self.contradicted.1 = count;
        for _ in 0..more {
            self.was_suspected();
        }
        if let Message::Ping(number) = header.message
            && self.probed.replace((header.dst.node, number)).is_some()
        {
            self.awareness.unanswered += 1;
            self.awareness.unanswered_running = self.awareness.unanswered_running.saturating_add(1);
            self.worse();
        }
    }

    pub(crate) fn hears(&mut self, header: &Header<Identity>) {
        let answer = match &header.message {
            Message::Ack(number) => Some((header.src.node, *number)),
            Message::ForwardedAck { origin, probe_number } => Some((origin.node, *probe_number)),
            Message::Ping(_)
            | Message::PingReq { .. }
            | Message::IndirectPing { .. }
            | Message::IndirectAck { .. }
            | Message::Announce
            | Message::Feed
            | Message::Gossip
            | Message::Broadcast
            | Message::TurnUndead => None,
        };
        if answer.is_some() && answer == self.probed {
            self.probed = None;
            self.awareness.unanswered_running = 0;
            self.awareness.score = self.awareness.score.saturating_sub(1);
        }
    }

    /// Others suspected this node, or took it for down.
    pub(crate) fn was_suspected(&mut self) {
        self.awareness.suspected += 1;
        self.worse();
    }

    /// A timer was late by so much more than it may be; 0 if it was not.
    pub(crate) fn was_late(&mut self, late_ms: u64) {
        self.awareness.late_ms = late_ms;
        if late_ms > 0 {
            self.worse();
        }
    }

    /// Whether another node can be remembered, unless it is.
    pub(crate) fn has_room_for(&self, node: NodeId) -> bool {
        self.known.len() < MEMBERS_MAX || self.known.contains(&node)
    }

    pub(crate) fn knows(&mut self, nodes: impl Iterator<Item = NodeId>) {
        self.known = nodes.collect();
    }

    fn worse(&mut self) {
        self.awareness.score = (self.awareness.score + 1).min(SelfAwareness::SCORE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(
        from: u32,
        to: u32,
        contradicted: u16,
        message: Message<Identity>,
    ) -> Header<Identity> {
        let (src, dst) = (Identity::sought(Some(NodeId(from))), Identity::sought(Some(NodeId(to))));
        Header { src, src_incarnation: contradicted, dst, message }
    }

    #[test]
    fn who_hears_no_answers_trusts_itself_less_and_recovers() {
        let mut observed = Observed::default();
        let score_of = |observed: &mut Observed, number: u8, answers: bool, contradicted: u16| {
            observed.sends(&header(1, 2, contradicted, Message::Ping(number)));
            if answers {
                observed.hears(&header(3, 1, 0, Message::Ack(number)));
                observed.hears(&header(2, 1, 0, Message::Ack(number)));
            }
            (observed.awareness.score, observed.awareness.unanswered, observed.awareness.suspected)
        };
        assert_eq!(score_of(&mut observed, 1, true, 0), (0, 0, 0));
        assert_eq!(score_of(&mut observed, 2, false, 0), (0, 0, 0), "it may still come");
        assert_eq!(score_of(&mut observed, 3, false, 0), (1, 1, 0));
        assert_eq!(score_of(&mut observed, 4, false, 1), (3, 2, 1), "and was suspected");
        for number in 5..20 {
            score_of(&mut observed, number, false, 1);
        }
        assert_eq!(score_of(&mut observed, 20, true, 1).0, SelfAwareness::SCORE_MAX - 1);
        for number in 21..40 {
            score_of(&mut observed, number, true, 1);
        }
        assert_eq!(score_of(&mut observed, 40, true, 1).0, 0);
        let running = |observed: &Observed| observed.awareness.unanswered_running;
        assert_eq!(running(&observed), 0, "an answer begins it anew");
        for number in 41..=44 {
            observed.sends(&header(1, 2, 1, Message::Ping(number)));
        }
        assert_eq!(running(&observed), 3, "the last one may still be answered");
    }
}
