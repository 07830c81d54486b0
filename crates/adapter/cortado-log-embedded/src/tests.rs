//! The log on a disk that fails: what was promised before is found after.

mod damage;
mod failures;
mod model;
mod power;
mod reads;
mod recycling;
mod space;
mod usage;

use crate::append_error::AppendError;
use crate::directory_scan::scan_directory;
use crate::files::Access;
use crate::files::faulty::Disk;
use crate::segment::LogUuid;
use crate::segment_scan::Tail;
use crate::spare_segments::SPARES_MAX;
use crate::verify::verify_in;
use crate::{EmbeddedLog, OpenError, Report, Settings};
use bytes::Bytes;
use cortado_log::conformance::block_on;
use cortado_log::{AppendPriority, LogEntry, LogReadError, Pending};
use cortado_model::{DatabaseId, LogOffset, LogPosition, PartitionId};
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Small, so that a few records reach the next segment.
const SEGMENT_BYTES: u64 = Settings::SEGMENT_BYTES_MIN;

/// What takes longer on a busy machine does not happen.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What the tests ask of the log: partitions by themselves, whichever database they belong to.
impl EmbeddedLog {
    fn append(
        &self,
        partition: PartitionId,
        records: Vec<Bytes>,
    ) -> Pending<Result<LogOffset, AppendError>> {
        self.requests.append(partition, records, AppendPriority::Normal)
    }

    fn read(
        &self,
        partition: PartitionId,
        from: LogOffset,
        bytes_max: usize,
    ) -> Pending<Result<Vec<LogEntry>, LogReadError>> {
        let page = self.requests.read(partition, at(from), bytes_max);
        Box::pin(async move { Ok(page.await?.entries) })
    }

    fn trim(&self, partition: PartitionId, below: LogOffset) -> Pending<Result<(), AppendError>> {
        self.requests.trim(partition, below)
    }

    fn remove(&self, partition: PartitionId) -> Pending<Result<(), AppendError>> {
        self.requests.remove(partition)
    }

    fn first(&self, partition: PartitionId) -> LogOffset {
        self.requests.bounds(partition).0
    }

    fn end(&self, partition: PartitionId) -> LogOffset {
        self.requests.end(partition)
    }
}

const fn at(offset: LogOffset) -> LogPosition {
    LogPosition { offset, epoch: 0 }
}

fn open(disk: &Disk) -> Result<EmbeddedLog, OpenError> {
    open_with(disk, SEGMENT_BYTES)
}

fn open_with(disk: &Disk, segment_bytes: u64) -> Result<EmbeddedLog, OpenError> {
    let settings = Settings { segment_bytes, ..Settings::new("the test's disk") };
    EmbeddedLog::open_in(Arc::new(disk.clone()), &settings, LogUuid(7))
}

fn verify(disk: &Disk) -> Report {
    verify_in(disk, Path::new("the test's disk")).unwrap()
}

fn partition(number: u32) -> PartitionId {
    PartitionId { database: DatabaseId(1), number }
}

/// A record of `length` bytes that tells `number`.
fn record(number: u64, length: usize) -> Bytes {
    let mut bytes = format!("{number};").into_bytes();
    bytes.resize(length.max(bytes.len()), b'.');
    bytes.into()
}

/// Appends records of 100 bytes, one append each, numbered from the end of the partition on.
fn fill(log: &EmbeddedLog, number: u32, count: u64) {
    let start = log.end(partition(number)).0;
    for offset in start..start + count {
        append(log, number, offset).unwrap();
    }
}

fn append(log: &EmbeddedLog, number: u32, offset: u64) -> Result<LogOffset, AppendError> {
    block_on(log.append(partition(number), vec![record(offset, 100)]))
}

/// Reads what [`fill`] has written, from `first` up to `end`, and nothing else.
#[track_caller]
fn expect(log: &EmbeddedLog, number: u32, first: u64, end: u64) {
    assert_eq!(log.first(partition(number)), LogOffset(first));
    assert_eq!(log.end(partition(number)), LogOffset(end));
    let want = (first..end).map(|offset| entry(offset, record(offset, 100)));
    assert_eq!(read_all(log, partition(number)), want.collect::<Vec<_>>());
}

fn entry(offset: u64, record: Bytes) -> LogEntry {
    LogEntry { offset: LogOffset(offset), record }
}

/// Everything from the first record on, by reads of 1,000 bytes.
fn read_all(log: &EmbeddedLog, partition: PartitionId) -> Vec<LogEntry> {
    let first = log.first(partition);
    let mut entries: Vec<LogEntry> = Vec::new();
    loop {
        let next = first.plus(entries.len() as u64);
        let more = block_on(log.read(partition, next, 1_000)).unwrap();
        if more.is_empty() {
            return entries;
        }
        entries.extend(more);
    }
}

/// Waits until the writer rests, which it does after it has sealed what it wrote; answers the
/// number of the segment that it rests in.
fn wait_for_seal(disk: &Disk) -> u64 {
    let sealed = Cell::new(None);
    wait_for(|| {
        // It fails while a file is being renamed.
        let scan = scan_directory(disk, Access::Read).ok();
        let active = scan.as_ref().and_then(|scan| scan.active());
        let active = active.filter(|active| active.scan.tail == Tail::Sealed);
        sealed.set(active.map(|active| active.segment.number));
        sealed.get().is_some()
    });
    sealed.get().expect("a segment is sealed")
}

/// Waits for something that another thread of the log does, some of it only after a pause.
#[track_caller]
fn wait_for(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < WAIT_MAX, "it does not happen");
        thread::yield_now();
    }
}

fn wait_all<T>(pending: Vec<Pending<T>>) -> Vec<T> {
    pending.into_iter().map(block_on).collect()
}

/// A log in which every file, the spare ones included, has been at least three segments. Partitions
/// 8 and 9 have had records in it.
fn recycled(disk: &Disk) -> EmbeddedLog {
    let log = open(disk).unwrap();
    while !is_recycled(disk) {
        let last = segments(disk).pop();
        while segments(disk).len() < SPARES_MAX || segments(disk).pop() == last {
            fill(&log, 8, 1);
            fill(&log, 9, 1);
        }
        for number in [8, 9] {
            block_on(log.trim(partition(number), LogOffset(u64::MAX))).unwrap();
        }
        // The segments go in the background.
        wait_for(|| segments(disk).len() <= 2);
    }
    log
}

fn is_recycled(disk: &Disk) -> bool {
    let segments_of = |name: &String| {
        let names = disk.names_of(name);
        names.iter().filter(|name| name.ends_with(".segment")).count()
    };
    disk.image().keys().all(|name| segments_of(name) >= 3)
}

/// A disk on which every file was recycled.
fn recycled_disk() -> Disk {
    let disk = Disk::default();
    drop(recycled(&disk));
    disk.copy()
}

/// Names of the segment files.
fn segments(disk: &Disk) -> Vec<String> {
    disk.image().into_keys().filter(|name| name.ends_with(".segment")).collect()
}
