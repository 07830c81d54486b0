//! What a node thinks of another one, after what it has observed.

use super::*;
use crate::settings::RawSettings;
use proptest::prelude::*;

const ME: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);

fn detector() -> Detector {
    Detector::new(ME, RawSettings::default().validate().expect("defaults are valid"))
}

fn heartbeat(node: NodeId, incarnation: u64) -> Evidence {
    Evidence::Heartbeat { node, incarnation: NodeIncarnation(incarnation) }
}

/// Own heartbeats every 250 ms from `from` to `to`, both included.
fn own_heartbeats(from: u64, to: u64) -> Vec<(u64, Evidence)> {
    (from..=to).step_by(250).map(|at| (at, heartbeat(ME, 1))).collect()
}

fn observed(mut evidence: Vec<(u64, Evidence)>) -> Detector {
    let mut detector = detector();
    evidence.sort_by_key(|(at, _)| *at);
    for (at, evidence) in evidence {
        detector.observe(Millis(at), evidence);
    }
    detector
}

/// The standing of the other node, as a word.
#[track_caller]
fn check(evidence: &[(u64, Evidence)], own: (u64, u64), at: u64, want: &str) {
    let mut all = own_heartbeats(own.0, own.1);
    all.extend_from_slice(evidence);
    let got = match observed(all).standing(Millis(at), OTHER) {
        Standing::Alive => "alive".to_owned(),
        Standing::Silent { since } => format!("silent since {}", since.0),
        Standing::Dead(death) => format!("dead at {}: {death}", death.at.0),
        Standing::Unknown => "unknown".to_owned(),
    };
    assert_eq!(got, want);
}

#[test]
fn silence_is_death_after_the_limit() {
    let last = [(1_000, heartbeat(OTHER, 1))];
    check(&last, (0, 1_500), 1_500, "alive");
    check(&last, (0, 1_500), 1_501, "silent since 1000");
    check(&last, (0, 1_750), 1_999, "silent since 1000");
    let dead = "dead at 2000: silent for 1000 ms (limit 1000 ms, 4 heartbeats missed)";
    check(&last, (0, 2_000), 2_000, dead);
}

#[test]
fn records_of_a_partition_are_signs_of_life_too() {
    let record = |incarnation| Evidence::PartitionRecord {
        node: OTHER,
        incarnation: NodeIncarnation(incarnation),
    };
    let beat = (1_000, heartbeat(OTHER, 5));
    check(&[beat, (1_900, record(5))], (0, 2_000), 2_100, "alive");
    // But not those of a process that has been replaced.
    let dead = "dead at 2000: silent for 1100 ms (limit 1000 ms, 4 heartbeats missed)";
    check(&[beat, (1_900, record(4))], (0, 2_000), 2_100, dead);
}

#[test]
fn a_node_never_heard_of_dies_as_slowly_as_any() {
    check(&[], (0, 750), 999, "unknown");
    let dead = "dead at 1000: never heard of in 1000 ms (limit 1000 ms, 4 heartbeats missed)";
    check(&[], (0, 1_000), 1_000, dead);
}

#[test]
fn silence_means_nothing_while_the_own_log_path_is_silent() {
    let last = [(1_000, heartbeat(OTHER, 1))];
    check(&last, (0, 1_000), 9_000, "silent since 1000");
    check(&[], (9_000, 8_000), 9_000, "unknown");
    // It works again: the time before does not count.
    let mut all = own_heartbeats(0, 1_000);
    all.extend(own_heartbeats(5_000, 6_000));
    all.push((1_000, heartbeat(OTHER, 1)));
    let detector = observed(all);
    assert!(matches!(detector.standing(Millis(5_999), OTHER), Standing::Silent { .. }));
    let Standing::Dead(death) = detector.standing(Millis(6_000), OTHER) else {
        panic!("it is dead");
    };
    assert_eq!((death.at, death.silent_ms), (Millis(6_000), 5_000));
}

#[test]
fn what_delays_the_log_for_all_makes_nobody_look_dead() {
    // Everybody writes every 250 ms; nothing at all is read for `stall_ms`, then one's own
    // heartbeat first.
    for stall_ms in [400, 500, 501, 740, 900, 2_000, 60_000] {
        for phase_ms in [0, 1, 100, 249] {
            let mut all = own_heartbeats(0, 5_000);
            all.extend((0..=19).map(|i| (i * 250 + phase_ms, heartbeat(OTHER, 1))));
            let again = 5_000 + stall_ms;
            all.push((again, heartbeat(ME, 1)));
            let standing = observed(all).standing(Millis(again), OTHER);
            assert!(!matches!(standing, Standing::Dead(_)), "{stall_ms} {phase_ms} {standing:?}");
        }
    }
}

/// The limit and the sickness after some observations of the node itself.
#[track_caller]
fn check_health(evidence: &[Evidence], limit_ms: u64, sickness: Option<Sickness>) {
    let mut detector = detector();
    for evidence in evidence {
        detector.observe(Millis(0), *evidence);
    }
    assert_eq!((detector.limit_ms(), detector.sickness()), (limit_ms, sickness));
}

#[test]
fn a_node_that_feels_bad_suspects_others_more_slowly() {
    let (slow, fast) = (Evidence::OwnAppend { took_ms: 501 }, Evidence::OwnAppend { took_ms: 500 });
    let (late, punctual) =
        (Evidence::Lateness { late_ms: 501 }, Evidence::Lateness { late_ms: 500 });
    let slow_store = Evidence::OwnStore { took_ms: 501 };
    check_health(&[], 1_000, None);
    check_health(&[fast, punctual], 1_000, None);
    check_health(&[slow], 2_000, None);
    check_health(&[slow, late], 3_000, None);
    check_health(&[slow, fast], 1_000, None);
    check_health(&[slow, slow, slow, slow], 4_000, Some(Sickness::AppendsSlow));
    check_health(&[slow_store; 3], 4_000, Some(Sickness::StoreSlow));
    check_health(&[late; 3], 4_000, Some(Sickness::Late));
    check_health(&[late, late, late, punctual], 3_000, None);
    check_health(&[Evidence::OwnAppendFailed], 2_000, Some(Sickness::AppendsFail));
    check_health(&[Evidence::OwnAppendFailed, fast], 1_000, None);
    check_health(&[Evidence::OwnStoreFailed], 2_000, Some(Sickness::StoreFails));
    let all = [slow, slow, slow, slow_store, slow_store, slow_store, late, late, late];
    check_health(&all, 10_000, Some(Sickness::AppendsSlow));
}

#[test]
fn a_new_life_is_noticed_and_an_old_one_ignored() {
    let detector = observed(vec![
        (100, heartbeat(OTHER, 3)),
        (900, heartbeat(OTHER, 4)),
        (1_000, heartbeat(OTHER, 3)),
        (1_100, heartbeat(OTHER, 4)),
    ]);
    assert_eq!(detector.incarnation(OTHER), Some((NodeIncarnation(4), Millis(900))));
    assert_eq!(detector.alive_since(Millis(1_200), OTHER), Some(Millis(900)));
    assert_eq!(detector.incarnation(NodeId(9)), None);
}

#[test]
fn a_long_silence_starts_life_anew() {
    let alive_since = |times: &[u64], at| {
        let heard = times.iter().map(|at| (*at, heartbeat(OTHER, 1))).collect();
        observed(heard).alive_since(Millis(at), OTHER)
    };
    assert_eq!(alive_since(&[0, 900, 1_800], 1_900), Some(Millis(0)));
    assert_eq!(alive_since(&[0, 900, 1_901], 1_950), Some(Millis(1_901)));
    assert_eq!(alive_since(&[0, 900], 1_401), None);
}

#[test]
fn a_node_never_suspects_itself() {
    assert_eq!(detector().standing(Millis(1_000_000), ME), Standing::Alive);
}

proptest! {
    /// A node that writes at least every 250 ms, give or take 200 ms, never counts as dead,
    /// whatever else goes on.
    #[test]
    fn a_living_node_is_never_called_dead(
        delays in prop::collection::vec((0..200_u64, 0..200_u64), 4..60),
        trouble in prop::collection::vec((0..15_000_u64, 0..5_000_u64), 0..20)
    ) {
        let mut all: Vec<_> = Vec::new();
        for (i, (mine, others)) in delays.iter().enumerate() {
            let at = i as u64 * 250;
            all.push((at + mine, heartbeat(ME, 1)));
            all.push((at + others, heartbeat(OTHER, 1)));
        }
        let slow = |(at, took_ms)| (at, Evidence::OwnAppend { took_ms });
        all.extend(trouble.into_iter().map(slow));
        all.sort_by_key(|(at, _)| *at);
        let end = delays.len() as u64 * 250;
        let mut detector = detector();
        let mut next = all.into_iter().peekable();
        for now in (0..end).step_by(10) {
            while let Some((at, evidence)) = next.next_if(|(at, _)| *at <= now) {
                detector.observe(Millis(at), evidence);
            }
            let standing = detector.standing(Millis(now), OTHER);
            prop_assert!(!matches!(standing, Standing::Dead(_)), "{now} {standing:?}");
        }
    }
}
