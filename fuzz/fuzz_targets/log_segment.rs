//! Any bytes as a segment of the embedded log: as they are, behind a header that holds, and as the
//! payload of frames whose checksums and group do.
//!
//! Reads from a file, as the log does: give it a temporary folder in memory (`TMPDIR=/dev/shm`).

#![no_main]

use cortado_log_embedded::verify;
use libfuzzer_sys::fuzz_target;
use std::fs;
use tempfile::tempdir;

const SEGMENT: u64 = 1;
const HEADER_BYTES: usize = 4_096;
const GROUP_HEADER_BYTES: usize = 40;
const LOG: u128 = 7;
/// Kinds of frames.
const RECORD: u32 = 1;
const OPENING: u32 = 4;

fuzz_target!(|bytes: &[u8]| {
    look_at(bytes);
    look_at(&behind_a_header(bytes));
    look_at(&behind_a_header(&group(&[(OPENING, bytes)])));
    look_at(&behind_a_header(&group(&[(OPENING, &[]), (RECORD, bytes)])));
});

fn look_at(segment: &[u8]) {
    let folder = tempdir().expect("a temporary folder");
    let path = folder.path().join(format!("{SEGMENT:016}.segment"));
    fs::write(path, segment).expect("the temporary folder has room");
    let _ = verify(folder.path());
}

fn behind_a_header(groups: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes[..8].copy_from_slice(b"CORTSEGM");
    bytes[12..16].copy_from_slice(&2_u32.to_le_bytes());
    bytes[16..32].copy_from_slice(&LOG.to_le_bytes());
    bytes[32..40].copy_from_slice(&SEGMENT.to_le_bytes());
    bytes[40..48].copy_from_slice(&((HEADER_BYTES + groups.len()) as u64).to_le_bytes());
    bytes[48..56].copy_from_slice(&1_u64.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[12..]);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(groups);
    bytes
}

/// The first group of the segment.
fn group(frames: &[(u32, &[u8])]) -> Vec<u8> {
    let (mut body, mut crcs) = (Vec::new(), 0);
    for (kind, payload) in frames {
        let mut frame = vec![0; 32];
        frame[4..8].copy_from_slice(&kind.to_le_bytes());
        frame[8..12].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        frame.extend_from_slice(payload);
        frame.resize(frame.len().next_multiple_of(8), 0);
        let crc = checksum(HEADER_BYTES + GROUP_HEADER_BYTES + body.len(), &frame[4..]);
        frame[..4].copy_from_slice(&crc.to_le_bytes());
        crcs = crc32c::crc32c_append(crcs, &crc.to_le_bytes());
        body.extend(frame);
    }
    let mut group = vec![0; GROUP_HEADER_BYTES];
    group[..4].copy_from_slice(b"CGRP");
    group[8..16].copy_from_slice(&1_u64.to_le_bytes());
    group[16..20].copy_from_slice(&crc32c::crc32c(&LOG.to_le_bytes()).to_le_bytes());
    group[20..24].copy_from_slice(&1_u32.to_le_bytes());
    group[24..28].copy_from_slice(&(body.len() as u32).to_le_bytes());
    group[28..32].copy_from_slice(&(frames.len() as u32).to_le_bytes());
    group[32..36].copy_from_slice(&crcs.to_le_bytes());
    let crc = checksum(HEADER_BYTES, &group[8..]);
    group[4..8].copy_from_slice(&crc.to_le_bytes());
    group.extend(body);
    group
}

/// CRC-32C of the place and then the bytes.
fn checksum(position: usize, bytes: &[u8]) -> u32 {
    let place = [SEGMENT.to_le_bytes(), (position as u64).to_le_bytes()].concat();
    crc32c::crc32c_append(crc32c::crc32c(&place), bytes)
}
