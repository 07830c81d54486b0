//! A group: the frames that one write and one sync made durable together, all or none.
//!
//! A group's header is proof that everything before it is durable, because a group is written only
//! when the one before it has been synced. Start reading at [`GroupHeader`].
//! Source: docs/formats/embedded-log.md, "Group".

use crate::frame::{Frame, decode, frame_bytes, u32_at, u64_at};
use crate::place::{ALIGNMENT, Place};

/// What stands before the frames of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    pub(crate) kind: GroupKind,
    /// Counts the groups of the log, from 1.
    pub(crate) number: u64,
    /// Tells the log from others.
    pub(crate) log_tag: u32,
    /// Bytes of all frames.
    pub(crate) body_bytes: u32,
    pub(crate) frames: u32,
    /// CRC-32C of the frames' checksums in their order, so that no frame can be exchanged.
    pub(crate) frames_crc: u32,
}

/// What a group says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupKind {
    /// It has frames.
    Frames,
    /// Nothing but: everything before is durable. The next group overwrites it.
    Seal,
    /// Everything before is durable, and the log goes on in the next segment.
    Continued,
}

/// Bytes before the frames.
pub(crate) const GROUP_HEADER_BYTES: usize = 40;

const MAGIC: [u8; 4] = *b"CGRP";

impl GroupHeader {
    /// A group without frames.
    pub(crate) const fn mark(kind: GroupKind, number: u64, log_tag: u32) -> GroupHeader {
        GroupHeader { kind, number, log_tag, body_bytes: 0, frames: 0, frames_crc: 0 }
    }

    /// The header's bytes at `place`.
    pub(crate) fn encode(&self, place: Place) -> [u8; GROUP_HEADER_BYTES] {
        let mut bytes = [0; GROUP_HEADER_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.log_tag.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.kind.code().to_le_bytes());
        bytes[24..28].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.frames.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.frames_crc.to_le_bytes());
        let crc = place.checksum(&bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Whether a header may stand at the beginning of `bytes`, to be asked before the rest is.
    pub(crate) fn may_begin(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    /// Reads the header at the beginning of `bytes`.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub(crate) fn decode(bytes: &[u8], place: Place) -> Result<GroupHeader, &'static str> {
        let bytes = bytes.get(..GROUP_HEADER_BYTES).ok_or("truncated group header")?;
        if !GroupHeader::may_begin(bytes) {
            return Err("not a group header: bad magic");
        }
        if place.checksum(&bytes[8..]) != u32_at(bytes, 4) {
            return Err("group header checksum mismatch");
        }
        let kind = GroupKind::from_code(u32_at(bytes, 20)).ok_or("unknown group kind")?;
        let number = u64_at(bytes, 8);
        if number == u64::MAX {
            return Err("group number out of range");
        }
        Ok(GroupHeader {
            kind,
            number,
            log_tag: u32_at(bytes, 16),
            body_bytes: u32_at(bytes, 24),
            frames: u32_at(bytes, 28),
            frames_crc: u32_at(bytes, 32),
        })
    }
}

impl GroupKind {
    const fn code(self) -> u32 {
        match self {
            GroupKind::Frames => 1,
            GroupKind::Seal => 2,
            GroupKind::Continued => 3,
        }
    }

    fn from_code(code: u32) -> Option<GroupKind> {
        [GroupKind::Frames, GroupKind::Seal, GroupKind::Continued]
            .into_iter()
            .find(|kind| kind.code() == code)
    }
}

/// Reads all frames of a group whose body is `body`; each with its position.
///
/// # Errors
/// What is wrong, and how far into the body.
pub(crate) fn decode_body<'a>(
    header: &GroupHeader,
    body: &'a [u8],
    place: Place,
) -> Result<Vec<(u64, Frame<'a>)>, (usize, &'static str)> {
    let mut frames = Vec::new();
    let mut crcs = 0;
    let mut at = 0;
    while at < body.len() {
        let here = place.plus(at as u64);
        let (frame, crc) = decode(&body[at..], here).map_err(|why| (at, why))?;
        crcs = crc32c::crc32c_append(crcs, &crc.to_le_bytes());
        at += frame_bytes(frame.payload.len());
        frames.push((here.position, frame));
    }
    if frames.len() != header.frames as usize || crcs != header.frames_crc {
        return Err((0, "group frames do not match the group header"));
    }
    Ok(frames)
}

/// Collects frames and then is the bytes of their group. Reused, so that its memory is too.
#[derive(Debug)]
pub(crate) struct GroupBuilder {
    place: Place,
    bytes: Vec<u8>,
    frames: u32,
    frames_crc: u32,
}

impl GroupBuilder {
    /// An empty group at `place`.
    pub(crate) fn new(place: Place) -> GroupBuilder {
        let bytes = vec![0; GROUP_HEADER_BYTES];
        GroupBuilder { place, bytes, frames: 0, frames_crc: 0 }
    }

    /// Drops the frames and starts anew at `place`.
    pub(crate) fn restart(&mut self, place: Place) {
        debug_assert_eq!(place.position % ALIGNMENT as u64, 0, "groups are aligned");
        self.place = place;
        self.bytes.truncate(GROUP_HEADER_BYTES);
        if self.bytes.capacity() > KEPT_BYTES_MAX {
            self.bytes.shrink_to(KEPT_BYTES_MAX);
        }
        self.frames = 0;
        self.frames_crc = 0;
    }

    /// Adds a frame and answers its position in the segment.
    pub(crate) fn push(&mut self, frame: &Frame<'_>) -> u64 {
        let place = self.place.plus(self.bytes.len() as u64);
        let crc = frame.encode(place, &mut self.bytes);
        self.frames += 1;
        self.frames_crc = crc32c::crc32c_append(self.frames_crc, &crc.to_le_bytes());
        place.position
    }

    /// Whether it has no frame.
    pub(crate) fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// How many frames it has.
    pub(crate) fn frames(&self) -> u32 {
        self.frames
    }

    /// Bytes so far, the header included.
    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Fills in the header; the bytes are then ready to be written.
    pub(crate) fn finish(&mut self, number: u64, log_tag: u32) -> &[u8] {
        let body_bytes = u32::try_from(self.bytes.len() - GROUP_HEADER_BYTES)
            .expect("the writer bounds a group far below 4 GiB");
        let header = GroupHeader {
            kind: GroupKind::Frames,
            number,
            log_tag,
            body_bytes,
            frames: self.frames,
            frames_crc: self.frames_crc,
        };
        self.bytes[..GROUP_HEADER_BYTES].copy_from_slice(&header.encode(self.place));
        &self.bytes
    }
}

/// A group this large is rare, so its memory is given back.
const KEPT_BYTES_MAX: usize = 8 << 20;
