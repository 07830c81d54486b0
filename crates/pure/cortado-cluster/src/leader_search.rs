//! Whom a request asks that only a leader can serve: who is said to lead, else one replica after
//! another.
//!
//! Knows no socket and no time: its caller asks and waits. Start reading at [`LeaderSearch::next`].
//! Source: docs/protocols/failover.md, "Requests meanwhile".

use cortado_model::NodeId;

/// One request on its way to the leader of its partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaderSearch {
    /// Nodes that were asked since a leader was last heard of.
    asked: usize,
    /// The last answer was followed at once.
    followed: bool,
    /// How often all nodes were asked in turn, and none of them knew a newer leader.
    rounds: u32,
}

/// A pause is at most so many times as long as the first one: a request that waits for a failover
/// is not late by more than that.
const PAUSES_MAX: u32 = 4;

impl LeaderSearch {
    /// Whom to ask now; `None` if there is no node to ask.
    ///
    /// * `known`: who is said to lead.
    /// * `placed`: the nodes of the partition's replicas, in order of rank; mostly not needed.
    pub fn next<'a>(
        &self,
        known: Option<NodeId>,
        placed: impl FnOnce() -> &'a [NodeId],
    ) -> Option<NodeId> {
        match (self.asked.checked_sub(known.iter().len()), known) {
            (None, known) => known,
            (Some(place), _) => placed().get(place).copied().or(known),
        }
    }

    /// The node that was asked does not lead, or was not reached; answers whether to ask the next
    /// one at once, without a pause.
    ///
    /// * `newer`: it knew of a newer leader than was known here.
    /// * `placed`: how many replicas there are.
    pub fn failed(&mut self, newer: bool, placed: usize) -> bool {
        // Never twice running: two nodes that name one another must not be asked without end.
        let at_once = newer && !self.followed;
        self.followed = at_once;
        if newer {
            (self.asked, self.rounds) = (0, 0);
        } else if self.asked >= placed {
            (self.asked, self.rounds) = (0, self.rounds.saturating_add(1));
        } else {
            self.asked += 1;
        }
        at_once
    }

    /// How many times the shortest pause to wait before the next node is asked, unless there is
    /// news. Nodes that name one another, none of which leads, are asked ever more rarely.
    pub fn pauses(&self) -> u32 {
        // The first rounds of a failover are the ones that find its end.
        PAUSES_MAX.min(1 << self.rounds.saturating_sub(1).min(8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Who is asked, one after another, when none of them leads or knows anything new.
    #[track_caller]
    fn check(known: Option<u32>, placed: &[u32], want: &[u32]) {
        let placed: Vec<_> = placed.iter().copied().map(NodeId).collect();
        let mut search = LeaderSearch::default();
        for want in want {
            assert_eq!(search.next(known.map(NodeId), || &placed), Some(NodeId(*want)));
            assert!(!search.failed(false, placed.len()));
        }
    }

    #[test]
    fn the_node_that_is_said_to_lead_is_asked_first_then_all_replicas() {
        check(Some(2), &[1, 2, 3], &[2, 1, 2, 3, 2, 1]);
        check(Some(9), &[1, 2], &[9, 1, 2, 9, 1]); // not placed any more, perhaps
        check(None, &[1, 2, 3], &[1, 2, 3]);
        check(Some(7), &[], &[7, 7, 7]);
        assert_eq!(LeaderSearch::default().next(None, || &[]), None);
    }

    proptest! {
        /// Whatever the nodes answer, and however many leaders come and go meanwhile: what one
        /// request asks of them is bounded by the time that passes.
        #[test]
        fn nodes_that_name_one_another_are_asked_ever_more_rarely(
            placed in 1..6_usize,
            answers in prop::collection::vec(0..40_u32, 500),
        ) {
            let mut search = LeaderSearch::default();
            let (mut tries, mut pauses, mut news) = (0, 0, 0);
            for answer in answers {
                // Leaderships are counted: that a node knows of a newer one is rare.
                let newer = answer == 0;
                tries += 1;
                news += u32::from(newer);
                if !search.failed(newer, placed) {
                    pauses += search.pauses();
                }
            }
            // After each newer leader, three rounds at most are asked at shorter pauses.
            let quick = (news + 1) * 3 * (placed as u32 + 1);
            let bound = quick + news + pauses / PAUSES_MAX;
            prop_assert!(tries <= bound, "{tries} in {pauses}, {news}");
        }
    }

    #[test]
    fn a_newer_leader_is_asked_at_once_but_never_twice_running() {
        let placed = [NodeId(1), NodeId(2)];
        let mut search = LeaderSearch::default();
        assert!(!search.failed(false, 2));
        assert!(search.failed(true, 2));
        assert_eq!(search.next(Some(NodeId(5)), || &placed), Some(NodeId(5)));
        assert!(!search.failed(true, 2));
        assert!(search.failed(true, 2));
    }
}
