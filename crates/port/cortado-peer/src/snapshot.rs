//! A replica's state on its way to another node, chunk by chunk.
//!
//! The node that is copied keeps the state that it began with, and the last chunk that it gave, so
//! that a copy goes on where a connection broke. Start reading at [`SnapshotAnswer`]. What the
//! chunks hold is in docs/formats/snapshot.md.

use bytes::Bytes;

/// Names a snapshot that a node has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(pub u128);

/// Whether a snapshot has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotAnswer {
    /// Its chunks can be asked for.
    Opened(SnapshotId),
    /// This node has no replica whose state could be copied now.
    NotReadable,
    /// It sends as many as it may; ask again, or another node.
    Busy,
}

/// One chunk of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotChunk {
    /// The bytes.
    Chunk(Bytes),
    /// There are no more.
    End,
    /// The snapshot is not kept any longer, or the chunk is not: begin another one.
    Gone,
}
