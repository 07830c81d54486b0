//! Files of segments without live records, kept to become the next segments.
//!
//! A recycled file is not filled with zeros first: its blocks are in use already, and the remains
//! in it are no groups of its new life. Start reading at [`SpareSegments`].
//! Source: docs/formats/embedded-log.md, "Recycled files".

use crate::files::{Files, write_all};
use crate::preparation::publish;
use crate::segment::{Segment, SegmentHeader, spare_name};
use std::collections::VecDeque;
use std::io;
use tracing::warn;

/// Former segments under their spare names, the longest kept first.
#[derive(Debug, Default)]
pub(crate) struct SpareSegments {
    spares: VecDeque<Segment>,
}

/// With room for fewer segments than these, the disk has better uses for it than spares.
const SCARCE_SEGMENTS: u64 = 8;

/// Trims come in rounds, and a round frees several segments at once. Four take up 256 MiB at the
/// default length; a larger round is rare enough for the rest to be filled with zeros.
pub(crate) const SPARES_MAX: usize = 4;

impl SpareSegments {
    /// Keeps the file of `segment`, which no other thread holds; answers whether it did. A file
    /// that is not kept has its name still.
    ///
    /// # Errors
    /// The file is not kept, but may have its spare name already; opening the log deletes it.
    pub(crate) fn keep(&mut self, files: &dyn Files, segment: Segment) -> io::Result<bool> {
        let scarce =
            files.free_bytes().is_some_and(|free| free < SCARCE_SEGMENTS * segment.file_bytes);
        if scarce {
            // What is kept for speed alone is room that is needed now, but for one segment.
            while let Some(spare) = self.spares.pop_front() {
                delete(files, &spare.name);
            }
        }
        // A group that did not fit an empty segment has made its file longer.
        let grown = segment.file.bytes()? != segment.file_bytes;
        if grown || self.spares.len() == SPARES_MAX {
            return Ok(false);
        }
        let name = spare_name(segment.number);
        files.rename(&segment.name, &name)?;
        // Only now can the header be overwritten: the old name does not come back.
        files.sync_directory()?;
        self.spares.push_back(Segment { name, ..segment });
        Ok(true)
    }

    /// Makes a spare the segment that `header` describes; `None` if there is none to use.
    pub(crate) fn recycle(&mut self, files: &dyn Files, header: &SegmentHeader) -> Option<Segment> {
        while let Some(spare) = self.spares.pop_front() {
            assert!(spare.number < header.number, "segment numbers grow from life to life");
            let name = spare.name.clone();
            if spare.file_bytes == header.file_bytes {
                match rewrite(files, spare, header) {
                    Ok(segment) => return Some(segment),
                    Err(error) => warn!(file = name, %error, "cannot recycle a segment"),
                }
            }
            delete(files, &name);
        }
        None
    }
}

/// Deletes a spare that nothing refers to any more; if that fails, opening the log does it.
fn delete(files: &dyn Files, name: &str) {
    if let Err(error) = files.remove(name) {
        warn!(file = name, %error, "cannot delete a spare segment");
    }
}

/// Gives the file its new header, durably, and then its new name.
fn rewrite(files: &dyn Files, spare: Segment, header: &SegmentHeader) -> io::Result<Segment> {
    let Segment { name, file, .. } = spare;
    write_all(file.as_ref(), &header.encode(), 0).map_err(|failed| failed.error)?;
    file.sync()?;
    publish(files, &name, header, file)
}
