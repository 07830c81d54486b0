//! What a node sends to show that it lives, and the bytes of it.
//!
//! Says nothing about who is dead: `cortado-cluster` does. Start reading at [`Beat`].
//! Every byte is described in docs/formats/beat.md.

#[cfg(test)]
mod tests;

use crate::{ClusterUuid, NodeId, NodeIncarnation, WallMillis};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use core::fmt;

/// A sign of life of one node, sent a few times a second on every beat stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Who lives.
    pub node: NodeId,
    /// In which life.
    pub incarnation: NodeIncarnation,
    /// Counts the beats of that life from 1; the same on every stream.
    pub count: u64,
    /// The sender's wall clock.
    pub time: WallMillis,
}

/// One of the streams on which beats are sent, counted from 0: a log has as many as brokers, so
/// that each broker's silence shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BeatStream(pub u32);

impl fmt::Display for BeatStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why bytes are no beat of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BeatError {
    /// No node of the cluster wrote them.
    #[error("not a beat of this cluster")]
    Foreign,
    /// A beat of the cluster, and not as it was written.
    #[error("the beat is damaged: {0}")]
    Damaged(&'static str),
}

/// Begins every beat of every cluster.
const MAGIC: [u8; 4] = *b"CtBt";
const CRC_AT: usize = 12;
const VERSION_AT: usize = 16;
const VERSION: u8 = 1;
/// Bytes that mean the same in every version.
const BEAT_BYTES: usize = VERSION_AT + 1 + 4 + 8 + 8 + 8;

impl Beat {
    /// The beat as `cluster` sends it.
    pub fn encode(&self, cluster: ClusterUuid) -> Bytes {
        let mut out = BytesMut::with_capacity(BEAT_BYTES);
        out.put_slice(&prefix_of(cluster));
        out.put_u32_le(0);
        out.put_u8(VERSION);
        out.put_u32_le(self.node.0);
        out.put_u64_le(self.incarnation.0);
        out.put_u64_le(self.count);
        out.put_u64_le(self.time.0);
        let crc = checksum(&out);
        out[CRC_AT..VERSION_AT].copy_from_slice(&crc.to_le_bytes());
        out.freeze()
    }

    /// Reads a beat of `cluster`, whichever version wrote it.
    ///
    /// # Errors
    /// See [`BeatError`].
    pub fn decode(bytes: &[u8], cluster: ClusterUuid) -> Result<Beat, BeatError> {
        if bytes.len() < CRC_AT || bytes[..CRC_AT] != prefix_of(cluster) {
            return Err(BeatError::Foreign);
        }
        if bytes.len() < BEAT_BYTES {
            return Err(BeatError::Damaged("shorter than a beat"));
        }
        if checksum(bytes) != (&bytes[CRC_AT..VERSION_AT]).get_u32_le() {
            return Err(BeatError::Damaged("checksum differs"));
        }
        // A node that is upgraded must not look dead to those that are not: what a later version
        // says more stands behind.
        let mut input = &bytes[VERSION_AT + 1..];
        Ok(Beat {
            node: NodeId(input.get_u32_le()),
            incarnation: NodeIncarnation(input.get_u64_le()),
            count: input.get_u64_le(),
            time: WallMillis(input.get_u64_le()),
        })
    }
}

/// Magic and tag: how every beat of `cluster` begins.
fn prefix_of(cluster: ClusterUuid) -> [u8; CRC_AT] {
    let mut prefix = [0; CRC_AT];
    prefix[..4].copy_from_slice(&MAGIC);
    prefix[4..].copy_from_slice(&cluster.tag().to_le_bytes());
    prefix
}

/// CRC-32C of all bytes but those in which it stands.
fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..CRC_AT]), &bytes[VERSION_AT..])
}
