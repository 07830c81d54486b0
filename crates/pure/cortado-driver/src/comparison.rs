//! Whether others have what a claimant lacks.
//!
//! Start reading at [`compare`].
//! Source: docs/protocols/replication.md, "Taking over".

use crate::role::ReplicaRole;
use crate::standing::{Folded, PeerAnswers, PeerStanding};
use alloc::collections::BTreeMap;
use core::cmp::Ordering;
use cortado_model::NodeId;
use cortado_replica::{ChainHash, Conflict, ReplicaSet};

/// The replicas whose histories count: a replica that is about to join has copied its own from
/// another one, and one that is about to leave counts no more.
#[derive(Clone, Copy)]
pub(crate) struct Witnesses<'a> {
    /// As the log has it.
    pub(crate) replicas: &'a ReplicaSet,
    /// How many are placed, where the log names none.
    pub(crate) placed: usize,
}

impl Witnesses<'_> {
    /// Whether the history of the replica on `node` counts.
    pub(crate) fn has(self, node: NodeId) -> bool {
        self.replicas.may_claim(node)
    }

    /// Whether so many of them are most.
    pub(crate) fn are_most(self, replicas: usize) -> bool {
        let named = self.replicas.nodes().len();
        let all = if named > 0 { named } else { self.placed };
        2 * replicas > all
    }
}

/// What the other replicas make of a claimant's history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// How many have the same.
    pub(crate) same: usize,
    /// How many may say so yet.
    pub(crate) awaited: usize,
    /// What would be lost if the claimant opened its generation, and who has it.
    pub(crate) conflict: Option<Conflict>,
    /// One of those that have the same.
    pub(crate) agrees: Option<NodeId>,
    /// Who has accepted what this claimant has gone past without seeing it: it has not even won.
    pub(crate) passed: Option<(NodeId, Folded)>,
}

/// What another replica has beside a claimant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beside {
    Same,
    /// It has lost something, and finds that out at the opening barrier.
    Less,
    More,
    /// It has accepted a later claim, or another one of this generation, where this claimant has
    /// been and not seen it.
    Passed,
    /// It has come as far by other records.
    Fork,
    /// It has not folded the claim, or this claimant not what it has; one of both goes on.
    Comes,
    /// It has nothing to tell.
    Nothing,
}

/// Compares a claimant's history with what others have said of theirs.
///
/// * `own`: as right behind the claim, but for how far it has folded since.
///
/// More than the claimant has is a conflict, whichever has it. A fork is one only if most replicas
/// hold it: else those who do dispute the opening barrier, and a person decides.
pub(crate) fn compare(own: &Folded, answers: &PeerAnswers, witnesses: Witnesses<'_>) -> Comparison {
    let mut comparison = Comparison { awaited: answers.unheard, ..Comparison::default() };
    let mut most: Option<Conflict> = None;
    let mut forks: BTreeMap<ChainHash, (usize, Conflict)> = BTreeMap::new();
    for PeerStanding { node, role, folded, .. } in &answers.heard {
        let Some(folded) = folded else { continue };
        let conflict = conflict(own, folded, *node);
        match beside(own, folded, *role) {
            Beside::Same if witnesses.has(*node) => {
                comparison.same += 1;
                comparison.agrees = Some(*node);
            }
            Beside::Same => {}
            Beside::Comes => comparison.awaited += 1,
            Beside::Passed => comparison.passed = Some((*node, *folded)),
            Beside::More => {
                // Of those that have most, one that may claim.
                let rank =
                    |conflict: &Conflict| (conflict.other.scn, witnesses.has(conflict.holder));
                if most.is_none_or(|most| rank(&most) < rank(&conflict)) {
                    most = Some(conflict);
                }
            }
            // What it has accepted last is a claim, chained to all that it has.
            Beside::Fork if witnesses.has(*node) => {
                forks.entry(folded.accepted.chain).or_insert((0, conflict)).0 += 1;
            }
            Beside::Fork | Beside::Less | Beside::Nothing => {}
        }
    }
    let of_most = |(replicas, _): &&(usize, Conflict)| witnesses.are_most(*replicas);
    let fork = forks.values().find(of_most).map(|(_, conflict)| *conflict);
    comparison.conflict = most.or(fork);
    comparison
}

/// * `role`: what the other one does.
fn beside(own: &Folded, other: &Folded, role: ReplicaRole) -> Beside {
    let same_leader = other.generation == own.generation && other.has_same_claimant(own);
    if role == ReplicaRole::Disputed && !same_leader && other.generation <= own.generation {
        // Its log may have lost what it has accepted: it never comes to the claim then.
        let has_more = other.held() > own.over().scn;
        return if has_more { Beside::More } else { Beside::Nothing };
    }
    if other.generation < own.generation {
        return if role.folds() { Beside::Comes } else { Beside::Nothing };
    }
    if other.accepted.scn > own.accepted.scn && !same_leader {
        return if other.below > own.below { Beside::Comes } else { Beside::Passed };
    }
    // A replica that has accepted what was sent behind the claim has agreed to the opening barrier.
    if other.accepted.scn > own.accepted.scn || other.accepted == own.accepted {
        return Beside::Same;
    }
    match other.over().scn.cmp(&own.over().scn) {
        Ordering::Less => Beside::Less,
        Ordering::Equal => Beside::Fork,
        Ordering::Greater => Beside::More,
    }
}

/// Where both histories part, as far as that is known.
fn conflict(own: &Folded, other: &Folded, holder: NodeId) -> Conflict {
    if own.over() == other.over() {
        Conflict { own: own.accepted, other: other.accepted, holder }
    } else {
        Conflict { own: own.over(), other: other.over(), holder }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::{Generation, LogOffset, ReplicaIncarnation, Scn, Sequence, WallMillis};
    use cortado_replica::{Claimant, HistoryPoint};

    /// Somewhere in generation `generation`, over 3:`over`, by the records that `chain` stands for.
    fn at(generation: u32, sequence: u64, over: u64, chain: u128) -> Option<Folded> {
        let point = |generation, sequence, chain| HistoryPoint {
            scn: Scn::new(Generation(generation), Sequence(sequence)),
            chain: ChainHash(chain),
        };
        let (node, incarnation) = (NodeId(1), ReplicaIncarnation::default());
        let over = point(3, over, chain + 100);
        Some(Folded {
            generation: Generation(generation),
            below: LogOffset(40),
            accepted: point(generation, sequence, chain),
            claimant: Some(Claimant { node, incarnation, over, opened: over.scn }),
        })
    }

    /// The same, as who believes that node 2 has won the generation.
    fn won_by_2(folded: Option<Folded>) -> Option<Folded> {
        let claimant = folded?.claimant.map(|won| Claimant { node: NodeId(2), ..won });
        Some(Folded { claimant, ..folded? })
    }

    fn peer(node: u32, role: ReplicaRole, folded: Option<Folded>) -> PeerStanding {
        let incarnation = ReplicaIncarnation::default();
        PeerStanding { node: NodeId(node), incarnation, role, folded, wall: WallMillis(0) }
    }

    fn follower(node: u32, folded: Option<Folded>) -> PeerStanding {
        peer(node, ReplicaRole::Follower, folded)
    }

    fn own() -> Folded {
        at(4, 0, 7, 1).expect("it has folded its claim")
    }

    /// A claimant of generation 4 over 3:7, one of three: who agrees, who is awaited, and who has
    /// what it lacks.
    #[track_caller]
    fn check(heard: Vec<PeerStanding>, unheard: usize, want: (usize, usize, Option<u32>)) {
        check_among(&[], heard, unheard, want);
    }

    /// The same where the log names its replicas.
    #[track_caller]
    fn check_among(
        named: &[u32],
        heard: Vec<PeerStanding>,
        unheard: usize,
        want: (usize, usize, Option<u32>),
    ) {
        let answers = PeerAnswers { heard, unheard, placed: 3, may_claim: true };
        let replicas = named.iter().copied().map(NodeId).collect();
        let compared = compare(&own(), &answers, Witnesses { replicas: &replicas, placed: 3 });
        let holder = compared.conflict.map(|conflict| conflict.holder.0);
        assert_eq!((compared.same, compared.awaited, holder), want);
    }

    #[test]
    fn who_has_folded_the_claim_can_be_compared_and_the_others_are_awaited() {
        check(vec![], 0, (0, 0, None)); // no other replica lives
        check(vec![], 2, (0, 2, None));
        check(vec![follower(2, at(4, 0, 7, 1))], 1, (1, 1, None));
        check(vec![follower(2, at(4, 0, 7, 1)), follower(3, at(3, 7, 1, 9))], 0, (1, 1, None));
        check(vec![follower(2, at(4, 3, 7, 8))], 0, (1, 0, None)); // it follows
        let fenced = |below| Some(Folded { below: LogOffset(below), ..at(5, 0, 9, 9)? });
        check(vec![follower(2, fenced(41))], 0, (0, 1, None)); // and about to notice
        check(vec![follower(2, fenced(40))], 0, (0, 0, None)); // and never will
    }

    #[test]
    fn a_replica_that_does_not_fold_is_not_awaited() {
        check(vec![peer(2, ReplicaRole::Restoring, None)], 0, (0, 0, None));
        check(vec![peer(2, ReplicaRole::Offline, at(3, 7, 1, 9))], 0, (0, 0, None));
        check(vec![peer(2, ReplicaRole::Diverged, at(3, 7, 1, 9))], 0, (0, 1, None));
        // It has come to stand, and is in the way all the same.
        check(vec![peer(2, ReplicaRole::Offline, at(4, 0, 8, 2))], 0, (0, 0, Some(2)));
    }

    /// It stands behind what its log holds, and never folds the claim.
    #[test]
    fn what_a_log_has_lost_is_in_the_way_of_who_has_less() {
        let disputed = |folded| peer(2, ReplicaRole::Disputed, folded);
        check(vec![disputed(at(3, 8, 1, 9))], 0, (0, 0, Some(2)));
        check(vec![disputed(at(3, 7, 1, 9))], 0, (0, 0, None));
        check(vec![disputed(won_by_2(at(4, 9, 7, 9)))], 0, (0, 0, Some(2)));
        // Nothing but the claim and the barrier of a leader that has not served.
        check(vec![disputed(won_by_2(at(4, 1, 7, 9)))], 0, (0, 0, None));
        check(vec![disputed(won_by_2(at(4, 1, 8, 9)))], 0, (0, 0, Some(2)));
    }

    #[test]
    fn one_replica_with_more_is_enough_and_the_one_with_most_counts() {
        check(vec![follower(2, at(4, 0, 8, 2))], 1, (0, 1, Some(2)));
        check(vec![follower(2, at(4, 0, 8, 2)), follower(3, at(4, 0, 9, 3))], 0, (0, 0, Some(3)));
        check(vec![follower(2, at(4, 0, 7, 1)), follower(3, at(4, 0, 9, 3))], 0, (1, 0, Some(3)));
        check(vec![follower(2, at(4, 0, 6, 2)), follower(3, at(4, 0, 5, 3))], 0, (0, 0, None));
    }

    #[test]
    fn a_claim_that_was_lost_here_shows_by_what_its_winner_has_sent() {
        let passed = |heard| {
            let answers = PeerAnswers { heard, unheard: 0, placed: 3, may_claim: true };
            let replicas = ReplicaSet::default();
            compare(&own(), &answers, Witnesses { replicas: &replicas, placed: 3 }).passed
        };
        let sent = won_by_2(at(4, 3, 7, 8));
        assert_eq!(passed(vec![follower(2, sent)]), sent.map(|sent| (NodeId(2), sent)));
        let ahead = sent.map(|sent| Folded { below: LogOffset(41), ..sent });
        assert_eq!(passed(vec![follower(2, ahead)]), None, "it may be met yet");
        assert!(passed(vec![follower(3, at(5, 0, 9, 9))]).is_some(), "so may the next one's");
        let claimed = || won_by_2(at(4, 0, 7, 2));
        check(vec![follower(2, claimed())], 1, (0, 1, None));
        check(vec![follower(2, claimed()), follower(3, claimed())], 0, (0, 0, Some(2)));
    }

    #[test]
    fn a_fork_counts_if_most_replicas_hold_it() {
        check(vec![follower(2, at(4, 0, 7, 2))], 1, (0, 1, None));
        check(vec![follower(2, at(4, 0, 7, 2)), follower(3, at(4, 0, 7, 3))], 0, (0, 0, None));
        check(vec![follower(2, at(4, 0, 7, 2)), follower(3, at(4, 0, 7, 2))], 0, (0, 0, Some(2)));
    }
    #[test]
    fn who_is_about_to_join_is_no_witness() {
        let joining = |folded| follower(4, folded);
        let named = [1, 2, 3];
        check_among(&named, vec![joining(at(4, 0, 7, 1))], 1, (0, 1, None));
        let fork = || at(4, 0, 7, 2);
        check_among(&named, vec![follower(2, fork()), joining(fork())], 0, (0, 0, None));
        // Two of three are most, however many copy.
        let heard = vec![follower(2, fork()), follower(3, fork()), joining(at(4, 0, 7, 1))];
        check_among(&named, heard, 0, (0, 0, Some(2)));
        // What it has, somebody has sent; whom to ask to claim is another matter.
        let more = || at(4, 0, 8, 2);
        check_among(&named, vec![joining(more())], 0, (0, 0, Some(4)));
        check_among(&named, vec![joining(more()), follower(3, more())], 0, (0, 0, Some(3)));
    }
}
