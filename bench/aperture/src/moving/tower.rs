//! tower's own p2c over all endpoints, driven in virtual time.
//!
//! It is `tower::balance::p2c::Balance` itself. A request's future never ends of its own: dropping
//! it tells tower that the request has ended, since that is how tower counts. Its peak-EWMA reads
//! tokio's clock, which stands still until the world moves it.

use super::balancing::{Balancing, Lives, is_up};
use crate::draw;
use crate::key::Key;
use cortado_aperture::{Change, Effect, Nanos, Outcome, Position, Random, Weight};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Pending, pending};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tower::Service;
use tower::balance::p2c::Balance;
use tower::discover;
use tower::load::{CompleteOnResponse, Load, PeakEwma, PendingRequests};

/// A client with tower's balancer.
pub(super) struct Tower<S: Endpoint> {
    balance: Balance<Feed<S>, ()>,
    feed: Feed<S>,
    make: Box<dyn Fn(Connection) -> S>,
    picked: Rc<Cell<Option<Key>>>,
    lives: Option<Lives>,
}

/// What tower can balance over here.
pub(super) trait Endpoint:
    Service<(), Response = (), Error = Broken, Future: Sized> + Load<Metric: std::fmt::Debug>
{
}

impl<S> Endpoint for S where
    S: Service<(), Response = (), Error = Broken> + Load<Metric: std::fmt::Debug>
{
}

impl Tower<PendingRequests<Connection>> {
    /// By requests under way.
    pub(super) fn pending(seed: u64) -> Self {
        Tower::new(seed, |connection| {
            PendingRequests::new(connection, CompleteOnResponse::default())
        })
    }
}

impl Tower<PeakEwma<Connection>> {
    /// By round-trip times, averaged over `tau`; one that is not known yet counts as 30 ms.
    pub(super) fn peak_ewma(seed: u64, tau: Duration) -> Self {
        let nanos = tau.as_nanos() as f64;
        Tower::new(seed, move |connection| {
            let rtt = Duration::from_millis(30);
            PeakEwma::new(connection, rtt, nanos, CompleteOnResponse::default())
        })
    }
}

impl<S: Endpoint> Tower<S> {
    fn new(seed: u64, make: impl Fn(Connection) -> S + 'static) -> Self {
        let feed = Feed(Rc::default());
        let balance = Balance::from_rng(feed.clone(), Dice(seed));
        Tower { balance, feed, make: Box::new(make), picked: Rc::default(), lives: None }
    }

    /// Connections report that they are broken when asked whether they are ready.
    pub(super) fn reporting(mut self, lives: Lives) -> Self {
        self.lives = Some(lives);
        self
    }
}

impl<S: Endpoint> Balancing for Tower<S> {
    type Permit = <Balance<Feed<S>, ()> as Service<()>>::Future;

    fn pick(&mut self, _: Nanos, _: &Random) -> Option<(Key, Self::Permit)> {
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(())) = self.balance.poll_ready(&mut context) else { return None };
        let request = self.balance.call(());
        let key = self.picked.take().expect("tower called one of its connections");
        Some((key, request))
    }

    fn finish(&mut self, permit: Self::Permit, _: Nanos, _: Outcome) {
        drop(permit);
    }

    fn update(&mut self, _: Nanos, changes: &[Change<Key, ()>]) -> Vec<Effect<Key>> {
        let mut effects = Vec::new();
        for change in changes {
            let change = match change {
                Change::Insert(key, Weight(_), ()) => {
                    effects.push(Effect::Open(*key));
                    let (key, picked) = (*key, Rc::clone(&self.picked));
                    let connection = Connection { key, picked, lives: self.lives.clone() };
                    discover::Change::Insert(key, (self.make)(connection))
                }
                // It knows no weights.
                Change::Weigh(..) => continue,
                Change::Remove(key) => discover::Change::Remove(*key),
            };
            self.feed.0.borrow_mut().push_back(change);
        }
        effects
    }

    fn stand_at(&mut self, _: Nanos, _: Position) -> Vec<Effect<Key>> {
        Vec::new()
    }

    fn opened(&mut self, _: Nanos, _: Key, _: bool) -> Vec<Effect<Key>> {
        Vec::new()
    }

    fn tick(&mut self, _: Nanos) -> Vec<Effect<Key>> {
        Vec::new()
    }

    fn wants_tick(&self) -> bool {
        false
    }
}

/// A connection to an endpoint, always ready, unless it can break and has.
pub(super) struct Connection {
    key: Key,
    picked: Rc<Cell<Option<Key>>>,
    lives: Option<Lives>,
}

/// The connection is broken.
#[derive(Debug)]
pub(super) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is broken")
    }
}

impl std::error::Error for Broken {}

impl Service<()> for Connection {
    type Response = ();
    type Error = Broken;
    type Future = Pending<Result<(), Broken>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let is_up = self.lives.as_ref().is_none_or(|lives| is_up(lives, self.key));
        Poll::Ready(if is_up { Ok(()) } else { Err(Broken) })
    }

    fn call(&mut self, (): ()) -> Self::Future {
        self.picked.set(Some(self.key));
        pending()
    }
}

/// What discovery has said and tower has not taken in yet.
pub(super) struct Feed<S>(Rc<RefCell<VecDeque<discover::Change<Key, S>>>>);

impl<S> Clone for Feed<S> {
    fn clone(&self) -> Self {
        Feed(Rc::clone(&self.0))
    }
}

impl<S> futures_core::Stream for Feed<S> {
    type Item = Result<discover::Change<Key, S>, Broken>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.0.borrow_mut().pop_front() {
            Some(change) => Poll::Ready(Some(Ok(change))),
            None => Poll::Pending,
        }
    }
}

/// Random numbers as tower draws them.
struct Dice(u64);

impl tower::util::rng::Rng for Dice {
    fn next_u64(&mut self) -> u64 {
        draw::next(&mut self.0)
    }
}

/// tokio's clock, which moves only when it is told to.
pub(super) struct Clock {
    runtime: tokio::runtime::Runtime,
    now: Cell<u64>,
}

impl Clock {
    /// A clock that stands at 0.
    pub(super) fn new() -> Clock {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without I/O takes nothing that can be missing");
        Clock { runtime, now: Cell::new(0) }
    }

    /// While the answer lives, tokio's time is this clock's.
    pub(super) fn enter(&self) -> tokio::runtime::EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Goes on to `now`.
    pub(super) fn set(&self, now: Nanos) {
        let step = now.since(Nanos(self.now.replace(now.0)));
        if !step.is_zero() {
            self.runtime.block_on(tokio::time::advance(step));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inserts(count: u32) -> Vec<Change<Key, ()>> {
        (0..count).map(|number| Change::Insert(Key::first(number), Weight::ONE, ())).collect()
    }

    fn at_ms(ms: u64) -> Nanos {
        Nanos(ms * 1_000_000)
    }

    /// Requests count while their futures live, so p2c over two fills both alike.
    #[test]
    fn held_requests_are_load_and_dropped_ones_are_not() {
        let mut tower = Tower::pending(1);
        tower.update(at_ms(0), &inserts(2));
        let random = Random::new(0);
        let pick = |tower: &mut Tower<_>| tower.pick(at_ms(0), &random).expect("two are ready");
        let held: Vec<_> = (0..10).map(|_| pick(&mut tower)).collect();
        let to_first = held.iter().filter(|(key, _)| key.number == 0).count();
        assert_eq!(to_first, 5);
        let first_only: Vec<_> = held.into_iter().filter(|(key, _)| key.number == 0).collect();
        // The second one is idle now and gets everything until it has as many.
        let next: Vec<_> = (0..5).map(|_| pick(&mut tower)).collect();
        assert!(next.iter().all(|(key, _)| key.number == 1));
        drop(first_only);
    }

    #[test]
    fn broken_connections_are_evicted_for_good() {
        let lives: Lives = Rc::new(vec![Some(0), Some(0)].into());
        let mut tower = Tower::pending(1).reporting(Rc::clone(&lives));
        tower.update(at_ms(0), &inserts(2));
        let random = Random::new(0);
        assert!(tower.pick(at_ms(0), &random).is_some());
        lives.borrow_mut()[0] = None;
        for _ in 0..20 {
            let (key, _) = tower.pick(at_ms(1), &random).expect("the other one");
            assert_eq!(key.number, 1);
        }
        lives.borrow_mut()[1] = None;
        assert!(tower.pick(at_ms(2), &random).is_none());
        lives.borrow_mut()[0] = Some(0);
        assert!(tower.pick(at_ms(3), &random).is_none());
    }

    /// What an endpoint took is measured on the clock that the world moves.
    #[test]
    fn peak_ewma_reads_the_virtual_clock() {
        let clock = Clock::new();
        let _guard = clock.enter();
        let mut tower = Tower::peak_ewma(1, Duration::from_secs(10));
        tower.update(at_ms(0), &inserts(2));
        let random = Random::new(0);
        let (slow, permit) = tower.pick(at_ms(0), &random).expect("two are ready");
        clock.set(at_ms(5_000));
        tower.finish(permit, at_ms(5_000), Outcome::Success);
        for _ in 0..10 {
            let (key, permit) = tower.pick(at_ms(5_000), &random).expect("two are ready");
            assert_ne!(key, slow);
            tower.finish(permit, at_ms(5_000), Outcome::Success);
        }
    }
}
