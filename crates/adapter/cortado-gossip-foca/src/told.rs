//! What a node tells of itself, and the key that stands for it, as bytes.
//!
//! Start reading at [`put_full`]. Every byte is described in docs/formats/gossip.md.

use crate::identity::{Identity, Told, UNKNOWN};
use crate::limits::{ADDRESSES_MAX, IDENTITY_BYTES_MAX};
use crate::wire_error::{GossipWireError, cut};
use bytes::{Buf, BufMut};
use cortado_model::{DirectoryUuid, NodeId, NodeIncarnation};
use cortado_peer::{MemberFacts, MemberRole};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

pub(crate) fn put_key(identity: &Identity, out: &mut Vec<u8>) {
    out.put_u32(identity.node.0);
    out.put_u64(identity.incarnation.0);
    out.put_u32(identity.telling);
}

pub(crate) fn take_key(from: &mut impl Buf) -> Result<Identity, GossipWireError> {
    Ok(Identity {
        node: NodeId(from.try_get_u32().map_err(cut)?),
        incarnation: NodeIncarnation(from.try_get_u64().map_err(cut)?),
        telling: from.try_get_u32().map_err(cut)?,
        told: None,
    })
}

/// Key, length, and everything the node tells.
pub(crate) fn put_full(identity: &Identity, out: &mut Vec<u8>) -> Result<(), GossipWireError> {
    let told = identity.told.as_ref().ok_or(GossipWireError::Invalid("identity"))?;
    put_key(identity, out);
    let told = told_bytes(told)?;
    out.put_u16(u16::try_from(told.len()).map_err(|_| GossipWireError::NoRoom)?);
    out.put_slice(&told);
    Ok(())
}

pub(crate) fn take_full(from: &mut impl Buf) -> Result<Identity, GossipWireError> {
    let key = take_key(from)?;
    let length = usize::from(from.try_get_u16().map_err(cut)?);
    if length > 2 * IDENTITY_BYTES_MAX {
        return Err(GossipWireError::Invalid("length"));
    }
    if from.remaining() < length {
        return Err(GossipWireError::Truncated);
    }
    let told = take_told(&key, from.copy_to_bytes(length))?;
    if key.node == UNKNOWN || key.is_sought() {
        return Err(GossipWireError::Invalid("identity"));
    }
    Ok(Identity { told: Some(Arc::new(told)), ..key })
}

/// What a node tells.
///
/// # Errors
/// It is longer than others take.
pub(crate) fn told_bytes(told: &Told) -> Result<Vec<u8>, GossipWireError> {
    let MemberFacts {
        node: _,
        incarnation: _,
        directory,
        role,
        peer_addresses,
        client_address,
        zone,
        version,
        feature_level,
    } = &told.facts;
    let mut out = Vec::new();
    out.put_u128(directory.0);
    out.put_u8(match role {
        MemberRole::Node => 0,
        MemberRole::Router => 1,
    });
    out.put_u32(*feature_level);
    put_address(told.address, &mut out);
    if peer_addresses.len() > ADDRESSES_MAX {
        return Err(GossipWireError::Invalid("number of addresses"));
    }
    out.put_u8(peer_addresses.len() as u8);
    let texts = peer_addresses.iter().chain([client_address, zone, version]);
    for text in texts {
        out.put_u8(u8::try_from(text.len()).map_err(|_| GossipWireError::NoRoom)?);
        out.put_slice(text.as_bytes());
    }
    if out.len() > IDENTITY_BYTES_MAX { Err(GossipWireError::NoRoom) } else { Ok(out) }
}

/// What a later version tells behind it is passed over.
fn take_told(key: &Identity, mut from: bytes::Bytes) -> Result<Told, GossipWireError> {
    let directory = DirectoryUuid(from.try_get_u128().map_err(cut)?);
    let role = match from.try_get_u8().map_err(cut)? {
        0 => MemberRole::Node,
        1 => MemberRole::Router,
        _ => return Err(GossipWireError::Invalid("role")),
    };
    let feature_level = from.try_get_u32().map_err(cut)?;
    let address = take_address(&mut from)?;
    let count = usize::from(from.try_get_u8().map_err(cut)?);
    if count > ADDRESSES_MAX {
        return Err(GossipWireError::Invalid("number of addresses"));
    }
    let peer_addresses = (0..count).map(|_| take_text(&mut from)).collect::<Result<_, _>>()?;
    let facts = MemberFacts {
        node: key.node,
        incarnation: key.incarnation,
        directory,
        role,
        peer_addresses,
        client_address: take_text(&mut from)?,
        zone: take_text(&mut from)?,
        version: take_text(&mut from)?,
        feature_level,
    };
    Ok(Told { facts, address })
}

fn take_text(from: &mut bytes::Bytes) -> Result<String, GossipWireError> {
    let length = usize::from(from.try_get_u8().map_err(cut)?);
    if from.remaining() < length {
        return Err(GossipWireError::Truncated);
    }
    let bytes = from.split_to(length);
    String::from_utf8(bytes.into()).map_err(|_| GossipWireError::Invalid("text"))
}

fn put_address(address: SocketAddr, out: &mut Vec<u8>) {
    match address.ip() {
        IpAddr::V4(ip) => {
            out.put_u8(4);
            out.put_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.put_u8(6);
            out.put_slice(&ip.octets());
        }
    }
    out.put_u16(address.port());
}

fn take_address(from: &mut impl Buf) -> Result<SocketAddr, GossipWireError> {
    let ip = match from.try_get_u8().map_err(cut)? {
        4 => IpAddr::V4(Ipv4Addr::from(from.try_get_u32().map_err(cut)?)),
        6 => IpAddr::V6(Ipv6Addr::from(from.try_get_u128().map_err(cut)?)),
        _ => return Err(GossipWireError::Invalid("address")),
    };
    Ok(SocketAddr::new(ip, from.try_get_u16().map_err(cut)?))
}
