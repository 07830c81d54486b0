//! Reads a whole directory and says what the log in it holds, or what is wrong with it.
//!
//! Only reads, so that opening and verifying see the same. The state comes from the last segment:
//! its opening, then its frames. The older segments contribute records; every record that the state
//! promises must be found. Start reading at [`scan_directory`].
//! Source: docs/formats/embedded-log.md, "Recovery".

use crate::files::{Access, Files, LogFile};
use crate::frame::{Frame, FrameKind, PartitionIncarnation};
use crate::open_error::Damage;
use crate::opening::{Extent, Opening};
use crate::place::{SegmentEnd, packed};
use crate::segment::{
    HeaderError, LogUuid, SEGMENT_HEADER_BYTES, Segment, SegmentHeader, segment_name,
    segment_number,
};
use crate::segment_scan::{SegmentScan, Tail, scan_segment};
use cortado_model::{LogOffset, PartitionId};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// Everything about a log's directory.
#[derive(Debug)]
pub(crate) struct DirectoryScan {
    /// Which log it is; `None` if there is no segment.
    pub(crate) log: Option<LogUuid>,
    /// The segments in order.
    pub(crate) segments: Vec<ScannedSegment>,
    pub(crate) state: State,
    /// Everything that is wrong; the rest is then only what could be read.
    pub(crate) damages: Vec<Damage>,
}

/// One segment file.
#[derive(Debug)]
pub(crate) struct ScannedSegment {
    pub(crate) segment: Arc<Segment>,
    pub(crate) scan: SegmentScan,
    /// The records in it that are still wanted.
    pub(crate) live: BTreeMap<PartitionId, Run>,
}

/// Successive records of one partition in one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: LogOffset,
    /// Where they stand, in [`packed`] form.
    pub(crate) positions: Vec<u32>,
}

/// What the log knows of its partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) extents: BTreeMap<PartitionId, Extent>,
    pub(crate) next_incarnation: PartitionIncarnation,
    /// From the opening of the last segment: the one before.
    pub(crate) previous: Option<SegmentEnd>,
}

/// Why a directory could not be scanned.
#[derive(Debug)]
pub(crate) enum DirectoryScanError {
    /// The system refused to read `file`.
    Io { file: String, source: io::Error },
    /// Another version of the program wrote `file`.
    Version { file: String, version: u32 },
}

/// Reads every segment of the directory.
///
/// # Errors
/// See [`DirectoryScanError`]. Damage is no error here.
pub(crate) fn scan_directory(
    files: &dyn Files,
    access: Access,
) -> Result<DirectoryScan, DirectoryScanError> {
    let names = files.list().map_err(|source| failed("the directory", source))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    let mut damages = Vec::new();
    let mut opened = Vec::new();
    let mut log = None;
    for number in numbers {
        let name = segment_name(number);
        let file = files.open(&name, access).map_err(|source| failed(&name, source))?;
        match check_header(&name, number, file.as_ref(), log)? {
            Ok(header) => {
                log = Some(header.log);
                let SegmentHeader { file_bytes, first_group, .. } = header;
                let segment = Segment { number, name, file_bytes, first_group, file };
                opened.push((Arc::new(segment), header));
            }
            Err(damage) => damages.push(damage),
        }
    }
    let mut scan = DirectoryScan { log, segments: Vec::new(), state: State::default(), damages };
    scan.read(opened)?;
    Ok(scan)
}

impl DirectoryScan {
    /// The segment in which the log goes on: the last one that holds anything.
    pub(crate) fn active(&self) -> Option<&ScannedSegment> {
        self.segments.iter().rev().find(|scanned| scanned.is_used())
    }

    /// Reads the segments from the last to the first, because each tells where the one before ends.
    fn read(
        &mut self,
        mut opened: Vec<(Arc<Segment>, SegmentHeader)>,
    ) -> Result<(), DirectoryScanError> {
        let mut end_before: Option<SegmentEnd> = None;
        let mut state_known = false;
        while let Some((segment, header)) = opened.pop() {
            let number = segment.number;
            let bound = end_before.filter(|end| end.segment == number).map(|end| end.position);
            if !state_known {
                let (scanned, state) = read_state(&segment, &header)?;
                if scanned.groups.is_some() {
                    self.state = state;
                    state_known = true;
                }
            }
            let scanned = read_records(segment, header, bound, &self.state)?;
            self.judge(&scanned, state_known);
            if let (true, Some(opening)) = (scanned.0.is_used(), &scanned.1) {
                end_before = opening.previous;
            }
            self.segments.insert(0, scanned.0);
        }
        self.check_neighbours();
        self.check_records();
        Ok(())
    }

    fn judge(&mut self, scanned: &(ScannedSegment, Option<Opening>), state_known: bool) {
        let file = scanned.0.segment.name.clone();
        match &scanned.0.scan.tail {
            Tail::Damaged { position, why } => {
                let (position, why) = (*position, (*why).to_owned());
                self.damages.push(Damage::Bytes { file, position, why });
            }
            _ if !scanned.0.is_used() && state_known => {
                let (position, why) = (
                    SEGMENT_HEADER_BYTES as u64,
                    "segment is empty, but a later one is not".to_owned(),
                );
                self.damages.push(Damage::Bytes { file, position, why });
            }
            Tail::Bounded
            | Tail::Unwritten
            | Tail::Sealed
            | Tail::Continued
            | Tail::Torn { .. } => {}
        }
    }

    /// Only one segment may be unused, the last; and the one in use must be there.
    fn check_neighbours(&mut self) {
        let Some(last) = self.segments.last() else { return };
        let next = last.segment.number + 1;
        let active = self.active();
        let continued = active.is_some_and(|active| active.scan.tail == Tail::Continued);
        let damage = match active {
            Some(active) if active.segment.number == last.segment.number => {
                continued.then(|| Damage::MissingSegment {
                    file: segment_name(next),
                    why: format!("{} records that the log continues in it", last.segment.name),
                })
            }
            Some(active) if active.segment.number + 1 == last.segment.number => {
                check_prepared(active, &last.segment)
            }
            None if last.segment.number == 1 => None,
            Some(_) | None => Some(Damage::MissingSegment {
                file: segment_name(last.segment.number - 1),
                why: format!("{} was prepared to follow it", last.segment.name),
            }),
        };
        // A damaged header has been reported already, and its segment is not among these.
        if let Some(damage) = damage
            && self.damages.is_empty()
        {
            self.damages.push(damage);
        }
    }

    /// Every record that the state promises is in some segment.
    fn check_records(&mut self) {
        if !self.damages.is_empty() {
            // The holes follow from the damage, and are not reported.
            return;
        }
        for (partition, extent) in &self.state.extents {
            let mut next = extent.first;
            let mut after = 0;
            let mut hole = None;
            for scanned in &self.segments {
                let Some(run) = scanned.live.get(partition) else { continue };
                if run.first != next {
                    hole = Some((run.first, scanned.segment.number));
                    break;
                }
                next = run.end();
                after = scanned.segment.number;
            }
            if hole.is_none() && next != extent.end {
                hole = Some((extent.end, u64::MAX));
            }
            if let Some((upto, before)) = hole {
                let damage = self.missing(*partition, (next, upto), (after, before));
                self.damages.push(damage);
                return;
            }
        }
    }

    /// Names the segment that should hold the records from `records.0` up to `records.1`, which
    /// stand after segment `between.0` and before segment `between.1`.
    fn missing(
        &self,
        partition: PartitionId,
        records: (LogOffset, LogOffset),
        between: (u64, u64),
    ) -> Damage {
        let (first, last) = (records.0.0, records.1.0.saturating_sub(1));
        let present = |number| self.segments.iter().any(|one| one.segment.number == number);
        let before = self.segments.last().map_or(0, |last| between.1.min(last.segment.number));
        // Older ones may have been trimmed away, so the nearest one is the likeliest.
        if let Some(absent) = (between.0 + 1..before).rev().find(|number| !present(*number)) {
            let why =
                format!("records {first} to {last} of partition {partition} are expected in it");
            return Damage::MissingSegment { file: segment_name(absent), why };
        }
        Damage::MissingRecords { partition, first, last }
    }
}

impl Run {
    /// The offset behind the last record.
    pub(crate) fn end(&self) -> LogOffset {
        self.first.plus(self.positions.len() as u64)
    }
}

impl ScannedSegment {
    /// Whether the log has ever written into it.
    pub(crate) fn is_used(&self) -> bool {
        self.scan.groups.is_some()
    }
}

/// Compares the segment in use with the one that was prepared to follow it.
fn check_prepared(active: &ScannedSegment, prepared: &Segment) -> Option<Damage> {
    if active.scan.tail == Tail::Continued {
        return Some(Damage::Bytes {
            file: prepared.name.clone(),
            position: SEGMENT_HEADER_BYTES as u64,
            why: format!(
                "{} records that the log continues here, but no group does",
                active.segment.name
            ),
        });
    }
    let next = active.scan.groups.map_or(1, |(_, last)| last + 1);
    // It was prepared when all groups before its first were durable.
    (next < prepared.first_group).then(|| Damage::Bytes {
        file: active.segment.name.clone(),
        position: active.scan.end,
        why: format!("{} was prepared after group {next}, which is missing", prepared.name),
    })
}

fn failed(file: &str, source: io::Error) -> DirectoryScanError {
    DirectoryScanError::Io { file: file.to_owned(), source }
}

/// Reads a segment's header and compares it with the file and with the segments before.
fn check_header(
    name: &str,
    number: u64,
    file: &dyn LogFile,
    log: Option<LogUuid>,
) -> Result<Result<SegmentHeader, Damage>, DirectoryScanError> {
    let bytes = file.bytes().map_err(|source| failed(name, source))?;
    let mut block = vec![0; SEGMENT_HEADER_BYTES];
    let read = file.read_at(&mut block, 0).map_err(|source| failed(name, source))?;
    let file = name.to_owned();
    let header = match SegmentHeader::decode(&block[..read]) {
        Ok(header) => header,
        Err(HeaderError::Version(version)) => {
            return Err(DirectoryScanError::Version { file, version });
        }
        Err(HeaderError::Damaged(why)) => {
            return Ok(Err(Damage::Bytes { file, position: 0, why: why.to_owned() }));
        }
    };
    if header.number != number {
        let why = format!("file holds segment {}", header.number);
        return Ok(Err(Damage::Bytes { file, position: 0, why }));
    }
    if log.is_some_and(|log| log != header.log) {
        return Ok(Err(Damage::Foreign { file }));
    }
    if bytes < header.file_bytes {
        return Ok(Err(Damage::Truncated { file, bytes, bytes_expected: header.file_bytes }));
    }
    Ok(Ok(header))
}

/// Reads what the log knows at the end of `segment`.
fn read_state(
    segment: &Segment,
    header: &SegmentHeader,
) -> Result<(SegmentScan, State), DirectoryScanError> {
    let mut state = State::default();
    let scanned =
        scan_segment(segment.file.as_ref(), header, None, &mut |_, frame| state.note(frame));
    let scanned = scanned.map_err(|source| failed(&segment.name, source))?;
    Ok((scanned, state))
}

/// Finds the records of `segment` that `state` still wants; also answers the segment's opening.
fn read_records(
    segment: Arc<Segment>,
    header: SegmentHeader,
    bound: Option<u64>,
    state: &State,
) -> Result<(ScannedSegment, Option<Opening>), DirectoryScanError> {
    let mut opening = None;
    let mut live: BTreeMap<PartitionId, Run> = BTreeMap::new();
    let file: &dyn LogFile = segment.file.as_ref();
    let scanned = scan_segment(file, &header, bound, &mut |position, frame| {
        match frame.kind {
            FrameKind::Record => note_record(&mut live, state, position, frame)?,
            FrameKind::Opening => {
                let read = Opening::decode(frame.payload).ok_or("malformed opening frame")?;
                if read.previous.map_or(0, |end| end.segment) != header.number - 1 {
                    return Err("opening frame names the wrong previous segment");
                }
                opening = Some(read);
            }
            FrameKind::Trimmed | FrameKind::Removed => {}
        }
        Ok(())
    });
    let scanned = scanned.map_err(|source| failed(&segment.name, source))?;
    Ok((ScannedSegment { segment, scan: scanned, live }, opening))
}

fn note_record(
    live: &mut BTreeMap<PartitionId, Run>,
    state: &State,
    position: u64,
    frame: &Frame<'_>,
) -> Result<(), &'static str> {
    let Some(extent) = state.extents.get(&frame.partition) else { return Ok(()) };
    if extent.incarnation != frame.incarnation || frame.offset < extent.first {
        return Ok(());
    }
    let run = Run { first: frame.offset, positions: Vec::new() };
    let run = live.entry(frame.partition).or_insert(run);
    // The last of all offsets has no end behind it.
    if run.end() != frame.offset || frame.offset.0 == u64::MAX {
        return Err("record offset out of sequence");
    }
    run.positions.push(packed(position));
    Ok(())
}

impl State {
    /// Takes the next frame of the last segment.
    fn note(&mut self, frame: &Frame<'_>) -> Result<(), &'static str> {
        match frame.kind {
            FrameKind::Opening => {
                let opening = Opening::decode(frame.payload).ok_or("malformed opening frame")?;
                self.next_incarnation = opening.next_incarnation;
                self.previous = opening.previous;
                self.extents = opening.partitions.into_iter().collect();
            }
            FrameKind::Record => self.note_record(frame)?,
            FrameKind::Trimmed => {
                let extent = self.extents.get_mut(&frame.partition);
                let extent = extent.ok_or("trim of an unknown partition")?;
                if frame.offset < extent.first || frame.offset > extent.end {
                    return Err("trim outside the partition's records");
                }
                extent.first = frame.offset;
            }
            FrameKind::Removed => {
                let removed = self.extents.remove(&frame.partition);
                removed.ok_or("removal of an unknown partition")?;
            }
        }
        Ok(())
    }

    fn note_record(&mut self, frame: &Frame<'_>) -> Result<(), &'static str> {
        let (incarnation, offset) = (frame.incarnation, frame.offset);
        match self.extents.get_mut(&frame.partition) {
            Some(extent) => {
                let next = offset.0.checked_add(1).map(LogOffset);
                let next = next.ok_or("record offset out of sequence")?;
                if extent.incarnation != incarnation || extent.end != offset {
                    return Err("record offset out of sequence");
                }
                extent.end = next;
            }
            None => {
                if offset != LogOffset::ZERO || incarnation != self.next_incarnation {
                    return Err("record offset out of sequence");
                }
                self.next_incarnation = PartitionIncarnation(incarnation.0.wrapping_add(1));
                let extent = Extent { incarnation, first: LogOffset::ZERO, end: LogOffset(1) };
                self.extents.insert(frame.partition, extent);
            }
        }
        Ok(())
    }
}
