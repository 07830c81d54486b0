//! The first frame of every segment: what the log knows when the segment begins.
//!
//! It makes each segment readable without the ones before it, which may have been trimmed away.
//! Start reading at [`Opening`]. Source: docs/formats/embedded-log.md, "Opening".

use crate::frame::{PartitionIncarnation, u32_at, u64_at};
use crate::place::SegmentEnd;
use cortado_model::{DatabaseId, LogOffset, PartitionId};

/// The state of the log at the beginning of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Opening {
    /// The segment before; `None` in the first.
    pub(crate) previous: Option<SegmentEnd>,
    /// The incarnation that the next new partition gets.
    pub(crate) next_incarnation: PartitionIncarnation,
    /// Every partition that has ever had a record and has not been removed, in order.
    pub(crate) partitions: Vec<(PartitionId, Extent)>,
}

/// Which records a partition has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) incarnation: PartitionIncarnation,
    /// The oldest record that is left; the end if there is none.
    pub(crate) first: LogOffset,
    /// The offset that the next record gets.
    pub(crate) end: LogOffset,
}

const FIXED_BYTES: usize = 24;
const ENTRY_BYTES: usize = 32;

impl Opening {
    /// The frame's payload.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED_BYTES + ENTRY_BYTES * self.partitions.len());
        let (segment, end) = self.previous.map_or((0, 0), |end| (end.segment, end.position));
        bytes.extend_from_slice(&segment.to_le_bytes());
        bytes.extend_from_slice(&end.to_le_bytes());
        bytes.extend_from_slice(&self.next_incarnation.0.to_le_bytes());
        let count = u32::try_from(self.partitions.len()).expect("partitions are counted in u32");
        bytes.extend_from_slice(&count.to_le_bytes());
        for (partition, extent) in &self.partitions {
            bytes.extend_from_slice(&partition.database.0.to_le_bytes());
            bytes.extend_from_slice(&partition.number.to_le_bytes());
            bytes.extend_from_slice(&extent.incarnation.0.to_le_bytes());
            bytes.extend_from_slice(&[0; 4]);
            bytes.extend_from_slice(&extent.first.0.to_le_bytes());
            bytes.extend_from_slice(&extent.end.0.to_le_bytes());
        }
        bytes
    }

    /// Reads a frame's payload; `None` if it is not one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Opening> {
        let (fixed, entries) = bytes.split_at_checked(FIXED_BYTES)?;
        let count = u32_at(fixed, 20) as usize;
        if entries.len() != count.checked_mul(ENTRY_BYTES)? {
            return None;
        }
        let partitions = entries.chunks_exact(ENTRY_BYTES).map(decode_entry).collect();
        let previous = match (u64_at(fixed, 0), u64_at(fixed, 8)) {
            (0, 0) => None,
            (0, _) => return None,
            (segment, position) => Some(SegmentEnd { segment, position }),
        };
        Some(Opening {
            previous,
            next_incarnation: PartitionIncarnation(u32_at(fixed, 16)),
            partitions,
        })
    }
}

fn decode_entry(entry: &[u8]) -> (PartitionId, Extent) {
    let partition =
        PartitionId { database: DatabaseId(u32_at(entry, 0)), number: u32_at(entry, 4) };
    let extent = Extent {
        incarnation: PartitionIncarnation(u32_at(entry, 8)),
        first: LogOffset(u64_at(entry, 16)),
        end: LogOffset(u64_at(entry, 24)),
    };
    (partition, extent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opening_comes_back() {
        let entry = |number: u32| {
            let extent = Extent {
                incarnation: PartitionIncarnation(number),
                first: LogOffset(5),
                end: LogOffset(u64::MAX),
            };
            (PartitionId { database: DatabaseId(1), number }, extent)
        };
        for count in 0..3 {
            let partitions: Vec<_> = (0..count).map(entry).collect();
            let opening = Opening {
                previous: Some(SegmentEnd { segment: 4, position: 8_192 }),
                next_incarnation: PartitionIncarnation(9),
                partitions,
            };
            let bytes = opening.encode();
            assert_eq!(Opening::decode(&bytes), Some(opening));
            assert_eq!(Opening::decode(&bytes[..bytes.len() - 1]), None);
            assert_eq!(Opening::decode(&[&bytes[..], &[0]].concat()), None);
        }
    }
}
