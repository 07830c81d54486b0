//! How a balanced service is put together.

use super::driver::{Driver, Notifier, Reopen, Weigh};
use super::{Balance, Clock, ErrorsFail, Shell};
use crate::balancer::Balancer;
use crate::coordinate::Coordinate;
use crate::load::{LeastLoaded, LoadMetric};
use crate::order::{RingKey, RingOrder};
use crate::random::{Random, mix};
use crate::settings::{Settings, SettingsError};
use crate::steady::{Pace, SteadyCoordinate};
use crate::subset::{Full, Subsetter};
use crate::weight::Weight;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use tower::discover::Discover;
use tower::{BoxError, Service};

/// Puts a [`Balance`] together. Made by [`Balance::builder`].
///
/// The default balances over all endpoints by least load. Most will say which
/// [`subsetter`](Self::subsetter) and, where that wants one, which
/// [`coordinate`](Self::coordinate).
#[must_use = "a builder does nothing until it builds"]
pub struct Builder<K, S, M = LeastLoaded, C = ErrorsFail> {
    order: RingOrder,
    subsetter: Box<dyn Subsetter>,
    metric: M,
    classify: C,
    settings: Settings,
    steady: SteadyCoordinate,
    pace: Pace,
    weigh: Weigh<K, S>,
    reopen: Option<Reopen<K, S>>,
    clock: Clock,
    seed: u64,
}

impl<K, S> Builder<K, S> {
    pub(super) fn new(group: &str) -> Self {
        let pace = Pace::default();
        Builder {
            order: RingOrder::of_group(group),
            subsetter: Box::new(Full),
            metric: LeastLoaded,
            classify: ErrorsFail,
            settings: Settings::default(),
            steady: SteadyCoordinate::new(pace),
            pace,
            weigh: Box::new(|_, _| Weight::ONE),
            reopen: None,
            clock: Clock::system(),
            // Differs from process to process and from balancer to balancer.
            seed: RandomState::new().hash_one(group),
        }
    }
}

impl<K, S, M, C> Builder<K, S, M, C> {
    /// Which endpoints to use; all, if nothing is said.
    pub fn subsetter(mut self, subsetter: impl Subsetter + 'static) -> Self {
        self.subsetter = Box::new(subsetter);
        self
    }

    /// How load is measured.
    pub fn metric<N: LoadMetric>(self, metric: N) -> Builder<K, S, N, C> {
        self.with(|_, classify| (metric, classify))
    }

    /// Which answers count as failures; see [`Classify`](super::Classify).
    pub fn classify<D>(self, classify: D) -> Builder<K, S, M, D> {
        self.with(|metric, _| (metric, classify))
    }

    /// The same with other types.
    fn with<N, D>(self, change: impl FnOnce(M, C) -> (N, D)) -> Builder<K, S, N, D> {
        let (metric, classify) = change(self.metric, self.classify);
        Builder {
            order: self.order,
            subsetter: self.subsetter,
            metric,
            classify,
            settings: self.settings,
            steady: self.steady,
            pace: self.pace,
            weigh: self.weigh,
            reopen: self.reopen,
            clock: self.clock,
            seed: self.seed,
        }
    }

    /// Everything else about its behaviour.
    ///
    /// # Errors
    /// Settings that do not work together.
    pub fn settings(mut self, settings: Settings) -> Result<Self, SettingsError> {
        settings.check()?;
        self.settings = settings;
        Ok(self)
    }

    /// The client stands there from the beginning, and its peers know. Later changes come by
    /// [`Balance::observe`].
    pub fn coordinate(mut self, coordinate: Coordinate) -> Self {
        self.steady = SteadyCoordinate::settled(self.pace, coordinate);
        self
    }

    /// How steadily it follows changes of its coordinate. To be said before
    /// [`coordinate`](Self::coordinate).
    pub fn pace(mut self, pace: Pace) -> Self {
        (self.pace, self.steady) = (pace, SteadyCoordinate::new(pace));
        self
    }

    /// The weight of each endpoint that is discovered; 1, if nothing is said.
    pub fn weigh(mut self, weigh: impl FnMut(&K, &S) -> Weight + Send + 'static) -> Self {
        self.weigh = Box::new(weigh);
        self
    }

    /// How to make a fresh service for an endpoint, not connected yet. With it, connections that
    /// have been idle for long outside the aperture are closed by letting go of the old service.
    pub fn reopen(mut self, reopen: impl FnMut(&K) -> S + Send + 'static) -> Self {
        self.reopen = Some(Box::new(reopen));
        self
    }

    /// Another order of the ring than that of the group, such as
    /// [`RingOrder::compatible`](crate::RingOrder::compatible).
    pub fn order(mut self, order: RingOrder) -> Self {
        self.order = order;
        self
    }

    /// Another clock than the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// A seed for its random numbers, so that a test picks the same endpoints each time.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// A service over what `discover` discovers.
    pub fn build<D, Req>(self, discover: D) -> Balance<D, Req, M, C>
    where
        D: Discover<Key = K, Service = S, Error: Into<BoxError>>,
        K: RingKey,
        S: Service<Req, Error: Into<BoxError>> + Clone,
        M: LoadMetric,
    {
        let balancer = Balancer::new(self.order, self.subsetter, self.metric, self.settings)
            .expect("checked when they were set");
        let notifier = Arc::new(Notifier::due());
        let handle = Arc::clone(&notifier);
        let driver = Driver::new(discover, self.steady, self.weigh, self.reopen, handle);
        let shell = Shell {
            clock: self.clock,
            driver: Mutex::new(driver),
            commands: Mutex::default(),
            notifier,
            is_driven: AtomicBool::new(false),
            ticked_at: AtomicU64::new(0),
        };
        let random = Random::new(mix(self.seed));
        let (shell, classify) = (Arc::new(shell), self.classify);
        Balance { balancer, reader: None, shell, random, classify }
    }
}

impl<K, S, M, C> std::fmt::Debug for Builder<K, S, M, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
