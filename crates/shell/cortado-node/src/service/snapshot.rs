//! Snapshots of this node's replicas, for peers that copy them.

use super::NodeService;
use crate::replica_handle::ReplicaHandle;
use bytes::Bytes;
use cortado_gateway::random_u128;
use cortado_model::PartitionId;
use cortado_peer::{ChunkSink, SnapshotAnswer, SnapshotId, write_snapshot};
use cortado_store::StoreError;
use std::sync::Arc;
use tracing::warn;

impl NodeService {
    /// Begins to give the state of the own replica, if it can be read.
    pub(crate) fn answer_open_snapshot(&self, partition: PartitionId) -> SnapshotAnswer {
        let replica = self.host.routes.route(partition).replica();
        match replica.filter(|replica| replica.role().is_readable()) {
            Some(replica) => {
                let id = SnapshotId(random_u128());
                self.snapshots.open(id, |chunks| self.begin_snapshot(replica, chunks))
            }
            None => SnapshotAnswer::NotReadable,
        }
    }

    /// Reads beside the tasks; `false` if the node is ending.
    fn begin_snapshot(&self, replica: Arc<ReplicaHandle>, chunks: ChunkSink) -> bool {
        let tasks = Arc::clone(&self.host.tasks);
        self.host.tasks.spawn_blocking(move || {
            let (partition, node) = (replica.partition, replica.node);
            let sink = |chunk| !tasks.is_ending() && chunks.put(chunk);
            if let Err(error) = snapshot_of(&replica, sink) {
                warn!(%partition, %node, %error, "snapshot not read");
            }
        })
    }
}

fn snapshot_of(
    replica: &ReplicaHandle,
    sink: impl FnMut(Bytes) -> bool,
) -> Result<bool, StoreError> {
    let view = replica.lanes.store().view(replica.partition)?;
    let missing = || StoreError::Damaged { why: "no checkpoint".to_owned() };
    let checkpoint = view.checkpoint()?.ok_or_else(missing)?;
    write_snapshot(replica.partition, &checkpoint, view.entries(None), sink)
}
