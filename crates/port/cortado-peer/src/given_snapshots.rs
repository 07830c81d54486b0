//! Snapshots that a node gives to its peers, one chunk at a time.
//!
//! Each keeps the state that it began with, and the last chunk that it gave: what was lost on the
//! way is asked for again. Reads no store: whoever opens one has its chunks written. Start reading
//! at [`GivenSnapshots::open`] and [`GivenSnapshots::chunk`].
//! Source: docs/protocols/peers.md, "Duties of the asked node", 8 and 9.

use crate::{SnapshotAnswer, SnapshotChunk, SnapshotId};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Snapshots given at a time: each reads the disk and keeps a state from being forgotten.
const GIVEN_MAX: usize = 4;
/// One that nobody asks for any more is given up after this.
const UNUSED: Duration = Duration::from_secs(60);
/// Chunks that are read ahead.
const CHUNKS_AHEAD: usize = 2;

/// What one node is giving.
#[derive(Default)]
pub struct GivenSnapshots {
    given: Mutex<BTreeMap<SnapshotId, Given>>,
}

/// Where the chunks of one snapshot go. Dropped, it ends the snapshot.
pub struct ChunkSink(mpsc::Sender<Bytes>);

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

impl GivenSnapshots {
    /// Begins to give a snapshot.
    ///
    /// * `id`: no other snapshot's.
    /// * `begin`: has the chunks written, on a thread that may block; `false` if it cannot.
    pub fn open(&self, id: SnapshotId, begin: impl FnOnce(ChunkSink) -> bool) -> SnapshotAnswer {
        self.give_up_unused();
        let mut given = self.lock();
        if given.values().filter(|given| !given.ended).count() >= GIVEN_MAX {
            return SnapshotAnswer::Busy;
        }
        let (sender, read) = mpsc::channel(CHUNKS_AHEAD);
        if !begin(ChunkSink(sender)) {
            return SnapshotAnswer::NotReadable;
        }
        let chunks = Arc::new(tokio::sync::Mutex::new(Chunks { read, taken: 0, last: None }));
        given.insert(id, Given { used_at: Instant::now(), ended: false, chunks });
        SnapshotAnswer::Opened(id)
    }

    /// The chunk of that number, which is the next one or the last one given.
    pub async fn chunk(&self, id: SnapshotId, number: u64) -> SnapshotChunk {
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
    pub fn give_up_unused(&self) {
        let now = Instant::now();
        self.lock().retain(|_, given| now.duration_since(given.used_at) < UNUSED);
    }

    /// Gives up everything: the node ends.
    pub fn give_up(&self) {
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

impl ChunkSink {
    /// Puts the next chunk in line; blocks while there is no room. `false`: nobody wants it.
    pub fn put(&self, chunk: Bytes) -> bool {
        self.0.blocking_send(chunk).is_ok()
    }
}
