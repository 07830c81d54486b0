//! What a node thinks of another one, after what it has observed.

use super::*;
use crate::settings::RawSettings;
use cortado_model::{BeatStream, WallMillis};
use proptest::prelude::*;

const ME: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);

const LIFE: NodeIncarnation = NodeIncarnation(1);
const S0: BeatStream = BeatStream(0);
const S1: BeatStream = BeatStream(1);

fn detector_of(streams: u32) -> Detector {
    let settings = RawSettings::default().validate().expect("defaults are valid");
    Detector::new(ME, LIFE, streams, settings)
}

fn detector() -> Detector {
    detector_of(1)
}

/// A beat of another node; of an own one, what matters besides is its count.
fn beat(node: NodeId, incarnation: u64) -> Evidence {
    counted(S0, node, incarnation, 1)
}

fn counted(stream: BeatStream, node: NodeId, incarnation: u64, count: u64) -> Evidence {
    let incarnation = NodeIncarnation(incarnation);
    let beat = Beat { node, incarnation, count, time: WallMillis(0) };
    Evidence::Beat { stream, beat }
}

/// Sends an own beat, which comes back at once.
fn beat_and_hear(detector: &mut Detector, now: Millis) {
    let count = detector.send_beat(now);
    detector.observe(now, counted(S0, ME, LIFE.0, count));
}

/// After own beats at these moments, which come back at once, and other evidence.
fn observed(own: &[u64], evidence: &[(u64, Evidence)]) -> Detector {
    let mut detector = detector();
    let mut all: Vec<_> = own.iter().map(|at| (*at, None)).collect();
    all.extend(evidence.iter().map(|(at, evidence)| (*at, Some(*evidence))));
    all.sort_by_key(|(at, _)| *at);
    for (at, evidence) in all {
        match evidence {
            Some(evidence) => detector.observe(Millis(at), evidence),
            None => beat_and_hear(&mut detector, Millis(at)),
        }
    }
    detector
}

/// Every 250 ms from `from` to `to`, both included.
fn every_beat(from: u64, to: u64) -> Vec<u64> {
    (from..=to).step_by(250).collect()
}

/// The standing of the other node, as a word.
#[track_caller]
fn check(evidence: &[(u64, Evidence)], own: (u64, u64), at: u64, want: &str) {
    let detector = observed(&every_beat(own.0, own.1), evidence);
    let got = match detector.standing(Millis(at), OTHER) {
        Standing::Alive => "alive".to_owned(),
        Standing::Silent { since } => format!("silent since {}", since.0),
        Standing::Dead(death) => format!("dead at {}: {death}", death.at.0),
        Standing::Unknown => "unknown".to_owned(),
    };
    assert_eq!(got, want);
}

#[test]
fn silence_is_death_after_the_limit() {
    let last = [(1_000, beat(OTHER, 1))];
    check(&last, (0, 1_500), 1_500, "alive");
    check(&last, (0, 1_500), 1_501, "silent since 1000");
    check(&last, (0, 1_750), 1_999, "silent since 1000");
    let dead = "dead at 2000: silent for 1000 ms (limit 1000 ms, 4 beats missed)";
    check(&last, (0, 2_000), 2_000, dead);
}

#[test]
fn records_of_a_partition_are_signs_of_life_too() {
    let record = |incarnation| Evidence::PartitionRecord {
        node: OTHER,
        incarnation: NodeIncarnation(incarnation),
    };
    let last = (1_000, beat(OTHER, 5));
    check(&[last, (1_900, record(5))], (0, 2_000), 2_100, "alive");
    // But not those of a process that has been replaced.
    let dead = "dead at 2000: silent for 1100 ms (limit 1000 ms, 4 beats missed)";
    check(&[last, (1_900, record(4))], (0, 2_000), 2_100, dead);
}

#[test]
fn a_node_never_heard_of_dies_as_slowly_as_any() {
    check(&[], (0, 750), 999, "unknown");
    let dead = "dead at 1000: never heard of in 1000 ms (limit 1000 ms, 4 beats missed)";
    check(&[], (0, 1_000), 1_000, dead);
}

#[test]
fn silence_means_nothing_while_own_beats_do_not_come_back() {
    let last = [(1_000, beat(OTHER, 1))];
    check(&last, (0, 1_000), 9_000, "silent since 1000");
    check(&[], (9_000, 8_000), 9_000, "unknown");
    // They come again: the time before does not count.
    let own = [every_beat(0, 1_000), every_beat(5_000, 6_000)].concat();
    let detector = observed(&own, &last);
    assert!(matches!(detector.standing(Millis(5_999), OTHER), Standing::Silent { .. }));
    let Standing::Dead(death) = detector.standing(Millis(6_000), OTHER) else {
        panic!("it is dead");
    };
    assert_eq!((death.at, death.silent_ms), (Millis(6_000), 5_000));
}

#[test]
fn what_delays_a_stream_for_all_makes_no_node_look_dead() {
    // Every node beats every 250 ms; nothing is heard for `stall_ms`, then the own beat first.
    for stall_ms in [400, 500, 501, 740, 900, 2_000, 60_000] {
        for phase_ms in [0, 1, 100, 249] {
            let others: Vec<_> = (0..=19).map(|i| (i * 250 + phase_ms, beat(OTHER, 1))).collect();
            let again = 5_000 + stall_ms;
            let own = [every_beat(0, 5_000), vec![again]].concat();
            let standing = observed(&own, &others).standing(Millis(again), OTHER);
            assert!(!matches!(standing, Standing::Dead(_)), "{stall_ms} {phase_ms} {standing:?}");
        }
    }
}

/// Which nodes are away at `now`, after own beats that came back every 250 ms, but for the 750 ms
/// before each of these moments.
#[track_caller]
fn check_away(gaps: &[u64], evidence: &[(u64, Evidence)], now: u64, want: &[NodeId]) {
    let mut detector = detector();
    let mut evidence = evidence.iter().peekable();
    for at in every_beat(0, now) {
        while let Some((heard_at, sign)) = evidence.next_if(|(heard_at, _)| *heard_at <= at) {
            detector.observe(Millis(*heard_at), *sign);
        }
        if !gaps.iter().any(|end| (end - 750..*end).contains(&at)) {
            beat_and_hear(&mut detector, Millis(at));
        }
        detector.judge_absence(Millis(at), OTHER);
    }
    assert_eq!(detector.away(), want);
}

#[test]
fn a_node_is_away_until_a_sign_of_life() {
    let last = [(1_000, beat(OTHER, 1))];
    check_away(&[], &last, 1_000 + AWAY_MS - 250, &[]);
    check_away(&[], &last, 1_000 + AWAY_MS, &[OTHER]);
    // A gap between own beats is no sign of life of others.
    check_away(&[2_000 + AWAY_MS], &last, 2_000 + AWAY_MS, &[OTHER]);
    let back = [last[0], (2_000 + AWAY_MS, beat(OTHER, 1))];
    check_away(&[], &back, 2_000 + AWAY_MS, &[]);
    // A beat of a process that has been replaced does not count as one, either.
    let late = [(1_000, beat(OTHER, 2)), (2_000 + AWAY_MS, beat(OTHER, 1))];
    check_away(&[], &late, 2_000 + AWAY_MS, &[OTHER]);
}

#[test]
fn a_node_never_heard_of_is_away_however_often_this_one_stalls() {
    let gaps: Vec<u64> = (60_000..=AWAY_MS).step_by(60_000).collect();
    check_away(&gaps, &[], AWAY_MS + 750, &[]);
    check_away(&gaps, &[], AWAY_MS + 1_000, &[OTHER]);
}

/// Whether silence is judged at 1,000 ms after beats every 250 ms, of which those with these counts
/// have come back on each of two streams, so long after they were sent.
#[track_caller]
fn check_streams(back: [&[(u64, u64)]; 2], hears_itself: bool, silent: Option<u32>) {
    let mut detector = detector_of(2);
    for now in 0..=1_000 {
        if now % 250 == 0 {
            detector.send_beat(Millis(now));
        }
        for (stream, back) in [S0, S1].into_iter().zip(back) {
            for (count, _) in back.iter().filter(|(count, ms)| (count - 1) * 250 + ms == now) {
                detector.observe(Millis(now), counted(stream, ME, LIFE.0, *count));
            }
        }
    }
    let now = Millis(1_000);
    assert_eq!(detector.hears_itself(now), hears_itself);
    let silence = silent.map(|streams| OwnSilence { streams, of: 2 });
    assert_eq!(detector.own_silence(now), silence);
    let said = detector.dead_from(now, OTHER).is_some();
    assert_eq!(said, hears_itself, "a node that does not hear itself judges no other");
}

#[test]
fn own_beats_must_come_back_on_every_stream_and_in_time() {
    let all = [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0)];
    check_streams([&all, &all], true, None);
    check_streams([&all[..3], &all], true, None); // The last one came 500 ms ago.
    check_streams([&all[..2], &all], false, Some(1));
    check_streams([&all, &[]], false, Some(1));
    check_streams([&[], &[]], false, Some(2));
    // One that took longer than two intervals is of no use.
    check_streams([&all, &[(1, 500), (2, 500), (3, 500)]], true, None);
    check_streams([&all, &[(1, 501), (2, 501)]], false, Some(1));
    // Nor is one that was never sent.
    check_streams([&all, &[(9, 0)]], false, Some(1));
}

#[test]
fn beats_of_an_earlier_life_prove_nothing() {
    let mut detector = detector();
    detector.send_beat(Millis(100));
    detector.observe(Millis(100), counted(S0, ME, LIFE.0 - 1, 1));
    assert!(!detector.hears_itself(Millis(100)));
    // Beats on an unknown stream do not count.
    detector.observe(Millis(100), counted(S1, ME, LIFE.0, 1));
    assert!(!detector.hears_itself(Millis(100)));
    detector.observe(Millis(100), counted(S0, ME, LIFE.0, 1));
    assert!(detector.hears_itself(Millis(100)));
}

#[test]
fn a_beat_on_any_stream_is_a_sign_of_life() {
    let mut detector = detector_of(2);
    for now in (0..=4_000).step_by(250).map(Millis) {
        let count = detector.send_beat(now);
        detector.observe(now, counted(S0, ME, LIFE.0, count));
        detector.observe(now, counted(S1, ME, LIFE.0, count));
        detector.observe(now, counted(S1, OTHER, 1, count));
    }
    assert_eq!(detector.standing(Millis(4_000), OTHER), Standing::Alive);
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
    let (waits, hangs) =
        (Evidence::OwnAppendWaits { waited_ms: 500 }, Evidence::OwnAppendWaits { waited_ms: 501 });
    check_health(&[slow, waits], 2_000, None);
    check_health(&[hangs, hangs, hangs], 4_000, Some(Sickness::AppendsSlow));
    check_health(&[Evidence::OwnAppendFailed, waits], 2_000, Some(Sickness::AppendsFail));
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
fn what_was_felt_long_ago_says_nothing() {
    let mut detector = detector();
    detector.observe(Millis(0), Evidence::OwnAppendFailed);
    detector.observe(Millis(500), Evidence::OwnStore { took_ms: 501 });
    // Ticks go on, and nothing is appended or applied.
    let mut after = |now| {
        detector.observe(Millis(now), Evidence::Lateness { late_ms: 0 });
        (detector.sickness(), detector.limit_ms())
    };
    assert_eq!(after(2_000), (Some(Sickness::AppendsFail), 3_000));
    assert_eq!(after(2_001), (None, 2_000));
    assert_eq!(after(2_501), (None, 1_000));
}

#[test]
fn a_new_life_is_noticed_and_an_old_one_ignored() {
    let lives = [(100, 3), (900, 4), (1_000, 3), (1_100, 4)];
    let detector = observed(&[], &lives.map(|(at, life)| (at, beat(OTHER, life))));
    assert_eq!(detector.incarnation(OTHER), Some((NodeIncarnation(4), Millis(900))));
    assert_eq!(detector.alive_since(Millis(1_200), OTHER), Some(Millis(900)));
    assert_eq!(detector.incarnation(NodeId(9)), None);
}

#[test]
fn a_long_silence_starts_life_anew() {
    let alive_since = |times: &[u64], at| {
        let heard: Vec<_> = times.iter().map(|at| (*at, beat(OTHER, 1))).collect();
        observed(&[], &heard).alive_since(Millis(at), OTHER)
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
            let (at, count) = (i as u64 * 250, i as u64 + 1);
            all.push((at + mine, counted(S0, ME, LIFE.0, count)));
            all.push((at + others, counted(S0, OTHER, 1, count)));
        }
        let slow = |(at, took_ms)| (at, Evidence::OwnAppend { took_ms });
        all.extend(trouble.into_iter().map(slow));
        all.sort_by_key(|(at, _)| *at);
        let end = delays.len() as u64 * 250;
        let mut detector = detector();
        let mut next = all.into_iter().peekable();
        for now in (0..end).step_by(10) {
            if now % 250 == 0 {
                detector.send_beat(Millis(now));
            }
            while let Some((at, evidence)) = next.next_if(|(at, _)| *at <= now) {
                detector.observe(Millis(at), evidence);
            }
            let standing = detector.standing(Millis(now), OTHER);
            prop_assert!(!matches!(standing, Standing::Dead(_)), "{now} {standing:?}");
        }
    }
}
