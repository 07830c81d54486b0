//! The segment that is being written: where its durable bytes end, and the write that moves it.
//!
//! Invariant: no group stands behind the end, but perhaps a seal at it; the rest is zeros or what
//! a recycled file held before. Start reading at [`Active::write`].

use crate::files::{LogFile, WriteFailed, is_passing, wipe, write_all};
use crate::group::{GROUP_HEADER_BYTES, GroupBuilder, GroupHeader, GroupKind};
use crate::maintenance::SegmentMaintenance;
use crate::place::{Place, SegmentEnd};
use crate::segment::{LogUuid, SEGMENT_HEADER_BYTES, Segment, SegmentHeader};
use crate::write_error::{Failure, WriteError};
use cortado_log::AppendPriority;
use std::sync::Arc;
use tracing::{info, warn};

/// The last segment that holds anything, or one that holds nothing yet and is the next.
#[derive(Debug)]
pub(crate) struct Active {
    segment: Arc<Segment>,
    log: LogUuid,
    /// Where the next group goes; everything before it is durable.
    position: u64,
    next_group: u64,
    /// The segment before; `None` in the first.
    previous: Option<SegmentEnd>,
    /// A segment that the log has left, until the first group of this one is durable.
    left: Option<(Arc<Segment>, u64)>,
    /// Whether a seal stands at `position`.
    sealed: bool,
    /// The length of the segments to come.
    segment_bytes: u64,
}

/// Bytes that records leave free at the end of a segment, at most: a trim must find room on a full
/// disk, because trimming is what frees it. Room for some eight hundred trims of one group each.
const CONTROL_BYTES_MAX: u64 = 64 << 10;
/// Bytes that records of no priority leave free as long as no next segment is there, at most.
const PRIORITY_BYTES_MAX: u64 = 4 << 20;
/// Of these, bytes that what frees space leaves free, at most: deletions must not keep a partition
/// from being led. Room for some two thousand claims and barriers.
const URGENT_BYTES_MAX: u64 = 1 << 20;

impl Active {
    /// Goes on at `position` of `segment` with group number `next_group`.
    pub(crate) fn new(
        segment: Arc<Segment>,
        log: LogUuid,
        position: u64,
        next_group: u64,
        previous: Option<SegmentEnd>,
        segment_bytes: u64,
    ) -> Active {
        let (left, sealed) = (None, false);
        Active { segment, log, position, next_group, previous, left, sealed, segment_bytes }
    }

    /// Writes the group behind the durable bytes and makes it durable.
    ///
    /// # Errors
    /// `NotWritten` if the medium had no room and nothing of the group is left on it; else
    /// `Unusable`, and then nothing may be written any more.
    pub(crate) fn write(&mut self, group: &mut GroupBuilder) -> Result<(), Failure> {
        // Recovery takes a lower number for the remains of a former life, and does not read it.
        assert!(
            self.next_group >= self.segment.first_group,
            "group numbers of a segment only grow"
        );
        let bytes = group.finish(self.next_group, self.log.tag());
        let file: &dyn LogFile = self.segment.file.as_ref();
        if let Err(failed) = write_all(file, bytes, self.position) {
            return Err(self.after_failed_write(failed));
        }
        file.sync().map_err(|source| {
            Failure::Unusable(Arc::new(WriteError::Sync {
                file: self.segment.name.clone(),
                source,
            }))
        })?;
        self.position += bytes.len() as u64;
        self.next_group += 1;
        self.sealed = false;
        Ok(())
    }

    /// Undoes a write for which there was no space; after every other failure nothing is known.
    fn after_failed_write(&mut self, failed: WriteFailed) -> Failure {
        let WriteFailed { written, error } = failed;
        let file = || self.segment.name.clone();
        let passes = is_passing(&error);
        let failed = WriteError::Write { file: file(), source: error };
        if !passes {
            return Failure::Unusable(Arc::new(failed));
        }
        // What was taken may already be on the medium, where the bytes behind it might even
        // complete it. It counts as not written only when it is durably gone.
        if written > 0 {
            let upto = self.position + written;
            if let Err(source) = wipe(self.segment.file.as_ref(), self.position, upto) {
                return Failure::Unusable(Arc::new(WriteError::Undo { file: file(), source }));
            }
            self.sealed = false;
        }
        Failure::NotWritten(Arc::new(failed))
    }

    /// Notes behind the durable bytes that they are, so that damage to the last group can be told
    /// from a write that was cut off. Not synced: the next sync or the system takes it along.
    ///
    /// # Errors
    /// The medium fails: nothing may be written any more.
    pub(crate) fn seal(&mut self) -> Result<(), WriteError> {
        if self.sealed || self.is_fresh() {
            return Ok(());
        }
        let mark = GroupHeader::mark(GroupKind::Seal, self.next_group, self.log.tag());
        match write_all(self.segment.file.as_ref(), &mark.encode(self.place()), self.position) {
            Ok(()) => self.sealed = true,
            // The next group overwrites whatever stands there now.
            Err(WriteFailed { error, .. }) if is_passing(&error) => {
                warn!(%error, "cannot seal the log");
            }
            Err(WriteFailed { error: source, .. }) => {
                return Err(WriteError::Write { file: self.segment.name.clone(), source });
            }
        }
        Ok(())
    }

    /// Seals and syncs, when the log is closed.
    ///
    /// # Errors
    /// The medium fails. All records were durable before.
    pub(crate) fn sync_seal(&mut self) -> Result<(), WriteError> {
        self.seal()?;
        let file = || self.segment.name.clone();
        self.segment.file.sync().map_err(|source| WriteError::Sync { file: file(), source })
    }

    /// Goes on in the next segment, waiting for it if it is not ready.
    ///
    /// # Errors
    /// `NotWritten` if there is none; this segment stays the active one.
    pub(crate) fn roll(&mut self, maintenance: &SegmentMaintenance) -> Result<(), Failure> {
        let next = maintenance
            .take(self.next_header())
            .map_err(|error| Failure::NotWritten(Arc::new(WriteError::NoSegment(error))))?;
        info!(segment = next.number, "the log goes on in the next segment");
        let (segment, position) = (self.segment.number, self.position);
        self.previous = Some(SegmentEnd { segment, position });
        let left = std::mem::replace(&mut self.segment, next);
        self.left = Some((left, self.position));
        self.position = SEGMENT_HEADER_BYTES as u64;
        self.sealed = false;
        Ok(())
    }

    /// Requests what the last write allows: a mark in the segment that was left, and the next
    /// segment when this one is half full.
    pub(crate) fn after_write(&mut self, maintenance: &SegmentMaintenance) {
        if self.is_fresh() {
            return;
        }
        if let Some((segment, position)) = self.left.take() {
            // The first group of this segment has the number that the mark carries.
            maintenance.mark_continued(segment, position, self.next_group - 1, self.log);
        }
        if self.position > self.segment.file_bytes / 2 {
            maintenance.request(self.next_header());
        }
    }

    fn next_header(&self) -> SegmentHeader {
        SegmentHeader {
            log: self.log,
            number: self.segment.number + 1,
            file_bytes: self.segment_bytes,
            first_group: self.next_group,
        }
    }

    /// Whether nothing has been written into the segment.
    pub(crate) fn is_fresh(&self) -> bool {
        self.position == SEGMENT_HEADER_BYTES as u64
    }

    /// Where the next group goes.
    pub(crate) fn place(&self) -> Place {
        Place { segment: self.segment.number, position: self.position }
    }

    /// Where groups must end: a mark fits behind.
    pub(crate) fn capacity(&self) -> u64 {
        self.segment.file_bytes - GROUP_HEADER_BYTES as u64
    }

    /// Where groups with records of a priority must end, as long as there is no next segment; if
    /// there is one, all end where urgent ones do.
    pub(crate) fn capacity_for(&self, priority: AppendPriority) -> u64 {
        let part = |parts: u64, bytes_max: u64| (self.segment.file_bytes / parts).min(bytes_max);
        let for_others = match priority {
            AppendPriority::Normal => part(16, PRIORITY_BYTES_MAX),
            AppendPriority::Freeing => part(32, URGENT_BYTES_MAX),
            AppendPriority::Urgent => 0,
        };
        self.capacity() - part(16, CONTROL_BYTES_MAX) - for_others
    }

    /// The number of the next group.
    pub(crate) fn next_group(&self) -> u64 {
        self.next_group
    }

    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// The segment before and where it ends.
    pub(crate) fn previous(&self) -> Option<SegmentEnd> {
        self.previous
    }
}
