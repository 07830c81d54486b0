//! Where the stores of the nodes come from. Start reading at [`StoreFactory`].

use cortado_model::NodeId;
use cortado_store::{Store, StoreError};
use std::fs::File;
use std::io;
use std::sync::Arc;

/// Opens the stores of nodes, and holds what is on its way into them.
pub trait StoreFactory: Send + Sync + 'static {
    /// Opens it; what it held is there again. May block.
    ///
    /// Called for each start of a node; everything of its former life has been dropped by then.
    ///
    /// # Errors
    /// The store cannot be opened.
    fn open(&self, node: NodeId) -> Result<Arc<dyn Store>, StoreError>;

    /// As [`open`](Self::open), to look into it: a damaged store is left as it is, whatever opening
    /// it would make of it.
    ///
    /// # Errors
    /// The store cannot be opened.
    fn look(&self, node: NodeId) -> Result<Arc<dyn Store>, StoreError> {
        self.open(node)
    }

    /// A file for a snapshot until it has arrived whole: empty, to write and to read. May block.
    ///
    /// It has no name, so that it goes with its last handle, however the process ends. For stores
    /// that are on a disk, it belongs on the same one.
    ///
    /// # Errors
    /// It cannot be made.
    fn spool(&self) -> io::Result<File> {
        tempfile::tempfile()
    }
}
