//! What stands around every record: whose it is, whether it is whole, who wrote it and where.
//!
//! These bytes mean the same in every version of the format, so that a record is judged as far as
//! possible by a build that cannot read what it says. Start reading at [`Frame::read`].
//! Every byte is described in docs/formats/record.md.

use super::version::VERSION;
use super::{ChainHash, Header};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use cortado_model::{
    NodeId, NodeIncarnation, PartitionUuid, ReplicaIncarnation, Scn, Sequence, WallMillis,
};
use xxhash_rust::xxh3::Xxh3;

/// Begins every record of every partition.
const MAGIC: [u8; 4] = *b"CtRd";

const CRC_AT: usize = 12;
const VERSION_AT: usize = 16;
const CHAIN_AT: usize = 52;
/// Where the body begins.
pub(crate) const BODY_AT: usize = CHAIN_AT + 16;

/// A record that is whole and of the partition, before its body is decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Who wrote it, and where it wants to stand.
    pub header: Header,
    /// The chain hash that its producer computed.
    pub chain: ChainHash,
    pub(crate) version: u8,
    pub(crate) kind: Kind,
    /// What a reader must understand.
    pub(crate) feature: u16,
    pub(crate) bytes: Bytes,
}

/// What a record is; a number that no constant names is a kind that this build does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind(pub(crate) u8);

impl Kind {
    pub(crate) const GENESIS: Kind = Kind(1);
    pub(crate) const CLAIM: Kind = Kind(2);
    pub(crate) const TRANSACTION: Kind = Kind(3);
    pub(crate) const BARRIER: Kind = Kind(4);
    pub(crate) const STEP_DOWN: Kind = Kind(5);
    pub(crate) const TRIM: Kind = Kind(6);
    pub(crate) const DIGEST: Kind = Kind(7);
    pub(crate) const LEASE: Kind = Kind(9);
    pub(crate) const FEATURE: Kind = Kind(10);
    pub(crate) const REPLICAS: Kind = Kind(11);
    pub(crate) const INDEXES: Kind = Kind(12);
    // 8 is free; 13 and 14 are kept for sealing and for splitting a partition.
}

/// Why bytes are no record of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No replica of the partition wrote them.
    #[error("not a record of this partition")]
    Foreign,
    /// A record of the partition, and not as it was written.
    #[error("the record is damaged: {0}")]
    Damaged(&'static str),
}

impl Frame {
    /// Reads what surrounds the record in `bytes`, if it is one of `partition`.
    ///
    /// # Errors
    /// See [`FrameError`].
    pub fn read(bytes: &Bytes, partition: PartitionUuid) -> Result<Frame, FrameError> {
        let prefix = prefix_of(partition);
        if bytes.len() < CRC_AT || bytes[..CRC_AT] != prefix {
            // What was ours before its first bytes were damaged must not pass for a stranger's:
            // its checksum still holds for the bytes that are lost.
            let ours = bytes.len() >= BODY_AT && checksum(&prefix, bytes) == stored_checksum(bytes);
            let damaged = FrameError::Damaged("the first bytes differ");
            return Err(if ours { damaged } else { FrameError::Foreign });
        }
        if bytes.len() < BODY_AT {
            return Err(FrameError::Damaged("shorter than a header"));
        }
        if checksum(&prefix, bytes) != stored_checksum(bytes) {
            return Err(FrameError::Damaged("checksum differs"));
        }
        Frame::parse(bytes).ok_or(FrameError::Damaged("an SCN has its top bit set"))
    }

    /// As [`read`](Self::read), whichever partition it belongs to: how a log is found to be whose.
    ///
    /// # Errors
    /// See [`FrameError`].
    pub fn read_any(bytes: &Bytes) -> Result<Frame, FrameError> {
        if bytes.len() < BODY_AT || bytes[..4] != MAGIC {
            return Err(FrameError::Foreign);
        }
        if checksum(&bytes[..CRC_AT], bytes) != stored_checksum(bytes) {
            return Err(FrameError::Damaged("checksum differs"));
        }
        Frame::parse(bytes).ok_or(FrameError::Damaged("an SCN has its top bit set"))
    }

    pub(crate) fn body(&self) -> Bytes {
        self.bytes.slice(BODY_AT..)
    }

    /// Reads a header; `bytes` are long enough for one.
    fn parse(bytes: &Bytes) -> Option<Frame> {
        let mut input = &bytes[VERSION_AT..BODY_AT];
        let version = input.get_u8();
        let kind = Kind(input.get_u8());
        let feature = input.get_u16_le();
        let scn = Scn::from_u64(input.get_u64_le())?;
        let node = NodeId(input.get_u32_le());
        let incarnation = ReplicaIncarnation {
            node: NodeIncarnation(input.get_u64_le()),
            life: input.get_u32_le(),
        };
        let time = WallMillis(input.get_u64_le());
        let chain = ChainHash(input.get_u128_le());
        let header = Header { scn, node, incarnation, time };
        Some(Frame { header, chain, version, kind, feature, bytes: bytes.clone() })
    }
}

/// A record under construction: the header is there, the body is being written behind it.
pub(crate) struct FrameWriter {
    pub(crate) out: BytesMut,
}

impl FrameWriter {
    /// * `level`: the feature level that a reader needs.
    /// * `body_bytes`: what the body will need, about.
    pub(crate) fn new(
        (partition, level): (PartitionUuid, u16),
        header: &Header,
        kind: Kind,
        body_bytes: usize,
    ) -> FrameWriter {
        assert!(header.scn.sequence <= Sequence::MAX, "append: an SCN has its bits");
        let mut out = BytesMut::with_capacity(BODY_AT + body_bytes);
        out.put_slice(&prefix_of(partition));
        out.put_u32_le(0);
        out.put_u8(VERSION);
        out.put_u8(kind.0);
        out.put_u16_le(level);
        out.put_u64_le(header.scn.to_u64());
        out.put_u32_le(header.node.0);
        out.put_u64_le(header.incarnation.node.0);
        out.put_u32_le(header.incarnation.life);
        out.put_u64_le(header.time.0);
        out.put_u128_le(0);
        FrameWriter { out }
    }

    /// Chains the record to `previous`; returns its own chain hash, too.
    pub(crate) fn finish(mut self, previous: ChainHash) -> (Bytes, ChainHash) {
        let chain = chain_after(previous, &self.out);
        self.out[CHAIN_AT..BODY_AT].copy_from_slice(&chain.0.to_le_bytes());
        let crc = checksum(&self.out[..CRC_AT], &self.out);
        self.out[CRC_AT..VERSION_AT].copy_from_slice(&crc.to_le_bytes());
        (self.out.freeze(), chain)
    }
}

/// The chain hash of the record in `bytes` when it follows `previous`.
///
/// Covers all but the checksum; where the record's own hash stands, `previous` is hashed instead.
/// The same in every version of the format.
pub(crate) fn chain_after(previous: ChainHash, bytes: &[u8]) -> ChainHash {
    let mut hash = Xxh3::new();
    hash.update(&bytes[..CRC_AT]);
    hash.update(&bytes[VERSION_AT..CHAIN_AT]);
    hash.update(&previous.0.to_le_bytes());
    hash.update(&bytes[BODY_AT..]);
    ChainHash(hash.digest128())
}

/// Magic and tag: how every record of `partition` begins.
fn prefix_of(partition: PartitionUuid) -> [u8; CRC_AT] {
    let mut prefix = [0; CRC_AT];
    prefix[..4].copy_from_slice(&MAGIC);
    prefix[4..].copy_from_slice(&partition.tag().to_le_bytes());
    prefix
}

/// CRC-32C of `prefix` and of what stands behind the checksum in `bytes`.
fn checksum(prefix: &[u8], bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(prefix), &bytes[VERSION_AT..])
}

fn stored_checksum(bytes: &[u8]) -> u32 {
    (&bytes[CRC_AT..VERSION_AT]).get_u32_le()
}

/// What a newer build might write: `record`, with another version and kind.
#[cfg(test)]
pub(crate) fn newer_record(
    partition: PartitionUuid,
    record: &super::Record,
    previous: ChainHash,
    (version, kind): (u8, u8),
) -> Bytes {
    let mut writer = FrameWriter::new((partition, 1), &record.header, Kind(kind), 0);
    writer.out[VERSION_AT] = version;
    writer.out.put_slice(b"who knows");
    writer.finish(previous).0
}
