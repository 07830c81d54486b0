//! Which lives its nodes had before a process started, as the log and the stores tell.
//!
//! Lives are counted by the wall clock. If that was set back since the last one, what the last one
//! left in the log would make the new one pass for an earlier life, that of a leader which has been
//! replaced. So a life begins above all that went before, whatever the clock says. Start reading at
//! [`former_lives`].

use crate::cluster_log::{NODES, NodeDocument, scan};
use crate::genesis::cluster_genesis;
use cortado_log::{Log, ReadError};
use cortado_model::{ClusterUuid, LogOffset, NodeId, NodeIncarnation, PartitionId, Position};
use cortado_replica::{FoldState, Frame};
use cortado_store::{Store, StoreError};
use std::collections::BTreeMap;

/// Bytes of one read of the log.
const READ_BYTES_MAX: usize = 1 << 20;

/// The newest life of each node that anything tells of.
pub(crate) type Lives = BTreeMap<NodeId, NodeIncarnation>;

/// What a node's store knows of `_cluster`.
pub(crate) struct Stored {
    /// Whose the store is.
    pub(crate) cluster: ClusterUuid,
    /// Where the node will go on reading the log.
    next_offset: LogOffset,
    /// The lives that were registered.
    lives: Lives,
}

impl Stored {
    /// Looks into `store`; `None` if it is new, or so damaged that it will be built anew.
    ///
    /// # Errors
    /// The store's own.
    pub(crate) fn read(store: &dyn Store) -> Result<Option<Stored>, StoreError> {
        let view = store.view(PartitionId::CLUSTER)?;
        let Some(checkpoint) = view.checkpoint()? else { return Ok(None) };
        let Ok(fold) = FoldState::decode(&checkpoint) else { return Ok(None) };
        let mut lives = Lives::new();
        // What cannot be read here stops nobody: it is damage that the replica will meet itself.
        for (key, document) in scan::<NodeDocument>(view.as_ref(), NODES, &[]).unwrap_or_default() {
            let node = key.parts().next().and_then(NodeId::parse);
            node.into_iter()
                .for_each(|node| note(&mut lives, node, NodeIncarnation(document.incarnation)));
        }
        let cluster = fold.genesis.identity.cluster;
        let next_offset = fold.position.offset;
        Ok(Some(Stored { cluster, next_offset, lives }))
    }
}

/// The newest lives in `stored` and in the part of the log of `_cluster` that some node has still
/// to read: what no node will read again makes nobody pass for anything.
///
/// * `cluster`: whose log it is.
/// * `stored`: of each node.
///
/// # Errors
/// The log cannot be read.
pub(crate) async fn former_lives(
    log: &dyn Log,
    cluster: ClusterUuid,
    stored: &[Option<Stored>],
) -> Result<Lives, ReadError> {
    let partition = cluster_genesis(cluster).identity.partition;
    let mut lives = Lives::new();
    for (node, life) in stored.iter().flatten().flat_map(|stored| &stored.lives) {
        note(&mut lives, *node, *life);
    }
    let extents = log.extents(&[PartitionId::CLUSTER]).await?;
    let (first, end) = extents.first().map_or_else(Default::default, |e| (e.first, e.end));
    let read_up_to = |stored: &Option<Stored>| stored.as_ref().map_or(first, |s| s.next_offset);
    // A store beyond the log's end is its replica's concern.
    let offset = stored.iter().map(read_up_to).min().unwrap_or(first).clamp(first, end);
    let mut next = Position { offset, epoch: 0 };
    loop {
        let page = log.read(PartitionId::CLUSTER, next, READ_BYTES_MAX).await?;
        if page.next == next {
            return Ok(lives);
        }
        next = page.next;
        // A damaged record stops the replica, and says why; a stranger's is nobody's life.
        let entries = page.entries.iter();
        let frames = entries.filter_map(|entry| Frame::read(&entry.record, partition).ok());
        for header in frames.map(|frame| frame.header) {
            note(&mut lives, header.node, header.incarnation.node);
        }
    }
}

fn note(lives: &mut Lives, node: NodeId, incarnation: NodeIncarnation) {
    let life = lives.entry(node).or_default();
    *life = (*life).max(incarnation);
}
