//! The life of a balancer in virtual time.

use super::*;
use crate::coordinate::Coordinate;
use crate::outcome::Outcome;
use crate::subset::{APERTURE_DEFAULT, DeterministicAperture, Full};
use crate::weight::Weight;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Duration;

type Tested = Balancer<u32, u32>;

fn at_ms(ms: u64) -> Nanos {
    Nanos(ms * 1_000_000)
}

fn balancer(subsetter: impl Subsetter + 'static, settings: Settings) -> Tested {
    let order = RingOrder::of_group("tests");
    Balancer::new(order, subsetter, LeastLoaded, settings).expect("settings that fit")
}

/// Opens nothing ahead, so that every change shows at once.
fn lazy() -> Settings {
    Settings { openings_max: None, ..Settings::default() }
}

fn inserts(keys: impl IntoIterator<Item = u32>) -> Vec<Change<u32, u32>> {
    keys.into_iter().map(|key| Change::Insert(key, Weight::ONE, key)).collect()
}

fn settled(id: u32, peers: u32) -> Position {
    Position::Settled(Coordinate::new(id, peers).expect("below the count"))
}

fn aperture(balancer: &Tested) -> BTreeSet<u32> {
    balancer.shares().into_iter().map(|(key, _)| key).collect()
}

/// Opens what is asked for until nothing more is; answers in which order.
fn open_all(balancer: &Tested, now: Nanos, effects: Vec<Effect<u32>>) -> Vec<u32> {
    let mut queue: std::collections::VecDeque<_> = effects.into();
    let mut opened = Vec::new();
    while let Some(effect) = queue.pop_front() {
        if let Effect::Open(key) = effect {
            opened.push(key);
            queue.extend(balancer.opened(now, &key, true));
        }
    }
    opened
}

/// Fails every request to `down` that picks send there, `count` times.
fn send(balancer: &Tested, now: Nanos, count: usize, down: impl Fn(u32) -> bool) -> usize {
    let random = Random::new(now.0);
    let mut failures = 0;
    for _ in 0..count {
        let (endpoint, permit) = balancer.pick(now, &random).expect("endpoints");
        let is_down = down(*endpoint.key());
        failures += usize::from(is_down);
        permit.finish(now, if is_down { Outcome::Failure } else { Outcome::Success });
    }
    failures
}

#[test]
fn endpoints_come_and_go() {
    let balancer = balancer(Full, lazy());
    let random = Random::new(1);
    assert!(balancer.is_empty() && balancer.pick(at_ms(0), &random).is_none());
    balancer.update(at_ms(0), inserts(0..3));
    assert_eq!(aperture(&balancer), BTreeSet::from([0, 1, 2]));
    let (endpoint, permit) = balancer.pick(at_ms(0), &random).expect("endpoints");
    balancer.update(at_ms(1), (0..3).map(Change::Remove));
    assert!(balancer.is_empty() && balancer.pick(at_ms(1), &random).is_none());
    // What is under way ends as it ends.
    assert_eq!((endpoint.target(), endpoint.outstanding()), (endpoint.key(), 1));
    permit.finish(at_ms(2), Outcome::Success);
    assert_eq!(endpoint.outstanding(), 0);
    balancer.update(at_ms(3), inserts([7]));
    assert_eq!(aperture(&balancer), BTreeSet::from([7]));
    let report = balancer.report();
    assert_eq!((report.added, report.removed, report.endpoints), (4, 3, 1));
}

#[test]
fn what_changes_nothing_rebuilds_nothing() {
    let balancer = balancer(DeterministicAperture::default(), lazy());
    balancer.update(at_ms(0), inserts(0..50));
    balancer.stand_at(at_ms(0), settled(1, 10));
    let before = balancer.report();
    balancer.stand_at(at_ms(1), settled(1, 10));
    balancer.update(at_ms(1), [Change::Weigh(7, Weight::ONE), Change::Remove(777)]);
    for ms in 0..100 {
        balancer.tick(at_ms(ms));
    }
    assert_eq!(balancer.report(), before);
    balancer.stand_at(at_ms(200), settled(1, 11));
    assert_eq!(balancer.report().rebuilds, before.rebuilds + 1);
}

#[test]
fn shares_are_the_sectors() {
    let balancer = balancer(DeterministicAperture::default(), lazy());
    balancer.update(at_ms(0), inserts(0..18));
    assert_eq!(balancer.report().aperture, 18);
    balancer.stand_at(at_ms(0), settled(1, 4));
    let mut shares: Vec<f64> = balancer.shares().into_iter().map(|(_, share)| share).collect();
    shares.sort_by(f64::total_cmp);
    assert_eq!(shares.len(), 14);
    assert!((shares[0] * 2.0 - shares[1]).abs() < 1e-12);
    assert_eq!(balancer.report().laps, 3);
}

#[test]
fn load_is_remembered_when_only_a_weight_changes() {
    let balancer = balancer(Full, lazy());
    balancer.update(at_ms(0), inserts(0..3));
    let random = Random::new(5);
    let permits: Vec<_> = (0..30).map(|_| balancer.pick(at_ms(0), &random)).collect();
    balancer.update(at_ms(1), [Change::Weigh(1, Weight(5))]);
    assert_eq!(balancer.report().outstanding, 30);
    let share = balancer.shares().into_iter().find(|(key, _)| *key == 1).expect("there").1;
    assert!((share - 5.0 / 7.0).abs() < 1e-12);
    // Also under another target.
    balancer.update(at_ms(2), [Change::Insert(1, Weight::ONE, 99)]);
    assert_eq!(balancer.report().outstanding, 30);
    assert_eq!(balancer.target(&1), Some(99));
    drop(permits);
    assert_eq!(balancer.report().outstanding, 0);
}

#[test]
fn two_connections_are_opened_at_a_time() {
    let balancer = balancer(DeterministicAperture::default(), Settings::default());
    let first = balancer.update(at_ms(0), inserts(0..20));
    assert_eq!(first.len(), 2);
    let report = balancer.report();
    assert_eq!((report.opening, report.waiting), (2, 18));
    assert_eq!(report.aperture, 20, "the first aperture does not wait");
    let opened = open_all(&balancer, at_ms(1), first);
    assert_eq!(opened.iter().collect::<BTreeSet<_>>().len(), 20);
    // Only who is new is opened again.
    let effects = balancer.update(at_ms(2), inserts([20]));
    assert_eq!(effects, [Effect::Open(20)]);
    assert!(balancer.opened(at_ms(3), &5, true).is_empty(), "5 was not being opened");
    assert!(balancer.opened(at_ms(3), &20, true).is_empty());
}

/// A client that goes from one half of the ring to the other.
fn handing_over() -> (Tested, BTreeSet<u32>, Vec<Effect<u32>>) {
    let aperture_at = |id, peers| {
        let coordinate = Coordinate::new(id, peers).expect("below the count");
        DeterministicAperture::at(APERTURE_DEFAULT, coordinate)
    };
    let balancer = balancer(aperture_at(0, 2), Settings::default());
    let effects = balancer.update(at_ms(0), inserts(0..40));
    open_all(&balancer, at_ms(0), effects);
    let before = aperture(&balancer);
    assert_eq!(before.len(), 20);
    let effects = balancer.stand_at(at_ms(1), settled(1, 2));
    assert_eq!(aperture(&balancer), before);
    assert!(balancer.report().is_handing_over);
    (balancer, before, effects)
}

#[test]
fn the_next_aperture_is_connected_before_the_last_is_left() {
    let (balancer, before, effects) = handing_over();
    let opened = open_all(&balancer, at_ms(2), effects);
    assert_eq!(opened.len(), 20);
    assert!(aperture(&balancer).is_disjoint(&before));
    assert!(!balancer.report().is_handing_over);
}

#[test]
fn a_handover_counts_who_cannot_connect_as_done() {
    let (balancer, before, effects) = handing_over();
    let mut queue = effects;
    while let Some(Effect::Open(key)) = queue.pop() {
        queue.extend(balancer.opened(at_ms(2), &key, false));
    }
    assert!(aperture(&balancer).is_disjoint(&before));
    assert_eq!(balancer.report().alive, 0, "left alone for a while");
}

#[test]
fn a_handover_does_not_take_for_ever() {
    let (balancer, before, _) = handing_over();
    balancer.tick(at_ms(9_000));
    assert_eq!(aperture(&balancer), before);
    balancer.tick(at_ms(10_001));
    assert!(aperture(&balancer).is_disjoint(&before));
}

#[test]
fn a_handover_drops_who_is_gone_and_waits_for_no_dead() {
    let (balancer, before, _) = handing_over();
    let gone = *before.first().expect("twenty");
    balancer.update(at_ms(2), [Change::Remove(gone)]);
    assert!(!aperture(&balancer).contains(&gone));
    assert_eq!(aperture(&balancer).len(), 19);
    send(&balancer, at_ms(3), 3_000, |key| before.contains(&key));
    balancer.tick(at_ms(4));
    assert!(aperture(&balancer).is_disjoint(&before));
}

#[test]
fn idle_connections_outside_are_closed() {
    let (balancer, before, effects) = handing_over();
    let random = Random::new(5);
    let (held, permit) = balancer.pick(at_ms(2), &random).expect("endpoints");
    open_all(&balancer, at_ms(2), effects);
    assert!(balancer.tick(at_ms(1_000)).is_empty());
    assert!(balancer.tick(at_ms(150_999)).is_empty());
    let closed = balancer.tick(at_ms(151_000));
    assert_eq!(closed.len(), 19);
    assert!(!closed.contains(&Effect::Close(*held.key())), "it has a request");
    permit.finish(at_ms(151_000), Outcome::Success);
    assert!(balancer.tick(at_ms(152_000)).is_empty());
    assert_eq!(balancer.tick(at_ms(302_000)), [Effect::Close(*held.key())]);
    assert_eq!(balancer.report().expired, 20);
    // Who comes back is opened again.
    let effects = balancer.stand_at(at_ms(302_001), settled(0, 2));
    let opened: BTreeSet<u32> = open_all(&balancer, at_ms(302_002), effects).into_iter().collect();
    assert_eq!(opened, before);
}

#[test]
fn on_probation_who_works_stays() {
    let balancer = balancer(Full, Settings { probation: true, ..lazy() });
    balancer.update(at_ms(0), inserts(0..3));
    balancer.update(at_ms(1), (0..3).map(Change::Remove));
    balancer.tick(at_ms(2));
    assert_eq!(aperture(&balancer).len(), 3);
    send(&balancer, at_ms(3), 300, |key| key == 1);
    balancer.update(at_ms(4), inserts([2]));
    balancer.tick(at_ms(5));
    assert_eq!(aperture(&balancer), BTreeSet::from([0, 2]));
    send(&balancer, at_ms(6), 300, |key| key == 2);
    balancer.tick(at_ms(7));
    assert_eq!(aperture(&balancer), BTreeSet::from([0, 2]), "discovery has said that it is there");
}

#[test]
fn the_dead_get_nothing_while_others_live() {
    let balancer = balancer(Full, lazy());
    balancer.update(at_ms(0), inserts(0..10));
    send(&balancer, at_ms(1), 2_000, |key| key < 4);
    let failures = send(&balancer, at_ms(2), 10_000, |key| key < 4);
    // Four pairs of dead ones in a sequence: (4·3 / 10·9)^4 = 0.03 %.
    assert!(failures < 30, "{failures}");
    assert_eq!(balancer.report().alive, 6);
    assert!(balancer.wants_tick() && !balancer.wants_tick());
}

#[test]
fn an_aperture_that_is_down_widens_and_comes_back() {
    let coordinate = Coordinate::new(7, 50).expect("below the count");
    let subsetter = DeterministicAperture::at(APERTURE_DEFAULT, coordinate);
    let balancer = balancer(subsetter, lazy());
    balancer.update(at_ms(0), inserts(0..200));
    let usual = aperture(&balancer);
    send(&balancer, at_ms(1), 3_000, |key| usual.contains(&key));
    assert!(balancer.wants_tick());
    balancer.tick(at_ms(2));
    let widened = aperture(&balancer);
    assert!(widened.is_superset(&usual) && widened.len() == 24);
    assert_eq!((balancer.report().widening, balancer.report().laps), (1, 6));
    // One in 16 pairs of four is dead throughout; everyone else is served.
    let failures = send(&balancer, at_ms(3), 10_000, |key| usual.contains(&key));
    assert!(failures < 100, "{failures}");

    // The usual ones work again: each gets its try, and after a while the others are left.
    for ms in (10_000..40_000).step_by(100) {
        send(&balancer, at_ms(ms), 100, |_| false);
        balancer.tick(at_ms(ms));
    }
    assert_eq!(aperture(&balancer), usual);
    assert_eq!((balancer.report().widening, balancer.report().widenings), (0, 1));
}

/// Long before any endpoint has failed often enough to be left alone.
#[test]
fn a_client_with_few_requests_escapes_too() {
    let coordinate = Coordinate::new(7, 50).expect("below the count");
    let balancer = balancer(DeterministicAperture::at(APERTURE_DEFAULT, coordinate), lazy());
    balancer.update(at_ms(0), inserts(0..200));
    let usual = aperture(&balancer);
    for ms in (0..15_000).step_by(1_000) {
        send(&balancer, at_ms(ms), 1, |key| usual.contains(&key));
        balancer.tick(at_ms(ms));
    }
    let report = balancer.report();
    assert_eq!((report.widening, report.aperture, report.alive), (1, 24, 24));
    // One endpoint that fails now and then is no reason.
    let calm = self::balancer(DeterministicAperture::at(APERTURE_DEFAULT, coordinate), lazy());
    calm.update(at_ms(0), inserts(0..200));
    for ms in (0..15_000).step_by(1_000) {
        send(&calm, at_ms(ms), 4, |key| usual.first() == Some(&key));
        calm.tick(at_ms(ms));
    }
    assert_eq!(calm.report().widenings, 0);
}

#[test]
fn a_widening_is_bounded() {
    let coordinate = Coordinate::new(7, 50).expect("below the count");
    let balancer = balancer(DeterministicAperture::at(APERTURE_DEFAULT, coordinate), lazy());
    balancer.update(at_ms(0), inserts(0..200));
    for ms in (0..20_000).step_by(100) {
        send(&balancer, at_ms(ms), 1_000, |_| true);
        balancer.tick(at_ms(ms));
    }
    let report = balancer.report();
    assert_eq!((report.widening, report.aperture, report.alive), (3, 48, 0));
    assert!(report.panics > 0);
}

/// 40 % of the endpoints are down, scattered or side by side on the ring: every client is served.
#[test]
fn no_client_is_stranded_with_40_percent_down() {
    for (peers, endpoints) in [(100, 100), (100, 1_000), (300, 300), (13, 65)] {
        let order = RingOrder::of_group("tests");
        let mut ring: Vec<u32> = (0..endpoints).collect();
        ring.sort_by_key(|key| order.place(key));
        let count = ring.len() * 2 / 5;
        let beside: BTreeSet<u32> = ring[..count].iter().copied().collect();
        let is_scattered = |key: u32| crate::random::mix(u64::from(key)) % 5 < 2;
        for id in (0..peers).step_by(peers as usize / 13) {
            for is_beside in [true, false] {
                let is_down =
                    |key| if is_beside { beside.contains(&key) } else { is_scattered(key) };
                let failures = failures_after_an_outage(id, peers, endpoints, is_down);
                assert!(failures < 0.02, "{id} of {peers} x {endpoints}: {failures} fail");
            }
        }
    }
}

/// The part of requests that fail two seconds after some endpoints have gone down for good.
fn failures_after_an_outage(
    id: u32,
    peers: u32,
    endpoints: u32,
    is_down: impl Fn(u32) -> bool,
) -> f64 {
    let coordinate = Coordinate::new(id, peers).expect("below the count");
    let balancer = balancer(DeterministicAperture::at(APERTURE_DEFAULT, coordinate), lazy());
    balancer.update(at_ms(0), inserts(0..endpoints));
    for ms in (0..2_000).step_by(100) {
        send(&balancer, at_ms(ms), 400, &is_down);
        balancer.tick(at_ms(ms));
    }
    send(&balancer, at_ms(2_000), 5_000, &is_down) as f64 / 5_000.0
}

#[test]
fn a_clone_shares_everything() {
    let first = balancer(Full, lazy());
    let second = first.clone();
    first.update(at_ms(0), inserts(0..3));
    let random = Random::new(1);
    let picked = second.pick(at_ms(0), &random).expect("endpoints");
    assert_eq!(first.report().outstanding, 1);
    drop(picked);
    assert_eq!(second.report().outstanding, 0);
}

#[test]
fn settings_are_checked() {
    let accrual = crate::health::Accrual::default();
    let check = |accrual, want| {
        let settings = Settings { accrual: Some(accrual), ..Settings::default() };
        assert_eq!(settings.check(), want);
    };
    check(accrual, Ok(()));
    let none = crate::health::Accrual { failure_streak: 0, ..accrual };
    check(none, Err(SettingsError::NoFailures));
    let rate = crate::health::Accrual { success_rate_min: 1.5, ..accrual };
    check(rate, Err(SettingsError::BadSuccessRate));
    let crossed = crate::health::Accrual { pause_max: Duration::from_secs(1), ..accrual };
    check(crossed, Err(SettingsError::PausesCrossed));
    let many = Settings { openings_max: NonZeroUsize::new(100), ..Settings::default() };
    assert_eq!(many.check(), Ok(()));
}

/// A subsetter that is at it until it is told to go on.
struct Slow {
    begun: std::sync::mpsc::Sender<()>,
    go_on: std::sync::mpsc::Receiver<()>,
}

impl Subsetter for Slow {
    fn subset(&self, candidates: &[crate::Candidate], widening: crate::Widening) -> crate::Subset {
        self.begun.send(()).expect("the test waits for it");
        self.go_on.recv().expect("the test sends it");
        Full.subset(candidates, widening)
    }
}

#[test]
fn picks_go_on_while_a_subset_is_chosen() {
    let (begun, has_begun) = std::sync::mpsc::channel();
    let (may_go_on, go_on) = std::sync::mpsc::channel();
    may_go_on.send(()).expect("received below");
    let balancer = balancer(Slow { begun, go_on }, lazy());
    balancer.update(at_ms(0), inserts(0..3));
    has_begun.recv().expect("the first subset");
    let other = balancer.clone();
    std::thread::scope(|scope| {
        scope.spawn(move || other.update(at_ms(1), inserts(3..6)));
        has_begun.recv().expect("the second subset");
        assert_eq!(send(&balancer, at_ms(1), 1_000, |_| false), 0);
        assert_eq!(aperture(&balancer).len(), 3, "it is still being chosen");
        may_go_on.send(()).expect("received by the subsetter");
    });
    assert_eq!(aperture(&balancer).len(), 6);
}

#[test]
fn what_one_endpoint_has_not_taken_goes_to_the_best_of_the_others() {
    let accrual = crate::health::Accrual { failure_streak: 1, ..Default::default() };
    let balancer = balancer(Full, Settings { accrual: Some(accrual), ..lazy() });
    balancer.update(at_ms(0), inserts(0..4));
    let random = Random::new(1);
    let other = |now, spent: &[u32]| {
        let picked = balancer.pick_other(now, &random, |key| spent.contains(key));
        picked.map(|(endpoint, permit)| (*endpoint.key(), permit))
    };
    let fail = |key: u32| {
        let spent: Vec<u32> = (0..4).filter(|each| *each != key).collect();
        let (_, permit) = other(at_ms(0), &spent).expect("itself");
        permit.finish(at_ms(0), Outcome::Failure);
    };
    fail(0);
    // 0 fails, and 1 is busy.
    let held = other(at_ms(1), &[0, 2, 3]).expect("1");
    for _ in 0..20 {
        assert!(matches!(other(at_ms(1), &[2]), Some((3, _))));
        assert!(matches!(other(at_ms(1), &[2, 3]), Some((1, _))));
    }
    drop(held);
    // There is no better one left; that it works ends its pause.
    let (key, permit) = other(at_ms(2), &[1, 2, 3]).expect("0");
    assert_eq!((key, balancer.report().alive), (0, 3));
    permit.finish(at_ms(2), Outcome::Success);
    assert_eq!(balancer.report().alive, 4);
    assert!(other(at_ms(3), &[0, 1, 2, 3]).is_none());
}

/// What is sent in spite of a pause and fails neither ends nor prolongs it.
#[test]
fn a_failure_in_spite_of_a_pause_leaves_it_as_it_is() {
    let accrual = crate::health::Accrual { failure_streak: 1, ..Default::default() };
    let balancer = balancer(Full, Settings { accrual: Some(accrual), ..lazy() });
    balancer.update(at_ms(0), inserts(0..1));
    let random = Random::new(1);
    let pick = |now| balancer.pick_other(now, &random, |_| false).expect("the only one").1;
    for _ in 0..10 {
        pick(at_ms(0)).finish(at_ms(0), Outcome::Failure);
    }
    // The first pause takes 5 s at most.
    let probe = pick(at_ms(5_001));
    assert!(probe.is_probe());
    probe.finish(at_ms(5_002), Outcome::Success);
    assert_eq!(balancer.report().alive, 1);
}
