//! What stands around every value: version, kind, checksum.
//!
//! Start reading at [`seal`] and [`open`].

use super::input::{Input, WireError};
use bytes::{BufMut, Bytes, BytesMut};

/// The version of everything inside a frame.
pub const WIRE_VERSION: u8 = 1;
/// Version, kind, CRC-32C.
pub(super) const HEAD_BYTES: usize = 1 + 1 + 4;
const CRC_AT: usize = 2;

/// Begins a frame; [`seal`] ends it.
pub(super) fn begin(kind: u8, capacity: usize) -> BytesMut {
    let mut out = BytesMut::with_capacity(HEAD_BYTES + capacity);
    out.put_u8(WIRE_VERSION);
    out.put_u8(kind);
    out.put_u32_le(0);
    out
}

/// Fills in the checksum.
pub(super) fn seal(mut frame: BytesMut) -> Bytes {
    let crc = checksum(&frame);
    frame[CRC_AT..HEAD_BYTES].copy_from_slice(&crc.to_le_bytes());
    frame.freeze()
}

/// The kind of a frame and what is inside.
///
/// # Errors
/// `Truncated`, `Damaged`, `UnknownVersion`. The checksum is the same in every version, so that
/// what is damaged is not taken for something newer.
pub(super) fn open(mut frame: Bytes) -> Result<(u8, Input), WireError> {
    if frame.len() < HEAD_BYTES {
        return Err(WireError::Truncated);
    }
    let crc = checksum(&frame).to_le_bytes();
    if frame[CRC_AT..HEAD_BYTES] != crc {
        return Err(WireError::Damaged);
    }
    let (version, kind) = (frame[0], frame[1]);
    if version != WIRE_VERSION {
        return Err(WireError::UnknownVersion { version, known: WIRE_VERSION });
    }
    Ok((kind, Input::new(frame.split_off(HEAD_BYTES))))
}

/// CRC-32C of all bytes but those in which it stands.
fn checksum(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[..CRC_AT]), &frame[HEAD_BYTES..])
}
