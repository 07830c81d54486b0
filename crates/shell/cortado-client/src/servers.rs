//! The servers of a client, and which of them is asked next.
//!
//! Balances by `cortado-aperture`: each request goes to the less busy one of two that are drawn; a
//! server that fails is left alone for a while, then asked whether it lives, once each time and
//! without a caller who waits for it. Without requests nothing is asked. Start reading at
//! [`Servers::pick`].

use crate::address::{ServerAddress, ServerAddresses};
use crate::failure::AttemptError;
use crate::options::ClientOptions;
use crate::retry::FailedAttempt;
use crate::transport::{Answer, Flowing, Outgoing, Transport};
use bytes::Bytes;
use cortado_aperture::{
    APERTURE_DEFAULT, Accrual, Balancer, Change, DeterministicAperture, LeastLoaded, Nanos,
    Outcome, Permit, Random, Rendezvous, RingOrder, Settings, SharedEndpoint, Status, Subsetter,
    Weight,
};
use http::{HeaderMap, Method, StatusCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// When a server is left alone. One failure is enough, since only what speaks against the server
/// itself counts and others are there; so the pauses begin short.
const ACCRUAL: Accrual = Accrual {
    failure_streak: 1,
    success_rate_min: 0.0,
    pause_min: Duration::from_millis(250),
    pause_max: Duration::from_secs(10),
};
/// How long a server may take to say that it lives: more than to connect.
const PROBE_MAX: Duration = Duration::from_secs(5);
/// How often the balancer looks whether its aperture must widen.
const TICK: Duration = Duration::from_millis(100);

/// A pool of connections to each server, and the choice between them.
#[derive(Debug)]
pub(crate) struct Servers {
    addresses: ServerAddresses,
    transports: Vec<Arc<Transport>>,
    balancer: Balancer<ServerAddress, Arc<Transport>>,
    random: Random,
    /// What the balancer's times count from.
    epoch: Instant,
    /// When it was last told the time, in nanoseconds.
    ticked_at: AtomicU64,
}

impl Servers {
    pub(crate) fn new(addresses: ServerAddresses, options: &ClientOptions) -> Servers {
        let transport = |address: &ServerAddress| Arc::new(Transport::new(address.clone()));
        let transports: Vec<_> = addresses.iter().map(transport).collect();
        let subsetter: Box<dyn Subsetter> = match options.coordinate {
            Some(coordinate) => Box::new(DeterministicAperture::at(APERTURE_DEFAULT, coordinate)),
            None => Box::new(Rendezvous::new(APERTURE_DEFAULT, fastrand::u64(..))),
        };
        // Requests connect by themselves, and idle connections are closed by the pool.
        let settings = Settings {
            accrual: Some(ACCRUAL),
            openings_max: None,
            idle_max: None,
            ..Settings::default()
        };
        let order = RingOrder::of_group(&options.group);
        let balancer = Balancer::new(order, subsetter, LeastLoaded, settings)
            .expect("the constants above fit together");
        let inserts = transports.iter().map(|transport| {
            Change::Insert(transport.server().clone(), Weight::ONE, Arc::clone(transport))
        });
        balancer.update(Nanos(0), inserts);
        let random = Random::new(fastrand::u64(..));
        let (epoch, ticked_at) = (Instant::now(), AtomicU64::new(0));
        Servers { addresses, transports, balancer, random, epoch, ticked_at }
    }

    pub(crate) fn addresses(&self) -> &ServerAddresses {
        &self.addresses
    }

    /// Whether any of them has ever answered.
    pub(crate) fn has_answered(&self) -> bool {
        self.transports.iter().any(|transport| transport.has_answered())
    }

    /// The server for the first sending of a request.
    pub(crate) fn pick(&self) -> Asked<'_> {
        let now = self.now();
        let picked = self.balancer.pick(now, &self.random).expect("there is at least one server");
        if picked.1.is_probe()
            && let Some(other) = self.pick_other_healthy(picked.0.key())
        {
            tokio::spawn(probe(picked, self.epoch));
            return other;
        }
        self.asked(picked)
    }

    /// Another server than `spent`, for a request that those have not done; the best that there
    /// is, be it one that is left alone. `None` if the aperture has no other.
    pub(crate) fn pick_other(&self, spent: &[ServerAddress]) -> Option<Asked<'_>> {
        let now = self.now();
        let is_spent = |server: &ServerAddress| spent.contains(server);
        self.balancer.pick_other(now, &self.random, is_spent).map(|picked| self.asked(picked))
    }

    /// The same, of those against which nothing is known.
    pub(crate) fn pick_other_healthy(&self, spent: &ServerAddress) -> Option<Asked<'_>> {
        let now = self.now();
        let is_spent = |server: &ServerAddress| server == spent;
        let (endpoint, permit) = self.balancer.pick_other(now, &self.random, is_spent)?;
        // While it is tried again its status is not open either.
        (endpoint.status(now) == Status::Open).then(|| self.asked((endpoint, permit)))
    }

    fn asked(&self, picked: Picked) -> Asked<'_> {
        let (endpoint, permit) = picked;
        Asked { servers: self, transport: Arc::clone(endpoint.target()), permit }
    }

    /// The time, of which the balancer is told now and then.
    fn now(&self) -> Nanos {
        let now = Nanos(0).after(self.epoch.elapsed());
        let last = self.ticked_at.load(Ordering::Relaxed);
        let is_due = now >= Nanos(last).after(TICK) || self.balancer.wants_tick();
        let is_ours = || {
            let order = Ordering::Relaxed;
            self.ticked_at.compare_exchange(last, now.0, order, order).is_ok()
        };
        if is_due && is_ours() {
            // With nothing opened ahead and nothing closed for idleness there is nothing to do.
            let effects = self.balancer.tick(now);
            debug_assert!(effects.is_empty(), "{effects:?}");
        }
        now
    }
}

/// Asks a server that has failed whether it lives. Not whether it is ready, which depends on every
/// partition of the cluster: while one is not served, no server would be used again.
async fn probe(picked: Picked, epoch: Instant) {
    let (endpoint, permit) = picked;
    let (method, path) = (Method::GET, "/healthz".to_owned());
    let outgoing = Outgoing { method, path, headers: HeaderMap::new(), body: Bytes::new() };
    let answer = endpoint.target().send(&outgoing, Instant::now() + PROBE_MAX).await;
    // Where a proxy hides the route, an answer is as good as can be had.
    let is_not = |status: StatusCode| status.is_server_error() || status.as_u16() == 421;
    let is_alive = answer.is_ok_and(|answer| !is_not(answer.status));
    let outcome = if is_alive { Outcome::Success } else { Outcome::Failure };
    permit.finish(Nanos(0).after(epoch.elapsed()), outcome);
}

type Picked = (SharedEndpoint<ServerAddress, Arc<Transport>, LeastLoaded>, Permit<LeastLoaded>);

/// A server that is to be asked once. While it exists the server counts as busier by one request;
/// dropped before an answer, it says nothing about the server.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    servers: &'a Servers,
    transport: Arc<Transport>,
    permit: Permit<LeastLoaded>,
}

impl Asked<'_> {
    pub(crate) fn server(&self) -> &ServerAddress {
        self.transport.server()
    }

    /// Sends once; answers a success.
    ///
    /// # Errors
    /// Any other answer, or none.
    pub(crate) async fn send(
        self,
        outgoing: &Outgoing,
        deadline: Instant,
    ) -> Result<Answer, FailedAttempt> {
        let result = match self.transport.send(outgoing, deadline).await {
            Ok(answer) if answer.status.is_success() => Ok(answer),
            Ok(answer) => Err(FailedAttempt::from_answer(&answer)),
            Err(error) => Err(FailedAttempt::from_send(error)),
        };
        self.finish(result)
    }

    /// Sends once; answers a success as soon as it begins, without reading its body. From then on
    /// the server does not count as busier: a stream that rests is no load.
    ///
    /// # Errors
    /// Any other answer, or none.
    pub(crate) async fn open(
        self,
        outgoing: &Outgoing,
        deadline: Instant,
    ) -> Result<Flowing, FailedAttempt> {
        let begun = Instant::now();
        let result = match self.transport.open(outgoing, deadline).await {
            Ok(flowing) if flowing.status.is_success() => Ok(flowing),
            Ok(flowing) => match self.transport.collect(flowing, begun, deadline).await {
                Ok(answer) => Err(FailedAttempt::from_answer(&answer)),
                Err(error) => Err(FailedAttempt::from_send(error)),
            },
            Err(error) => Err(FailedAttempt::from_send(error)),
        };
        self.finish(result)
    }

    fn finish<T>(self, result: Result<T, FailedAttempt>) -> Result<T, FailedAttempt> {
        let now = Nanos(0).after(self.servers.epoch.elapsed());
        let outcome = match &result {
            Err(failed) if failed.is_servers_fault => Outcome::Failure,
            // Nothing was sent.
            Err(FailedAttempt { met: AttemptError::Transport(_), .. }) => Outcome::Ignored,
            // An answer, be it a refusal, is the work of a server that works.
            Ok(_) | Err(_) => Outcome::Success,
        };
        self.permit.finish(now, outcome);
        result
    }
}
