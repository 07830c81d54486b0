//! Where endpoints come from.

use crate::order::RingKey;
use tower::BoxError;
use tower::Service;
use tower::discover::Discover;

/// A stream of discovered services that take requests of the type `Req`.
///
/// Every stream is one if its keys are the same to all peers and its services can be cloned.
pub trait Discovery<Req>
where
    Self: Discover<Key: RingKey, Error: Into<BoxError>>,
    Self: Discover<Service: Service<Req, Error: Into<BoxError>> + Clone>,
{
}

impl<D, Req> Discovery<Req> for D
where
    D: Discover<Key: RingKey, Error: Into<BoxError>>,
    D: Discover<Service: Service<Req, Error: Into<BoxError>> + Clone>,
{
}
