//! What a node decides from the facts. Stories of several nodes are in `testdata`.

mod layers;

use super::*;
use crate::detector::Evidence;
use crate::explanation::Command;
use crate::placement::Placement;
use crate::settings::RawSettings;
use cortado_model::{
    Beat, BeatStream, DatabaseId, NodeIncarnation, PartitionId, ReplicaIncarnation, WallMillis,
};
use std::collections::BTreeMap;

const P: PartitionId = PartitionId { database: DatabaseId(1), number: 3 };
const NOW: Millis = Millis(100_000);

fn n(number: u32) -> NodeId {
    NodeId(number)
}

/// What node 2 sees of a partition placed on n1, n2, n3; all nodes alive, n1 leading in life 1.
struct Case {
    detector: Detector,
    facts: PartitionFacts<'static>,
}

fn case() -> Case {
    let placement = Placement::new(vec![n(1), n(2), n(3)]).expect("three nodes");
    let settings = RawSettings::default().validate().expect("defaults are valid");
    let mut detector = Detector::new(n(2), NodeIncarnation(1), 1, settings);
    for at in (0..=NOW.0).step_by(250) {
        beats(&mut detector, Millis(at), &[1, 2, 3]);
    }
    let facts = PartitionFacts {
        partition: P,
        me: n(2),
        incarnation: life(1),
        placement: Box::leak(Box::new(placement)),
        leadership: Leadership::Claimed { node: n(1), incarnation: life(1), at: Millis(0) },
        claimants: &[],
        restoring: false,
        store_full: false,
        lag_records: 0,
        own_claims: &[],
        takeovers: &[],
        follower_lags: Box::leak(Box::new(BTreeMap::from([(n(1), 0), (n(3), 0)]))),
        hand_off_running: false,
        last_hand_back_at: None,
    };
    Case { detector, facts }
}

/// `nodes` beat, each in the life in which it was last heard of.
fn beats(detector: &mut Detector, now: Millis, nodes: &[u32]) {
    let count = detector.send_beat(now);
    for node in nodes.iter().copied().map(n) {
        let life = detector.incarnation(node).map_or(NodeIncarnation(1), |(life, _)| life);
        detector.observe(now, beat(node, life, count));
    }
}

fn beat(node: NodeId, incarnation: NodeIncarnation, count: u64) -> Evidence {
    let beat = Beat { node, incarnation, count, time: WallMillis(0) };
    Evidence::Beat { stream: BeatStream(0), beat }
}

/// The first replica in a life of its node.
fn life(node: u64) -> ReplicaIncarnation {
    ReplicaIncarnation { node: NodeIncarnation(node), life: 1 }
}

impl Case {
    fn with(mut self, change: impl FnOnce(&mut PartitionFacts<'static>)) -> Case {
        change(&mut self.facts);
        self
    }

    fn led_by(self, node: u32, incarnation: u64) -> Case {
        let (node, incarnation) = (n(node), life(incarnation));
        let at = Millis(50_000);
        self.with(|facts| facts.leadership = Leadership::Claimed { node, incarnation, at })
    }

    /// What `node` sees when it has just begun its second life.
    fn reborn_as(mut self, node: u32, now: Millis) -> Case {
        let settings = *self.detector.settings();
        self.detector = Detector::new(n(node), NodeIncarnation(2), 1, settings);
        self.detector.send_beat(now);
        self.with(|facts| (facts.me, facts.incarnation) = (n(node), life(2)))
    }

    fn observing(mut self, evidence: Evidence) -> Case {
        self.detector.observe(NOW, evidence);
        self
    }

    /// Lets `silent_ms` pass in which all nodes but `silent` beat.
    fn later(mut self, silent_ms: u64, silent: &[u32]) -> (Case, Millis) {
        let end = NOW.plus(silent_ms);
        for at in (NOW.0..=end.0).step_by(50) {
            let others = [1, 2, 3].into_iter().filter(|node| !silent.contains(node));
            beats(&mut self.detector, Millis(at), &others.collect::<Vec<_>>());
        }
        (self, end)
    }

    /// The decision as a word, and how long it waits if it does.
    #[track_caller]
    fn check(&self, now: Millis, want: &str) {
        let got = match decide(now, &self.facts, &self.detector) {
            Decision::Stay(reason) => format!("stay: {reason:?}"),
            Decision::ClaimAt { at, .. } => format!("claim in {} ms", at.since(now)),
            Decision::Claim { why } => format!("claim: {}", why.cause),
            Decision::AskToStepDown { leader, claim_at, why } => {
                format!("ask {leader}, claim in {} ms: {}", claim_at.since(now), why.cause)
            }
            Decision::HandOff { to, why } => format!("hand off to {to}: {}", why.cause),
        };
        assert!(got.starts_with(want), "{got}");
    }
}

#[test]
fn a_follower_of_a_living_leader_stays() {
    case().check(NOW, "stay: LeaderAlive { leader: NodeId(1) }");
    let (case, now) = case().later(700, &[1]);
    case.check(now, "stay: LeaderSilent { leader: NodeId(1), since: Millis(100000) }");
}

#[test]
fn the_first_survivor_claims_at_once_and_the_next_ones_wait() {
    let (first, now) = case().later(1_000, &[1]);
    first.check(now, "claim: leader n1 silent for 1000 ms (limit 1000 ms, 4 beats missed)");
    // n3 leads; n1 comes first, then this node.
    let (second, now) = case().led_by(3, 1).later(1_000, &[3]);
    second.check(now, "claim in 150 ms");
    second.check(now.plus(150), "claim: leader n3 silent for 1150 ms");
    // n1 is dead as well.
    let (alone, now) = case().led_by(3, 1).later(1_000, &[1, 3]);
    alone.check(now, "claim: leader n3");
}

#[test]
fn a_replica_far_behind_goes_last() {
    let (behind, now) = case().with(|facts| facts.lag_records = 10_001).later(1_000, &[1]);
    behind.check(now, "claim in 300 ms"); // Two candidates, and this one has rank 0.
    let (close, now) = case().with(|facts| facts.lag_records = 10_000).later(1_000, &[1]);
    close.check(now, "claim: ");
}

#[test]
fn a_replica_without_room_goes_last_and_at_once_if_it_is_named() {
    let (full, now) = case().with(|facts| facts.store_full = true).later(1_000, &[1]);
    full.check(now, "claim in 300 ms");
    let named = Leadership::SteppedDown { by: n(1), to: Some(n(2)), at: now };
    full.with(|facts| facts.leadership = named).check(now, "claim: leader n1 stepped down");
}

#[test]
fn a_node_that_must_not_lead_never_claims() {
    let (case_, now) = case().with(|facts| facts.restoring = true).later(1_000, &[1]);
    case_.check(now, "stay: Restoring");
    let (mut case_, now) = case().later(1_000, &[1]);
    case_.detector.observe(now, Evidence::OwnStoreFailed);
    // It would also wait longer before it calls any node dead.
    case_.check(now, "stay: LeaderSilent");
    let (mut case_, now) = case().later(2_000, &[1]);
    case_.detector.observe(now, Evidence::OwnStoreFailed);
    case_.check(now, "stay: Sick(StoreFails)");
    let elsewhere = Placement::new(vec![n(1), n(3)]).expect("two nodes");
    let elsewhere: &'static Placement = Box::leak(Box::new(elsewhere));
    let (case_, now) = case().with(|facts| facts.placement = elsewhere).later(1_000, &[1]);
    case_.check(now, "stay: NotPlaced");
}

#[test]
fn silence_around_a_node_is_its_own_until_its_beats_come_back() {
    let (case_, now) = case().later(3_000, &[1, 2, 3]);
    case_.check(now, "stay: OwnBeatsSilent");
    let never_heard_of = Leadership::Claimed { node: n(4), incarnation: life(1), at: Millis(0) };
    let (case_, now) = case_.with(|facts| facts.leadership = never_heard_of).later(0, &[1, 2, 3]);
    case_.check(now.plus(3_000), "stay: OwnBeatsSilent");
}

#[test]
fn what_the_log_says_needs_no_beats() {
    let silent = || case().later(3_000, &[1, 2, 3]);
    let (case_, now) = silent();
    let stepped = Leadership::SteppedDown { by: n(1), to: Some(n(2)), at: now };
    case_.with(|facts| facts.leadership = stepped).check(now, "claim: leader n1 stepped down");
    let (case_, now) = silent();
    let never = Leadership::Never { since: NOW };
    case_.with(|facts| facts.leadership = never).check(now, "claim: it has never been led");
    let (mut case_, now) = silent();
    let incarnation = NodeIncarnation(2);
    case_.detector.observe(now, Evidence::PartitionRecord { node: n(1), incarnation });
    case_.check(now.plus(150), "claim: leader n1 has restarted");
    // An earlier life of itself; none of its own beats has come back so far.
    let case_ = case().led_by(2, 1).reborn_as(2, NOW);
    case_.check(NOW.plus(150), "claim: leader n2 has restarted");
}

/// Another node may have taken over meanwhile.
#[test]
fn a_node_that_finds_itself_as_leader_reads_on_first() {
    let reborn = || case().led_by(2, 1).reborn_as(2, NOW);
    let behind = reborn().with(|facts| facts.lag_records = 1);
    behind.check(NOW.plus(150), "stay: ReadsLog");
    reborn().check(NOW.plus(150), "claim: leader n2 has restarted");
    // Of a dead leader, what was read last is young enough.
    let (case_, now) = case().later(1_000, &[1]);
    case_.with(|facts| facts.lag_records = 1).check(now, "claim: leader n1 silent");
}

#[test]
fn a_new_partition_is_claimed_in_order() {
    let never = |me| {
        case().with(|facts| {
            facts.leadership = Leadership::Never { since: NOW };
            facts.me = n(me);
        })
    };
    never(1).check(NOW, "claim: it has never been led");
    never(2).check(NOW, "claim in 150 ms");
    never(3).check(NOW, "claim in 300 ms");
    never(2).check(NOW.plus(150), "claim: it has never been led");
}

#[test]
fn the_named_successor_claims_at_once() {
    let stepped = |me, to: Option<u32>| {
        let leadership = Leadership::SteppedDown { by: n(1), to: to.map(n), at: NOW };
        case().with(|facts| {
            facts.leadership = leadership;
            facts.me = n(me);
            // Planned handoffs are not subject to the back-off.
            facts.own_claims = &[Millis(99_990), Millis(99_999)];
        })
    };
    stepped(3, Some(3)).check(NOW, "claim: leader n1 stepped down in favour of n3");
    // Those who have claimed so often let all others go first.
    stepped(1, Some(3)).check(NOW, "claim in 1450 ms");
    stepped(2, None).check(NOW, "claim in 600 ms");
    let unnamed = |me| stepped(me, None).with(|facts| facts.own_claims = &[]);
    unnamed(1).check(NOW, "claim: leader n1 stepped down");
    unnamed(2).check(NOW, "claim in 150 ms");
    let fresh = |me| stepped(me, Some(3)).with(|facts| facts.own_claims = &[]);
    fresh(1).check(NOW, "claim in 1000 ms");
    fresh(2).check(NOW, "claim in 1150 ms");
    // A successor that is dead itself, or not even placed, keeps no candidate waiting.
    let (dead, now) = unnamed(2)
        .with(|facts| {
            let at = NOW.plus(1_000);
            facts.leadership = Leadership::SteppedDown { by: n(1), to: Some(n(3)), at };
        })
        .later(1_000, &[3]);
    dead.check(now, "claim in 150 ms");
    stepped(2, Some(9)).with(|facts| facts.own_claims = &[]).check(NOW, "claim in 150 ms");
}

#[test]
fn a_restarted_leader_has_lost_its_generation() {
    let restarted = beat(n(1), NodeIncarnation(2), 1);
    let case_ = case().observing(restarted);
    case_.check(NOW, "claim in 150 ms");
    case_.check(NOW.plus(150), "claim: leader n1 has restarted");
    // The node itself is preferred, and claims at once.
    case().reborn_as(1, NOW).check(NOW, "claim: leader n1 has restarted");
    // One that is not preferred waits for its turn.
    case().led_by(2, 1).reborn_as(2, NOW).check(NOW, "claim in 150 ms");
    // A life that has begun to count higher is no earlier one, but that of a copy.
    let of_a_copy = ReplicaIncarnation { life: 2, ..life(2) };
    let leadership = Leadership::Claimed { node: n(1), incarnation: of_a_copy, at: NOW };
    let case_ = case().reborn_as(1, NOW).with(|facts| facts.leadership = leadership);
    case_.check(NOW.plus(3_000), "stay: LeaderAlive");
}

#[test]
fn claims_that_follow_one_another_back_off() {
    let claimed = |own_claims: &'static [Millis]| {
        let (case_, now) = case().with(|facts| facts.own_claims = own_claims).later(1_000, &[1]);
        assert_eq!(now, Millis(101_000));
        case_
    };
    let now = Millis(101_000);
    claimed(&[Millis(100_400)]).check(now, "claim: ");
    claimed(&[Millis(100_900)]).check(now, "claim in 400 ms");
    claimed(&[Millis(90_000), Millis(100_900)]).check(now, "claim in 900 ms");
    claimed(&[Millis(80_000), Millis(90_000), Millis(100_900)]).check(now, "claim in 1900 ms");
    let many: &'static [Millis] = Box::leak(Box::new([Millis(100_900); 90]));
    claimed(many).check(now, "claim in 9900 ms");
    // Only the last minute counts.
    let forgotten = &[Millis(0), Millis(10), Millis(20)];
    let (old, now) = case().with(|facts| facts.own_claims = forgotten).later(1_000, &[1]);
    old.check(now, "claim: ");
}

#[test]
fn a_node_that_claims_too_often_goes_last_but_does_not_block_a_certain_vacancy() {
    let many: &'static [Millis] = Box::leak(Box::new([Millis(99_900); 90]));
    let itself = case().reborn_as(1, NOW).with(|facts| facts.own_claims = many);
    itself.check(NOW, "claim in 450 ms");
    let never = case().with(|facts| {
        facts.leadership = Leadership::Never { since: NOW };
        facts.own_claims = many;
    });
    never.check(NOW, "claim in 600 ms");
}

#[test]
fn the_preferred_leader_gets_its_leadership_back() {
    let leading = || case().led_by(2, 1).with(|facts| facts.own_claims = &[Millis(50_000)]);
    leading().check(NOW, "hand off to n1: the preferred leader has been alive for 100000 ms");
    let stay = "stay: Leading";
    leading().with(|facts| facts.hand_off_running = true).check(NOW, stay);
    leading().with(|facts| facts.last_hand_back_at = Some(Millis(99_900))).check(NOW, stay);
    leading().with(|facts| facts.last_hand_back_at = Some(Millis(99_800))).check(NOW, "hand off");
    let lags = |lag| -> &'static BTreeMap<NodeId, u64> {
        Box::leak(Box::new(BTreeMap::from([(n(1), lag)])))
    };
    leading().with(|facts| facts.follower_lags = lags(101)).check(NOW, stay);
    leading().with(|facts| facts.follower_lags = lags(100)).check(NOW, "hand off");
    let unknown: &'static BTreeMap<NodeId, u64> = Box::leak(Box::default());
    leading().with(|facts| facts.follower_lags = unknown).check(NOW, stay);
    // A new life starts the count again.
    let reborn = beat(n(1), NodeIncarnation(2), 1);
    let (back, now) = leading().observing(reborn).later(9_950, &[]);
    back.check(now, stay);
    let (back, now) = leading().observing(reborn).later(10_000, &[]);
    back.check(now, "hand off to n1: the preferred leader has been alive for 10000 ms");
    // Having had to take over twice, this node waits twice as long.
    let again = || leading().with(|facts| facts.takeovers = TWICE).observing(reborn);
    let (back, now) = again().later(19_950, &[]);
    back.check(now, stay);
    let (back, now) = again().later(20_000, &[]);
    back.check(now, "hand off");
    let (preferred, now) = case().with(|facts| facts.me = n(1)).later(1_000, &[]);
    preferred.check(now, stay);
}

/// n2 had to take over from n1 twice.
const TWICE: &[Takeover] = &[
    Takeover { at: Millis(40_000), from: NodeId(1) },
    Takeover { at: Millis(50_000), from: NodeId(1) },
];

#[test]
fn who_lives_and_claims_nothing_is_asked_again_ever_later() {
    // n1 has been alive all the time; the wait counts from when it last did not claim.
    let leading = || case().led_by(2, 1).with(|facts| facts.takeovers = TWICE);
    leading().check(Millis(69_999), "stay: Leading");
    leading().check(Millis(70_000), "hand off to n1");
    // n3's failures are not n1's.
    let other: &'static [Takeover] = &[Takeover { at: Millis(99_000), from: NodeId(3) }];
    case().led_by(2, 1).with(|facts| facts.takeovers = other).check(NOW, "hand off to n1");
}

#[test]
fn a_step_down_that_was_in_vain_is_a_takeover() {
    let stepped =
        |by, to: Option<u32>| Leadership::SteppedDown { by: n(by), to: to.map(n), at: NOW };
    let from = |leadership: Leadership| leadership.taken_from(n(2));
    assert_eq!(from(stepped(2, Some(1))), Some(n(1)));
    assert_eq!(from(stepped(3, Some(1))), Some(n(1)));
    assert_eq!(from(stepped(1, Some(2))), None);
    assert_eq!(from(stepped(2, None)), None);
    assert_eq!(from(stepped(3, None)), Some(n(3)));
    assert_eq!(from(Leadership::Never { since: NOW }), None);
}

/// A placement on n1, n2, n3 as operators want it.
fn ordered(pin: Option<u32>, drained: &[u32]) -> &'static Placement {
    let placement = Placement::new(vec![n(1), n(2), n(3)]).expect("three nodes");
    let placement = placement.ordered(pin.map(n), |node| drained.contains(&node.0));
    Box::leak(Box::new(placement))
}

#[test]
fn a_pinned_leadership_is_not_handed_back_and_returns_to_its_pin() {
    let leading = |pin| case().led_by(2, 1).with(|facts| facts.placement = ordered(pin, &[]));
    leading(Some(2)).check(NOW, "stay: Leading");
    leading(Some(3)).check(NOW, "hand off to n3: the pinned leader has been alive for 100000 ms");
    // n3 was away: as long as it takes a preferred leader to come back.
    let reborn = beat(n(3), NodeIncarnation(2), 1);
    let (back, now) = leading(Some(3)).observing(reborn).later(9_950, &[]);
    back.check(now, "stay: Leading");
    // Nothing is pinned to a node without a replica.
    leading(Some(4)).check(NOW, "hand off to n1: the preferred leader");
}

#[test]
fn a_drained_leader_leaves_at_once_for_one_that_is_not() {
    let drained = |nodes| case().led_by(2, 1).with(|facts| facts.placement = ordered(None, nodes));
    let just_now: fn(&mut PartitionFacts<'static>) = |facts| facts.last_hand_back_at = Some(NOW);
    drained(&[2]).with(just_now).check(NOW, "hand off to n1: the leader's node is drained");
    drained(&[2, 1]).check(NOW, "hand off to n3: the leader's node is drained");
    // It outweighs a pin.
    let pinned = ordered(Some(2), &[2]);
    case().led_by(2, 1).with(|facts| facts.placement = pinned).check(NOW, "hand off to n1");
    // Nobody is left to take over, or can.
    let (alone, now) = drained(&[2, 1]).later(3_000, &[3]);
    alone.check(now, "stay: Leading");
    drained(&[1, 2, 3]).with(just_now).check(NOW, "stay: Leading");
    // The drained one is not handed back to.
    drained(&[1]).check(NOW, "stay: Leading");
    let Decision::HandOff { why, .. } = decide(NOW, &drained(&[2]).facts, &case().detector) else {
        panic!("it hands over");
    };
    let (drain, resume) = (Command::Drain { node: n(2) }, Command::Resume { node: n(2) });
    assert_eq!((why.by_hand, why.undo), (drain, Some(resume)));
}

#[test]
fn a_drained_leader_waits_for_who_claimed_nothing_and_takes_another_one() {
    let taken = |at: u64| -> &'static [Takeover] {
        Box::leak(Box::new([Takeover { at: Millis(at), from: n(1) }]))
    };
    let drained = |nodes, at| {
        let case = case().led_by(2, 1).with(|facts| facts.placement = ordered(None, nodes));
        case.with(|facts| facts.takeovers = taken(at))
    };
    drained(&[2], 95_000).check(NOW, "hand off to n3: the leader's node is drained");
    drained(&[2, 3], 95_000).check(NOW, "stay: Leading");
    drained(&[2, 3], 90_001).check(NOW, "stay: Leading");
    drained(&[2, 3], 90_000).check(NOW, "hand off to n1: the leader's node is drained");
    // A wrong clock does not keep a node from claiming again, a failing store does.
    let off = Evidence::OwnClock { is_off: true };
    let off_hand = |at| drained(&[1, 3], at).observing(off);
    off_hand(95_000).check(
        NOW,
        "hand off to n3: the wall clock is over 5 s off most others': set the clock (NTP)",
    );
    drained(&[], 95_000).observing(Evidence::OwnStoreFailed).check(NOW, "hand off to n1");
}

#[test]
fn a_drained_node_claims_after_all_others() {
    let (case_, now) = case().led_by(3, 1).later(1_000, &[3]);
    case_.with(|facts| facts.placement = ordered(None, &[2])).check(now, "claim in 150 ms");
    let (case_, now) = case().led_by(3, 1).later(1_000, &[3]);
    case_.with(|facts| facts.placement = ordered(None, &[1])).check(now, "claim: leader n3");
}

#[test]
fn a_failing_leader_hands_over_and_a_slow_one_does_not() {
    let leading = |evidence| case().led_by(2, 1).observing(evidence);
    leading(Evidence::OwnStoreFailed).check(NOW, "hand off to n1: the store fails");
    leading(Evidence::OwnAppendFailed).check(NOW, "hand off to n1: appends to the log fail");
    let off = Evidence::OwnClock { is_off: true };
    leading(off).check(
        NOW,
        "hand off to n1: the wall clock is over 5 s off most others': set the clock (NTP)",
    );
    let slow = Evidence::OwnAppend { took_ms: 3_000 };
    let slow = leading(slow).observing(slow).observing(slow);
    slow.with(|facts| facts.hand_off_running = true).check(NOW, "stay: Leading");
    let (alone, now) = case().led_by(2, 1).later(3_000, &[1, 3]);
    alone.observing(Evidence::OwnStoreFailed).check(now, "stay: Leading");
}

#[test]
fn an_explanation_has_everything_a_person_needs() {
    let (case_, now) = case().led_by(3, 1).later(1_150, &[3]);
    let Decision::Claim { why } = decide(now, &case_.facts, &case_.detector) else {
        panic!("it claims");
    };
    let evidence = [
        "leader n3 silent for 1150 ms (limit 1000 ms, 4 beats missed)",
        "waited 150 ms for others",
        "n1 could act at once",
    ];
    assert_eq!(
        (why.node, why.partition, why.evidence()),
        (n(2), P, evidence.map(String::from).into())
    );
    let hand_off = |to| Command::HandOff { partition: P, to: n(to) };
    assert_eq!((why.by_hand, why.undo), (hand_off(2), Some(hand_off(3))));
    let Decision::HandOff { why, .. } = decide(NOW, &case().led_by(2, 1).facts, &case().detector)
    else {
        panic!("it hands over");
    };
    assert_eq!(why.evidence(), ["the preferred leader has been alive for 100000 ms"]);
    assert_eq!((why.by_hand, why.undo), (hand_off(1), Some(hand_off(2))));
}
