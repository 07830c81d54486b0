//! What goes into a balancer, and what it asks for.
//!
//! Start reading at [`Change`].

use crate::weight::Weight;

/// What discovery says about one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<K, T> {
    /// It is there, with this weight and target. If it was there already, its load and health are
    /// remembered.
    Insert(K, Weight, T),
    /// It has another weight from now on.
    Weigh(K, Weight),
    /// It is gone. Requests that are on their way to it end as they end.
    Remove(K),
}

/// What the driver should do; answer as the variant says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<K> {
    /// Connect to it, and say [`opened`](crate::Balancer::opened) when that has worked or failed.
    Open(K),
    /// Close its connection: it has been idle for long, outside the aperture. If it is ever
    /// wanted again, a fresh target must connect.
    Close(K),
}
