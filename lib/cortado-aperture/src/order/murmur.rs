//! The hashes of the compatible order: MurmurHash3, x86, 32 bits.
//!
//! Source: MurmurHash3 as published by Austin Appleby (public domain), restated.

use std::net::IpAddr;

/// The hash of an IP address: of its 4 or 16 bytes in network order.
///
/// An IPv4 address that is written as IPv6 is hashed as IPv4.
pub fn hash_of_ip(ip: IpAddr, seed: i32) -> i32 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => hash_of_words(&ip.octets(), seed),
        IpAddr::V6(ip) => hash_of_words(&ip.octets(), seed),
    }
}

/// The hash of a port: one number that is mixed in like the tail of a text, yet counts 4 bytes.
pub fn hash_of_port(port: u16, seed: i32) -> i32 {
    finish(seed.cast_unsigned() ^ scramble(u32::from(port)), 4)
}

/// The hash of whole words of 4 bytes.
fn hash_of_words(bytes: &[u8], seed: i32) -> i32 {
    let words = bytes.chunks_exact(4);
    let words = words.map(|word| u32::from_le_bytes(word.try_into().expect("chunks of 4")));
    let hash = words.fold(seed.cast_unsigned(), mix_in);
    finish(hash, u32::try_from(bytes.len()).expect("an address"))
}

pub(super) fn mix_in(hash: u32, word: u32) -> u32 {
    (hash ^ scramble(word)).rotate_left(13).wrapping_mul(5).wrapping_add(0xE654_6B64)
}

fn scramble(word: u32) -> u32 {
    word.wrapping_mul(0xCC9E_2D51).rotate_left(15).wrapping_mul(0x1B87_3593)
}

pub(super) fn finish(hash: u32, length: u32) -> i32 {
    let hash = hash ^ length;
    let hash = (hash ^ (hash >> 16)).wrapping_mul(0x85EB_CA6B);
    let hash = (hash ^ (hash >> 13)).wrapping_mul(0xC2B2_AE35);
    (hash ^ (hash >> 16)).cast_signed()
}
