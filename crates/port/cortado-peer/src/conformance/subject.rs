//! What an adapter shows to the suite.
//!
//! Start reading at [`Subject`].

use crate::{Peer, Peers, Pending};
use cortado_model::NodeId;
use std::sync::Arc;

/// The implementation under test, before a node has joined.
pub trait Subject {
    /// Lets the others reach `node`; they do when this has ended. A former life of it may be left
    /// behind.
    ///
    /// * `serves`: answers for it.
    fn join(&self, node: NodeId, serves: Arc<dyn Peer>) -> Pending<'_, Leave>;

    /// The nodes as `asking` reaches them, those that join later included.
    fn peers(&self, asking: NodeId) -> Arc<dyn Peers>;
}

/// Lets what has joined leave; it has when this has ended. Kept as long as it is to be reached.
pub type Leave = Box<dyn FnOnce() -> Pending<'static, ()> + Send>;
