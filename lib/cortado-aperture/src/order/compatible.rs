//! The order in which Twitter Finagle puts endpoints on its ring.

use super::murmur::{finish, hash_of_ip, hash_of_port, mix_in};
use crate::place::Place;
use std::net::SocketAddr;

/// The seed that everyone uses there who does not say otherwise.
pub const COMPATIBLE_SEED: i32 = 0x3C07_4A61;

/// An endpoint as the compatible order sees it; variants in the order in which they sort.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// A name that has no address yet. These sort among themselves by name and port as text.
    Unresolved {
        /// `name/<unresolved>:port`, as the original's runtime spells it.
        text: String,
    },
    /// An address, which sorts by the hash of its IP, then by the hash of its port.
    Resolved(SocketAddr),
    /// No socket address at all.
    Other,
}

impl Address {
    /// The name `name` and `port`, not yet resolved.
    pub fn unresolved(name: &str, port: u16) -> Address {
        Address::Unresolved { text: format!("{name}/<unresolved>:{port}") }
    }

    /// The kind in the highest bits, then both hashes as unsigned numbers of the same order.
    pub(super) fn place(&self, seed: i32) -> Place {
        let ascending = |hash: i32| u128::from(hash.cast_unsigned() ^ (1 << 31));
        match self {
            Address::Unresolved { .. } => Place(0),
            Address::Resolved(address) => {
                let ip = ascending(hash_of_ip(address.ip(), seed));
                let port = ascending(hash_of_port(address.port(), seed));
                Place((1 << 126) | (ip << 64) | port)
            }
            Address::Other => Place(2 << 126),
        }
    }
}

impl super::RingKey for Address {
    fn identity(&self, bytes: &mut Vec<u8>) {
        match self {
            Address::Unresolved { text } => bytes.extend(text.as_bytes()),
            Address::Resolved(address) => address.identity(bytes),
            Address::Other => {}
        }
    }

    fn address(&self) -> Address {
        self.clone()
    }
}

/// What the original publishes so that peers can compare their rings: one hash over the hashes of
/// all resolved IP addresses in ring order. It cannot see a difference in ports or names.
pub fn vector_hash<'a>(addresses: impl IntoIterator<Item = &'a Address>) -> i32 {
    let (mut hash, mut count) = (COMPATIBLE_SEED.cast_unsigned(), 0);
    for address in addresses {
        if let Address::Resolved(address) = address {
            hash = mix_in(hash, hash_of_ip(address.ip(), COMPATIBLE_SEED).cast_unsigned());
            count += 1;
        }
    }
    finish(hash, count)
}
