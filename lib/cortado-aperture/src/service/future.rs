//! The answer to a balanced request, as a future.

use super::{Balance, Classify, Clock};
use crate::endpoint::Permit;
use crate::load::LoadMetric;
use crate::order::RingKey;
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
        /// The endpoint is not ready yet. If it fails, there are others.
        Waiting {
            service: D::Service,
            request: Option<Req>,
            receipt: Receipt<M>,
            balance: Balance<D, Req, M, C>,
        },
        /// No endpoint has taken it: there is none, or those that were asked have failed.
        Unplaced {
            request: Option<Req>,
            balance: Balance<D, Req, M, C>,
            tries: usize,
        },
    }
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

    pub(super) fn waiting(
        service: D::Service,
        request: Req,
        permit: Permit<M>,
        balance: Balance<D, Req, M, C>,
    ) -> Self
    where
        D::Service: Clone,
    {
        let receipt = Receipt { permit: Some(permit), clock: balance.finishing_clock() };
        let request = Some(request);
        ResponseFuture { state: State::Waiting { service, request, receipt, balance } }
    }

    pub(super) fn unplaced(request: Req, balance: Balance<D, Req, M, C>) -> Self {
        ResponseFuture { state: State::Unplaced { request: Some(request), balance, tries: 0 } }
    }
}

impl<D, Req, M, C> Future for ResponseFuture<D, Req, M, C>
where
    D: Discover,
    D::Key: RingKey,
    D::Service: Service<Req> + Clone,
    D::Error: Into<BoxError>,
    <D::Service as Service<Req>>::Error: Into<BoxError>,
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
                StateProjection::Waiting { service, request, receipt, balance } => {
                    match ready!(service.poll_ready(cx)) {
                        Ok(()) => send(service, request, receipt, balance),
                        Err(error) => {
                            receipt.finish(Outcome::Failure);
                            let _: BoxError = error.into();
                            State::Unplaced {
                                request: request.take(),
                                balance: balance.clone(),
                                tries: 0,
                            }
                        }
                    }
                }
                StateProjection::Unplaced { request, balance, tries } => {
                    match place(request, balance, tries, cx) {
                        Ok(next) => next,
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
            };
            state.set(next);
        }
    }
}

/// The state of the future of a balanced service.
type StateOf<D, Req, M, C> =
    State<D, Req, M, C, <<D as Discover>::Service as Service<Req>>::Future>;

fn send<D, Req, M, C>(
    service: &mut D::Service,
    request: &mut Option<Req>,
    receipt: &mut Receipt<M>,
    balance: &Balance<D, Req, M, C>,
) -> StateOf<D, Req, M, C>
where
    D: Discover,
    D::Service: Service<Req>,
    M: LoadMetric,
    C: Clone,
{
    let future = service.call(request.take().expect("sent once, by this"));
    let receipt = Receipt { permit: receipt.permit.take(), clock: receipt.clock.take() };
    State::Sent { future, receipt, classify: balance.classify.clone() }
}

/// Offers the request to another endpoint.
fn place<D, Req, M, C>(
    request: &mut Option<Req>,
    balance: &mut Balance<D, Req, M, C>,
    tries: &mut usize,
    cx: &mut Context<'_>,
) -> Result<StateOf<D, Req, M, C>, BoxError>
where
    D: Discover,
    D::Key: RingKey,
    D::Service: Service<Req> + Clone,
    D::Error: Into<BoxError>,
    <D::Service as Service<Req>>::Error: Into<BoxError>,
    M: LoadMetric,
    C: Clone,
{
    let mut last = None;
    while *tries < OFFERS_MAX {
        *tries += 1;
        let now = balance.now();
        let Some((mut service, permit)) = balance.pick(now) else { break };
        let mut receipt = Receipt { permit: Some(permit), clock: balance.finishing_clock() };
        match service.poll_ready(cx) {
            Poll::Ready(Ok(())) => return Ok(send(&mut service, request, &mut receipt, balance)),
            Poll::Ready(Err(error)) => {
                receipt.finish(Outcome::Failure);
                last = Some(error.into());
            }
            Poll::Pending => {
                let request = request.take();
                let balance = balance.clone();
                return Ok(State::Waiting { service, request, receipt, balance });
            }
        }
    }
    Err(last.unwrap_or_else(|| NoEndpoints.into()))
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
