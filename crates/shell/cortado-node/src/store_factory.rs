//! Where the stores of the nodes come from. Start reading at [`StoreFactory`].

use cortado_model::NodeId;
use cortado_store::{Store, StoreError};
use std::sync::Arc;

/// Opens the store of a node.
pub trait StoreFactory: Send + Sync + 'static {
    /// Opens it; what it held is there again. May block.
    ///
    /// Called for each start of a node; everything of its former life has been dropped by then.
    ///
    /// # Errors
    /// The store cannot be opened.
    fn open(&self, node: NodeId) -> Result<Arc<dyn Store>, StoreError>;
}
