//! What a watch orders, and when; and that it is right not to look at everything every time.

mod reference;
mod scene;

use super::*;
use crate::decision::Leadership;
use crate::detector::PeerOpinion;
use cortado_model::back_off_ms;
use scene::{ME, Scene, beat, fresh, led_by, n, p, placement};

/// n1 leads `partitions`, and has been heard of for a second; the replicas of n2 follow.
fn led_by_n1(partitions: &[u32]) -> Scene {
    let mut scene = Scene::new();
    for number in partitions {
        let view = led_by(&fresh(), n(1), scene.now, ME);
        scene.place(p(*number), &[1, 2, 3], view);
    }
    scene.pass(1_000);
    scene.check(&[]);
    scene
}

/// n2 leads `partitions`, in the place of n1; the others have folded everything.
fn led_for_n1(partitions: u32) -> Scene {
    let mut scene = Scene::new();
    for number in 0..partitions {
        let view = led_by(&fresh(), ME, scene.now, ME);
        scene.place(p(number), &[1, 2, 3], view);
        scene.shown.follower_lags.insert(p(number), [(n(1), 0), (n(3), 0)].into());
    }
    scene.pass(1_000);
    scene.check(&[]);
    scene
}

#[test]
fn a_dead_leaders_partitions_are_claimed_when_it_is_due_and_not_before() {
    let mut scene = led_by_n1(&[3, 7]);
    scene.silent = vec![n(1)];
    // The last beat came at 2,000; n2 is the first of the survivors.
    scene.pass(999);
    scene.check(&[]);
    scene.pass(1);
    let cause = "leader n1 silent for 1000 ms (limit 1000 ms, 4 beats missed)";
    scene.check(&[&format!("3000 claim 1/3: {cause}"), &format!("3000 claim 1/7: {cause}")]);
}

#[test]
fn the_next_candidate_waits_for_its_turn() {
    let mut scene = Scene::new();
    let view = led_by(&fresh(), n(1), scene.now, ME);
    scene.place(p(1), &[1, 3, 2], view);
    scene.pass(1_000);
    scene.silent = vec![n(1)];
    scene.pass(1_149);
    scene.check(&[]);
    scene.pass(1);
    scene.check(&["3150 claim 1/1: leader n1 silent for 1150 ms"]);
}

#[test]
fn a_claim_is_made_again_when_it_has_had_its_time_and_told_once() {
    let mut scene = led_by_n1(&[1]);
    scene.silent = vec![n(1)];
    // Ever later, by an eighth of a second at least.
    let waits_ms = [1, 2, 3].map(|failures| back_off_ms(400, failures, p(1).to_u64()));
    assert!(waits_ms.windows(2).all(|two| two[0] + 125 <= two[1]), "{waits_ms:?}");
    scene.pass(1_000 + waits_ms[0] + waits_ms[1]);
    let at = 3_000 + waits_ms[0];
    let (first, second) = (at, at + waits_ms[1]);
    let again = "claim 1/1 again: leader n1";
    let want =
        ["3000 claim 1/1: leader n1", &format!("{first} {again}"), &format!("{second} {again}")];
    scene.check(&want);
    // It was accepted, and the next one is another decision.
    scene.claim(p(1), ME);
    scene.pass(100);
    scene.claim(p(1), n(3));
    scene.silent = vec![n(1), n(3)];
    scene.pass(3_000);
    let told = scene.told();
    assert!(told[0].contains("claim 1/1: leader n3"), "{told:#?}");
    assert!(told[1..].iter().all(|order| order.contains("claim 1/1 again")), "{told:#?}");
}

#[test]
fn claims_of_long_ago_slow_no_new_ones() {
    let mut scene = led_by_n1(&[1]);
    scene.silent = vec![n(1)];
    scene.pass(5_000);
    assert!(scene.told().len() > 3, "each comes later than the one before");
    // It lived all the time.
    scene.silent = Vec::new();
    scene.pass(61_000);
    scene.check(&[]);
    scene.silent = vec![n(1)];
    scene.pass(1_450);
    let told = scene.told();
    assert!(!told[0].contains("again"), "{told:#?}");
    assert!(told.len() == 2 && told[1].contains("again"), "{told:#?}");
}

#[test]
fn a_replica_that_claims_already_is_left_alone() {
    let mut scene = led_by_n1(&[1]);
    scene.silent = vec![n(1)];
    scene.pass(1_000);
    scene.check(&["3000 claim 1/1"]);
    let busy = scene.shown.views[&p(1)].clone();
    scene.show(p(1), PartitionView { duty: Duty::Neither, ..busy.clone() });
    scene.pass(1_000);
    scene.check(&[]);
    // Its claim was lost, and no other node leads.
    scene.show(p(1), busy);
    scene.pass(0);
    scene.check(&["4000 claim 1/1 again"]);
}

#[test]
fn a_claim_that_no_replica_took_is_made_again_at_the_next_tick() {
    let mut scene = led_by_n1(&[1]);
    scene.silent = vec![n(1)];
    scene.pass(1_000);
    scene.check(&["3000 claim 1/1"]);
    scene.on(WatchEvent::ClaimNotTaken { partition: p(1) });
    scene.pass(49);
    scene.check(&[]);
    scene.pass(1);
    scene.check(&["3050 claim 1/1 again"]);
}

#[test]
fn own_claims_hold_back_the_next_one() {
    let mut scene = led_by_n1(&[1]);
    for _ in 0..3 {
        scene.claim(p(1), ME);
        scene.pass(1);
    }
    scene.claim(p(1), n(3));
    scene.silent = vec![n(1), n(3)];
    // Its third own claim, at 2,002, holds it back for two seconds; n3 is dead at 3,000.
    scene.pass(1_998);
    scene.check(&[]);
    scene.pass(1);
    scene.check(&["4002 claim 1/1: leader n3"]);
}

#[test]
fn own_claims_that_are_forgotten_hold_back_less() {
    let mut scene = led_by_n1(&[1]);
    for wait_ms in [10_000, 10_000, 40_000 - 1_500, 0] {
        scene.claim(p(1), ME);
        scene.pass(wait_ms);
        scene.check(&[]);
        scene.claim(p(1), n(3));
        scene.pass(1);
    }
    // Four own claims hold back the next one for 4 s after the last, at 60,503; but the first is
    // forgotten at 62,000, and three hold it back for 2 s.
    scene.silent = vec![n(1), n(3)];
    scene.pass(1_998);
    scene.check(&[]);
    scene.pass(1);
    scene.check(&["62503 claim 1/1: leader n3"]);
}

#[test]
fn a_node_that_trusts_itself_again_waits_no_longer() {
    let mut scene = Scene::new();
    let view = led_by(&fresh(), n(1), scene.now, ME);
    scene.place(p(1), &[1, 3, 2], view);
    scene.pass(1_000);
    scene.silent = vec![n(1)];
    // One strike: n1 is dead at 4,000, and n3 would be the first to claim.
    scene.on(WatchEvent::Observed(Evidence::OwnStore { took_ms: 501 }));
    scene.pass(2_010);
    scene.check(&[]);
    scene.on(WatchEvent::Observed(Evidence::OwnStore { took_ms: 1 }));
    scene.pass(0);
    scene.check(&["4010 claim 1/1: leader n1 silent for 2010 ms (limit 1000 ms"]);
}

#[test]
fn a_named_successor_claims_as_soon_as_it_hears_of_it() {
    let mut scene = led_by_n1(&[1]);
    scene.pass(13);
    let before = scene.shown.views[&p(1)].clone();
    let at = scene.now;
    let leadership = Some(Leadership::SteppedDown { by: n(1), to: Some(ME), at });
    scene.show(p(1), PartitionView { leadership, ..before });
    scene.pass(0);
    scene.check(&["2013 claim 1/1: leader n1 stepped down in favour of n2"]);
}

#[test]
fn a_new_partition_is_claimed_once_its_log_has_begun() {
    let mut scene = Scene::new();
    scene.pass(1_000);
    scene.on(WatchEvent::Placed { partition: p(1), placement: placement(&[2, 1, 3]) });
    scene.pass(1_000);
    scene.check(&[]);
    scene.show(p(1), fresh());
    scene.pass(0);
    scene.check(&["3000 claim 1/1: it has never been led"]);
}

#[test]
fn nothing_is_claimed_that_was_withdrawn() {
    let mut scene = led_by_n1(&[1, 2]);
    scene.on(WatchEvent::Withdrawn { partition: p(1) });
    scene.silent = vec![n(1)];
    scene.pass(1_000);
    scene.check(&["3000 claim 1/2"]);
    scene.on(WatchEvent::Withdrawn { partition: p(2) });
    scene.pass(1_000);
    scene.check(&[]);
    assert_eq!(scene.decisions_in(1_000), 0);
}

#[test]
fn who_has_no_room_claims_last_unless_it_has_room_again() {
    let mut scene = led_by_n1(&[1]);
    scene.on(WatchEvent::StoreFull(true));
    scene.silent = vec![n(1)];
    scene.pass(1_299);
    scene.check(&[]);
    scene.pass(1);
    scene.check(&["3300 claim 1/1"]);

    let mut scene = led_by_n1(&[1]);
    scene.on(WatchEvent::StoreFull(true));
    scene.silent = vec![n(1)];
    scene.pass(1_100);
    scene.check(&[]);
    scene.on(WatchEvent::StoreFull(false));
    scene.pass(0);
    scene.check(&["3100 claim 1/1"]);
}

#[test]
fn logs_wait_for_a_node_that_is_silent_for_a_quarter_of_an_hour_at_most() {
    let mut scene = led_by_n1(&[1]);
    scene.silent = vec![n(1)];
    scene.pass(15 * 60 * 1_000 - 1);
    assert_eq!(scene.watch.away(), []);
    scene.pass(1);
    assert_eq!(scene.watch.away(), [n(1)]);
    // A node that hears none, itself included, counts no node as away, and none as back.
    scene.silent = vec![n(1), ME, n(3)];
    scene.pass(15 * 60 * 1_000 + 1_000);
    assert_eq!(scene.watch.away(), [n(1)]);
    scene.silent = vec![n(1)];
    scene.pass(250);
    assert_eq!(scene.watch.away(), [n(1)]);
    scene.silent = vec![n(3)];
    scene.pass(250);
    assert_eq!(scene.watch.away(), []);
}

#[test]
fn a_candidate_that_catches_up_gets_its_turn_earlier() {
    let mut scene = led_by_n1(&[1]);
    scene.shown.views.get_mut(&p(1)).expect("it is placed").lag_records = 10_001;
    scene.silent = vec![n(1)];
    scene.pass(1_020);
    scene.check(&[]);
    // Progress is no event.
    scene.shown.views.get_mut(&p(1)).expect("it is placed").lag_records = 10_000;
    scene.pass(100);
    scene.check(&["3050 claim 1/1"]);
}

#[test]
fn beats_keep_their_pace_and_make_up_for_nothing() {
    let mut scene = Scene::new();
    scene.pass(600);
    assert_eq!(scene.beats, [1_000, 1_250, 1_500].map(Millis));
    // Late by less than an interval, and by more.
    scene.now = Millis(1_800);
    scene.pass(200);
    assert_eq!(scene.beats[3..], [1_800, 2_000].map(Millis));
    scene.now = Millis(2_600);
    scene.pass(300);
    assert_eq!(scene.beats[5..], [2_600, 2_750].map(Millis));
}

#[test]
fn a_stream_that_is_silent_for_its_reader_makes_no_node_look_dead() {
    let mut scene = led_by_n1(&[1]);
    scene.silent = vec![n(1), ME, n(3)];
    scene.pass(3_000);
    // The last own beat came back at 2,000.
    scene.check(&[
        "2550 own beats do not come back on 1 of 1 beat streams",
        "4550 leave 1: own beats do not come back, so leader n1 cannot be judged",
    ]);
    // From 5,250 on it speaks again, and n1 does not: now its silence counts.
    scene.silent = vec![n(1)];
    scene.pass(1_249);
    scene.check(&["5300 hears itself"]);
    scene.pass(1);
    scene.check(&["6250 claim 1/1: leader n1 silent for 4250 ms (limit 1000 ms"]);
}

#[test]
fn a_handoff_needs_no_beats() {
    let mut scene = led_by_n1(&[1]);
    scene.silent = vec![n(1), ME, n(3)];
    scene.pass(2_000);
    scene.check(&["2550 own beats"]);
    let before = scene.shown.views[&p(1)].clone();
    let leadership = Some(Leadership::SteppedDown { by: n(1), to: Some(ME), at: scene.now });
    scene.show(p(1), PartitionView { leadership, ..before });
    scene.pass(0);
    scene.check(&["4000 claim 1/1: leader n1 stepped down in favour of n2"]);
}

#[test]
fn a_failed_append_makes_the_node_sick_until_one_succeeds_or_it_is_long_ago() {
    let mut scene = led_for_n1(1);
    scene.on(WatchEvent::Observed(Evidence::OwnAppendFailed));
    scene.pass(300);
    // Its only leadership goes to the first that is alive and close.
    scene.check(&[
        "2000 sick: appends to the log fail",
        "2050 hand 1/0 to n1: appends to the log fail",
    ]);
    scene.on(WatchEvent::Observed(Evidence::OwnAppend { took_ms: 1 }));
    scene.pass(100);
    scene.check(&["2300 well"]);
    scene.on(WatchEvent::Observed(Evidence::OwnAppendFailed));
    scene.pass(2_100);
    scene.check(&["2400 sick: appends to the log fail", "4450 well"]);
}

#[test]
fn an_answer_that_is_not_awaited_is_ignored() {
    let mut scene = Scene::new();
    scene.pass(10);
    scene.on(WatchEvent::ClaimNotTaken { partition: p(9) });
    scene.on(WatchEvent::HandOffEnded);
    scene.pass(200);
    scene.check(&[]);
}

#[test]
fn time_alone_touches_no_partition() {
    let mut scene = Scene::new();
    for number in 0..100_000 {
        let (first, second) = (1 + number % 3, 1 + (number + 1) % 3);
        let view = led_by(&fresh(), n(first), scene.now, ME);
        scene.place(p(number), &[first, second, 6 - first - second], view);
    }
    scene.pass(1_000);
    assert_eq!(scene.decisions_in(60_000), 0);
    // One node dies: its partitions are looked at, and no others.
    scene.silent = vec![n(1)];
    scene.pass(900);
    let before = scene.watch.decisions_taken();
    scene.pass(100);
    assert_eq!(scene.watch.decisions_taken() - before, 33_334);
    assert_eq!(scene.orders.len(), 33_334);
    // One partition changes.
    scene.claim(p(0), n(3));
    let before = scene.watch.decisions_taken();
    scene.pass(0);
    assert_eq!(scene.watch.decisions_taken() - before, 1);
}

#[test]
fn leaderships_are_handed_back_one_at_a_time_and_paced() {
    let mut scene = led_for_n1(3);
    // n1 was first heard of at 1,000.
    scene.pass(8_999);
    scene.check(&[]);
    scene.pass(1);
    scene.check(&["11000 hand 1/0 to n1: the preferred leader has been alive for 10000 ms"]);
    scene.pass(500);
    scene.check(&[]);
    scene.claim(p(0), n(1));
    scene.on(WatchEvent::HandOffEnded);
    scene.pass(50);
    scene.check(&["11550 hand 1/1 to n1"]);
    scene.claim(p(1), n(1));
    scene.on(WatchEvent::HandOffEnded);
    scene.pass(199);
    scene.check(&[]);
    scene.pass(1);
    scene.check(&["11750 hand 1/2 to n1"]);
}

#[test]
fn the_search_for_a_close_successor_is_bounded_and_goes_on() {
    let mut scene = led_for_n1(20);
    for lags in scene.shown.follower_lags.values_mut() {
        lags.insert(n(1), 101);
    }
    scene.pass(9_000);
    // Three ticks see all of them, and then it begins anew.
    assert_eq!(scene.decisions_in(3 * 50), 20);
    assert_eq!(scene.decisions_in(30 * 50), 200);
    scene.check(&[]);
    scene.shown.follower_lags.insert(p(13), [(n(1), 100)].into());
    scene.pass(150);
    let told = scene.told();
    assert!(told.len() == 1 && told[0].contains("hand 1/13 to n1"), "{told:#?}");
}

#[test]
fn time_never_goes_back() {
    let mut scene = led_by_n1(&[1]);
    let wake_at = scene.watch.wake_at();
    scene.now = Millis(0);
    scene.on(WatchEvent::Observed(Evidence::OwnAppend { took_ms: 1 }));
    let mut orders = Vec::new();
    scene.watch.look(Millis(0), &mut scene.shown, &mut orders);
    assert_eq!((scene.watch.wake_at(), orders), (wake_at, Vec::new()));
}

#[test]
fn a_restarted_leader_is_noticed_at_once() {
    let mut scene = led_by_n1(&[1]);
    scene.pass(20);
    scene.on(WatchEvent::Observed(beat(n(1), 2, 1)));
    scene.pass(0);
    scene.check(&[]);
    // n1, in its new life, is the first candidate, and does not claim.
    scene.pass(150);
    scene.check(&["2170 claim 1/1: leader n1 has restarted"]);
}

/// Gossip says something of n1.
fn gossip(scene: &mut Scene, opinion: PeerOpinion) {
    let gossip = Evidence::Gossip { node: n(1), incarnation: NodeIncarnation(1), opinion };
    scene.on(WatchEvent::Observed(gossip));
}

#[test]
fn a_leader_that_only_peers_miss_is_asked_once_and_then_replaced() {
    let mut scene = Scene::new();
    scene.place(p(1), &[1, 2, 3], led_by(&fresh(), n(1), Millis(1_000), ME));
    scene.place(p(2), &[1, 2, 3], led_by(&fresh(), n(1), Millis(1_000), ME));
    scene.pass(1_000);
    scene.told();
    gossip(&mut scene, PeerOpinion::Down);
    scene.pass(3_100);
    scene.check(&[
        "2000 ask n1 about 1/1: leader n1 beats, but gossip says that it is down",
        "2000 ask n1 about 1/2: leader n1 beats, but gossip says that it is down",
        "2050 leave 2: leader n1 is given time to step down",
        "5000 claim 1/1: leader n1 beats, but gossip says that it is down",
        "5000 claim 1/2: leader n1 beats, but gossip says that it is down",
    ]);
}

#[test]
fn a_leader_that_peers_reach_again_is_left_alone() {
    let mut scene = Scene::new();
    scene.place(p(1), &[1, 2, 3], led_by(&fresh(), n(1), Millis(1_000), ME));
    scene.pass(1_000);
    scene.told();
    gossip(&mut scene, PeerOpinion::Down);
    scene.pass(2_000);
    gossip(&mut scene, PeerOpinion::Alive);
    scene.pass(5_000);
    scene.check(&["2000 ask n1", "2050 leave 1"]);
}

#[test]
fn what_keeps_a_node_from_claiming_is_told_if_it_lasts() {
    let mut scene = Scene::new();
    let joins = PartitionView { claimants: vec![n(1), n(3)], ..fresh() };
    for number in 1..=3 {
        let view = led_by(&joins, n(1), Millis(1_000), ME);
        scene.place(p(number), &[1, 2, 3], view);
    }
    scene.pass(1_000);
    scene.told();
    scene.silent.push(n(1));
    scene.pass(5_000);
    scene.check(&["5000 leave 3: this node's replica is not in the replica set"]);
}

#[test]
fn a_leader_that_gossip_alone_misses_is_left_alone_and_that_is_told_once() {
    let mut scene = Scene::new();
    for number in 1..=3 {
        scene.place(p(number), &[1, 2, 3], led_by(&fresh(), n(1), Millis(1_000), ME));
    }
    scene.pass(1_000);
    scene.told();
    let speaks = |scene: &mut Scene| {
        scene.on(WatchEvent::Observed(Evidence::PeerHeard { node: n(1) }));
    };
    speaks(&mut scene);
    gossip(&mut scene, PeerOpinion::Down);
    for _ in 0..20 {
        speaks(&mut scene);
        scene.pass(250);
    }
    scene.check(&["4000 leave 3: leader n1 works, although gossip counts it as down"]);
    // It is not heard of any longer.
    scene.pass(1_000);
    scene.check(&["7750 ask n1", "7750 ask n1", "7750 ask n1", "7750 leave 3: leader n1 is given"]);
}

#[test]
fn a_silence_that_cannot_be_judged_is_told_with_the_partitions_that_it_concerns() {
    let mut scene = led_by_n1(&[1, 2]);
    scene.silent = vec![n(1), ME];
    scene.pass(5_000);
    let told = scene.told();
    let left = "leave 2: own beats do not come back, so leader n1 cannot be judged";
    assert_eq!(told.iter().filter(|told| told.contains(left)).count(), 1, "{told:#?}");
    assert!(!told.iter().any(|told| told.contains("claim")), "{told:#?}");
}

#[test]
fn a_node_that_no_peer_answers_says_so() {
    let mut scene = led_by_n1(&[1]);
    scene.on(WatchEvent::Observed(Evidence::GossipReach { answering: 0, members: 2 }));
    scene.pass(1_100);
    scene.check(&["3000 cut off"]);
    scene.on(WatchEvent::Observed(Evidence::GossipReach { answering: 1, members: 2 }));
    scene.pass(100);
    scene.check(&["3100 among peers"]);
}
