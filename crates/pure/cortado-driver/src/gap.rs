//! Whether a gap is the log's own, or this replica alone has lost a record.
//!
//! Start reading at [`GapCheck::heard`].
//! Source: docs/protocols/replication.md, "The fold".

use crate::standing::{Folded, PeerAnswers};
use cortado_model::{LogOffset, Millis, NodeId, Scn};

/// What is known of the record that is missing, if one is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum GapCheck {
    /// None is, or this replica leads and will publish it again.
    #[default]
    Whole,
    /// The other replicas are being asked; their answers are awaited no longer than `until`.
    Asking { since: Scn, until: Millis },
    /// Another one has accepted it, or one behind it. This one may find it still, as far as that
    /// one has come.
    Suspected { since: Scn, holder: NodeId, below: LogOffset },
    /// As far as is known, no replica has: what stands behind it was never committed.
    OfTheLog { since: Scn },
}

impl GapCheck {
    /// Takes note of which record is missing; answers whether that is a new one.
    ///
    /// * `until`: when to stop waiting for others, if so.
    pub(crate) fn look(&mut self, missing: Option<Scn>, until: Millis) -> bool {
        if missing == self.since() {
            return false;
        }
        *self = missing.map_or(GapCheck::Whole, |since| GapCheck::Asking { since, until });
        missing.is_some()
    }

    /// Others have answered.
    pub(crate) fn heard(&mut self, answers: &PeerAnswers) {
        let Some(since) = self.since() else { return };
        if matches!(self, GapCheck::Suspected { .. }) {
            return;
        }
        let folded = answers.heard.iter().filter_map(|peer| Some((peer.node, peer.folded?)));
        let holds = |(_, folded): &(NodeId, Folded)| folded.accepted.scn >= since;
        // Who has come least far is the first who can be judged by.
        let holder = folded.filter(holds).min_by_key(|(_, folded)| folded.below);
        if let Some((holder, Folded { below, .. })) = holder {
            *self = GapCheck::Suspected { since, holder, below };
        } else if answers.unheard == 0 {
            *self = GapCheck::OfTheLog { since };
        }
    }

    /// Time has passed.
    pub(crate) fn pass(&mut self, now: Millis) {
        if let GapCheck::Asking { since, until } = *self
            && now >= until
        {
            *self = GapCheck::OfTheLog { since };
        }
    }

    /// What this replica has lost, and who has it, once it has folded everything below `folded`.
    pub(crate) fn lost(&self, folded: LogOffset) -> Option<(Scn, NodeId)> {
        match *self {
            GapCheck::Suspected { since, holder, below } if folded >= below => {
                Some((since, holder))
            }
            GapCheck::Suspected { .. }
            | GapCheck::Whole
            | GapCheck::Asking { .. }
            | GapCheck::OfTheLog { .. } => None,
        }
    }

    /// Whether this replica may have lost something: then it must not lead.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            GapCheck::Asking { .. } | GapCheck::Suspected { .. } => true,
            GapCheck::Whole | GapCheck::OfTheLog { .. } => false,
        }
    }

    /// Whether it is known that no replica has accepted `since`, as far as that can be known.
    pub(crate) fn is_of_the_log(&self, since: Scn) -> bool {
        *self == GapCheck::OfTheLog { since }
    }

    /// When [`pass`](Self::pass) changes something.
    pub(crate) fn due(&self) -> Option<Millis> {
        match self {
            GapCheck::Asking { until, .. } => Some(*until),
            GapCheck::Whole | GapCheck::Suspected { .. } | GapCheck::OfTheLog { .. } => None,
        }
    }

    /// The record that is missing.
    pub(crate) fn since(&self) -> Option<Scn> {
        match self {
            GapCheck::Whole => None,
            GapCheck::Asking { since, .. }
            | GapCheck::Suspected { since, .. }
            | GapCheck::OfTheLog { since } => Some(*since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::ReplicaRole;
    use crate::standing::PeerStanding;
    use cortado_model::{Generation, ReplicaIncarnation, Sequence, WallMillis};
    use cortado_replica::{ChainHash, HistoryPoint};

    fn scn(sequence: u64) -> Scn {
        Scn::new(Generation(1), Sequence(sequence))
    }

    /// A follower that has accepted 1:`accepted` and folded everything below `below`.
    fn peer(node: u32, accepted: u64, below: u64) -> PeerStanding {
        let history = |sequence| HistoryPoint { scn: scn(sequence), chain: ChainHash(7) };
        let folded = Folded {
            generation: Generation(1),
            below: LogOffset(below),
            accepted: history(accepted),
            claimant: None,
        };
        PeerStanding {
            node: NodeId(node),
            incarnation: ReplicaIncarnation::default(),
            role: ReplicaRole::Follower,
            folded: Some(folded),
            wall: WallMillis(0),
        }
    }

    /// 1:5 is missing, and others have answered that.
    #[track_caller]
    fn check(heard: Vec<PeerStanding>, unheard: usize, want: GapCheck) -> GapCheck {
        let mut gap = GapCheck::default();
        assert!(gap.look(Some(scn(5)), Millis(90)));
        gap.heard(&PeerAnswers { heard, unheard, placed: 3, may_claim: true });
        assert_eq!(gap, want);
        gap
    }

    const ASKING: GapCheck = GapCheck::Asking { since: since(), until: Millis(90) };
    const OF_THE_LOG: GapCheck = GapCheck::OfTheLog { since: since() };

    const fn since() -> Scn {
        Scn::new(Generation(1), Sequence(5))
    }

    #[test]
    fn a_gap_is_the_logs_unless_another_replica_has_what_is_missing() {
        check(vec![], 0, OF_THE_LOG);
        check(vec![], 2, ASKING);
        check(vec![peer(2, 4, 30), peer(3, 4, 60)], 0, OF_THE_LOG);
        check(vec![peer(2, 4, 30)], 1, ASKING);
        let suspected =
            |holder, below| GapCheck::Suspected { since: since(), holder, below: LogOffset(below) };
        check(vec![peer(2, 4, 30), peer(3, 5, 60)], 0, suspected(NodeId(3), 60));
        check(vec![peer(2, 9, 70), peer(3, 5, 60)], 0, suspected(NodeId(3), 60));
    }

    #[test]
    fn what_is_missing_may_stand_where_this_replica_has_not_come() {
        let gap = check(
            vec![peer(2, 9, 70)],
            1,
            GapCheck::Suspected { since: since(), holder: NodeId(2), below: LogOffset(70) },
        );
        assert_eq!(gap.lost(LogOffset(69)), None);
        assert_eq!(gap.lost(LogOffset(70)), Some((scn(5), NodeId(2))));
        let mut found = gap;
        assert!(!found.look(None, Millis(0)));
        assert_eq!(found, GapCheck::Whole);
    }

    #[test]
    fn answers_are_awaited_until_the_deadline_only() {
        let mut gap = check(vec![], 2, ASKING);
        gap.pass(Millis(89));
        assert!(gap.is_open() && gap.due() == Some(Millis(90)));
        gap.pass(Millis(90));
        assert!(!gap.is_open() && gap.due().is_none());
        assert!(!gap.look(Some(scn(5)), Millis(200)), "it is asked about once");
        gap.heard(&PeerAnswers {
            heard: vec![peer(2, 5, 60)],
            unheard: 0,
            placed: 3,
            may_claim: true,
        });
        assert!(gap.is_open(), "a replica that knows has answered");
        assert!(gap.look(Some(scn(9)), Millis(200)));
    }
}
