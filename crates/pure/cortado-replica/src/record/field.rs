//! What bodies and fold states are made of, as bytes: numbers, flags, and lengths before bytes.
//!
//! Start reading at [`get`].

use super::decode_error::DecodeError;
use bytes::{Buf, BufMut, Bytes, BytesMut, TryGetError};
use cortado_model::{NodeId, Scn};

/// A flag, and behind it what is there.
pub(crate) fn put_option<T>(
    out: &mut BytesMut,
    value: Option<&T>,
    put: impl FnOnce(&mut BytesMut, &T),
) {
    out.put_u8(value.is_some().into());
    if let Some(value) = value {
        put(out, value);
    }
}

/// Length, then bytes. No part of a record reaches 4 GiB: the largest body has 8 MiB.
pub(crate) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32_le(bytes.len() as u32);
    out.put_slice(bytes);
}

/// Writes the length of what `write` writes, and that.
pub(crate) fn put_sized(out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
    let length_at = out.len();
    out.put_u32_le(0);
    write(out);
    let len = (out.len() - length_at - 4) as u32;
    out[length_at..length_at + 4].copy_from_slice(&len.to_le_bytes());
}

pub(crate) fn get<T>(
    input: &mut Bytes,
    read: impl Fn(&mut Bytes) -> Result<T, TryGetError>,
) -> Result<T, DecodeError> {
    read(input).map_err(|_| DecodeError::Damaged("they end early"))
}

pub(crate) fn get_option<T>(
    input: &mut Bytes,
    read: impl FnOnce(&mut Bytes) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    match get(input, Bytes::try_get_u8)? {
        0 => Ok(None),
        1 => read(input).map(Some),
        _ => Err(DecodeError::Damaged("a flag is neither 0 nor 1")),
    }
}

pub(crate) fn get_scn(input: &mut Bytes) -> Result<Scn, DecodeError> {
    Scn::from_u64(get(input, Bytes::try_get_u64_le)?)
        .ok_or(DecodeError::Damaged("an SCN has its top bit set"))
}

pub(crate) fn get_node(input: &mut Bytes) -> Result<NodeId, DecodeError> {
    get(input, Bytes::try_get_u32_le).map(NodeId)
}

pub(crate) fn get_bytes(input: &mut Bytes) -> Result<Bytes, DecodeError> {
    let len = get(input, Bytes::try_get_u32_le)? as usize;
    if input.len() < len {
        return Err(DecodeError::Damaged("they end early"));
    }
    Ok(input.split_to(len))
}
