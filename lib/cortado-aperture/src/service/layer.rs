//! The balancer as a layer over a stream of discovered services.

use super::Balance;
use super::discovery::Discovery;
use std::marker::PhantomData;
use tower::Layer;

/// Turns a stream of discovered services into one balanced service.
///
/// For stacks that are put together by layers; all others call [`Balance::new`] or
/// [`Balance::builder`].
pub struct BalanceLayer<D, Req> {
    over: PhantomData<fn(D) -> Req>,
}

impl<D, Req> BalanceLayer<D, Req> {
    /// A layer that balances over everything that is discovered, by least load.
    pub fn new() -> Self {
        BalanceLayer { over: PhantomData }
    }
}

impl<D, Req> Layer<D> for BalanceLayer<D, Req>
where
    D: Discovery<Req>,
{
    type Service = Balance<D, Req>;

    fn layer(&self, discover: D) -> Self::Service {
        Balance::new(discover)
    }
}

impl<D, Req> Default for BalanceLayer<D, Req> {
    fn default() -> Self {
        BalanceLayer::new()
    }
}

impl<D, Req> Clone for BalanceLayer<D, Req> {
    fn clone(&self) -> Self {
        BalanceLayer::new()
    }
}

impl<D, Req> std::fmt::Debug for BalanceLayer<D, Req> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BalanceLayer")
    }
}
