//! The balancer as a `tower` service.
//!
//! [`Balance`] stands where `tower::balance::p2c::Balance` stands: it takes a stream of discovered
//! services and is one itself. It can be cloned, so it needs no buffer, and every clone picks for
//! itself. Start reading at [`Balance`]; then `driver`, which does everything but picking.

mod builder;
mod classify;
mod clock;
mod discovery;
mod driver;
mod background;
mod future;
mod layer;

pub use background::Background;
pub use builder::Builder;
pub use classify::{Classify, ErrorsFail};
pub use clock::Clock;
pub use discovery::Discovery;
pub use future::ResponseFuture;
pub use layer::BalanceLayer;

use crate::balancer::{Balancer, Reader};
use crate::coordinate::Coordinate;
use crate::endpoint::Permit;
use crate::load::{LeastLoaded, LoadMetric};
use crate::outcome::Outcome;
use crate::random::Random;
use crate::report::Report;
use crate::time::Nanos;
use crate::weight::Weight;
use driver::{Command, Driver, Notifier};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tower::discover::Discover;
use tower::{BoxError, Service};

/// How often a driver looks after endpoints.
pub(crate) const TICK: Duration = Duration::from_millis(50);
/// How many endpoints one request asks whether they are ready before it waits for the first.
const ASKED_MAX: usize = 3;

/// A service that balances over the services that `D` discovers.
///
/// Services are cloned for every request, as clients of hyper, reqwest or tonic are made for; a
/// clone must share its connection and its limits with the others.
///
/// A service whose `poll_ready` fails has not got the request, so another one gets it. A service
/// that is not ready is waited for only if two others are not ready either. An error of `call` is
/// the caller's: nothing is sent twice.
///
/// Without further ado, everything but picking is done by the next call of `poll_ready`. With
/// [`background`](Self::background), or `spawn` of the feature `tokio`, a task of its own does it,
/// on time and faster for all callers.
///
/// ```
/// use cortado_aperture::service::Balance;
/// use tower::discover::ServiceList;
/// # use std::convert::Infallible;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower::BoxError> {
/// use tower::{ServiceExt, service_fn};
///
/// let services = (0..3).map(|_| service_fn(|name: &'static str| async move {
///     Ok::<_, Infallible>(format!("hello {name}"))
/// }));
/// let balance = Balance::new(ServiceList::new::<&'static str>(services));
/// assert_eq!(balance.oneshot("you").await?, "hello you");
/// # Ok(())
/// # }
/// ```
pub struct Balance<D: Discover, Req, M: LoadMetric = LeastLoaded, C = ErrorsFail> {
    balancer: Balancer<D::Key, D::Service, M>,
    /// Set for a handle that is never idle.
    reader: Option<Reader<D::Key, D::Service, M>>,
    shell: Arc<Shell<D, Req, M>>,
    random: Random,
    classify: C,
}

/// What the handles share besides the balancer.
struct Shell<D: Discover, Req, M: LoadMetric> {
    clock: Clock,
    driver: Mutex<Driver<D, Req, M>>,
    commands: Mutex<Vec<Command<D::Key>>>,
    notifier: Arc<Notifier>,
    /// Whether a task of its own drives; callers do otherwise.
    is_driven: AtomicBool,
    ticked_at: AtomicU64,
}

impl<D, Req> Balance<D, Req>
where
    D: Discovery<Req>,
{
    /// Balances over everything that is discovered, by least load: what tower's `p2c` does.
    pub fn new(discover: D) -> Self {
        Builder::new("").build(discover)
    }

    /// Balances over an aperture. `group` names the group of clients that this one belongs to,
    /// such as its service: peers must say the same, other groups something else.
    pub fn builder(group: &str) -> Builder<D::Key, D::Service> {
        Builder::new(group)
    }
}

impl<D, Req, M, C> Balance<D, Req, M, C>
where
    D: Discovery<Req>,
    M: LoadMetric,
{
    /// The source of coordinates says that this client stands there. It moves when it has said so
    /// for a while; see [`SteadyCoordinate`](crate::SteadyCoordinate).
    pub fn observe(&self, coordinate: Coordinate) {
        self.command(Command::Observe(coordinate));
    }

    /// The endpoint has another weight from now on. It keeps it when it is discovered again.
    pub fn weigh(&self, key: D::Key, weight: Weight) {
        self.command(Command::Weigh(key, weight));
    }

    /// Keeps the aperture at hand between requests: for a loop that is never idle.
    ///
    /// Picks cost a quarter less. In return, services that have gone live on until this handle
    /// sends its next request or is dropped. Clones of it start without.
    pub fn at_hand(mut self) -> Self {
        self.reader = Some(self.balancer.reader());
        self
    }

    /// What can be seen from outside.
    pub fn report(&self) -> Report {
        self.balancer.report()
    }

    /// The endpoints that picks choose from, with their shares of the traffic.
    pub fn shares(&self) -> Vec<(D::Key, f64)> {
        self.balancer.shares()
    }

    fn command(&self, command: Command<D::Key>) {
        self.shell.commands.lock().unwrap_or_else(PoisonError::into_inner).push(command);
        self.shell.notifier.notify();
    }

    /// What time it is, for picks: as exactly as the metric wants it.
    #[inline]
    fn now(&self) -> Nanos {
        if M::NEEDS_DURATIONS || !self.shell.is_driven.load(Ordering::Relaxed) {
            self.shell.clock.now()
        } else {
            self.balancer.latest()
        }
    }

    /// Does what a task of its own would do, if there is none and something is to be done.
    #[inline]
    fn drive_inline(&self) {
        if self.shell.is_driven.load(Ordering::Relaxed) {
            return;
        }
        let now = self.shell.clock.now();
        let ticked_at = Nanos(self.shell.ticked_at.load(Ordering::Relaxed));
        if self.shell.notifier.is_due() || now.since(ticked_at) >= TICK {
            self.drive_now(now);
        }
    }

    #[cold]
    fn drive_now(&self, now: Nanos) {
        // Its holder is doing the same.
        let Ok(mut driver) = self.shell.driver.try_lock() else { return };
        let waker = Waker::from(Arc::clone(&self.shell.notifier));
        self.shell.drive(&mut driver, &self.balancer, now, &mut Context::from_waker(&waker));
    }
}

impl<D, Req, M> Shell<D, Req, M>
where
    D: Discovery<Req>,
    M: LoadMetric,
{
    /// One round of everything but picking.
    fn drive(
        &self,
        driver: &mut Driver<D, Req, M>,
        balancer: &Balancer<D::Key, D::Service, M>,
        now: Nanos,
        cx: &mut Context<'_>,
    ) {
        self.notifier.begin();
        let commands =
            std::mem::take(&mut *self.commands.lock().unwrap_or_else(PoisonError::into_inner));
        driver.obey(balancer, now, commands);
        driver.poll(balancer, now, cx);
        self.ticked_at.store(now.0, Ordering::Relaxed);
        if !balancer.is_empty() || driver.has_ended() {
            self.notifier.wake_waiting();
        }
    }
}

impl<D, Req, M, C> Service<Req> for Balance<D, Req, M, C>
where
    D: Discovery<Req>,
    M: LoadMetric,
    C: Classify<<D::Service as Service<Req>>::Response, <D::Service as Service<Req>>::Error>,
{
    type Response = <D::Service as Service<Req>>::Response;
    type Error = BoxError;
    type Future = ResponseFuture<D, Req, M, C>;

    /// Ready once there is an endpoint.
    ///
    /// # Errors
    /// There is none, and there will be none: discovery has ended or failed.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.drive_inline();
        if !self.balancer.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.shell.notifier.wait(cx.waker());
        // The waker stands there now: whatever comes from here on wakes, what came before shows.
        self.drive_inline();
        if !self.balancer.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.shell.notifier.end().map_or(Poll::Pending, |error| Poll::Ready(Err(error.into())))
    }

    /// Picks an endpoint and sends it the request, or waits until it can.
    fn call(&mut self, request: Req) -> Self::Future {
        let now = self.now();
        let mut waiting = None;
        for _ in 0..ASKED_MAX {
            let Some((mut service, permit)) = self.pick(now) else { break };
            // No task is to be woken: the future asks again whatever is not ready now.
            match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(())) => {
                    let future = service.call(request);
                    let clock = self.finishing_clock();
                    return ResponseFuture::sent(future, permit, clock, self.classify.clone());
                }
                Poll::Ready(Err(_)) => permit.finish(now, Outcome::Failure),
                Poll::Pending => {
                    waiting.get_or_insert((service, permit));
                }
            }
        }
        ResponseFuture::unsent(request, waiting, self.clone())
    }
}

impl<D, Req, M, C> Balance<D, Req, M, C>
where
    D: Discover,
    D::Service: Clone,
    M: LoadMetric,
{
    #[inline]
    fn pick(&mut self, now: Nanos) -> Option<(D::Service, Permit<M>)> {
        match &mut self.reader {
            Some(reader) => reader.pick_and(now, &self.random, |found| found.target().clone()),
            None => self.balancer.pick_and(now, &self.random, |found| found.target().clone()),
        }
    }

    /// The clock by which a request ends; `None` if the latest tick is exact enough.
    #[inline]
    fn finishing_clock(&self) -> Option<Clock> {
        M::NEEDS_DURATIONS.then(|| self.shell.clock.clone())
    }
}

impl<D: Discover, Req, M: LoadMetric, C: Clone> Clone for Balance<D, Req, M, C> {
    fn clone(&self) -> Self {
        Balance {
            balancer: self.balancer.clone(),
            reader: None,
            shell: Arc::clone(&self.shell),
            random: self.random.clone(),
            classify: self.classify.clone(),
        }
    }
}

impl<D: Discover, Req, M: LoadMetric, C> std::fmt::Debug for Balance<D, Req, M, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Balance").finish_non_exhaustive()
    }
}
