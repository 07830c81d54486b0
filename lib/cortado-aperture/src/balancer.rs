//! The balancer: endpoints, an aperture over them, and picks that never wait.
//!
//! It does no I/O and reads no clock. A driver tells it what changes and how late it is, and gets
//! [`Effect`]s to carry out; picks need neither. Start reading at [`Balancer`].

use crate::change::{Change, Effect};
use crate::endpoint::{Context, Permit, SharedEndpoint};
use crate::endpoint_set::EndpointSet;
use crate::load::{LeastLoaded, LoadMetric};
use crate::order::{RingKey, RingOrder};
use crate::random::Random;
use crate::report::Report;
use crate::settings::{Settings, SettingsError};
use crate::snapshot::Snapshot;
use crate::subset::{Position, Subsetter};
use crate::time::Nanos;
use arc_swap::{ArcSwap, Cache};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// Balances requests over the endpoints of an aperture.
///
/// A handle: clones share everything. Picking takes no lock and allocates nothing; whatever else
/// happens, picks go on with the aperture that there was.
///
/// * `K`: what identifies an endpoint to all peers.
/// * `T`: what a request is sent to, such as a connection.
/// * `M`: how load is measured.
///
/// ```
/// use cortado_aperture::{
///     Balancer, Change, Coordinate, DeterministicAperture, LeastLoaded, Nanos, Outcome, Position,
///     Random, RingOrder, Settings, Weight,
/// };
///
/// let order = RingOrder::of_group("checkout");
/// let aperture = DeterministicAperture::default();
/// let balancer = Balancer::new(order, aperture, LeastLoaded, Settings::default())?;
/// let endpoints = (0..100_u32).map(|number| Change::Insert(number, Weight::ONE, ()));
/// balancer.update(Nanos(0), endpoints);
/// balancer.stand_at(Nanos(0), Position::Settled(Coordinate::new(3, 50)?));
///
/// let random = Random::new(42);
/// let (endpoint, permit) = balancer.pick(Nanos(1_000), &random).expect("there are endpoints");
/// println!("send it to {}", endpoint.key());
/// permit.finish(Nanos(2_000), Outcome::Success);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Balancer<K, T, M: LoadMetric = LeastLoaded> {
    shared: Arc<Shared<K, T, M>>,
}

struct Shared<K, T, M: LoadMetric> {
    snapshot: ArcSwap<Snapshot<K, T, M>>,
    /// Locked by changes; never by picks.
    endpoints: Mutex<EndpointSet<K, T, M>>,
    context: Arc<Context>,
    /// Of the snapshot: a caller that only wants this need not look into it.
    is_empty: AtomicBool,
}

impl<K: RingKey, T, M: LoadMetric> Balancer<K, T, M> {
    /// A balancer without endpoints.
    ///
    /// # Errors
    /// Settings that do not work together.
    pub fn new(
        order: RingOrder,
        subsetter: impl Subsetter + 'static,
        metric: M,
        settings: Settings,
    ) -> Result<Self, SettingsError> {
        settings.check()?;
        let context = Arc::new(Context::new(settings.accrual));
        let snapshot = ArcSwap::from_pointee(Snapshot::new(Vec::new()));
        let subsetter = Box::new(subsetter);
        let endpoints = EndpointSet::new(order, subsetter, metric, settings, Arc::clone(&context));
        let endpoints = Mutex::new(endpoints);
        let is_empty = AtomicBool::new(true);
        Ok(Balancer { shared: Arc::new(Shared { snapshot, endpoints, context, is_empty }) })
    }

    /// Takes in what discovery says. What changes nothing rebuilds nothing.
    pub fn update(
        &self,
        now: Nanos,
        changes: impl IntoIterator<Item = Change<K, T>>,
    ) -> Vec<Effect<K>> {
        self.change(now, |endpoints| endpoints.update(now, changes))
    }

    /// The client stands there among its peers.
    pub fn stand_at(&self, now: Nanos, position: Position) -> Vec<Effect<K>> {
        self.change(now, |endpoints| endpoints.stand_at(now, position))
    }

    /// Time has passed. To be called some ten times a second, and at once when
    /// [`wants_tick`](Self::wants_tick) says so.
    pub fn tick(&self, now: Nanos) -> Vec<Effect<K>> {
        self.change(now, |endpoints| endpoints.tick(now))
    }

    /// An [`Effect::Open`] has been carried out; `is_open` if there is a connection now.
    ///
    /// If there is none, the endpoint is left alone for a while.
    pub fn opened(&self, now: Nanos, key: &K, is_open: bool) -> Vec<Effect<K>> {
        self.change(now, |endpoints| endpoints.opened(now, key, is_open))
    }

    /// Whether something happened that should not wait for the next tick: an endpoint has failed
    /// or works again, or picks find none that works. Answers true once for each time.
    pub fn wants_tick(&self) -> bool {
        self.shared.context.signal.take()
    }

    /// As [`wants_tick`](Self::wants_tick); if it answers false, `waker` is woken once that
    /// changes.
    pub fn wants_tick_or_wakes(&self, waker: &Waker) -> bool {
        self.shared.context.signal.take_or_wait(waker)
    }

    /// The target of an endpoint, if there is one.
    pub fn target(&self, key: &K) -> Option<T>
    where
        T: Clone,
    {
        self.lock().find(key).map(|endpoint| endpoint.target().clone())
    }

    /// Puts another target in the place of an endpoint's, not connected yet. Its load and health
    /// are remembered. Nothing happens if there is no such endpoint.
    pub fn replace(&self, now: Nanos, key: &K, target: T) -> Vec<Effect<K>> {
        self.change(now, |endpoints| endpoints.replace(now, key, target))
    }

    /// What can be seen from outside, for metrics and operators.
    pub fn report(&self) -> Report {
        self.lock().report()
    }

    /// The endpoints that picks choose from, with their shares of the traffic, which add up to 1.
    pub fn shares(&self) -> Vec<(K, f64)> {
        let snapshot = self.shared.snapshot.load();
        snapshot.shares().map(|(endpoint, share)| (endpoint.key().clone(), share)).collect()
    }

    /// Changes the endpoints, and then what picks see, in one step for all who change something.
    fn change(
        &self,
        now: Nanos,
        change: impl FnOnce(&mut EndpointSet<K, T, M>) -> Vec<Effect<K>>,
    ) -> Vec<Effect<K>> {
        self.shared.context.set_latest(now);
        let mut endpoints = self.lock();
        let effects = change(&mut endpoints);
        if let Some(snapshot) = endpoints.take_snapshot() {
            let is_empty = snapshot.len() == 0;
            self.shared.snapshot.store(Arc::new(snapshot));
            self.shared.is_empty.store(is_empty, Ordering::Release);
        }
        effects
    }

    /// A subsetter or metric that panicked has left the endpoints as they were or half changed; the
    /// next rebuild makes them whole.
    fn lock(&self) -> MutexGuard<'_, EndpointSet<K, T, M>> {
        self.shared.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, T, M: LoadMetric> Balancer<K, T, M> {
    /// Picks an endpoint for one request at `now`; `None` only if there are no endpoints.
    ///
    /// `now` may be some milliseconds old unless the metric
    /// [`NEEDS_DURATIONS`](LoadMetric::NEEDS_DURATIONS).
    #[inline]
    pub fn pick(
        &self,
        now: Nanos,
        random: &Random,
    ) -> Option<(SharedEndpoint<K, T, M>, Permit<M>)> {
        self.pick_and(now, random, Arc::clone)
    }

    /// As [`pick`](Self::pick), with what `take` makes of the endpoint instead of the endpoint:
    /// a caller that needs no more than a clone of the target saves counting a reference.
    #[inline]
    pub fn pick_and<R>(
        &self,
        now: Nanos,
        random: &Random,
        take: impl FnOnce(&SharedEndpoint<K, T, M>) -> R,
    ) -> Option<(R, Permit<M>)> {
        let snapshot = self.shared.snapshot.load();
        let picked = snapshot.pick(now, random)?;
        if picked.is_panic {
            self.shared.context.panic();
        }
        Some((take(picked.endpoint), picked.permit))
    }

    /// Picks another endpoint for a request that those of which `is_spent` says true have not
    /// taken: of all others the healthiest, and of those the least loaded for its share. One that
    /// is left alone is picked too where there is no better one; if it then works, that is over.
    ///
    /// `None` if the aperture has no others. For what is sent again: it looks at every endpoint of
    /// the aperture.
    pub fn pick_other(
        &self,
        now: Nanos,
        random: &Random,
        is_spent: impl Fn(&K) -> bool,
    ) -> Option<(SharedEndpoint<K, T, M>, Permit<M>)> {
        let snapshot = self.shared.snapshot.load();
        let picked = snapshot.pick_other(now, random, is_spent)?;
        if picked.is_panic {
            self.shared.context.panic();
        }
        Some((Arc::clone(picked.endpoint), picked.permit))
    }

    /// The latest time that any change or tick has told; see [`Permit::latest`].
    #[inline]
    pub fn latest(&self) -> Nanos {
        self.shared.context.latest()
    }

    /// Whether there is no endpoint to pick from.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.shared.is_empty.load(Ordering::Acquire)
    }
}

/// Picks for one thread that is never idle, with the aperture kept at hand.
///
/// It need not announce to anyone that it looks at the aperture, which is a quarter of what a pick
/// costs. In return, endpoints that have gone live on, with their targets, until the next pick or
/// until the reader is dropped.
pub struct Reader<K, T, M: LoadMetric = LeastLoaded> {
    balancer: Balancer<K, T, M>,
    at_hand: Cache<Source<K, T, M>, Seen<K, T, M>>,
}

/// A snapshot in a caller's hand.
type Seen<K, T, M> = Arc<Snapshot<K, T, M>>;

/// Where a reader looks whether there is another aperture.
struct Source<K, T, M: LoadMetric>(Arc<Shared<K, T, M>>);

impl<K, T, M: LoadMetric> std::ops::Deref for Source<K, T, M> {
    type Target = ArcSwap<Snapshot<K, T, M>>;

    fn deref(&self) -> &Self::Target {
        &self.0.snapshot
    }
}

impl<K, T, M: LoadMetric> Balancer<K, T, M> {
    /// A reader of its own for the calling thread.
    pub fn reader(&self) -> Reader<K, T, M> {
        let at_hand = Cache::new(Source(Arc::clone(&self.shared)));
        Reader { balancer: self.clone(), at_hand }
    }
}

impl<K, T, M: LoadMetric> Reader<K, T, M> {
    /// As [`Balancer::pick_and`].
    #[inline]
    pub fn pick_and<R>(
        &mut self,
        now: Nanos,
        random: &Random,
        take: impl FnOnce(&SharedEndpoint<K, T, M>) -> R,
    ) -> Option<(R, Permit<M>)> {
        let picked = self.at_hand.load().pick(now, random)?;
        if picked.is_panic {
            self.balancer.shared.context.panic();
        }
        Some((take(picked.endpoint), picked.permit))
    }
}

impl<K, T, M: LoadMetric> std::fmt::Debug for Reader<K, T, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl<K, T, M: LoadMetric> std::fmt::Debug for Balancer<K, T, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Balancer").finish_non_exhaustive()
    }
}

impl<K, T, M: LoadMetric> Clone for Balancer<K, T, M> {
    fn clone(&self) -> Self {
        Balancer { shared: Arc::clone(&self.shared) }
    }
}

#[cfg(test)]
mod tests;
