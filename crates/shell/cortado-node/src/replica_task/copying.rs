//! Copying a peer's state into the own store.
//!
//! Start reading at [`copy`]. Source: docs/protocols/peers.md, "Duties of the asking node", 5.

use crate::copies::{CopyPace, await_turn};
use crate::replica_host::ReplicaHost;
use bytes::Bytes;
use cortado_driver::{CopyError, CopyOf, CopyRefusal};
use cortado_gateway::ExpectedLog;
use cortado_model::{LogOffset, NodeId, PartitionId, Scn, StoreError};
use cortado_peer::{
    CallError, Peer, Pending, SnapshotAnswer, SnapshotChunk, SnapshotId, SnapshotName,
    SnapshotReader,
};
use cortado_replica::FoldState;
use cortado_store::encoding::check_snapshot_entry;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::iter;
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
/// What is read of the file at once.
const READ_BYTES: u64 = 1 << 20;
/// What is left free on the disk of the stores, and of a small disk this part: far more than they
/// keep for themselves, or one copy would stop them all.
const FREE_BYTES_MIN: u64 = 256 << 20;
const FREE_PART_MIN: u64 = 5;

/// Copies a snapshot from `from` into the own store; blocks. Answers how far it reaches.
///
/// What the store has may be the last copy of something. It is replaced when the snapshot is here,
/// whole and of this replica, and no sooner.
pub(super) fn copy(
    host: &ReplicaHost,
    partition: PartitionId,
    origin: &ExpectedLog,
    from: NodeId,
) -> Result<(Scn, LogOffset), CopyError> {
    let peer = host.peers.peer(from).ok_or_else(|| peer_lost(CallError::Unreachable))?;
    let source = Source { host, peer, runtime: Handle::current() };
    let spool = host.stores.spool().map_err(spool_failed)?;
    receive(&source, partition, origin, &spool)?;
    install(host, partition, &spool)
}

/// Writes what comes from `source` to `spool`, and reads it to its checksum.
fn receive(
    source: &Source<'_>,
    partition: PartitionId,
    origin: &ExpectedLog,
    mut spool: &File,
) -> Result<(), CopyError> {
    let host = source.host;
    let copying = host.copies.begin(partition);
    let snapshot = source.open(partition)?;
    let pace = || CopyPace::of(&host.cluster.catalog.newest(), partition, host.node());
    let mut last = None;
    let chunks = (0..).map_while(|number| {
        if let Some(last) = last {
            await_turn(last, pace, || host.tasks.is_ending());
        }
        let asked_at = std::time::Instant::now();
        let chunk = source.chunk(snapshot, number).transpose();
        let bytes = chunk.as_ref().map_or(0, |chunk| chunk.as_ref().map_or(0, Bytes::len));
        last = Some((asked_at, bytes));
        chunk
    });
    let written = chunks.map(|chunk| {
        let chunk = chunk?;
        leave_room(spool).and_then(|()| spool.write_all(&chunk)).map_err(spool_failed)?;
        copying.add(chunk.len());
        host.metrics.copied_bytes.add(chunk.len() as u64);
        Ok(chunk)
    });
    let mut ended = None;
    let read = verify(until_error(written, &mut ended), partition, origin);
    // An end before its time is what a reader makes of it.
    ended.map_or(read, Err)
}

/// Fails while the disk of `spool` has too little room for more.
fn leave_room(spool: &File) -> io::Result<()> {
    // A file system that cannot tell is not full.
    let Ok(found) = rustix::fs::fstatvfs(spool) else { return Ok(()) };
    let [free, total] =
        [found.f_bavail, found.f_blocks].map(|blocks| blocks.saturating_mul(found.f_frsize));
    if !is_low(free, total) {
        return Ok(());
    }
    let why = format!("the disk has {free} bytes left, which its stores need");
    Err(io::Error::new(io::ErrorKind::StorageFull, why))
}

fn is_low(free_bytes: u64, total_bytes: u64) -> bool {
    free_bytes < FREE_BYTES_MIN.min(total_bytes / FREE_PART_MIN)
}

/// Reads a snapshot to its checksum: whether it is whole, and this replica's.
fn verify(
    chunks: impl Iterator<Item = Bytes>,
    partition: PartitionId,
    origin: &ExpectedLog,
) -> Result<(), CopyError> {
    let (name, entries) = SnapshotReader::open(chunks).map_err(CopyError::Damaged)?;
    verify_name(&name, partition, origin)?;
    let mut last: Option<Bytes> = None;
    for entry in entries {
        let entry = entry.map_err(CopyError::Damaged)?;
        // As the store does, which then has nothing left.
        check_snapshot_entry(last.as_deref(), &entry).map_err(CopyError::Damaged)?;
        last = Some(entry.key);
    }
    Ok(())
}

fn verify_name(
    name: &SnapshotName,
    partition: PartitionId,
    origin: &ExpectedLog,
) -> Result<(), CopyError> {
    let unreadable = |error: cortado_replica::DecodeError| {
        CopyError::Damaged(StoreError::Damaged { why: error.to_string() })
    };
    let fold = FoldState::decode(&name.checkpoint).map_err(unreadable)?;
    if name.partition != partition || fold.genesis.identity != origin.genesis.identity {
        return Err(CopyError::Foreign(CopyOf::Partition));
    }
    match origin.log {
        Some(log) if log != fold.log => Err(CopyError::Foreign(CopyOf::Log)),
        Some(_) | None => Ok(()),
    }
}

/// Replaces what the store has of `partition` by the snapshot in `spool`.
fn install(
    host: &ReplicaHost,
    partition: PartitionId,
    mut spool: &File,
) -> Result<(Scn, LogOffset), CopyError> {
    spool.rewind().map_err(spool_failed)?;
    let chunks = iter::from_fn(|| {
        let mut chunk = Vec::new();
        match spool.take(READ_BYTES).read_to_end(&mut chunk) {
            Ok(0) => None,
            Ok(_) => Some(Ok(Bytes::from(chunk))),
            Err(error) => Some(Err(spool_failed(error))),
        }
    });
    let mut ended = None;
    let opened = SnapshotReader::open(until_error(chunks, &mut ended));
    let installed = opened.and_then(|(name, mut entries)| {
        host.store.install(partition, &mut entries, name.checkpoint)?;
        Ok((name.scn, name.offset))
    });
    ended.map_or(installed.map_err(CopyError::Store), Err)
}

/// The items before the first error, which is left in `ended`.
fn until_error<T, E>(
    items: impl Iterator<Item = Result<T, E>>,
    ended: &mut Option<E>,
) -> impl Iterator<Item = T> {
    items.map_while(|item| item.map_err(|error| *ended = Some(error)).ok())
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
                SnapshotAnswer::NotReadable => {
                    return Err(CopyError::Refused(CopyRefusal::NotReadable));
                }
                // It gives them one after another.
                SnapshotAnswer::Busy if Instant::now() < give_up_at => {}
                SnapshotAnswer::Busy => return Err(CopyError::Refused(CopyRefusal::Busy)),
            }
            std::thread::sleep(RETRY);
        }
    }

    /// The chunk of that number; `None` behind the last one.
    fn chunk(&self, snapshot: SnapshotId, number: u64) -> Result<Option<Bytes>, CopyError> {
        match self.ask(|deadline| self.peer.snapshot_chunk(snapshot, number, deadline))? {
            SnapshotChunk::Chunk(bytes) => Ok(Some(bytes)),
            SnapshotChunk::End => Ok(None),
            SnapshotChunk::Gone => Err(CopyError::Refused(CopyRefusal::Gone)),
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
                Err(error) if tried + 1 >= TRIES => return Err(peer_lost(error)),
                Err(_) => tried += 1,
            }
            std::thread::sleep(RETRY);
        }
    }
}

fn peer_lost(error: CallError) -> CopyError {
    CopyError::PeerLost(Box::new(error))
}

fn spool_failed(error: io::Error) -> CopyError {
    CopyError::Spool(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_keeps_what_its_stores_need() {
        const GIB: u64 = 1 << 30;
        for (free, total, want) in [
            (FREE_BYTES_MIN, 100 * GIB, false),
            (FREE_BYTES_MIN - 1, 100 * GIB, true),
            (GIB / 20, GIB / 4, false),
            (GIB / 20 - 1, GIB / 4, true),
        ] {
            assert_eq!(is_low(free, total), want, "{free} of {total}");
        }
    }
}
