//! One rule on one log, and what rules do with it.
//!
//! Start reading at [`Case`].

use crate::{AppendOutcome, Log, LogEntry, LogSpec, Pending, outcomes_of};
use bytes::Bytes;
use cortado_model::{DatabaseId, LogId, LogOffset, LogPosition, PartitionId, PartitionUuid};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// One rule on one log, on which the suite's database exists.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) name: &'a str,
    pub(super) log: &'a dyn Log,
    pub(super) provoke: &'a Provoke,
}

/// Lets something go wrong with a partition; answers `false` where the implementation cannot be
/// made to do so, and the rule is passed over.
pub type Provoke = Box<dyn Fn(PartitionId, Mischief) -> bool>;

/// What can go wrong with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    /// The outcomes of the next append say that it landed, and not where.
    SucceedWithoutPosition,
    /// The next append stays on its way.
    HoldNext,
    /// What is on its way arrives.
    ReleaseHeld,
    /// The next offsets hold no record, and the log knows.
    Skip {
        /// How many.
        offsets: u64,
    },
    /// A record is gone, and the log does not know why.
    Lose {
        /// Its offset.
        at: LogOffset,
    },
    /// The log loses its records from here on.
    Truncate {
        /// Where it ends then.
        end: LogOffset,
    },
    /// Another log, empty and of the same name, takes the place of the database's.
    Replace,
}

/// Partitions of each database of the suite.
const PARTITIONS: u32 = 8;

impl Case<'_> {
    /// Awaits an answer on this thread.
    pub(super) fn wait<T>(&self, pending: Pending<T>) -> T {
        block_on(pending)
    }

    /// Makes the suite's database.
    #[track_caller]
    pub(super) fn create(&self) -> LogId {
        let created = self.wait(self.log.create(&spec()));
        created.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Appends texts that must all land; answers where.
    #[track_caller]
    pub(super) fn append(&self, partition: PartitionId, texts: &[&str]) -> Vec<LogOffset> {
        let at = |outcome| match outcome {
            AppendOutcome::At(position) => position.offset,
            other => panic!("{}: {other:?}", self.name),
        };
        self.send(partition, records(texts)).into_iter().map(at).collect()
    }

    /// Appends records and awaits what becomes of each.
    pub(super) fn send(&self, partition: PartitionId, records: Vec<Bytes>) -> Vec<AppendOutcome> {
        let mut producer = self.log.producer(partition);
        producer.send(records);
        let mut outcomes = Vec::new();
        while producer.outstanding() > 0 {
            block_on(outcomes_of(producer.as_mut(), &mut outcomes));
        }
        outcomes
    }

    /// Reads as often as it takes from `from` to the end, `bytes_max` at a time.
    #[track_caller]
    pub(super) fn read_all(
        &self,
        partition: PartitionId,
        from: LogOffset,
        bytes_max: usize,
    ) -> Vec<LogEntry> {
        let mut entries: Vec<LogEntry> = Vec::new();
        let mut next = at(from);
        loop {
            let page = self.wait(self.log.read(partition, next, bytes_max));
            let page = page.unwrap_or_else(|error| panic!("{}: {error}", self.name));
            let ascends = |pair: &[LogEntry]| pair[0].offset < pair[1].offset;
            assert!(page.entries.windows(2).all(ascends), "{}", self.name);
            if page.next == next {
                assert_eq!(page.entries, [], "{}", self.name);
                return entries;
            }
            next = page.next;
            entries.extend(page.entries);
        }
    }

    /// Compares the records from `from` on with `texts`.
    #[track_caller]
    pub(super) fn expect(&self, partition: PartitionId, from: LogOffset, texts: &[&str]) {
        let got = self.read_all(partition, from, 1 << 20);
        let got: Vec<Bytes> = got.into_iter().map(|entry| entry.record).collect();
        assert_eq!(got, records(texts), "{}", self.name);
    }

    /// Where the partition begins, and where it ends.
    #[track_caller]
    pub(super) fn extent(&self, partition: PartitionId) -> (LogOffset, LogOffset) {
        let extents = self.wait(self.log.extents(&[partition]));
        let extents = extents.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        assert_eq!(extents.len(), 1, "{}", self.name);
        (extents[0].first, extents[0].end)
    }
}

/// The suite's database.
pub(super) fn spec() -> LogSpec {
    let database = partition(0).database;
    let uuid = PartitionUuid(0xC0FFEE);
    LogSpec { database, name: "suite".to_owned(), uuid, partitions: PARTITIONS }
}

/// Another one.
pub(super) fn other_spec() -> LogSpec {
    let uuid = PartitionUuid(0xDECAF);
    LogSpec { database: DatabaseId(8), name: "other".to_owned(), uuid, partitions: PARTITIONS }
}

/// Partition `number` of the suite's database.
pub(super) const fn partition(number: u32) -> PartitionId {
    PartitionId { database: DatabaseId(7), number }
}

pub(super) const fn at(offset: LogOffset) -> LogPosition {
    LogPosition { offset, epoch: 0 }
}

pub(super) fn records(texts: &[&str]) -> Vec<Bytes> {
    texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect()
}

/// Runs a future on this thread and sleeps until it is woken; needs no runtime.
///
/// An implementation that needs one is entered before [`run`] is called.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
