//! What a pick costs, beside tower's, in one run: `cargo bench -p cortado-aperture`.
//!
//! The services do nothing, so that what is left is the balancer. Each figure is the least of many
//! short rounds, for tower as for us: on a machine that does other things too, a mean would be
//! theirs.

use cortado_aperture::service::{Background, Balance};
use cortado_aperture::{
    Balancer, Change, Coordinate, DeterministicAperture, Full, LeastLoaded, LoadMetric, Nanos,
    Outcome, PeakEwma, Position, Random, RingOrder, Settings, Weight,
};
use criterion::measurement::WallTime;
use criterion::{Bencher, BenchmarkGroup, BenchmarkId, Criterion};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tower::balance::p2c::Balance as TowerBalance;
use tower::buffer::Buffer;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PeakEwma as TowerPeakEwma, PendingRequests};
use tower::{Service, ServiceExt};

const ENDPOINTS: [usize; 3] = [12, 100, 1_000];

/// Answers at once.
#[derive(Clone)]
struct Idle;

impl Service<u32> for Idle {
    type Response = u32;
    type Error = Infallible;
    type Future = Ready<Result<u32, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        ready(Ok(request))
    }
}

/// Times rounds of 500 and reports the quickest.
fn least<T>(b: &mut Bencher<'_>, mut run: impl FnMut() -> T) {
    const ROUND: u64 = 500;
    b.iter_custom(|iterations| {
        let rounds = (0..iterations.div_ceil(ROUND)).map(|_| {
            let start = Instant::now();
            (0..ROUND).for_each(|_| drop(black_box(run())));
            start.elapsed()
        });
        let least = rounds.min().unwrap_or_default();
        least.mul_f64(iterations as f64 / ROUND as f64)
    });
}

fn balancer<M: LoadMetric>(endpoints: usize, metric: M) -> Balancer<usize, Idle, M> {
    let order = RingOrder::of_group("bench");
    let settings = Settings { openings_max: None, ..Settings::default() };
    let balancer = Balancer::new(order, Full, metric, settings).expect("settings that fit");
    balancer.update(Nanos(0), (0..endpoints).map(|key| Change::Insert(key, Weight::ONE, Idle)));
    balancer
}

/// Pick, hold 20, let go: no clock, no future.
fn pick_alone(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, metric: impl LoadMetric) {
    for endpoints in ENDPOINTS {
        let balancer = balancer(endpoints, metric.clone());
        let random = Random::new(42);
        let mut held = Vec::new();
        let mut now = Nanos(1_000_000);
        for _ in 0..20 {
            held.push(balancer.pick_and(now, &random, |_| ()));
        }
        let mut at = 0;
        group.bench_function(BenchmarkId::new(name, endpoints), |b| {
            least(b, || {
                now = Nanos(now.0 + 100);
                let next = balancer.pick_and(now, &random, |endpoint| endpoint.target().clone());
                let before = std::mem::replace(&mut held[at], next.map(|(_, permit)| ((), permit)));
                at = if at + 1 == held.len() { 0 } else { at + 1 };
                let (_, permit) = before.expect("endpoints");
                permit.finish(now, Outcome::Success);
            });
        });
    }
}

/// The same by a reader.
fn read_alone(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, metric: impl LoadMetric) {
    for endpoints in ENDPOINTS {
        let balancer = balancer(endpoints, metric.clone());
        let (mut reader, random) = (balancer.reader(), Random::new(42));
        let mut now = Nanos(1_000_000);
        let mut pick = move || {
            now = Nanos(now.0 + 100);
            reader.pick_and(now, &random, |endpoint| endpoint.target().clone())
        };
        let mut held: Vec<_> = (0..20).map(|_| pick()).collect();
        let mut at = 0;
        group.bench_function(BenchmarkId::new(name, endpoints), |b| {
            least(b, || {
                let before = std::mem::replace(&mut held[at], pick());
                at = if at + 1 == held.len() { 0 } else { at + 1 };
                let (_, permit) = before.expect("endpoints");
                permit.finish(Nanos(2_000_000), Outcome::Success);
            });
        });
    }
}

/// `poll_ready`, `call`, and the future to its end.
fn end_to_end<S: Service<u32, Response = u32>>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    make: impl Fn(usize) -> S,
) {
    for endpoints in ENDPOINTS {
        let mut service = make(endpoints);
        let mut cx = Context::from_waker(Waker::noop());
        group.bench_function(BenchmarkId::new(name, endpoints), |b| {
            least(b, || {
                let Poll::Ready(Ok(())) = service.poll_ready(&mut cx) else { panic!("not ready") };
                let mut future = std::pin::pin!(service.call(black_box(7)));
                let Poll::Ready(Ok(answer)) = future.as_mut().poll(&mut cx) else { panic!("no") };
                answer
            });
        });
    }
}

type Pending = PendingRequests<Idle>;

fn tower_least_loaded(endpoints: usize) -> TowerBalance<ServiceList<Vec<Pending>>, u32> {
    let pending = |_| PendingRequests::new(Idle, CompleteOnResponse::default());
    let services: Vec<_> = (0..endpoints).map(pending).collect();
    TowerBalance::new(ServiceList::new::<u32>(services))
}

/// As tasks share a balancer: tower's has one owner, so they reach it through a buffer; ours is
/// cloned for each.
fn shared(group: &mut BenchmarkGroup<'_, WallTime>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for endpoints in ENDPOINTS {
        let buffer = runtime.block_on(async { Buffer::new(tower_least_loaded(endpoints), 1_024) });
        shared_by_tasks(group, "tower p2c, buffered", endpoints, &runtime, buffer);
        let own = own(LeastLoaded, By::Task)(endpoints);
        shared_by_tasks(group, "least-loaded, cloned", endpoints, &runtime, own.balance.clone());
    }
}

/// A request after the other by one task; each round on the runtime.
fn shared_by_tasks<S: Service<u32, Response = u32>>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    endpoints: usize,
    runtime: &tokio::runtime::Runtime,
    mut service: S,
) {
    const ROUND: u64 = 500;
    group.bench_function(BenchmarkId::new(name, endpoints), |b| {
        b.iter_custom(|iterations| {
            let rounds = (0..iterations.div_ceil(ROUND)).map(|_| {
                let start = Instant::now();
                runtime.block_on(async {
                    for _ in 0..ROUND {
                        let Ok(ready) = service.ready().await else { panic!("not ready") };
                        let Ok(answer) = ready.call(black_box(7)).await else { panic!("no") };
                        black_box(answer);
                    }
                });
                start.elapsed()
            });
            let least = rounds.min().unwrap_or_default();
            least.mul_f64(iterations as f64 / ROUND as f64)
        });
    });
}

fn tower_peak_ewma(endpoints: usize) -> impl Service<u32, Response = u32> {
    let measured = |_| {
        let (rtt, decay) = (Duration::from_millis(30), Duration::from_secs(10));
        TowerPeakEwma::new(Idle, rtt, decay.as_nanos() as f64, CompleteOnResponse::default())
    };
    let services: Vec<_> = (0..endpoints).map(measured).collect();
    TowerBalance::new(ServiceList::new::<u32>(services))
}

/// Driven by its callers, or, as with a task of its own, not at all while it is measured.
fn own<M: LoadMetric>(metric: M, by: By) -> impl Fn(usize) -> Driven<M> {
    move |endpoints| {
        let services: Vec<_> = (0..endpoints).map(|_| Idle).collect();
        let builder = Balance::<ServiceList<Vec<Idle>>, u32>::builder("bench");
        let mut balance = builder.metric(metric.clone()).build(ServiceList::new::<u32>(services));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Service::<u32>::poll_ready(&mut balance, &mut cx).is_ready());
        let background = (by != By::Callers).then(|| balance.background(Never));
        let balance = if by == By::TaskAtHand { balance.at_hand() } else { balance };
        Driven { balance, _background: background }
    }
}

/// Who looks after the endpoints.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Callers,
    Task,
    /// And the handle keeps the aperture at hand.
    TaskAtHand,
}

type List = ServiceList<Vec<Idle>>;

struct Driven<M: LoadMetric> {
    balance: Balance<List, u32, M>,
    /// While it exists, callers do nothing but pick.
    _background: Option<Background<List, u32, M, Never>>,
}

impl<M: LoadMetric> Service<u32> for Driven<M> {
    type Response = u32;
    type Error = tower::BoxError;
    type Future = <Balance<List, u32, M> as Service<u32>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tower::BoxError>> {
        self.balance.poll_ready(cx)
    }

    fn call(&mut self, request: u32) -> Self::Future {
        self.balance.call(request)
    }
}

/// A timer that never fires.
struct Never;

impl futures_core::Stream for Never {
    type Item = ();

    fn poll_next(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<()>> {
        Poll::Pending
    }
}

/// 5,000 endpoints, of which 500 go and 500 others come; and a new coordinate.
fn rebuild(c: &mut Criterion) {
    let mut group = c.benchmark_group("rebuild");
    for (name, peers) in [("500 of 5000, aperture", 100), ("500 of 5000, all", 1)] {
        let filled = || {
            let order = RingOrder::of_group("bench");
            let settings = Settings { openings_max: None, ..Settings::default() };
            let aperture = DeterministicAperture::default();
            let balancer = Balancer::<usize, Idle>::new(order, aperture, LeastLoaded, settings);
            let balancer = balancer.expect("settings that fit");
            let inserts = (0..5_000).map(|key| Change::Insert(key, Weight::ONE, Idle));
            balancer.update(Nanos(0), inserts);
            let coordinate = Coordinate::new(0, peers).expect("below the count");
            balancer.stand_at(Nanos(0), Position::Settled(coordinate));
            balancer
        };
        let changes = || {
            let removes = (0..500).map(|number| Change::Remove(number * 10));
            let inserts = (5_000..5_500).map(|key| Change::Insert(key, Weight::ONE, Idle));
            removes.chain(inserts).collect::<Vec<_>>()
        };
        group.bench_function(name, |b| {
            b.iter_custom(|iterations| {
                let rounds = (0..iterations).map(|_| {
                    let (balancer, changes) = (filled(), changes());
                    let start = Instant::now();
                    balancer.update(Nanos(1), changes);
                    start.elapsed()
                });
                let least = rounds.min().unwrap_or_default();
                least.mul_f64(iterations as f64)
            });
        });
    }
    group.finish();
}

/// What reading the clock costs here: twice that is the least a metric with durations can take.
fn clock(c: &mut Criterion) {
    let start = Instant::now();
    c.bench_function("clock", |b| least(b, || start.elapsed()));
}

fn main() {
    let criterion = Criterion::default();
    let criterion = criterion.warm_up_time(Duration::from_millis(500));
    let mut criterion =
        criterion.measurement_time(Duration::from_secs(2)).sample_size(50).configure_from_args();
    let c = &mut criterion;
    clock(c);
    let mut group = c.benchmark_group("pick");
    pick_alone(&mut group, "least-loaded", LeastLoaded);
    pick_alone(&mut group, "peak-ewma", PeakEwma::default());
    read_alone(&mut group, "least-loaded, at hand", LeastLoaded);
    group.finish();
    let mut group = c.benchmark_group("request");
    end_to_end(&mut group, "tower p2c, pending", tower_least_loaded);
    end_to_end(&mut group, "least-loaded, driven", own(LeastLoaded, By::Task));
    end_to_end(&mut group, "least-loaded, at hand", own(LeastLoaded, By::TaskAtHand));
    end_to_end(&mut group, "least-loaded, by callers", own(LeastLoaded, By::Callers));
    end_to_end(&mut group, "tower p2c, peak-ewma", tower_peak_ewma);
    end_to_end(&mut group, "peak-ewma, driven", own(PeakEwma::default(), By::Task));
    end_to_end(&mut group, "peak-ewma, at hand", own(PeakEwma::default(), By::TaskAtHand));
    shared(&mut group);
    group.finish();
    rebuild(c);
    c.final_summary();
}
