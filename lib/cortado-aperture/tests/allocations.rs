//! A pick allocates nothing, counted by the allocator itself.
//!
//! One test per process: what other threads allocate would count too.

use cortado_aperture::{
    Balancer, Change, FailureAware, Full, LeastLoaded, LoadMetric, Nanos, Outcome, PeakEwma,
    Random, RingOrder, Settings, Weight,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations, reallocations and deallocations of 10,000 picks and their ends.
fn allocations(endpoints: u32, metric: impl LoadMetric) -> usize {
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
    let region = Region::new(ALLOCATOR);
    (2..10_002).map(Nanos).for_each(pick);
    let stats = region.change();
    stats.allocations + stats.reallocations + stats.deallocations
}

#[test]
fn a_pick_allocates_nothing() {
    for endpoints in [1, 12, 100, 1_000] {
        assert_eq!(allocations(endpoints, LeastLoaded), 0);
        assert_eq!(allocations(endpoints, PeakEwma::default()), 0);
        assert_eq!(allocations(endpoints, FailureAware::new(PeakEwma::default())), 0);
    }
}
