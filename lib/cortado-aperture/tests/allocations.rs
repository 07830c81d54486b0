//! A pick allocates nothing, counted by the allocator itself.
//!
//! Only this thread's: that which started the test allocates beside it whenever it gets a turn.

use cortado_aperture::{
    Balancer, Change, FailureAware, Full, LeastLoaded, LoadMetric, Nanos, Outcome, PeakEwma,
    Random, RingOrder, Settings, Weight,
};

/// Allocations of 10,000 picks and their ends, and how many more than the deallocations they are.
fn allocations(endpoints: u32, metric: impl LoadMetric) -> (u64, i64) {
    let order = RingOrder::of_group("tests");
    let settings = Settings { openings_max: None, ..Settings::default() };
    let balancer = Balancer::new(order, Full, metric, settings).expect("settings that fit");
    balancer.update(Nanos(0), (0..endpoints).map(|key| Change::Insert(key, Weight::ONE, ())));
    let random = Random::new(42);
    let pick = |now| {
        let (_, permit) = balancer.pick(now, &random).expect("endpoints");
        permit
            .finish(now, if now.0.is_multiple_of(9) { Outcome::Failure } else { Outcome::Success });
    };
    // A thread's first look at a snapshot makes its place in the list of readers.
    pick(Nanos(1));
    let counted = allocation_counter::measure(|| (2..10_002).map(Nanos).for_each(pick));
    (counted.count_total, counted.count_current)
}

#[test]
fn a_pick_allocates_nothing() {
    const NONE: (u64, i64) = (0, 0);
    for endpoints in [1, 12, 100, 1_000] {
        assert_eq!(allocations(endpoints, LeastLoaded), NONE);
        assert_eq!(allocations(endpoints, PeakEwma::default()), NONE);
        assert_eq!(allocations(endpoints, FailureAware::new(PeakEwma::default())), NONE);
    }
}
