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
    /// No group: zeros, or what a recycled file held before. The rest of a torn write may be among
    /// it, but not its header.
    Unwritten,
    /// The log wrote that everything before is durable.
    Sealed,
    /// The log wrote that it goes on in the next segment.
    Continued,
    /// The header of the next group, whose frames up to `upto` are not whole, and no group after
    /// it: a write that was not finished, so never acknowledged.
    Torn { upto: u64, why: &'static str },
    /// Bytes at `position` that once were durable and now are wrong.
    Damaged { position: u64, why: &'static str },
}

/// Bytes that are read at once.
const STEP_BYTES: usize = 1 << 20;

/// Bytes that are searched at once for the header of a group.
const SEARCH_BYTES: usize = 4_096;

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
    let tail = Tail::Unwritten;
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
                let why = "segment ends before the position that the next segment records";
                break Tail::Damaged { position, why };
            }
            Step::Refused { position, why } => break Tail::Damaged { position, why },
            Step::Invalid { at, why, .. } if bound.is_some() => {
                break Tail::Damaged { position: at, why };
            }
            Step::Invalid { at, why, torn } => {
                break scanner.after_invalid(position, at, why, torn)?;
            }
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
    Refused {
        position: u64,
        why: &'static str,
    },
    /// The bytes at `at` are no whole group; if the header is one, the group would end at `torn`.
    Invalid {
        at: u64,
        why: &'static str,
        torn: Option<u64>,
    },
}

impl Scanner<'_> {
    /// Reads the group at the end of what has been read.
    fn group(&mut self, visit: &mut Visit<'_>) -> io::Result<Step> {
        let position = self.scanned.end;
        let header = match self.header_at(position)? {
            Ok(header) => header,
            Err(why) => return Ok(Step::Invalid { at: position, why, torn: None }),
        };
        let last = self.scanned.groups.map(|(_, last)| last);
        if last.is_some_and(|last| header.number != last + 1) {
            let why = "group number out of sequence";
            return Ok(Step::Refused { position, why });
        }
        let place = self.place(position + GROUP_HEADER_BYTES as u64);
        let end = place.position + u64::from(header.body_bytes);
        let torn = Some(end.min(self.file_bytes));
        match header.kind {
            GroupKind::Frames => {}
            mark @ (GroupKind::Seal | GroupKind::Continued) if last.is_some() => {
                return Ok(Step::Mark(mark));
            }
            GroupKind::Seal | GroupKind::Continued => {
                let why = "segment does not start with an opening frame";
                return Ok(Step::Refused { position, why });
            }
        }
        if end > self.file_bytes {
            let why = "group extends past the end of the file";
            return Ok(Step::Invalid { at: position, why, torn });
        }
        let body = self.window.get(place.position, header.body_bytes as usize)?;
        let frames = match decode_body(&header, body, place) {
            Ok(frames) => frames,
            Err((at, why)) => {
                return Ok(Step::Invalid { at: place.position + at as u64, why, torn });
            }
        };
        if let Some((position, why)) = refusal(&frames, last.is_none(), visit) {
            return Ok(Step::Refused { position, why });
        }
        let first = self.scanned.groups.map_or(header.number, |(first, _)| first);
        self.scanned.groups = Some((first, header.number));
        self.scanned.frames += frames.len() as u64;
        self.scanned.last_group = position;
        self.scanned.end = end;
        Ok(Step::Group)
    }

    fn after_mark(&mut self, position: u64, kind: GroupKind) -> io::Result<Tail> {
        if self.has_later_group(position)? {
            let why = "a later group follows the seal";
            return Ok(Tail::Damaged { position, why });
        }
        Ok(match kind {
            GroupKind::Continued => Tail::Continued,
            GroupKind::Seal | GroupKind::Frames => Tail::Sealed,
        })
    }

    fn after_invalid(
        &mut self,
        position: u64,
        at: u64,
        why: &'static str,
        torn: Option<u64>,
    ) -> io::Result<Tail> {
        if self.has_later_group(position)? {
            return Ok(Tail::Damaged { position: at, why });
        }
        Ok(torn.map_or(Tail::Unwritten, |upto| Tail::Torn { upto, why }))
    }

    /// Whether a valid header of a later group than the one at `position` stands behind it.
    fn has_later_group(&mut self, position: u64) -> io::Result<bool> {
        // Where there is no group yet, any group behind the first place is a later one.
        let next = self.scanned.groups.map_or(0, |(_, last)| last + 1);
        let mut at = position + ALIGNMENT as u64;
        while let Some(found) = self.find_magic(at)? {
            if self.header_at(found)?.is_ok_and(|header| header.number > next) {
                return Ok(true);
            }
            at = found + ALIGNMENT as u64;
        }
        Ok(false)
    }

    /// The first place from `position` on where a group's header may begin.
    fn find_magic(&mut self, mut position: u64) -> io::Result<Option<u64>> {
        loop {
            let bytes = self.window.get(position, SEARCH_BYTES)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            if let Some(index) = bytes.chunks(ALIGNMENT).position(GroupHeader::may_begin) {
                return Ok(Some(position + (index * ALIGNMENT) as u64));
            }
            position += SEARCH_BYTES as u64;
        }
    }

    fn header_at(&mut self, position: u64) -> io::Result<Result<GroupHeader, &'static str>> {
        let place = self.place(position);
        let SegmentHeader { log, first_group, .. } = *self.header;
        let bytes = self.window.get(position, GROUP_HEADER_BYTES)?;
        Ok(GroupHeader::decode(bytes, place).and_then(|header| {
            if header.log_tag != log.tag() {
                return Err("group of another log");
            }
            if header.number < first_group {
                return Err("group of an earlier segment in the same file");
            }
            Ok(header)
        }))
    }

    fn place(&self, position: u64) -> Place {
        Place { segment: self.header.number, position }
    }
}

/// The first frame that cannot stand in a group, and why.
///
/// * `first`: whether it is the segment's first group, which begins with the opening.
fn refusal(
    frames: &[(u64, Frame<'_>)],
    first: bool,
    visit: &mut Visit<'_>,
) -> Option<(u64, &'static str)> {
    frames.iter().enumerate().find_map(|(index, (position, frame))| {
        let refusal = match (first && index == 0, frame.kind == FrameKind::Opening) {
            (true, true) | (false, false) => visit(*position, frame).err(),
            (true, false) => Some("segment does not start with an opening frame"),
            (false, true) => Some("opening frame in the middle of a segment"),
        };
        Some((*position, refusal?))
    })
}
