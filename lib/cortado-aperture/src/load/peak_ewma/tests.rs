//! Peaks, decay and unknown endpoints.

use super::*;

const MS: u64 = 1_000_000;

fn took(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[track_caller]
fn check(metric: PeakEwma, cost: &Cost, ms: u64, outstanding: f64, want_ms: f64) {
    let got = metric.load(cost, Nanos(ms * MS), outstanding) / 1e6;
    assert!((got - want_ms).abs() < 1e-6 * want_ms.max(1.0), "{got} instead of {want_ms}");
}

#[test]
fn a_peak_counts_at_once_and_a_dip_with_time() {
    let metric = PeakEwma::new(took(1_000));
    let cost = metric.start();
    metric.finish(&cost, took(10), Nanos(10 * MS), Outcome::Success);
    check(metric, &cost, 10, 0.0, 10.0);
    check(metric, &cost, 10, 4.0, 50.0);
    metric.finish(&cost, took(200), Nanos(20 * MS), Outcome::Success);
    check(metric, &cost, 20, 0.0, 200.0);
    metric.finish(&cost, took(10), Nanos(120 * MS), Outcome::Ignored);
    let kept = (-0.1_f64).exp();
    check(metric, &cost, 120, 0.0, 200.0 * kept + 10.0 * (1.0 - kept));
}

#[test]
fn reading_changes_nothing() {
    let metric = PeakEwma::new(took(1_000));
    let [read, unread] = [metric.start(), metric.start()];
    for cost in [&read, &unread] {
        metric.finish(cost, took(100), Nanos(100 * MS), Outcome::Success);
    }
    (100..1_100)
        .for_each(|ms| check(metric, &read, ms, 0.0, 100.0 * (-(ms as f64 - 100.0) / 1e3).exp()));
    for cost in [&read, &unread] {
        metric.finish(cost, took(50), Nanos(1_100 * MS), Outcome::Success);
    }
    let load = |cost| metric.load(cost, Nanos(1_100 * MS), 0.0);
    assert_eq!(load(&read), load(&unread));
}

#[test]
fn an_unknown_endpoint_gets_one_request() {
    let metric = PeakEwma::default();
    let cost = metric.start();
    assert_eq!(metric.load(&cost, Nanos(5), 0.0), 0.0);
    assert!(metric.load(&cost, Nanos(5), 1.0) > 1e14);
}

/// A year of uptime costs no precision that matters.
#[test]
fn averages_survive_long_lives() {
    let metric = PeakEwma::default();
    let cost = metric.start();
    let year_ms = 365 * 24 * 3_600 * 1_000;
    metric.finish(&cost, took(10), Nanos(year_ms * MS), Outcome::Success);
    check(metric, &cost, year_ms, 0.0, 10.0);
}

/// The original's scripts. A pick there reads the load, and a read counts as the last time that
/// the average was seen; here only an answer does, so the test says when it was.
#[test]
fn golden_vectors() {
    let lines = include_str!("../../../testdata/aperture-vectors.tsv").lines();
    let mut count = 0;
    for line in lines.filter(|line| line.starts_with("ewma\t")) {
        let columns: Vec<_> = line.split('\t').collect();
        let [tau, script, want] = [columns[2], columns[3], columns[4]];
        let tau = Duration::from_nanos(tau.parse().expect("nanoseconds"));
        let got = replay(PeakEwma::new(tau), script);
        let want: Vec<f64> = want.split(',').map(|load| load.parse().expect("a load")).collect();
        assert_eq!(got.len(), want.len(), "{line}");
        for (got, want) in got.iter().zip(&want) {
            assert!((got - want).abs() <= 1e-9 * want.abs(), "{line}: {got} instead of {want}");
        }
        count += 1;
    }
    assert_eq!(count, 12);
}

/// Plays `s`, `e` and `q` events; answers the load at each `q`.
fn replay(metric: PeakEwma, script: &str) -> Vec<f64> {
    let cost = metric.start();
    let (mut seen, mut started, mut loads) = (0, std::collections::VecDeque::new(), Vec::new());
    for event in script.split(' ') {
        let (kind, at) = event.split_once('@').expect("kind@time");
        let at: u64 = at.parse().expect("nanoseconds");
        // Time never goes back there.
        let now = at.max(seen);
        match kind {
            "s" => started.push_back(at),
            "e" => {
                let start = started.pop_front().expect("a start");
                let rtt = Duration::from_nanos(at.saturating_sub(start));
                cost.observe(metric.decay, rtt, Nanos(seen), Nanos(now));
            }
            "q" => loads.push(metric.load(&cost, Nanos(now), started.len() as f64)),
            other => panic!("{other} is no event"),
        }
        seen = now;
    }
    loads
}
