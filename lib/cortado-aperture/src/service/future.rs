//! The answer to a balanced request, as a future.

use super::discovery::Discovery;
use super::{Balance, Classify, Clock};
use crate::endpoint::Permit;
use crate::load::LoadMetric;
use crate::outcome::Outcome;
use crate::time::Nanos;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower::discover::Discover;
use tower::{BoxError, Service};

pin_project! {
    /// Answers what the picked endpoint answers. Dropping it gives the request up, which counts as
    /// time spent and says nothing else about the endpoint.
    pub struct ResponseFuture<D, Req, M, C>
    where
        D: Discover,
        D::Service: Service<Req>,
        M: LoadMetric,
    {
        #[pin]
        state: State<D, Req, M, C, <D::Service as Service<Req>>::Future>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<D, Req, M, C, F>
    where
        D: Discover,
        M: LoadMetric,
    {
        /// On its way.
        Sent {
            #[pin]
            future: F,
            receipt: Receipt<M>,
            classify: C,
        },
        /// No endpoint has it yet. Rare: it may cost an allocation, and the others little room.
        Unsent { unsent: Box<Unsent<D, Req, M, C>> },
    }
}

/// A request that waits for an endpoint to be ready, or for another one.
struct Unsent<D: Discover, Req, M: LoadMetric, C> {
    request: Option<Req>,
    asked: Option<(D::Service, Receipt<M>)>,
    balance: Balance<D, Req, M, C>,
    offers: usize,
    /// Why the endpoint that was asked last has not taken it.
    error: Option<BoxError>,
}

/// A permit that is finished when it is dropped.
struct Receipt<M: LoadMetric> {
    permit: Option<Permit<M>>,
    /// `None`: the time of the latest tick is exact enough.
    clock: Option<Clock>,
}

impl<M: LoadMetric> Receipt<M> {
    #[inline]
    fn finish(&mut self, outcome: Outcome) {
        if let Some(permit) = self.permit.take() {
            let now = self.now(&permit);
            permit.finish(now, outcome);
        }
    }

    #[inline]
    fn now(&self, permit: &Permit<M>) -> Nanos {
        self.clock.as_ref().map_or_else(|| permit.latest(), Clock::now)
    }
}

impl<M: LoadMetric> Drop for Receipt<M> {
    /// The caller has given up.
    #[inline]
    fn drop(&mut self) {
        self.finish(Outcome::Ignored);
    }
}

/// How often a request that no endpoint has taken is offered to further ones.
const OFFERS_MAX: usize = 3;

impl<D, Req, M, C> ResponseFuture<D, Req, M, C>
where
    D: Discover,
    D::Service: Service<Req>,
    M: LoadMetric,
{
    #[inline]
    pub(super) fn sent(
        future: <D::Service as Service<Req>>::Future,
        permit: Permit<M>,
        clock: Option<Clock>,
        classify: C,
    ) -> Self {
        let receipt = Receipt { permit: Some(permit), clock };
        ResponseFuture { state: State::Sent { future, receipt, classify } }
    }

    /// A request for which `asked` is not ready yet, or which no endpoint has taken.
    #[cold]
    pub(super) fn unsent(
        request: Req,
        asked: Option<(D::Service, Permit<M>)>,
        balance: Balance<D, Req, M, C>,
    ) -> Self
    where
        D::Service: Clone,
    {
        let clock = balance.finishing_clock();
        let asked =
            asked.map(|(service, permit)| (service, Receipt { permit: Some(permit), clock }));
        let unsent = Unsent { request: Some(request), asked, balance, offers: 0, error: None };
        ResponseFuture { state: State::Unsent { unsent: Box::new(unsent) } }
    }
}

impl<D, Req, M, C> Future for ResponseFuture<D, Req, M, C>
where
    D: Discovery<Req>,
    M: LoadMetric,
    C: Classify<<D::Service as Service<Req>>::Response, <D::Service as Service<Req>>::Error>,
{
    type Output = Result<<D::Service as Service<Req>>::Response, BoxError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProjection::Sent { future, receipt, classify } => {
                    let result = ready!(future.poll(cx));
                    receipt.finish(classify.classify(&result));
                    return Poll::Ready(result.map_err(Into::into));
                }
                StateProjection::Unsent { unsent } => ready!(unsent.poll(cx))?,
            };
            state.set(next);
        }
    }
}

/// The state of the future of a balanced service.
type StateOf<D, Req, M, C> =
    State<D, Req, M, C, <<D as Discover>::Service as Service<Req>>::Future>;

impl<D, Req, M, C> Unsent<D, Req, M, C>
where
    D: Discovery<Req>,
    M: LoadMetric,
    C: Clone,
{
    /// Waits for the endpoint that was asked, and asks others if it fails.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<StateOf<D, Req, M, C>, BoxError>> {
        loop {
            if let Some((service, receipt)) = &mut self.asked {
                match ready!(service.poll_ready(cx)) {
                    Ok(()) => {
                        let future = service.call(self.request.take().expect("sent once, here"));
                        let receipt =
                            Receipt { permit: receipt.permit.take(), clock: receipt.clock.take() };
                        let classify = self.balance.classify.clone();
                        return Poll::Ready(Ok(State::Sent { future, receipt, classify }));
                    }
                    Err(error) => {
                        receipt.finish(Outcome::Failure);
                        (self.asked, self.error) = (None, Some(error.into()));
                    }
                }
            }
            if let Err(error) = self.ask_another() {
                return Poll::Ready(Err(error));
            }
        }
    }

    fn ask_another(&mut self) -> Result<(), BoxError> {
        let now = self.balance.now();
        let picked = if self.offers < OFFERS_MAX { self.balance.pick(now) } else { None };
        let Some((service, permit)) = picked else {
            return Err(self.error.take().unwrap_or_else(|| NoEndpoints.into()));
        };
        self.offers += 1;
        let clock = self.balance.finishing_clock();
        self.asked = Some((service, Receipt { permit: Some(permit), clock }));
        Ok(())
    }
}

/// There was no endpoint to send the request to. It was not sent.
#[derive(Clone, Copy, Debug)]
struct NoEndpoints;

impl std::fmt::Display for NoEndpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("there are no endpoints; the request was not sent")
    }
}

impl std::error::Error for NoEndpoints {}
