//! Where bytes of the log stand: a position in a segment, and where a segment ends.
//!
//! Pure. Start reading at [`Place`].

/// Where bytes stand: the segment's number and the position in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) segment: u64,
    pub(crate) position: u64,
}

/// A segment that the log has left, and where its last group ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentEnd {
    pub(crate) segment: u64,
    pub(crate) position: u64,
}

/// Frames and groups begin at multiples of this.
pub(crate) const ALIGNMENT: usize = 8;

impl Place {
    /// CRC-32C of the place and then `bytes`.
    pub(crate) fn checksum(self, bytes: &[u8]) -> u32 {
        let mut seed = [0; 16];
        seed[..8].copy_from_slice(&self.segment.to_le_bytes());
        seed[8..].copy_from_slice(&self.position.to_le_bytes());
        crc32c::crc32c_append(crc32c::crc32c(&seed), bytes)
    }

    /// The place `count` bytes further on.
    pub(crate) const fn plus(self, count: u64) -> Place {
        Place { segment: self.segment, position: self.position + count }
    }
}

/// A frame's position in four bytes.
pub(crate) fn packed(position: u64) -> u32 {
    u32::try_from(position / ALIGNMENT as u64).expect("segments stay far below 32 GiB")
}

/// The position behind [`packed`].
pub(crate) fn unpacked(position: u32) -> u64 {
    u64::from(position) * ALIGNMENT as u64
}
