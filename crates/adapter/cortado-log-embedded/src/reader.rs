//! Reads older records from their files, on a thread of its own.
//!
//! A read from a file may wait for the disk, which must not happen on a thread that serves
//! requests. One thread is enough: only replicas that catch up come here, the tail is read from
//! memory. Never writes. Start reading at [`Reader`].

use crate::frame::{FRAME_HEADER_BYTES, FrameKind, decode, frame_bytes, u32_at};
use crate::partition::Stored;
use crate::place::Place;
use crate::window::Window;
use bytes::Bytes;
use cortado_log::{LogEntry, LogReadError};
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;

/// The callers' end of the reader thread; dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct Reader {
    reads: Option<Sender<Read>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Read {
    stored: Vec<Stored>,
    bytes_max: usize,
    answer: oneshot::Sender<Result<Vec<LogEntry>, LogReadError>>,
}

/// Bytes that are read at once. Records of many partitions stand mixed, so more would mostly be
/// other partitions' bytes.
const STEP_BYTES: usize = 16 << 10;

impl Reader {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub(crate) fn start() -> io::Result<Reader> {
        let (reads, received) = channel::<Read>();
        let thread = thread::Builder::new().name("cortado-log-reader".to_owned());
        let thread = thread.spawn(move || serve(&received))?;
        Ok(Reader { reads: Some(reads), thread: Some(thread) })
    }

    /// Reads the records at `stored` until `bytes_max` is passed; at least one.
    pub(crate) fn read(
        &self,
        stored: Vec<Stored>,
        bytes_max: usize,
    ) -> oneshot::Receiver<Result<Vec<LogEntry>, LogReadError>> {
        let (answer, receiver) = oneshot::channel();
        if let Some(reads) = &self.reads {
            // Without the thread the answer is dropped, and the caller hears so.
            let _ = reads.send(Read { stored, bytes_max, answer });
        }
        receiver
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.reads = None;
        if let Some(thread) = self.thread.take() {
            // It has no result, and a panic has been reported by then.
            let _ = thread.join();
        }
    }
}

fn serve(reads: &Receiver<Read>) {
    for Read { stored, bytes_max, answer } in reads {
        if answer.is_closed() {
            continue;
        }
        // The caller may have dropped its end.
        let _ = answer.send(read_all(&stored, bytes_max));
    }
}

fn read_all(stored: &[Stored], bytes_max: usize) -> Result<Vec<LogEntry>, LogReadError> {
    let mut entries: Vec<LogEntry> = Vec::new();
    let mut bytes = 0;
    for of_segment in stored.chunk_by(|a, b| a.segment.number == b.segment.number) {
        let mut window = Window::new(of_segment[0].segment.file.as_ref(), STEP_BYTES);
        for one in of_segment {
            let left = (!entries.is_empty()).then(|| bytes_max.saturating_sub(bytes));
            let Some(record) = read_one(&mut window, one, left)? else { return Ok(entries) };
            bytes += record.len();
            entries.push(LogEntry { offset: one.offset, record });
        }
    }
    Ok(entries)
}

/// Reads one record, unless it is longer than what is `left`.
fn read_one(
    window: &mut Window<'_>,
    stored: &Stored,
    left: Option<usize>,
) -> Result<Option<Bytes>, LogReadError> {
    let place = Place { segment: stored.segment.number, position: stored.position };
    let damaged = |why: &str| LogReadError::Damaged {
        why: format!("{} at byte {}: {why}", stored.segment.name, stored.position),
    };
    let header =
        window.get(stored.position, FRAME_HEADER_BYTES).map_err(LogReadError::Unavailable)?;
    if header.len() < FRAME_HEADER_BYTES {
        return Err(damaged("file ends before the record"));
    }
    let payload_bytes = u32_at(header, 8) as usize;
    if payload_bytes > cortado_log::RECORD_BYTES_MAX {
        return Err(damaged("invalid record length"));
    }
    if left.is_some_and(|left| payload_bytes > left) {
        return Ok(None);
    }
    let bytes = window
        .get(stored.position, frame_bytes(payload_bytes))
        .map_err(LogReadError::Unavailable)?;
    let (frame, _) = decode(bytes, place).map_err(damaged)?;
    if frame.kind != FrameKind::Record
        || frame.partition != stored.partition
        || frame.offset != stored.offset
    {
        return Err(damaged("a different record is stored here"));
    }
    Ok(Some(Bytes::copy_from_slice(frame.payload)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::faulty::Disk;
    use crate::files::{Access, Files};
    use crate::frame::{Frame, PartitionIncarnation};
    use crate::segment::Segment;
    use cortado_model::{DatabaseId, LogOffset, PartitionId};
    use std::sync::Arc;

    const PLACE: Place = Place { segment: 3, position: 64 };

    fn partition(number: u32) -> PartitionId {
        PartitionId { database: DatabaseId(1), number }
    }

    /// Reads offset `offset` of partition `number` where a frame of `kind` stands for 7 of 5.
    #[track_caller]
    fn check(kind: FrameKind, number: u32, offset: u64, found: bool) {
        let (incarnation, payload) = (PartitionIncarnation(0), &b"record"[..]);
        let frame =
            Frame { kind, partition: partition(5), incarnation, offset: LogOffset(7), payload };
        let mut bytes = vec![0; 64];
        frame.encode(PLACE, &mut bytes);
        let disk = Disk::default();
        disk.put("a segment", bytes);
        let file = disk.open("a segment", Access::Read).unwrap();
        let name = "a segment".to_owned();
        let segment =
            Segment { number: PLACE.segment, name, file_bytes: 4_096, first_group: 1, file };
        let segment = Arc::new(segment);
        let (partition, position) = (partition(number), PLACE.position);
        let stored = Stored { partition, offset: LogOffset(offset), segment, position };
        match read_all(&[stored], 100) {
            Ok(entries) => {
                let record = Bytes::from_static(b"record");
                assert_eq!(entries, [LogEntry { offset: LogOffset(offset), record }]);
                assert!(found, "another record was read");
            }
            Err(error) => {
                assert!(!found && matches!(error, LogReadError::Damaged { .. }), "{error}")
            }
        }
    }

    #[test]
    fn only_the_record_that_was_asked_for_is_read() {
        check(FrameKind::Record, 5, 7, true);
        check(FrameKind::Record, 6, 7, false);
        check(FrameKind::Record, 5, 8, false);
        check(FrameKind::Trimmed, 5, 7, false);
    }
}
