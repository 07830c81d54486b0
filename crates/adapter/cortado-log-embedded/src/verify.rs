//! Verifies a log that no process has open, and reports what is whole and what is not.
//!
//! Never writes, not even the lock file. Start reading at [`verify`].

use crate::directory_scan::{DirectoryScan, ScannedSegment, scan_directory};
use crate::files::{Access, Directory, Files};
use crate::open_error::{Damage, OpenError};
use crate::recovery::enter;
use crate::segment_scan::Tail;
use cortado_model::{LogOffset, PartitionId};
use std::fmt;
use std::path::{Path, PathBuf};

/// What a log's directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The log's directory.
    pub directory: PathBuf,
    /// Its segments, oldest first; without those whose header cannot be read.
    pub segments: Vec<SegmentReport>,
    /// Its partitions, as far as they could be read.
    pub partitions: Vec<PartitionReport>,
    /// A write that was not finished and so never acknowledged; opening the log cuts it.
    pub torn_tail: Option<TornTail>,
    /// Everything that is wrong. Opening the log is refused unless this is empty.
    pub damages: Vec<Damage>,
}

/// One segment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentReport {
    /// The file's name.
    pub file: String,
    /// What has become of it.
    pub state: SegmentState,
    /// Where its last whole group ends, in bytes from the beginning of the file.
    pub end: u64,
    /// Groups, each of which was one write and one sync.
    pub groups: u64,
    /// Frames: records and the log's own notes, trimmed ones included.
    pub frames: u64,
    /// Records that are neither trimmed nor removed.
    pub records: u64,
}

/// What has become of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentState {
    /// Full, and followed by others.
    Full,
    /// The log is written here.
    Active,
    /// Prepared, and not used yet.
    Prepared,
}

/// One partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionReport {
    /// Which one.
    pub partition: PartitionId,
    /// Its oldest record that is not trimmed; the end if there is none.
    pub first: LogOffset,
    /// The offset that its next record gets.
    pub end: LogOffset,
}

/// A write that was not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment file.
    pub file: String,
    /// Where it begins, in bytes from the beginning of the file.
    pub position: u64,
    /// How long it is.
    pub bytes: u64,
    /// How it was recognized.
    pub why: String,
}

/// Reads every byte of the log in `directory` and reports.
///
/// # Errors
/// The directory cannot be read, is in use, or was written by another version. Damage is no error
/// but part of the report.
pub fn verify(directory: &Path) -> Result<Report, OpenError> {
    verify_in(&Directory { path: directory.to_owned() }, directory)
}

/// Reads the log behind `files`.
pub(crate) fn verify_in(files: &dyn Files, directory: &Path) -> Result<Report, OpenError> {
    files.list().map_err(|error| OpenError::from_io(directory, "read the directory", error))?;
    let _lock = enter(files, directory, Access::Read)?;
    let scan = scan_directory(files, Access::Read).map_err(|error| error.into_open(directory))?;
    let active = scan.active().map(|active| active.segment.number);
    let report = |scanned: &ScannedSegment| segment_report(scanned, active);
    Ok(Report {
        directory: directory.to_owned(),
        segments: scan.segments.iter().map(report).collect(),
        partitions: partition_reports(&scan),
        torn_tail: torn_tail(&scan, active),
        damages: scan.damages,
    })
}

impl Report {
    /// Whether the log can be opened.
    pub fn is_sound(&self) -> bool {
        self.damages.is_empty()
    }
}

fn segment_report(scanned: &ScannedSegment, active: Option<u64>) -> SegmentReport {
    let number = scanned.segment.number;
    let state = match active {
        Some(active) if number < active => SegmentState::Full,
        Some(active) if number == active => SegmentState::Active,
        Some(_) | None => SegmentState::Prepared,
    };
    SegmentReport {
        file: scanned.segment.name.clone(),
        state,
        end: scanned.scan.end,
        groups: scanned.scan.groups.map_or(0, |(first, last)| last - first + 1),
        frames: scanned.scan.frames,
        records: scanned.live.values().map(|run| run.positions.len() as u64).sum(),
    }
}

fn partition_reports(scan: &DirectoryScan) -> Vec<PartitionReport> {
    let report = |(partition, extent): (&PartitionId, &crate::opening::Extent)| PartitionReport {
        partition: *partition,
        first: extent.first,
        end: extent.end,
    };
    scan.state.extents.iter().map(report).collect()
}

fn torn_tail(scan: &DirectoryScan, active: Option<u64>) -> Option<TornTail> {
    let last =
        |scanned: &&ScannedSegment| active.is_none_or(|active| scanned.segment.number >= active);
    scan.segments.iter().filter(last).find_map(|scanned| match &scanned.scan.tail {
        Tail::Torn { upto, why } => Some(TornTail {
            file: scanned.segment.name.clone(),
            position: scanned.scan.end,
            bytes: upto - scanned.scan.end,
            why: (*why).to_owned(),
        }),
        Tail::Bounded | Tail::Unwritten | Tail::Sealed | Tail::Continued | Tail::Damaged { .. } => {
            None
        }
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            let SegmentReport { file, state, end, groups, frames, records } = segment;
            writeln!(
                f,
                "{file}  {state}, {end} bytes, {groups} groups, {frames} frames, {records} records"
            )?;
        }
        for PartitionReport { partition, first, end } in &self.partitions {
            writeln!(f, "partition {partition}  first {first}, end {end}")?;
        }
        if let Some(TornTail { file, position, bytes, why }) = &self.torn_tail {
            writeln!(
                f,
                "torn write of {bytes} bytes in {file} at byte {position} ({why}): never \
                 acknowledged, cut when the log is opened"
            )?;
        }
        for damage in &self.damages {
            writeln!(f, "damaged: {damage}")?;
        }
        if self.is_sound() {
            write!(f, "the log is sound")
        } else {
            write!(f, "the log is damaged and will not be opened")
        }
    }
}

impl fmt::Display for SegmentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SegmentState::Full => "full",
            SegmentState::Active => "active",
            SegmentState::Prepared => "prepared",
        })
    }
}
