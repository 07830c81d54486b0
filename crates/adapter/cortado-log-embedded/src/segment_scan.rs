//! Reads one segment from its first group to its end, and judges what the end looks like.
//!
//! Only reads. Decides between a torn tail, which a power cut explains, and damage, which nothing
//! does: a valid group header *after* invalid bytes proves that those bytes were once durable.
//! Start reading at [`scan_segment`]. Source: docs/formats/embedded-log.md, "Recovery".

use crate::files::LogFile;
use crate::frame::{Frame, FrameKind};
use crate::group::{GROUP_HEADER_BYTES, GroupHeader, GroupKind, decode_body};
use crate::place::{ALIGNMENT, Place};
use crate::segment::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::window::Window;
use std::io;

/// What a segment holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentScan {
    /// Where the last whole group ends; the first group's position if there is none.
    pub(crate) end: u64,
    /// Where the last whole group begins.
    pub(crate) last_group: u64,
    /// The numbers of the first and the last group.
    pub(crate) groups: Option<(u64, u64)>,
    pub(crate) frames: u64,
    pub(crate) tail: Tail,
}

/// What stands behind the last whole group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// The next segment says that this one ends here, and it does.
    Bounded,
    /// Nothing but zeros.
    Clean,
    /// The log wrote that everything before is durable; then up to `upto` what is not zero.
    Sealed { upto: u64 },
    /// The log wrote that it goes on in the next segment.
    Continued,
    /// Bytes up to `upto` that are no whole group, and no group after them: a write that was not
    /// finished, so never acknowledged.
    Torn { upto: u64, why: &'static str },
    /// Bytes at `position` that once were durable and now are wrong.
    Damaged { position: u64, why: &'static str },
}

/// Bytes that are read at once.
const STEP_BYTES: usize = 1 << 20;

/// What a part of the file that was never written looks like.
const BLOCK: [u8; 4_096] = [0; 4_096];

/// Reads the groups of a segment in order and hands every frame of each whole one to `visit`.
///
/// * `bound`: where the segment ends, if the next one tells.
/// * `visit`: gets each frame with its position; may refuse one, which is damage.
///
/// # Errors
/// Only what the file system says. Wrong bytes are a [`Tail`].
pub(crate) fn scan_segment(
    file: &dyn LogFile,
    header: &SegmentHeader,
    bound: Option<u64>,
    visit: &mut Visit<'_>,
) -> io::Result<SegmentScan> {
    let file_bytes = file.bytes()?;
    let end = SEGMENT_HEADER_BYTES as u64;
    let tail = Tail::Clean;
    let mut scanner = Scanner {
        window: Window::new(
            file,
            STEP_BYTES.min(usize::try_from(file_bytes).unwrap_or(usize::MAX)),
        ),
        header,
        file_bytes,
        scanned: SegmentScan { end, last_group: end, groups: None, frames: 0, tail },
    };
    scanner.scanned.tail = loop {
        if bound == Some(scanner.scanned.end) {
            break Tail::Bounded;
        }
        let position = scanner.scanned.end;
        match scanner.group(visit)? {
            Step::Group => {}
            Step::Mark(kind) if bound.is_none() => break scanner.after_mark(position, kind)?,
            Step::Mark(_) => {
                let why = "the segment ends earlier than the next one says";
                break Tail::Damaged { position, why };
            }
            Step::Refused { position, why } => break Tail::Damaged { position, why },
            Step::Invalid { at, why } if bound.is_some() => {
                break Tail::Damaged { position: at, why };
            }
            Step::Invalid { at, why } => break scanner.after_invalid(position, at, why)?,
        }
    };
    Ok(scanner.scanned)
}

/// Takes a frame and its position; an error says why it cannot stand there.
pub(crate) type Visit<'a> = dyn FnMut(u64, &Frame<'_>) -> Result<(), &'static str> + 'a;

struct Scanner<'a> {
    window: Window<'a>,
    header: &'a SegmentHeader,
    file_bytes: u64,
    scanned: SegmentScan,
}

enum Step {
    Group,
    Mark(GroupKind),
    Refused { position: u64, why: &'static str },
    Invalid { at: u64, why: &'static str },
}

impl Scanner<'_> {
    /// Reads the group at the end of what has been read.
    fn group(&mut self, visit: &mut Visit<'_>) -> io::Result<Step> {
        let position = self.scanned.end;
        let header = match self.header_at(position)? {
            Ok(header) => header,
            Err(why) => return Ok(Step::Invalid { at: position, why }),
        };
        let last = self.scanned.groups.map(|(_, last)| last);
        if last.is_some_and(|last| header.number != last + 1) {
            return Ok(Step::Invalid { at: position, why: "a group's number is out of turn" });
        }
        match header.kind {
            GroupKind::Frames => {}
            mark @ (GroupKind::Seal | GroupKind::Continued) if last.is_some() => {
                return Ok(Step::Mark(mark));
            }
            GroupKind::Seal | GroupKind::Continued => {
                let why = "a segment begins without its opening";
                return Ok(Step::Invalid { at: position, why });
            }
        }
        let place = self.place(position + GROUP_HEADER_BYTES as u64);
        let end = place.position + u64::from(header.body_bytes);
        if end > self.file_bytes {
            return Ok(Step::Invalid { at: position, why: "a group reaches beyond the file" });
        }
        let body = self.window.get(place.position, header.body_bytes as usize)?;
        let frames = match decode_body(&header, body, place) {
            Ok(frames) => frames,
            Err((at, why)) => {
                return Ok(Step::Invalid { at: place.position + at as u64, why });
            }
        };
        let mut opening = self.scanned.groups.is_none();
        for (position, frame) in &frames {
            // The first frame of a segment is its opening, and no other frame is.
            let refusal = match (opening, frame.kind == FrameKind::Opening) {
                (true, true) | (false, false) => visit(*position, frame).err(),
                (true, false) => Some("a segment begins without its opening"),
                (false, true) => Some("an opening stands in the middle of a segment"),
            };
            if let Some(why) = refusal {
                return Ok(Step::Refused { position: *position, why });
            }
            opening = false;
        }
        let first = self.scanned.groups.map_or(header.number, |(first, _)| first);
        self.scanned.groups = Some((first, header.number));
        self.scanned.frames += frames.len() as u64;
        self.scanned.last_group = position;
        self.scanned.end = end;
        Ok(Step::Group)
    }

    fn after_mark(&mut self, position: u64, kind: GroupKind) -> io::Result<Tail> {
        let upto = self.last_nonzero(position)?.unwrap_or(position);
        if self.later_group(position, upto)? {
            let why = "a later group follows an end that was sealed";
            return Ok(Tail::Damaged { position, why });
        }
        Ok(match kind {
            GroupKind::Continued => Tail::Continued,
            GroupKind::Seal | GroupKind::Frames => Tail::Sealed { upto },
        })
    }

    fn after_invalid(&mut self, position: u64, at: u64, why: &'static str) -> io::Result<Tail> {
        let Some(upto) = self.last_nonzero(position)? else { return Ok(Tail::Clean) };
        if self.later_group(position, upto)? {
            return Ok(Tail::Damaged { position: at, why });
        }
        Ok(Tail::Torn { upto, why })
    }

    /// Whether a valid header of a later group than the one at `position` stands below `upto`.
    fn later_group(&mut self, position: u64, upto: u64) -> io::Result<bool> {
        let expected = self.scanned.groups.map_or(0, |(_, last)| last + 1);
        let mut at = position + ALIGNMENT as u64;
        while at < upto {
            if self.header_at(at)?.is_ok_and(|header| header.number > expected) {
                return Ok(true);
            }
            at += ALIGNMENT as u64;
        }
        Ok(false)
    }

    fn header_at(&mut self, position: u64) -> io::Result<Result<GroupHeader, &'static str>> {
        let place = self.place(position);
        let log_tag = self.header.log.tag();
        let bytes = self.window.get(position, GROUP_HEADER_BYTES)?;
        Ok(GroupHeader::decode(bytes, place).and_then(|header| {
            let own = header.log_tag == log_tag;
            own.then_some(header).ok_or("a group belongs to another log")
        }))
    }

    /// The position behind the last byte from `position` on that is not zero.
    fn last_nonzero(&mut self, position: u64) -> io::Result<Option<u64>> {
        let mut last = None;
        let mut at = position;
        while at < self.file_bytes {
            let bytes = self.window.get(at, BLOCK.len())?;
            if bytes.is_empty() {
                break;
            }
            // Comparing whole blocks costs next to nothing; most of them are zeros.
            if bytes != &BLOCK[..bytes.len()] {
                let nonzero = bytes.iter().rposition(|byte| *byte != 0);
                last = nonzero.map(|index| at + index as u64 + 1).or(last);
            }
            at += bytes.len() as u64;
        }
        Ok(last)
    }

    fn place(&self, position: u64) -> Place {
        Place { segment: self.header.number, position }
    }
}
