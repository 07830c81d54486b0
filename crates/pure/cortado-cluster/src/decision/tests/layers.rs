//! The table of what the log and the peers say together.
//! Source: docs/protocols/failover.md, "Three layers".

use super::*;
use crate::detector::PeerOpinion;

/// The opinion of gossip on n1, as of `at`.
fn gossip(case: Case, at: Millis, opinion: PeerOpinion) -> Case {
    let mut case = case;
    let (node, incarnation) = (n(1), NodeIncarnation(1));
    case.detector.observe(at, Evidence::Gossip { node, incarnation, opinion });
    case
}

/// n1 leads, and is silent in the log since [`NOW`] or not.
fn log_says(silent: bool, for_ms: u64) -> (Case, Millis) {
    case().later(for_ms, if silent { &[1] } else { &[] })
}

#[test]
fn both_layers_together_are_believed_at_once() {
    let (case, now) = log_says(true, 1_000);
    gossip(case, NOW.plus(600), PeerOpinion::Down)
        .check(now, "claim: leader n1 silent for 1000 ms");
    // As soon as the second one says so.
    let (case, now) = log_says(true, 2_000);
    let case = gossip(gossip(case, NOW, PeerOpinion::Alive), now, PeerOpinion::Down);
    case.check(now, "claim: leader n1 silent for 2000 ms");
}

#[test]
fn without_gossip_the_log_alone_is_believed() {
    let (case, now) = log_says(true, 1_000);
    case.check(now, "claim: leader n1 silent for 1000 ms");
}

#[test]
fn a_leader_that_peers_reach_and_the_log_does_not_is_asked_first() {
    let alive = |case| gossip(case, NOW, PeerOpinion::Alive);
    // Peers have a moment to find out, too.
    let (case, now) = log_says(true, 1_499);
    alive(case).check(now, "stay: LeaderSilent");
    let (case, now) = log_says(true, 1_500);
    alive(case).check(now, "ask n1, claim in 2500 ms: leader n1 silent for 1500 ms");
    let (case, now) = log_says(true, 3_900);
    alive(case).check(now, "ask n1, claim in 100 ms");
    let (case, now) = log_says(true, 4_000);
    alive(case).check(now, "claim: leader n1 silent for 4000 ms");
    // The next candidate waits for its turn, and asks no more.
    let (case, now) = log_says(true, 1_500);
    let other = alive(case).with(|facts| facts.me = n(3));
    other.check(now, "claim in 2650 ms");
}

/// It could not step down; and what is certain needs no longer silence than three beats.
#[test]
fn a_leader_that_says_that_it_does_not_reach_the_log_is_replaced_at_once() {
    let says = |case, at, reaches| {
        let mut case = gossip(case, NOW, PeerOpinion::Alive);
        let node = n(1);
        case.detector.observe(at, Evidence::PeerReachesLog { node, reaches });
        case
    };
    let (case, now) = log_says(true, 749);
    says(case, now, false).check(now, "stay: LeaderSilent");
    let (case, now) = log_says(true, 750);
    let why = "claim: leader n1 silent for 750 ms (limit 750 ms, 3 beats missed); it says that";
    says(case, now, false).check(now, why);
    let (case, now) = log_says(true, 1_500);
    says(case, now, false).check(now, "claim: leader n1 silent for 1500 ms");
    // It reaches it again, or never said otherwise.
    let (case, now) = log_says(true, 1_000);
    says(says(case, now, false), now, true).check(now, "stay: LeaderSilent");
    // What it says alone is no evidence: others may hear it all the time.
    let (case, now) = log_says(false, 1_000);
    says(case, now, false).check(now, "stay: LeaderAlive");
}

/// What n1 has told of the log of a partition, and all nodes beat for long since.
fn says_of_log(partition: PartitionId, node: u32, ago_ms: u64, reaches: bool) -> (Case, Millis) {
    let (case, now) = log_says(false, 5_000);
    let mut case = gossip(case, NOW, PeerOpinion::Alive);
    let at = Millis(now.0 - ago_ms);
    let told = |reaches| Evidence::PeerReachesLogOf { node: n(node), partition, reaches };
    case.detector.observe(at, told(false));
    if reaches {
        case.detector.observe(at, told(true));
    }
    (case, now)
}

/// It reaches the log, and not that of this partition: its word is enough beside the own beats,
/// once it has had a beat to take it back.
#[test]
fn a_leader_that_says_that_it_does_not_reach_this_log_is_replaced_here_alone() {
    let (case, now) = says_of_log(P, 1, 249, false);
    case.check(now, "claim in 1 ms");
    let (case, now) = says_of_log(P, 1, 250, false);
    case.check(now, "claim: leader n1 has said for 0 ms that it does not reach this");
    // The next candidate waits for its turn.
    case.with(|facts| facts.me = n(3)).check(now, "claim in 150 ms");
    let (case, now) = says_of_log(P, 1, 250, true);
    case.check(now, "stay: LeaderAlive");
    // Of another partition, or by who does not lead.
    let other = PartitionId { number: P.number + 1, ..P };
    let (case, now) = says_of_log(other, 1, 500, false);
    case.check(now, "stay: LeaderAlive");
    let (case, now) = says_of_log(P, 3, 500, false);
    case.check(now, "stay: LeaderAlive");
    // It says so no more.
    let (mut case, now) = says_of_log(P, 1, 1_001, false);
    case.detector.observe(now, Evidence::Lateness { late_ms: 0 });
    case.check(now, "stay: LeaderAlive");
}

/// What it said before it came to lead this time says nothing of now.
#[test]
fn what_a_leader_said_of_an_earlier_leadership_is_soon_forgotten() {
    let (case, now) = says_of_log(P, 1, 500, false);
    let claimed = |at| Leadership::Claimed { node: n(1), incarnation: life(1), at };
    let case = case.with(|facts| facts.leadership = claimed(Millis(now.0 - 100)));
    case.check(now, "claim in 650 ms");
}

/// The broker may be away, which no other leader would help.
#[test]
fn no_leader_is_replaced_for_a_broker_that_this_node_does_not_reach() {
    let (mut case, now) = says_of_log(P, 1, 0, false);
    // Own beats are missing for longer than two intervals.
    let silent = now.plus(501);
    case.detector.observe(silent, beat(n(1), NodeIncarnation(1), 999));
    case.check(silent, "stay: LeaderAlive");
    // They have come back, perhaps sooner than the leader has found the broker.
    let count = case.detector.send_beat(silent);
    case.detector.observe(silent, beat(n(2), NodeIncarnation(1), count));
    case.check(silent, "claim in 1000 ms");
}

/// Who does not reach a log is given none of its leadership.
#[test]
fn who_does_not_reach_this_log_is_no_successor() {
    let told = Evidence::PeerReachesLogOf { node: n(1), partition: P, reaches: false };
    let led = || case().led_by(2, 1);
    led().check(NOW, "hand off to n1: the preferred leader");
    led().observing(told).check(NOW, "stay: Leading");
    let drained = led().with(|facts| facts.placement = ordered(None, &[2]));
    drained.observing(told).check(NOW, "hand off to n3: the leader's node is drained");
}

/// What is certain needs no longer silence than three beats, and no word of gossip.
#[test]
fn a_leader_that_does_not_run_as_its_machine_says_is_replaced_at_once() {
    let refuses = |case, at, refuses| {
        let mut case = gossip(case, NOW, PeerOpinion::Alive);
        case.detector.observe(at, Evidence::PeerRefuses { node: n(1), refuses });
        case
    };
    let (case, now) = log_says(true, 749);
    refuses(case, now, true).check(now, "stay: LeaderSilent");
    let (case, now) = log_says(true, 750);
    let why =
        "claim: leader n1 silent for 750 ms (limit 750 ms, 3 beats missed); its machine refuses";
    refuses(case, now, true).check(now, why);
    // It runs again.
    let (case, now) = log_says(true, 999);
    refuses(refuses(case, now, true), now, false).check(now, "stay: LeaderSilent");
    // Perhaps it listens elsewhere now: it beats.
    let (case, now) = log_says(false, 1_000);
    refuses(case, now, true).check(now, "stay: LeaderAlive");
}

/// Whoever hears nothing of its own does not hear that it is alone with that.
#[test]
fn nobody_is_replaced_for_what_all_say_of_themselves() {
    let (case, now) = log_says(true, 600);
    let mut case = gossip(case, NOW, PeerOpinion::Alive);
    let node = n(1);
    case.detector.observe(now, Evidence::PeerReachesLog { node, reaches: false });
    case.check(now.plus(2_000), "stay: OwnBeatsSilent");
}

#[test]
fn a_leader_that_beats_and_no_peer_reaches_is_asked_first() {
    let down = |case| gossip(case, NOW, PeerOpinion::Down);
    let (case, now) = log_says(false, 100);
    down(case).check(now, "ask n1, claim in 2900 ms: leader n1 beats, but gossip says");
    let (case, now) = log_says(false, 3_000);
    down(case).check(now, "claim: leader n1 beats, but gossip says");
    // What peers say again before is as if nothing had been.
    let (case, now) = log_says(false, 3_000);
    let case = gossip(down(case), now, PeerOpinion::Alive);
    case.check(now, "stay: LeaderAlive");
}

#[test]
fn a_mere_suspicion_is_nothing_alone_and_enough_beside_a_silent_log() {
    let (case, now) = log_says(false, 5_000);
    gossip(case, NOW, PeerOpinion::Suspect).check(now, "stay: LeaderAlive");
    let (case, now) = log_says(true, 1_000);
    let case = gossip(case, NOW, PeerOpinion::Suspect);
    case.check(now, "claim: leader n1 silent for 1000 ms");
}

#[test]
fn a_leader_that_only_gossip_misses_leads_on() {
    let (case, now) = log_says(false, 5_000);
    let mut case = gossip(case, NOW, PeerOpinion::Down);
    case.detector.observe(now, Evidence::PeerHeard { node: n(1) });
    assert!(case.detector.overruled_gossip(now, n(1)).is_some());
    case.check(now, "stay: LeaderAlive");
}

#[test]
fn without_the_own_way_to_the_log_nothing_is_believed() {
    let (case, now) = log_says(true, 600);
    let case = gossip(case, now, PeerOpinion::Down);
    // From now on own beats do not come back, either.
    let later = now.plus(2_000);
    case.check(later, "stay: OwnBeatsSilent");
}

#[test]
fn a_node_that_no_peer_reaches_leads_only_where_no_other_can() {
    let (mut case, now) = log_says(true, 1_000);
    let reach = Evidence::GossipReach { answering: 0, members: 2 };
    case.detector.observe(NOW, reach);
    case.detector.observe(now, Evidence::Lateness { late_ms: 0 });
    // Its gossip has no opinion of anybody; it lets the others go first.
    gossip(case, NOW, PeerOpinion::Down).check(now, "claim in 300 ms");
}

#[test]
fn what_only_some_reach_is_no_successor() {
    let led = case().led_by(2, 1).with(|facts| facts.placement = ordered(None, &[2]));
    led.check(NOW, "hand off to n1: the leader's node is drained");
    let (node, incarnation) = (n(1), NodeIncarnation(1));
    let down = Evidence::Gossip { node, incarnation, opinion: PeerOpinion::Down };
    let led = case().led_by(2, 1).with(|facts| facts.placement = ordered(None, &[2]));
    led.observing(down).check(NOW, "hand off to n3: the leader's node is drained");
}

#[test]
fn a_preferred_leader_that_no_peer_reaches_gets_nothing_back() {
    case().led_by(2, 1).check(NOW, "hand off to n1: the preferred leader");
    let down = gossip(case().led_by(2, 1), NOW, PeerOpinion::Down);
    down.check(NOW, "stay: Leading");
}

#[test]
fn who_may_not_claim_does_not() {
    let only =
        |nodes: &[u32]| -> &'static [NodeId] { Box::leak(nodes.iter().copied().map(n).collect()) };
    let (case, now) = log_says(true, 1_000);
    case.with(|facts| facts.claimants = only(&[1, 3])).check(now, "stay: NotEligible");
    // Nor does another one wait for its turn, or give it anything.
    let (case, now) = log_says(true, 1_000);
    let third = case.with(|facts| (facts.me, facts.claimants) = (n(3), only(&[1, 3])));
    third.check(now, "claim: leader n1 silent");
    let led = super::case().led_by(2, 1).with(|facts| {
        facts.placement = ordered(None, &[2]);
        facts.claimants = only(&[2, 3]);
    });
    led.check(NOW, "hand off to n3: the leader's node is drained");
}

#[test]
fn a_leader_whose_replica_moves_away_hands_over() {
    let leaves = |node| -> &'static Placement {
        let placement = Placement::new(vec![n(2), n(1), n(3)]).expect("three nodes");
        Box::leak(Box::new(placement.without_leader_on(n(node))))
    };
    let led = case().led_by(2, 1).with(|facts| facts.placement = leaves(2));
    led.check(NOW, "hand off to n1: the leader's replica moves to another node");
    // Nobody gives it back.
    case().with(|facts| facts.me = n(1)).led_by(1, 1).check(NOW, "stay: ");
    let led = case().led_by(1, 1).with(|facts| {
        (facts.me, facts.placement) = (n(1), leaves(2));
    });
    led.check(NOW, "stay: Leading");
}

#[test]
fn who_leaves_comes_last_in_every_order() {
    let placement = || Placement::new(vec![n(1), n(2), n(3)]).expect("three nodes");
    let left = placement().ordered(Some(n(1)), |node| node == n(2)).without_leader_on(n(1));
    assert_eq!(left.nodes(), [n(3), n(2), n(1)]);
    assert!(left.is_drained(n(2)) && left.is_leaving(n(1)) && !left.is_pinned());
    let all = placement().ordered(None, |node| node != n(1)).without_leader_on(n(1));
    assert_eq!(all.nodes(), [n(2), n(3), n(1)]);
    assert!(!all.is_drained(n(2)) && !all.is_drained(n(1)));
    let alone = Placement::new(vec![n(1)]).expect("one node").without_leader_on(n(1));
    assert!(!alone.is_leaving(n(1)));
    assert_eq!(placement().without_leader_on(n(9)), placement());
}
