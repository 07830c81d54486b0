//! A segment file: its name, its header, and the handle that readers share.
//!
//! A file gets its segment name only when it is whole: header written, as long as it will be,
//! synced. It may be another segment later; its name and header say which it is now.
//! Start reading at [`SegmentHeader`].
//! Source: docs/formats/embedded-log.md, "Segment".

use crate::files::LogFile;
use crate::frame::{u32_at, u64_at};
use std::sync::Arc;

/// The first block of a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Which log it belongs to.
    pub(crate) log: LogUuid,
    /// Counts the segments of the log, from 1.
    pub(crate) number: u64,
    /// The length that the file was prepared with; a shorter one has been truncated.
    pub(crate) file_bytes: u64,
    /// No group in the segment has a lower number; every group of a former life of the file has.
    pub(crate) first_group: u64,
}

/// Tells a log from every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogUuid(pub(crate) u128);

/// An open segment; readers may hold it beyond its deletion.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) name: String,
    /// The length that the file was prepared with; only a group larger than it exceeds it.
    pub(crate) file_bytes: u64,
    /// A lower bound of the numbers of its groups.
    pub(crate) first_group: u64,
    pub(crate) file: Arc<dyn LogFile>,
}

/// Bytes of the header, and the position of the first group. A whole block, so that no later
/// write touches it.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 4_096;

/// Name of a segment that is being prepared.
pub(crate) const PREPARED_NAME: &str = "prepared.tmp";

const MAGIC: [u8; 8] = *b"CORTSEGM";
/// The only version that this program reads and writes.
pub(crate) const VERSION: u32 = 2;

/// How the name of a segment ends, after its number in 16 digits.
const SEGMENT_SUFFIX: &str = ".segment";

/// How the name of a former segment ends that is kept to be recycled.
const SPARE_SUFFIX: &str = ".spare";

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Not what any version writes.
    Damaged(&'static str),
    /// Whole, but written by another version of the program.
    Version(u32),
}

impl SegmentHeader {
    /// The header's block.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[12..16].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.log.0.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.number.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.file_bytes.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.first_group.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[12..]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header's block.
    ///
    /// # Errors
    /// See [`HeaderError`].
    pub(crate) fn decode(bytes: &[u8]) -> Result<SegmentHeader, HeaderError> {
        let block = bytes
            .get(..SEGMENT_HEADER_BYTES)
            .ok_or(HeaderError::Damaged("truncated segment header"))?;
        if block[..8] != MAGIC {
            return Err(HeaderError::Damaged("not a segment header: bad magic"));
        }
        if crc32c::crc32c(&block[12..]) != u32_at(block, 8) {
            return Err(HeaderError::Damaged("segment header checksum mismatch"));
        }
        let version = u32_at(block, 12);
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let uuid = block[16..32].try_into().expect("the slice has 16 bytes");
        Ok(SegmentHeader {
            log: LogUuid(u128::from_le_bytes(uuid)),
            number: u64_at(block, 32),
            file_bytes: u64_at(block, 40),
            first_group: u64_at(block, 48),
        })
    }
}

impl LogUuid {
    /// What every group carries of it.
    pub(crate) fn tag(self) -> u32 {
        crc32c::crc32c(&self.0.to_le_bytes())
    }
}

/// The file name of segment `number`; names sort as numbers do.
pub(crate) fn segment_name(number: u64) -> String {
    format!("{number:016}{SEGMENT_SUFFIX}")
}

/// The file name of the former segment `number`, kept to be recycled.
pub(crate) fn spare_name(number: u64) -> String {
    format!("{number:016}{SPARE_SUFFIX}")
}

/// The number behind a segment's file name; `None` for every other name.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    number_before(name, SEGMENT_SUFFIX)
}

/// Whether `name` is a file that only the process which made it can use: a half-prepared segment
/// or a spare one.
pub(crate) fn is_leftover(name: &str) -> bool {
    name == PREPARED_NAME || number_before(name, SPARE_SUFFIX).is_some()
}

fn number_before(name: &str, suffix: &str) -> Option<u64> {
    let number = name.strip_suffix(suffix)?.parse().ok()?;
    (number > 0 && format!("{number:016}{suffix}") == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_and_shows_every_flipped_bit() {
        let header = SegmentHeader {
            log: LogUuid(7 << 100),
            number: 12,
            file_bytes: 1 << 26,
            first_group: 345,
        };
        let mut bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&bytes).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn another_version_is_named() {
        let header =
            SegmentHeader { log: LogUuid(1), number: 1, file_bytes: 8_192, first_group: 1 };
        let mut bytes = header.encode();
        bytes[12] = 9;
        let crc = crc32c::crc32c(&bytes[12..]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderError::Version(9)));
    }

    #[test]
    fn a_segment_has_one_name() {
        assert_eq!(segment_number(&segment_name(1)), Some(1));
        assert_eq!(segment_number(&segment_name(u64::MAX)), Some(u64::MAX));
        for name in ["1.segment", "0000000000000000.segment", "lock", PREPARED_NAME] {
            assert_eq!(segment_number(name), None, "{name}");
        }
    }

    #[test]
    fn leftovers_are_neither_segments_nor_foreign_files() {
        for name in [PREPARED_NAME, &spare_name(1), &spare_name(u64::MAX)] {
            assert!(is_leftover(name) && segment_number(name).is_none(), "{name}");
        }
        for name in [&segment_name(1), "1.spare", "0000000000000000.spare", "lock", "a.spare"] {
            assert!(!is_leftover(name), "{name}");
        }
    }
}
