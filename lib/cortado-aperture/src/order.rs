//! In which order endpoints stand on the ring: the same for all peers of a group.
//!
//! Every peer sorts by a hash of the endpoint's identity; no peer tells another. The hash has 128
//! bits and a tie is broken by the identity itself, so two endpoints never change places, be they
//! IPv4, IPv6 or names. Start reading at [`RingOrder`].

mod compatible;
mod murmur;

pub use compatible::{Address, COMPATIBLE_SEED, vector_hash};
pub use murmur::{hash_of_ip, hash_of_port};

use crate::place::Place;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

/// What identifies an endpoint to all peers.
///
/// `Ord` breaks ties; it must be the same in every peer too.
pub trait RingKey: Clone + Ord + Hash + Send + Sync + 'static {
    /// Appends bytes that are the same in every process, on every platform and in every version,
    /// and that differ if the keys do.
    fn identity(&self, bytes: &mut Vec<u8>);

    /// The endpoint's number, from 0 without holes, if endpoints are numbered.
    /// [`Ringsteady`](crate::Ringsteady) wants it.
    fn ordinal(&self) -> Option<u32> {
        None
    }

    /// What [`RingOrder::compatible`] sorts by.
    fn address(&self) -> Address {
        Address::Other
    }
}

/// How identities are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingOrder(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Group { seed: u64 },
    Compatible { seed: i32 },
}

impl RingOrder {
    /// The order of the client group `name`, such as the name of the service that it is.
    ///
    /// Peers of one group must say the same. Groups must not, or all of them put the same
    /// neighbours beside an endpoint, and the load of one that dies falls on the same two or three
    /// from every group at once.
    pub fn of_group(name: &str) -> RingOrder {
        RingOrder(Kind::Group { seed: xxh3_64(name.as_bytes()) })
    }

    /// The order of Twitter Finagle, for a ring that is shared with clients of that kind.
    ///
    /// It hashes 32 bits of an IP address. For IPv6 two endpoints can have the same hash; their
    /// order, undefined there, is that of their keys here. [`COMPATIBLE_SEED`] is the usual seed.
    pub fn compatible(seed: i32) -> RingOrder {
        RingOrder(Kind::Compatible { seed })
    }

    /// Where `key` sorts. Keys of equal places sort by themselves.
    pub fn place<K: RingKey>(&self, key: &K) -> Place {
        match self.0 {
            Kind::Group { seed } => {
                let mut bytes = Vec::with_capacity(24);
                key.identity(&mut bytes);
                Place(xxh3_128_with_seed(&bytes, seed))
            }
            Kind::Compatible { seed } => key.address().place(seed),
        }
    }
}

impl RingKey for SocketAddr {
    /// Address and port. An IPv4 address is itself, however it is written; the flow information
    /// and the scope of an IPv6 address belong to a socket, not to an endpoint.
    fn identity(&self, bytes: &mut Vec<u8>) {
        self.ip().identity(bytes);
        bytes.extend(self.port().to_be_bytes());
    }

    fn address(&self) -> Address {
        Address::Resolved(*self)
    }
}

impl RingKey for IpAddr {
    fn identity(&self, bytes: &mut Vec<u8>) {
        match self.to_canonical() {
            IpAddr::V4(ip) => ip.identity(bytes),
            IpAddr::V6(ip) => bytes.extend(ip.octets()),
        }
    }
}

impl RingKey for Ipv4Addr {
    fn identity(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.octets());
    }
}

impl RingKey for Ipv6Addr {
    fn identity(&self, bytes: &mut Vec<u8>) {
        IpAddr::V6(*self).identity(bytes);
    }
}

impl RingKey for String {
    fn identity(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.as_bytes());
    }

    /// The number that ends the name, as in `db-7`.
    fn ordinal(&self) -> Option<u32> {
        ordinal_of(self)
    }
}

impl RingKey for &'static str {
    fn identity(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.as_bytes());
    }

    /// The number that ends the name, as in `db-7`.
    fn ordinal(&self) -> Option<u32> {
        ordinal_of(self)
    }
}

/// The number that ends a name, as members of stateful sets are named.
pub(crate) fn ordinal_of(name: &str) -> Option<u32> {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    name[stem.len()..].parse().ok()
}

macro_rules! numbered {
    ($($number:ty),*) => {$(
        impl RingKey for $number {
            fn identity(&self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_be_bytes());
            }

            /// The number itself.
            fn ordinal(&self) -> Option<u32> {
                u32::try_from(*self).ok()
            }
        }
    )*};
}

numbered!(u16, u32, u64, usize);

#[cfg(test)]
mod tests;
