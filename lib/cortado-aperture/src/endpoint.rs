//! An endpoint, what is remembered of it, and the permits of the requests on their way to it.
//!
//! Requests are counted by the permits that exist, so the count cannot drift: a permit that is
//! dropped for any reason is gone. Start reading at [`Permit`].

use crate::health::{Accrual, Admission, Health, Status, Verdict};
use crate::load::LoadMetric;
use crate::outcome::Outcome;
use crate::signal::Signal;
use crate::sync::{AtomicU64, AtomicUsize, Ordering};
use crate::time::Nanos;
use std::sync::Arc;

/// One endpoint of a balancer.
#[derive(Debug)]
pub struct Endpoint<K, T, M: LoadMetric> {
    key: K,
    target: T,
    /// Held by endpoints and permits, and by nothing else: its count tells what is outstanding.
    active: Arc<Active<M>>,
}

/// An endpoint that a balancer and those who have picked it look at together.
pub type SharedEndpoint<K, T, M> = Arc<Endpoint<K, T, M>>;

/// What all endpoints of a balancer share.
#[derive(Debug)]
pub(crate) struct Context {
    accrual: Option<Accrual>,
    pub(crate) signal: Signal,
    panics: AtomicU64,
    latest: AtomicU64,
}

impl Context {
    pub(crate) fn new(accrual: Option<Accrual>) -> Context {
        Context {
            accrual,
            signal: Signal::default(),
            panics: AtomicU64::new(0),
            latest: AtomicU64::new(0),
        }
    }

    /// Notes that it is `now`, for those who do without a clock.
    pub(crate) fn set_latest(&self, now: Nanos) {
        self.latest.fetch_max(now.0, Ordering::Relaxed);
    }

    /// The latest time that it was told.
    #[inline]
    pub(crate) fn latest(&self) -> Nanos {
        Nanos(self.latest.load(Ordering::Relaxed))
    }

    /// A pick has found nothing that may be used.
    #[cold]
    pub(crate) fn panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
        self.signal.raise();
    }

    /// How many picks have found nothing that may be used.
    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }
}

/// What is remembered of an endpoint for as long as discovery knows it.
#[derive(Debug)]
struct Active<M: LoadMetric> {
    metric: M,
    load: M::State,
    health: Health,
    /// How many endpoints hold it: one, and those whose target has been replaced for as long as
    /// someone still looks at them.
    endpoints: AtomicUsize,
    context: Arc<Context>,
}

impl<K, T, M: LoadMetric> Endpoint<K, T, M> {
    /// An endpoint of which nothing is known. `salt`: a random number of its own.
    pub(crate) fn new(key: K, target: T, metric: &M, salt: u64, context: &Arc<Context>) -> Self {
        let active = Active {
            metric: metric.clone(),
            load: metric.start(),
            health: Health::new(salt),
            endpoints: AtomicUsize::new(1),
            context: Arc::clone(context),
        };
        Endpoint { key, target, active: Arc::new(active) }
    }

    /// The same endpoint with another target: what is remembered stays.
    pub(crate) fn with_target(&self, target: T) -> Self
    where
        K: Clone,
    {
        self.active.endpoints.fetch_add(1, Ordering::Relaxed);
        Endpoint { key: self.key.clone(), target, active: Arc::clone(&self.active) }
    }

    /// What identifies it.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// What requests are sent to.
    pub fn target(&self) -> &T {
        &self.target
    }

    /// How many of this client's requests are on their way to it.
    #[inline]
    pub fn outstanding(&self) -> usize {
        // Both change at different moments, so that for one moment there may seem to be fewer.
        Arc::strong_count(&self.active)
            .saturating_sub(self.active.endpoints.load(Ordering::Relaxed))
    }

    /// Its load as the balancer's metric measures it.
    #[inline]
    pub fn load(&self, now: Nanos) -> f64 {
        // More than 2³² requests fit into no memory, and 32 bits become a float at once.
        let outstanding = f64::from(self.outstanding() as u32);
        self.active.metric.load(&self.active.load, now, outstanding)
    }

    /// Whether it can be used.
    #[inline]
    pub fn status(&self, now: Nanos) -> Status {
        self.active.health.status(now)
    }

    /// Whether nothing is known against it; unlike an open status, not merely due for a try.
    pub(crate) fn is_alive(&self) -> bool {
        self.active.health.is_alive()
    }

    /// Whether it is alive and its latest request did not fail.
    pub(crate) fn is_trusted(&self) -> bool {
        self.active.health.is_trusted()
    }

    /// A permit, if a request may be sent now.
    #[inline]
    pub(crate) fn admit(&self, now: Nanos) -> Option<Permit<M>> {
        match self.active.health.admit(now) {
            Admission::Normal => Some(self.permit(now, Kind::Usual)),
            Admission::Probe => Some(self.permit(now, Kind::Probe)),
            Admission::Refused => None,
        }
    }

    /// A permit whatever its health.
    pub(crate) fn admit_anyway(&self, now: Nanos) -> Permit<M> {
        self.permit(now, Kind::Usual)
    }

    /// A permit whatever its health, of which a success ends a pause.
    pub(crate) fn admit_in_spite(&self, now: Nanos) -> Permit<M> {
        self.permit(now, Kind::InSpite)
    }

    /// No connection could be made.
    pub(crate) fn close(&self, now: Nanos) {
        if let Some(accrual) = &self.active.context.accrual {
            self.active.health.close(accrual, now);
        }
    }

    #[inline]
    fn permit(&self, now: Nanos, kind: Kind) -> Permit<M> {
        Permit { active: Arc::clone(&self.active), started: now, kind }
    }
}

impl<K, T, M: LoadMetric> Drop for Endpoint<K, T, M> {
    fn drop(&mut self) {
        self.active.endpoints.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The right to send one request, and the duty to say how it ended.
///
/// While it exists the request counts as outstanding. Dropping it says nothing about the endpoint.
#[derive(Debug)]
#[must_use = "a request counts as outstanding only while its permit exists"]
pub struct Permit<M: LoadMetric> {
    active: Arc<Active<M>>,
    started: Nanos,
    kind: Kind,
}

/// What the end of a request says about the health of its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One voice of many.
    Usual,
    /// It finds out whether the endpoint works again.
    Probe,
    /// It was sent although the endpoint is left alone.
    InSpite,
}

impl<M: LoadMetric> Permit<M> {
    /// The request has ended at `now`.
    #[inline]
    pub fn finish(mut self, now: Nanos, outcome: Outcome) {
        let active = &self.active;
        active.metric.finish(&active.load, now.since(self.started), now, outcome);
        let Some(accrual) = &active.context.accrual else { return };
        let verdict = match std::mem::replace(&mut self.kind, Kind::Usual) {
            Kind::Usual => active.health.finish(accrual, now, outcome),
            Kind::Probe => active.health.finish_probe(accrual, now, outcome),
            Kind::InSpite => active.health.finish_in_spite(accrual, now, outcome),
        };
        match verdict {
            Verdict::Unchanged => {}
            Verdict::Paused | Verdict::Revived => active.context.signal.raise(),
        }
    }

    /// The latest time that the balancer was told when anything changed or ticked: late by no more
    /// than a tick, and without a look at the clock.
    #[inline]
    pub fn latest(&self) -> Nanos {
        self.active.context.latest()
    }

    /// Whether it is the one request that tries an endpoint again that has failed.
    pub fn is_probe(&self) -> bool {
        self.kind == Kind::Probe
    }

    /// When it was given.
    pub fn started(&self) -> Nanos {
        self.started
    }
}

impl<M: LoadMetric> Drop for Permit<M> {
    fn drop(&mut self) {
        if self.is_probe() {
            self.active.health.release_probe();
        }
    }
}
