//! Snapshots that this node gives to its peers, one chunk at a time.
//!
//! Each keeps the state that it began with, and the last chunk that it gave: what was lost on the
//! way is asked for again. Start reading at [`Snapshots::open`] and [`Snapshots::chunk`].
//! Source: docs/protocols/peers.md, "Duties of the asked node", 8 and 9.

use crate::replica_handle::ReplicaHandle;
use crate::snapshot::write_snapshot;
use crate::tasks::Tasks;
use bytes::Bytes;
use cortado_gateway::random_u128;
use cortado_peer::{SnapshotAnswer, SnapshotChunk, SnapshotId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::warn;

/// Snapshots given at a time: each reads the disk and keeps a state from being forgotten.
const GIVEN_MAX: usize = 4;
/// One that nobody asks for any more is given up after this.
const UNUSED: Duration = Duration::from_secs(60);
/// Chunks that are read ahead.
const CHUNKS_AHEAD: usize = 2;

/// What is being given.
#[derive(Default)]
pub(crate) struct Snapshots {
    given: Mutex<BTreeMap<SnapshotId, Given>>,
}

struct Given {
    used_at: Instant,
    ended: bool,
    chunks: Arc<tokio::sync::Mutex<Chunks>>,
}

/// The chunks of one snapshot, in order.
struct Chunks {
    read: mpsc::Receiver<Bytes>,
    /// How many were taken.
    taken: u64,
    /// The last that was given.
    last: Option<SnapshotChunk>,
}

impl Snapshots {
    /// Begins to give the state of `replica`, which is readable.
    pub(crate) fn open(&self, replica: Arc<ReplicaHandle>, tasks: &Arc<Tasks>) -> SnapshotAnswer {
        self.give_up_unused();
        let mut given = self.lock();
        if given.values().filter(|given| !given.ended).count() >= GIVEN_MAX {
            return SnapshotAnswer::Busy;
        }
        let (sender, read) = mpsc::channel(CHUNKS_AHEAD);
        let reading = Arc::clone(tasks);
        let reads = tasks.spawn_blocking(move || {
            let (partition, node) = (replica.partition, replica.node);
            let sink = |chunk| !reading.is_ending() && sender.blocking_send(chunk).is_ok();
            let view = replica.lanes.store().view(partition);
            if let Err(error) = view.and_then(|view| write_snapshot(view.as_ref(), partition, sink))
            {
                warn!(%partition, %node, %error, "snapshot not read");
            }
        });
        if !reads {
            return SnapshotAnswer::NotReadable;
        }
        let id = SnapshotId(random_u128());
        let chunks = Arc::new(tokio::sync::Mutex::new(Chunks { read, taken: 0, last: None }));
        given.insert(id, Given { used_at: Instant::now(), ended: false, chunks });
        SnapshotAnswer::Opened(id)
    }

    /// The chunk of that number, which is the next one or the last one given.
    pub(crate) async fn chunk(&self, id: SnapshotId, number: u64) -> SnapshotChunk {
        let Some(chunks) = self.using(id) else { return SnapshotChunk::Gone };
        let mut chunks = chunks.lock().await;
        if number == chunks.taken {
            let chunk = match chunks.read.recv().await {
                Some(bytes) => SnapshotChunk::Chunk(bytes),
                None => {
                    self.note_ended(id);
                    SnapshotChunk::End
                }
            };
            chunks.taken += 1;
            chunks.last = Some(chunk);
        } else if number + 1 != chunks.taken {
            return SnapshotChunk::Gone;
        }
        chunks.last.clone().unwrap_or(SnapshotChunk::Gone)
    }

    /// Gives up what nobody asks for any more.
    pub(crate) fn give_up_unused(&self) {
        let now = Instant::now();
        self.lock().retain(|_, given| now.duration_since(given.used_at) < UNUSED);
    }

    /// Gives up everything: the node ends.
    pub(crate) fn give_up(&self) {
        self.lock().clear();
    }

    fn using(&self, id: SnapshotId) -> Option<Arc<tokio::sync::Mutex<Chunks>>> {
        let mut given = self.lock();
        let given = given.get_mut(&id)?;
        given.used_at = Instant::now();
        Some(Arc::clone(&given.chunks))
    }

    fn note_ended(&self, id: SnapshotId) {
        if let Some(given) = self.lock().get_mut(&id) {
            given.ended = true;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SnapshotId, Given>> {
        // No update leaves the map half done.
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
