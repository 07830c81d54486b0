//! Copying a peer's state into the own store.
//!
//! Start reading at [`copy`].

use crate::node_context::NodeContext;
use crate::replica_handle::ReplicaHandle;
use crate::snapshot::{SnapshotReader, write_snapshot};
use bytes::Bytes;
use cortado_driver::CopyError;
use cortado_model::{LogOffset, Scn};
use cortado_store::StoreError;
use std::sync::Arc;
use tokio::sync::mpsc;
use tracing::warn;

/// Chunks on their way from the peer to the store.
const CHUNKS_IN_FLIGHT: usize = 8;

/// Streams a snapshot from `peer` into the own store; blocks. Answers how far it reaches.
pub(super) fn copy(
    context: &Arc<NodeContext>,
    peer: Arc<ReplicaHandle>,
) -> Result<(Scn, LogOffset), CopyError> {
    let failed = |error: StoreError| CopyError::Failed { why: error.to_string() };
    let partition = peer.partition;
    let (sender, mut receiver) = mpsc::channel::<Bytes>(CHUNKS_IN_FLIGHT);
    let view = peer.lanes.store().view(partition).map_err(failed)?;
    let source = Arc::clone(context);
    let sends = context.spawn_blocking(move || {
        let sink = |chunk| !source.is_ending() && sender.blocking_send(chunk).is_ok();
        if let Err(error) = write_snapshot(view.as_ref(), partition, sink) {
            warn!(%partition, from = %peer.node, %error, "snapshot not read");
        }
        drop(view);
        // The peer's store stays open as long as its view is read.
        drop(peer);
    });
    if !sends {
        return Err(CopyError::Interrupted);
    }
    let chunks = std::iter::from_fn(|| receiver.blocking_recv());
    let (name, mut entries) = SnapshotReader::open(chunks).map_err(failed)?;
    if name.partition != partition {
        return Err(CopyError::Failed { why: "it is of another partition".to_owned() });
    }
    let installed = context.store.install(partition, &mut entries, name.checkpoint.clone());
    installed.map_err(failed)?;
    Ok((name.scn, name.offset))
}
