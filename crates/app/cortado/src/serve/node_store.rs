//! The store of one node, and what becomes of a damaged one.
//!
//! It is set aside, never deleted, and the node builds its replicas anew from its peers or from the
//! log. Start reading at [`NodeStore`]. Source: docs/operations/disk.md, "A damaged store".

use crate::damaged_store::{move_aside, store_error};
use crate::data_directory::store_folder;
use cortado_model::{NodeId, with_causes};
use cortado_node::StoreFactory;
use cortado_store::{Store, StoreError};
use cortado_store_fjall::{FjallStore, OpenError, Settings};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tracing::warn;

/// The store in a data directory.
pub(crate) struct NodeStore {
    folder: PathBuf,
    tables_max: usize,
}

impl NodeStore {
    /// That below `folder`.
    ///
    /// * `tables_max`: tables that it may hold open.
    pub(crate) fn new(folder: PathBuf, tables_max: usize) -> NodeStore {
        NodeStore { folder, tables_max }
    }

    fn open_as_it_is(&self, node: NodeId) -> Result<Arc<dyn Store>, OpenError> {
        let directory = store_folder(&self.folder, node);
        let settings = Settings { tables_max: self.tables_max, ..Settings::new(directory) };
        Ok(Arc::new(FjallStore::open(&settings)?))
    }
}

impl StoreFactory for NodeStore {
    fn open(&self, node: NodeId) -> Result<Arc<dyn Store>, StoreError> {
        let damage = match self.open_as_it_is(node) {
            Ok(store) => return Ok(store),
            Err(damage @ (OpenError::Damaged { .. } | OpenError::Marked { .. })) => damage,
            Err(error) => return Err(store_error(&error)),
        };
        let error = with_causes(&damage);
        let aside = move_aside(&store_folder(&self.folder, node)).map_err(|failed| {
            StoreError::Failed { why: format!("{error}; it cannot be set aside: {failed}") }
        })?;
        let kept = aside.display();
        warn!(%node, error, %kept, "damaged store set aside; the node builds its replicas anew");
        self.open_as_it_is(node).map_err(|error| store_error(&error))
    }

    fn look(&self, node: NodeId) -> Result<Arc<dyn Store>, StoreError> {
        self.open_as_it_is(node).map_err(|error| store_error(&error))
    }

    fn spool(&self) -> io::Result<File> {
        tempfile::tempfile_in(&self.folder)
    }
}

/// The stores of a process without nodes: there is none.
pub(crate) struct NoStores;

impl StoreFactory for NoStores {
    fn open(&self, node: NodeId) -> Result<Arc<dyn Store>, StoreError> {
        Err(StoreError::Failed { why: format!("this process holds no node, and so not {node}") })
    }
}
