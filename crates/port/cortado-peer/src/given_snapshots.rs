//! Snapshots that a node gives to its peers, one chunk at a time.
//!
//! Each keeps the state that it began with, and the last chunk that it gave: what was lost on the
//! way is asked for again. Reads no store: the caller that opens one has its chunks written. Start
//! reading at [`GivenSnapshots::open`] and [`GivenSnapshots::chunk`].
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
/// One that is not asked for any more is given up after this.
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

    /// Gives up the snapshots that are not asked for any more.
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
    /// Puts the next chunk in line; blocks while there is no room. `false`: given up.
    pub fn put(&self, chunk: Bytes) -> bool {
        self.0.blocking_send(chunk).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::spawn;
    use tokio::time::advance;

    const ID: SnapshotId = SnapshotId(7);

    /// Gives a snapshot of so many chunks, each of one byte: its number.
    fn give(snapshots: &GivenSnapshots, id: u128, chunks: u8) -> SnapshotAnswer {
        snapshots.open(SnapshotId(id), |sink| {
            spawn(move || (0..chunks).all(|number| sink.put(Bytes::copy_from_slice(&[number]))));
            true
        })
    }

    #[track_caller]
    fn check(chunk: SnapshotChunk, want: u8) {
        assert_eq!(chunk, SnapshotChunk::Chunk(Bytes::copy_from_slice(&[want])));
    }

    #[tokio::test]
    async fn the_last_chunk_is_given_again_and_no_other_one() {
        let snapshots = GivenSnapshots::default();
        assert_eq!(give(&snapshots, 7, 3), SnapshotAnswer::Opened(ID));
        assert_eq!(snapshots.chunk(ID, 1).await, SnapshotChunk::Gone, "it is not read yet");
        for number in [0, 0, 1, 2, 2] {
            check(snapshots.chunk(ID, number).await, number as u8);
        }
        assert_eq!(snapshots.chunk(ID, 1).await, SnapshotChunk::Gone);
        for _ in 0..2 {
            assert_eq!(snapshots.chunk(ID, 3).await, SnapshotChunk::End);
        }
        assert_eq!(snapshots.chunk(ID, 4).await, SnapshotChunk::End);
        assert_eq!(snapshots.chunk(SnapshotId(8), 0).await, SnapshotChunk::Gone);
        snapshots.give_up();
        assert_eq!(snapshots.chunk(ID, 4).await, SnapshotChunk::Gone);
    }

    #[tokio::test]
    async fn only_those_that_are_not_at_their_end_count() {
        let snapshots = GivenSnapshots::default();
        assert_eq!(snapshots.open(ID, |_| false), SnapshotAnswer::NotReadable);
        for id in 0..GIVEN_MAX as u128 {
            assert_eq!(give(&snapshots, id, 0), SnapshotAnswer::Opened(SnapshotId(id)));
        }
        assert_eq!(give(&snapshots, 7, 0), SnapshotAnswer::Busy);
        assert_eq!(snapshots.chunk(SnapshotId(2), 0).await, SnapshotChunk::End);
        assert_eq!(give(&snapshots, 7, 0), SnapshotAnswer::Opened(ID));
    }

    #[tokio::test(start_paused = true)]
    async fn an_unused_snapshot_is_given_up() {
        let snapshots = GivenSnapshots::default();
        let mut sinks = Vec::new();
        for id in 0..2 {
            snapshots.open(SnapshotId(id), |sink| {
                sinks.push(sink);
                true
            });
        }
        advance(UNUSED / 2).await;
        assert_eq!(snapshots.chunk(SnapshotId(1), 9).await, SnapshotChunk::Gone);
        advance(UNUSED / 2).await;
        snapshots.give_up_unused();
        let wanted: Vec<_> = sinks.iter().map(|sink| !sink.0.is_closed()).collect();
        assert_eq!(wanted, [false, true], "it was asked for, if in vain");
    }
}
