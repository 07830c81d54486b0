//! Everything about a balanced service but picking: discovery, openings, ticks.
//!
//! Driven by a task of its own or by callers, one at a time. Start reading at [`Driver::poll`].

use super::discovery::Discovery;
use crate::balancer::Balancer;
use crate::change::{Change, Effect};
use crate::coordinate::Coordinate;
use crate::load::LoadMetric;
use crate::steady::SteadyCoordinate;
use crate::time::Nanos;
use crate::weight::Weight;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use tower::Service;
use tower::discover::{Change as Discovered, Discover};

/// What a handle asks of the driver.
pub(super) enum Command<K> {
    Observe(Coordinate),
    Weigh(K, Weight),
}

/// Tells the weight of an endpoint that was discovered.
pub(super) type Weigh<K, S> = Box<dyn FnMut(&K, &S) -> Weight + Send>;
/// Makes a fresh service for an endpoint, not connected yet.
pub(super) type Reopen<K, S> = Box<dyn FnMut(&K) -> S + Send>;

pub(super) struct Driver<D: Discover, Req, M> {
    /// `None` once it has ended or failed. The endpoints that it found stay.
    discover: Option<Pin<Box<D>>>,
    steady: SteadyCoordinate,
    /// Weights that were set by hand.
    weights: HashMap<D::Key, Weight>,
    weigh: Weigh<D::Key, D::Service>,
    reopen: Option<Reopen<D::Key, D::Service>>,
    openings: Vec<(D::Key, D::Service)>,
    notifier: Arc<Notifier>,
    requests: PhantomData<fn(Req, M)>,
}

impl<D, Req, M> Driver<D, Req, M>
where
    D: Discovery<Req>,
    M: LoadMetric,
{
    pub(super) fn new(
        discover: D,
        steady: SteadyCoordinate,
        weigh: Weigh<D::Key, D::Service>,
        reopen: Option<Reopen<D::Key, D::Service>>,
        notifier: Arc<Notifier>,
    ) -> Self {
        Driver {
            discover: Some(Box::pin(discover)),
            steady,
            weights: HashMap::new(),
            weigh,
            reopen,
            openings: Vec::new(),
            notifier,
            requests: PhantomData,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.discover.is_none()
    }

    pub(super) fn obey(
        &mut self,
        balancer: &Balancer<D::Key, D::Service, M>,
        now: Nanos,
        commands: Vec<Command<D::Key>>,
    ) {
        for command in commands {
            match command {
                Command::Observe(coordinate) => self.steady.observe(now, coordinate),
                Command::Weigh(key, weight) => {
                    self.weights.insert(key.clone(), weight);
                    let effects = balancer.update(now, [Change::Weigh(key, weight)]);
                    self.carry_out(balancer, now, effects);
                }
            }
        }
    }

    /// Takes in what has been discovered, opens and closes connections, and lets time pass.
    ///
    /// `cx` is woken when there is more to do before the next tick.
    pub(super) fn poll(
        &mut self,
        balancer: &Balancer<D::Key, D::Service, M>,
        now: Nanos,
        cx: &mut Context<'_>,
    ) {
        // Before endpoints come in: a client without a place would begin to connect to all.
        let effects = balancer.stand_at(now, self.steady.position(now));
        self.carry_out(balancer, now, effects);
        let changes = self.discover(cx);
        if !changes.is_empty() {
            let effects = balancer.update(now, changes);
            self.carry_out(balancer, now, effects);
        }
        // A tick takes care of what was signalled, so ask for the next signal first.
        while balancer.wants_tick_or_wakes(cx.waker()) {}
        let effects = balancer.tick(now);
        self.carry_out(balancer, now, effects);
        self.poll_openings(balancer, now, cx);
    }

    /// All that discovery has to say for now.
    fn discover(&mut self, cx: &mut Context<'_>) -> Vec<Change<D::Key, D::Service>> {
        let mut changes = Vec::new();
        let Some(discover) = &mut self.discover else { return changes };
        loop {
            match discover.as_mut().poll_discover(cx) {
                Poll::Pending => return changes,
                Poll::Ready(Some(Ok(Discovered::Insert(key, service)))) => {
                    let weight = self.weights.get(&key).copied();
                    let weight = weight.unwrap_or_else(|| (self.weigh)(&key, &service));
                    changes.push(Change::Insert(key, weight, service));
                }
                Poll::Ready(Some(Ok(Discovered::Remove(key)))) => {
                    self.openings.retain(|(opening, _)| *opening != key);
                    changes.push(Change::Remove(key));
                }
                Poll::Ready(Some(Err(error))) => {
                    self.notifier.set_end(DiscoveryEnded(Some(error.into().to_string())));
                    break;
                }
                Poll::Ready(None) => {
                    self.notifier.set_end(DiscoveryEnded(None));
                    break;
                }
            }
        }
        self.discover = None;
        changes
    }

    fn carry_out(
        &mut self,
        balancer: &Balancer<D::Key, D::Service, M>,
        now: Nanos,
        effects: Vec<Effect<D::Key>>,
    ) {
        let mut queue = effects;
        while let Some(effect) = queue.pop() {
            match effect {
                Effect::Open(key) => {
                    if let Some(service) = balancer.target(&key) {
                        self.openings.retain(|(opening, _)| *opening != key);
                        self.openings.push((key, service));
                    }
                }
                Effect::Close(key) => {
                    if let Some(reopen) = &mut self.reopen {
                        let service = reopen(&key);
                        queue.extend(balancer.replace(now, &key, service));
                    }
                }
            }
        }
    }

    /// A service that is ready is connected.
    fn poll_openings(
        &mut self,
        balancer: &Balancer<D::Key, D::Service, M>,
        now: Nanos,
        cx: &mut Context<'_>,
    ) {
        let mut at = 0;
        while let Some((_, service)) = self.openings.get_mut(at) {
            let Poll::Ready(result) = service.poll_ready(cx) else {
                at += 1;
                continue;
            };
            let (key, _) = self.openings.swap_remove(at);
            let effects = balancer.opened(now, &key, result.is_ok());
            // What it opens next stands at the end, and is polled before this loop ends.
            self.carry_out(balancer, now, effects);
        }
    }
}

/// There are no endpoints, and there will be none; the error of discovery, if it was one.
#[derive(Clone, Debug)]
pub(super) struct DiscoveryEnded(Option<String>);

impl std::fmt::Display for DiscoveryEnded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Some(error) => write!(f, "no endpoints, and discovery has failed: {error}"),
            None => f.write_str("no endpoints, and discovery has ended"),
        }
    }
}

impl std::error::Error for DiscoveryEnded {}

/// Says that the driver has something to do, and wakes those who wait for endpoints.
#[derive(Default)]
pub(super) struct Notifier {
    is_due: AtomicBool,
    /// Tasks that wait for an endpoint, and the background task.
    waiting: Mutex<Vec<Waker>>,
    background: Mutex<Option<Waker>>,
    end: OnceLock<DiscoveryEnded>,
}

impl Notifier {
    /// There is something to do from the beginning.
    pub(super) fn due() -> Notifier {
        Notifier { is_due: AtomicBool::new(true), ..Notifier::default() }
    }

    #[inline]
    pub(super) fn is_due(&self) -> bool {
        self.is_due.load(Ordering::Acquire)
    }

    /// From here on, a notification is a new one.
    pub(super) fn begin(&self) {
        self.is_due.store(false, Ordering::Release);
    }

    pub(super) fn notify(&self) {
        self.is_due.store(true, Ordering::Release);
        let background = self.background.lock().unwrap_or_else(PoisonError::into_inner).take();
        match background {
            Some(waker) => waker.wake(),
            // A caller that waits for an endpoint drives.
            None => self.wake_waiting(),
        }
    }

    pub(super) fn wait(&self, waker: &Waker) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    pub(super) fn wait_in_background(&self, waker: &Waker) {
        let mut background = self.background.lock().unwrap_or_else(PoisonError::into_inner);
        *background = Some(waker.clone());
    }

    pub(super) fn wake_waiting(&self) {
        let waiting =
            std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(super) fn end(&self) -> Option<DiscoveryEnded> {
        self.end.get().cloned()
    }

    fn set_end(&self, end: DiscoveryEnded) {
        // Discovery ends once.
        let _ = self.end.set(end);
    }
}

impl Wake for Notifier {
    fn wake(self: Arc<Self>) {
        self.notify();
    }
}
