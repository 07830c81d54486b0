//! Which nodes of this process stay down because the cluster refuses them, and why.
//!
//! Start reading at [`Refusals`].

use cortado_model::NodeId;
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// Why nodes stay down, as operators are told.
#[derive(Default)]
pub struct Refusals(Mutex<BTreeMap<NodeId, String>>);

impl Refusals {
    /// Why `node` stays down; `None` if it runs, or was ended by hand.
    pub fn of(&self, node: NodeId) -> Option<String> {
        self.0.lock().get(&node).cloned()
    }

    /// The node has ended, and stays down because of this.
    pub fn note(&self, node: NodeId, why: String) {
        self.0.lock().insert(node, why);
    }

    /// The node is started again.
    pub fn forget(&self, node: NodeId) {
        self.0.lock().remove(&node);
    }
}
