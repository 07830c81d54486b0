//! Copying a peer's state into the own store.
//!
//! Start reading at [`copy`]. Source: docs/protocols/peers.md, "Duties of the asking node", 5.

use crate::replica_host::ReplicaHost;
use bytes::Bytes;
use cortado_driver::CopyError;
use cortado_model::{LogOffset, NodeId, PartitionId, Scn};
use cortado_peer::{
    CallError, Peer, Pending, SnapshotAnswer, SnapshotChunk, SnapshotId, SnapshotReader,
};
use cortado_store::StoreError;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// What a peer may take for one answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How often one chunk is asked for: a connection may break, a peer that is gone stays away.
const TRIES: u32 = 5;
/// How long it is asked again while it gives as many snapshots as it may.
const BUSY_PATIENCE: Duration = Duration::from_secs(10 * 60);
/// Between two tries.
const RETRY: Duration = Duration::from_millis(100);

/// Copies a snapshot from `from` into the own store; blocks. Answers how far it reaches.
pub(super) fn copy(
    host: &ReplicaHost,
    partition: PartitionId,
    from: NodeId,
) -> Result<(Scn, LogOffset), CopyError> {
    let peer = host.peers.peer(from).ok_or_else(|| failed("it cannot be reached"))?;
    let source = Source { host, peer, runtime: Handle::current() };
    let snapshot = source.open(partition)?;
    let mut ended = None;
    let chunks = (0..).map_while(|number| match source.chunk(snapshot, number) {
        Ok(Some(chunk)) => Some(chunk),
        Ok(None) => None,
        Err(why) => {
            ended = Some(why);
            None
        }
    });
    let installed = install(host, partition, chunks);
    // An end before its time is what a reader makes of it.
    match ended {
        Some(why) => Err(why),
        None => installed,
    }
}

fn install(
    host: &ReplicaHost,
    partition: PartitionId,
    chunks: impl Iterator<Item = Bytes>,
) -> Result<(Scn, LogOffset), CopyError> {
    let failed = |error: StoreError| CopyError::Failed { why: error.to_string() };
    let (name, mut entries) = SnapshotReader::open(chunks).map_err(failed)?;
    if name.partition != partition {
        return Err(CopyError::Failed { why: "it is of another partition".to_owned() });
    }
    let installed = host.store.install(partition, &mut entries, name.checkpoint.clone());
    installed.map_err(failed)?;
    Ok((name.scn, name.offset))
}

/// The peer that is copied, asked from a thread that may block.
struct Source<'a> {
    host: &'a ReplicaHost,
    peer: Arc<dyn Peer>,
    runtime: Handle,
}

impl Source<'_> {
    fn open(&self, partition: PartitionId) -> Result<SnapshotId, CopyError> {
        let give_up_at = Instant::now() + BUSY_PATIENCE;
        loop {
            match self.ask(|deadline| self.peer.open_snapshot(partition, deadline))? {
                SnapshotAnswer::Opened(id) => return Ok(id),
                SnapshotAnswer::NotReadable => return Err(failed("its replica cannot be read")),
                // It gives them one after another.
                SnapshotAnswer::Busy if Instant::now() < give_up_at => {}
                SnapshotAnswer::Busy => return Err(failed("it gives too many snapshots")),
            }
            std::thread::sleep(RETRY);
        }
    }

    /// The chunk of that number; `None` behind the last one.
    fn chunk(&self, snapshot: SnapshotId, number: u64) -> Result<Option<Bytes>, CopyError> {
        match self.ask(|deadline| self.peer.snapshot_chunk(snapshot, number, deadline))? {
            SnapshotChunk::Chunk(bytes) => Ok(Some(bytes)),
            SnapshotChunk::End => Ok(None),
            SnapshotChunk::Gone => Err(failed("it does not keep the snapshot any longer")),
        }
    }

    /// Asks, and again if the answer does not come.
    fn ask<'a, T>(
        &'a self,
        ask: impl Fn(Instant) -> Pending<'a, Result<T, CallError>>,
    ) -> Result<T, CopyError> {
        let mut tried = 0;
        loop {
            if self.host.tasks.is_ending() {
                return Err(CopyError::Interrupted);
            }
            let deadline = Instant::now() + CALL_TIMEOUT;
            match self.runtime.block_on(ask(deadline)) {
                Ok(answer) => return Ok(answer),
                Err(error) if tried + 1 >= TRIES => return Err(failed(&error.to_string())),
                Err(_) => tried += 1,
            }
            std::thread::sleep(RETRY);
        }
    }
}

fn failed(why: &str) -> CopyError {
    CopyError::Failed { why: why.to_owned() }
}
