//! Makes a new segment file before it is needed: header, zeros to its full length, synced, named.
//!
//! Zeros are written rather than merely reserved, because the first write into reserved space
//! makes the file system note so, and every sync then waits for that note too; the measurements
//! are in docs/formats/embedded-log.md. Start reading at [`Preparation`].

use crate::files::{Files, LogFile, is_no_space, write_all};
use crate::segment::{PREPARED_NAME, Segment, SegmentHeader, segment_name};
use std::io;
use std::sync::Arc;

/// A segment file on its way.
#[derive(Debug)]
pub(crate) struct Preparation {
    header: SegmentHeader,
    file: Arc<dyn LogFile>,
    /// Everything before it is written.
    position: u64,
}

/// What a step leads to.
#[derive(Debug)]
pub(crate) enum Progress {
    /// More steps are needed.
    Further(Preparation),
    /// There is no room now; the same step can be tried again.
    NoSpace(Preparation, io::Error),
    /// The file is there, under its own name.
    Ready(Segment),
}

/// Bytes of one step: small enough for the syncs of the log not to wait long behind it.
const STEP_BYTES: u64 = 1 << 20;

impl Preparation {
    /// Begins anew, whatever an earlier preparation left behind.
    pub(crate) fn start(files: &dyn Files, header: SegmentHeader) -> io::Result<Preparation> {
        let file = files.create(PREPARED_NAME)?;
        Ok(Preparation { header, file, position: 0 })
    }

    /// Which segment it will be.
    pub(crate) fn number(&self) -> u64 {
        self.header.number
    }

    /// Writes and syncs the next piece, or gives the finished file its name.
    ///
    /// # Errors
    /// The file cannot be trusted any more: begin anew.
    pub(crate) fn step(mut self, files: &dyn Files) -> io::Result<Progress> {
        if self.position == self.header.file_bytes {
            return publish(files, PREPARED_NAME, &self.header, self.file).map(Progress::Ready);
        }
        match self.write() {
            Ok(()) => {}
            Err(error) if is_no_space(&error) => return Ok(Progress::NoSpace(self, error)),
            Err(error) => return Err(error),
        }
        self.file.sync()?;
        Ok(Progress::Further(self))
    }

    /// Takes all steps at once, with one sync, because no other sync can have to wait for it.
    ///
    /// # Errors
    /// There is no segment; lack of space is reported like every other error.
    pub(crate) fn finish(mut self, files: &dyn Files) -> io::Result<Segment> {
        while self.position < self.header.file_bytes {
            self.write()?;
        }
        self.file.sync()?;
        publish(files, PREPARED_NAME, &self.header, self.file)
    }

    /// Writes the next piece.
    fn write(&mut self) -> io::Result<()> {
        let left = self.header.file_bytes - self.position;
        let mut bytes = vec![0; left.min(STEP_BYTES) as usize];
        if self.position == 0 {
            let header = self.header.encode();
            bytes[..header.len()].copy_from_slice(&header);
        }
        write_all(self.file.as_ref(), &bytes, self.position).map_err(|failed| failed.error)?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}

/// Gives the file called `from`, which is whole and synced, the name of its segment.
pub(crate) fn publish(
    files: &dyn Files,
    from: &str,
    header: &SegmentHeader,
    file: Arc<dyn LogFile>,
) -> io::Result<Segment> {
    let SegmentHeader { number, file_bytes, first_group, .. } = *header;
    let name = segment_name(number);
    files.rename(from, &name)?;
    files.sync_directory()?;
    Ok(Segment { number, name, file_bytes, first_group, file })
}
