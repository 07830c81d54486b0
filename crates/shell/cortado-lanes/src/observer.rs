//! Who hears how a store's lanes do.
//!
//! Start reading at [`LaneObserver`].

use cortado_store::StoreError;
use std::time::Duration;

/// Hears of every commit to a store, and of the panic that ends its lanes.
///
/// Called on the lanes' own threads, which it must not hold up.
pub trait LaneObserver: Send + Sync + 'static {
    /// A commit begins.
    fn begun(&self);

    /// A commit has ended.
    ///
    /// * `took`: from its beginning on.
    fn ended(&self, took: Duration, committed: &Result<(), StoreError>);

    /// A thread has panicked, so that nothing goes on: the store must be opened again. Told once.
    fn broken(&self, why: String);
}

/// No observer.
impl LaneObserver for () {
    fn begun(&self) {}

    fn ended(&self, _: Duration, _: &Result<(), StoreError>) {}

    fn broken(&self, _: String) {}
}
