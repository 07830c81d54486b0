//! Building a replica anew: from a peer's snapshot, or from the log if that still begins at 0.
//!
//! Start reading at [`resync`].

use super::restart::extent;
use crate::events::EventKind;
use crate::node_context::NodeContext;
use crate::replica_handle::ReplicaHandle;
use crate::snapshot::{SnapshotName, SnapshotReader, write_snapshot};
use bytes::Bytes;
use cortado_model::{LogOffset, with_causes};
use cortado_store::StoreError;
use std::sync::Arc;
use tokio::sync::mpsc;
use tracing::{info, warn};

/// Chunks on their way from the peer to the store.
const CHUNKS_IN_FLIGHT: usize = 8;

/// Why a replica could not be built anew now. Try again later.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResyncError {
    /// No peer can help, and the log does not reach back.
    #[error("no running replica has a state beyond {beyond}, and the log begins at {first}")]
    NoSource { beyond: LogOffset, first: LogOffset },
    /// The log does not say where it begins.
    #[error("the log cannot be read: {why}")]
    Log { why: String },
    /// This replica's store, or the peer's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node is going away.
    #[error("interrupted")]
    Interrupted,
}

/// Throws the replica's state away and builds it anew.
///
/// * `beyond`: what a snapshot must cover to be of use.
/// * `why`: for the decision log.
///
/// # Errors
/// The replica is empty or as it was; its role stays `Restoring` or becomes `Offline`.
pub(super) async fn resync(
    context: &Arc<NodeContext>,
    handle: &Arc<ReplicaHandle>,
    beyond: LogOffset,
    why: &str,
) -> Result<(), ResyncError> {
    let partition = handle.partition;
    handle.show_restoring();
    let extent = extent(context, partition).await;
    let first = extent.map_err(|error| ResyncError::Log { why: with_causes(&error) })?.first;
    let mut peers = context.routes.route(partition).replicas();
    peers.retain(|peer| {
        let is_other = peer.node != handle.node;
        is_other && peer.role().is_readable() && peer.folded() >= beyond.max(first)
    });
    // The leader first: nobody knows more, and a digest round believes it.
    let serving = context.routes.route(partition).serving_generation().map(|(_, node)| node);
    peers.sort_by_key(|peer| (serving != Some(peer.node), std::cmp::Reverse(peer.folded())));
    for peer in &peers {
        match copy(context, handle, peer).await {
            Ok(name) => {
                context.metrics.resyncs.add(1);
                let (from, scn, offset) = (peer.node, name.scn, name.offset);
                info!(%partition, %from, %scn, %offset, why, "snapshot installed");
                let what = format!("copied a snapshot at {scn} from {from}");
                let evidence = vec![why.to_owned()];
                context.decisions.explain(EventKind::Resync, Some(partition), what, evidence);
                return Ok(());
            }
            Err(ResyncError::Interrupted) => return Err(ResyncError::Interrupted),
            Err(error) => warn!(%partition, from = %peer.node, %error, "snapshot not installed"),
        }
    }
    if first > LogOffset::ZERO || beyond > LogOffset::ZERO {
        return Err(ResyncError::NoSource { beyond, first });
    }
    let store = Arc::clone(&context.store);
    blocking(context, move || store.remove(partition)).await??;
    context.metrics.resyncs.add(1);
    info!(%partition, why, "folding the log from its beginning");
    let what = "folds its log from the beginning".to_owned();
    context.decisions.explain(EventKind::Resync, Some(partition), what, vec![why.to_owned()]);
    Ok(())
}

/// Streams a snapshot from `peer` into the own store.
async fn copy(
    context: &Arc<NodeContext>,
    handle: &Arc<ReplicaHandle>,
    peer: &Arc<ReplicaHandle>,
) -> Result<SnapshotName, ResyncError> {
    let partition = handle.partition;
    let (sender, mut receiver) = mpsc::channel::<Bytes>(CHUNKS_IN_FLIGHT);
    let view = peer.lanes.read(move |store| store.view(partition)).await?;
    // The peer's store stays open as long as its view is read.
    let (source, peer) = (Arc::clone(context), Arc::clone(peer));
    let written = context.spawn_blocking(move || {
        let sink = |chunk| !source.is_ending() && sender.blocking_send(chunk).is_ok();
        if let Err(error) = write_snapshot(view.as_ref(), partition, sink) {
            warn!(%partition, from = %peer.node, %error, "snapshot not read");
        }
        drop(view);
        drop(peer);
    });
    if !written {
        return Err(ResyncError::Interrupted);
    }
    let store = Arc::clone(&context.store);
    blocking(context, move || {
        let chunks = std::iter::from_fn(|| receiver.blocking_recv());
        let (name, mut entries) = SnapshotReader::open(chunks)?;
        if name.partition != partition {
            return Err(StoreError::Damaged { why: "a foreign snapshot".to_owned() });
        }
        store.install(partition, &mut entries, name.checkpoint.clone())?;
        Ok(name)
    })
    .await?
    .map_err(ResyncError::Store)
}

/// Runs `work` where blocking harms nobody; the node waits for it when it goes away.
pub(super) async fn blocking<T: Send + 'static>(
    context: &Arc<NodeContext>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ResyncError> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    context.spawn_blocking(move || {
        // Whoever waited has been aborted with the node.
        let _ = sender.send(work());
    });
    receiver.await.map_err(|_| ResyncError::Interrupted)
}
