//! One frame: a record or a note of the log itself, as bytes with a checksum.
//!
//! The checksum is seeded with the frame's place, so that the same bytes at any other place, in
//! any other segment, are no frame. Start reading at [`Frame`].
//! Source: docs/formats/embedded-log.md, "Frame".

use crate::place::{ALIGNMENT, Place};
use cortado_model::{DatabaseId, LogOffset, PartitionId};

/// A frame as it stands in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: FrameKind,
    pub(crate) partition: PartitionId,
    /// Tells the partition from others that had its name before it was removed.
    pub(crate) incarnation: PartitionIncarnation,
    /// Of a record: where it stands. Of `Trimmed`: the oldest offset that is left. Else 0.
    pub(crate) offset: LogOffset,
    pub(crate) payload: &'a [u8],
}

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// A record of a partition.
    Record,
    /// The partition's records below the offset are trimmed.
    Trimmed,
    /// The partition is removed.
    Removed,
    /// The first frame of every segment: what the log knows when the segment begins.
    Opening,
}

/// Counts the partitions that were ever begun in a log: tells one from others of its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PartitionIncarnation(pub(crate) u32);

/// Bytes before the payload.
pub(crate) const FRAME_HEADER_BYTES: usize = 32;

impl Frame<'_> {
    /// Writes the frame behind `bytes`, whose end is `place`; answers its checksum.
    pub(crate) fn encode(&self, place: Place, bytes: &mut Vec<u8>) -> u32 {
        let start = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.kind.code().to_le_bytes());
        let length = u32::try_from(self.payload.len()).expect("callers bound every payload");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&self.partition.database.0.to_le_bytes());
        bytes.extend_from_slice(&self.partition.number.to_le_bytes());
        bytes.extend_from_slice(&self.incarnation.0.to_le_bytes());
        bytes.extend_from_slice(&self.offset.0.to_le_bytes());
        bytes.extend_from_slice(self.payload);
        bytes.resize(start + frame_bytes(self.payload.len()), 0);
        let crc = place.checksum(&bytes[start + 4..]);
        bytes[start..start + 4].copy_from_slice(&crc.to_le_bytes());
        crc
    }
}

/// Reads the frame that begins at the beginning of `bytes`; answers it with its checksum.
///
/// # Errors
/// What is wrong with the bytes.
pub(crate) fn decode(bytes: &[u8], place: Place) -> Result<(Frame<'_>, u32), &'static str> {
    let header = bytes.get(..FRAME_HEADER_BYTES).ok_or("truncated frame header")?;
    let payload_bytes = u32_at(header, 8) as usize;
    let all = bytes.get(..frame_bytes(payload_bytes)).ok_or("truncated frame")?;
    let crc = u32_at(header, 0);
    if place.checksum(&all[4..]) != crc {
        return Err("frame checksum mismatch");
    }
    let kind = FrameKind::from_code(u32_at(header, 4)).ok_or("unknown frame kind")?;
    let frame = Frame {
        kind,
        partition: PartitionId {
            database: DatabaseId(u32_at(header, 12)),
            number: u32_at(header, 16),
        },
        incarnation: PartitionIncarnation(u32_at(header, 20)),
        offset: LogOffset(u64_at(header, 24)),
        payload: &all[FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + payload_bytes],
    };
    Ok((frame, crc))
}

/// Bytes that a frame with `payload_bytes` takes in a segment.
pub(crate) const fn frame_bytes(payload_bytes: usize) -> usize {
    (FRAME_HEADER_BYTES + payload_bytes).next_multiple_of(ALIGNMENT)
}

impl FrameKind {
    const fn code(self) -> u32 {
        match self {
            FrameKind::Record => 1,
            FrameKind::Trimmed => 2,
            FrameKind::Removed => 3,
            FrameKind::Opening => 4,
        }
    }

    fn from_code(code: u32) -> Option<FrameKind> {
        [FrameKind::Record, FrameKind::Trimmed, FrameKind::Removed, FrameKind::Opening]
            .into_iter()
            .find(|kind| kind.code() == code)
    }
}

/// The little-endian number at `at`; the caller has checked the length.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes[at..at + 4].try_into().expect("the slice has 4 bytes");
    u32::from_le_bytes(bytes)
}

/// The little-endian number at `at`; the caller has checked the length.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes[at..at + 8].try_into().expect("the slice has 8 bytes");
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { segment: 3, position: 4_136 };

    fn frame(payload: &[u8]) -> Frame<'_> {
        let partition = PartitionId { database: DatabaseId(9), number: 4 };
        let (incarnation, offset) = (PartitionIncarnation(2), LogOffset(77));
        Frame { kind: FrameKind::Record, partition, incarnation, offset, payload }
    }

    #[test]
    fn a_frame_comes_back_with_its_checksum() {
        for payload in [&b""[..], b"1234567", b"12345678", b"123456789"] {
            let mut bytes = Vec::new();
            let crc = frame(payload).encode(PLACE, &mut bytes);
            assert_eq!(bytes.len() % ALIGNMENT, 0);
            assert_eq!(decode(&bytes, PLACE), Ok((frame(payload), crc)));
        }
    }

    #[test]
    fn no_flipped_bit_and_no_other_place_goes_unnoticed() {
        let mut bytes = Vec::new();
        frame(b"some payload").encode(PLACE, &mut bytes);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bytes, PLACE).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for place in [PLACE.plus(8), Place { segment: 4, ..PLACE }] {
            assert!(decode(&bytes, place).is_err());
        }
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length], PLACE).is_err(), "{length} bytes");
        }
    }
}
