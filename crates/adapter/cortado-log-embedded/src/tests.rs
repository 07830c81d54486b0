//! The log on a disk that fails: what was promised before is found after.

mod damage;
mod failures;
mod model;
mod power;
mod space;
mod usage;

use crate::files::Access;
use crate::files::faulty::Disk;
use crate::scan::Tail;
use crate::segment::LogUuid;
use crate::survey::survey;
use crate::verify::verify_in;
use crate::{EmbeddedLog, OpenError, Report, Settings};
use bytes::Bytes;
use cortado_log::conformance::block_on;
use cortado_log::{AppendError, Log, LogEntry, Pending};
use cortado_model::{DatabaseId, LogOffset, PartitionId};
use std::path::Path;
use std::sync::Arc;

/// Small, so that a few records reach the next segment.
const SEGMENT_BYTES: u64 = Settings::SEGMENT_BYTES_MIN;

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
    let start = log.local_end(partition(number)).unwrap().0;
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
    assert_eq!(block_on(log.first(partition(number))).unwrap(), LogOffset(first));
    assert_eq!(log.local_end(partition(number)), Some(LogOffset(end)));
    let want = (first..end).map(|offset| entry(offset, record(offset, 100)));
    assert_eq!(read_all(log, partition(number)), want.collect::<Vec<_>>());
}

fn entry(offset: u64, record: Bytes) -> LogEntry {
    LogEntry { offset: LogOffset(offset), record }
}

/// Everything from the first record on, by reads of 1,000 bytes.
fn read_all(log: &EmbeddedLog, partition: PartitionId) -> Vec<LogEntry> {
    let first = block_on(log.first(partition)).unwrap();
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

/// Waits until the writer rests, which it does after it has sealed what it wrote.
fn wait_for_seal(disk: &Disk) {
    wait_for(|| {
        let survey = survey(disk, Access::Read).unwrap();
        survey.active().is_some_and(|active| matches!(active.scanned.tail, Tail::Sealed { .. }))
    });
}

/// Waits for something that another thread of the log does.
#[track_caller]
fn wait_for(condition: impl Fn() -> bool) {
    for _ in 0..10_000_000 {
        if condition() {
            return;
        }
        std::thread::yield_now();
    }
    panic!("it does not happen");
}

fn wait_all<T>(pending: Vec<Pending<T>>) -> Vec<T> {
    pending.into_iter().map(block_on).collect()
}

/// Names of the segment files.
fn segments(disk: &Disk) -> Vec<String> {
    disk.image().into_keys().filter(|name| name.ends_with(".segment")).collect()
}
