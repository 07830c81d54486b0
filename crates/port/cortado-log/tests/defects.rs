//! The suite notices each of these broken logs: a rule that cannot fail is no rule.

use bytes::Bytes;
use cortado_log::conformance::{Subject, run};
use cortado_log::memory::SharedMemoryLog;
use cortado_log::{AppendError, Log, LogEntry, Pending, ReadError};
use cortado_model::{LogOffset, PartitionId};
use std::future::ready;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::watch;

/// One promise that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    /// An append lands twice.
    AppendsTwice,
    /// Nothing is appended before the answer is awaited.
    AppendsWhenAwaited,
    /// Anything may be appended, even nothing.
    TakesAnything,
    /// All partitions are one.
    MixesPartitions,
    /// A read answers everything.
    IgnoresTheLimit,
    /// The end is one record old.
    HasAnOldLocalEnd,
    /// The watched end is one record early.
    WatchesAhead,
    /// The watched end never moves.
    WatchesNothing,
    /// One record too many is trimmed.
    TrimsTooMuch,
    /// The records below the trim point are passed over in silence.
    HidesTheTrim,
    /// A removed partition goes on where it was.
    KeepsWhatIsRemoved,
    /// Reopening loses the last record.
    ForgetsOnReopening,
}

/// A log with a defect.
#[derive(Debug)]
struct Broken {
    log: SharedMemoryLog,
    defect: Defect,
    /// What [`Defect::WatchesAhead`] shows.
    shown: watch::Sender<LogOffset>,
}

impl Broken {
    fn new(log: SharedMemoryLog, defect: Defect) -> Broken {
        Broken { log, defect, shown: watch::Sender::new(LogOffset::ZERO) }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }
}

impl Log for Broken {
    fn append(
        &self,
        partition: PartitionId,
        records: Vec<Bytes>,
    ) -> Pending<Result<LogOffset, AppendError>> {
        if self.has(Defect::TakesAnything) && records.is_empty() {
            return Box::pin(ready(Ok(LogOffset::ZERO)));
        }
        if self.has(Defect::AppendsWhenAwaited) {
            let log = self.log.clone();
            return Box::pin(async move { log.append(partition, records).await });
        }
        if self.has(Defect::MixesPartitions) {
            return self.log.append(PartitionId::CLUSTER, records);
        }
        if self.has(Defect::AppendsTwice) {
            drop(self.log.append(partition, records.clone()));
        }
        if self.has(Defect::WatchesAhead) {
            let end = self.log.with(|log| log.end(partition));
            self.shown.send_replace(end.plus(records.len() as u64 + 1));
        }
        self.log.append(partition, records)
    }

    fn read(
        &self,
        partition: PartitionId,
        from: LogOffset,
        bytes_max: usize,
    ) -> Pending<Result<Vec<LogEntry>, ReadError>> {
        let mixed = self.has(Defect::MixesPartitions);
        let partition = if mixed { PartitionId::CLUSTER } else { partition };
        let unlimited = self.has(Defect::IgnoresTheLimit);
        let bytes_max = if unlimited { usize::MAX } else { bytes_max };
        let first = self.log.with(|log| log.first(partition));
        let from = if self.has(Defect::HidesTheTrim) { from.max(first) } else { from };
        self.log.read(partition, from, bytes_max)
    }

    fn end(&self, partition: PartitionId) -> Pending<Result<LogOffset, ReadError>> {
        self.log.end(partition)
    }

    fn local_end(&self, partition: PartitionId) -> Option<LogOffset> {
        let end = self.log.local_end(partition)?;
        let late = u64::from(self.has(Defect::HasAnOldLocalEnd));
        Some(LogOffset(end.0.saturating_sub(late)))
    }

    fn watch_end(&self, partition: PartitionId) -> watch::Receiver<LogOffset> {
        if self.has(Defect::WatchesAhead) {
            return self.shown.subscribe();
        }
        if self.has(Defect::WatchesNothing) {
            return watch::Sender::new(LogOffset::ZERO).subscribe();
        }
        self.log.watch_end(partition)
    }

    fn trim(&self, partition: PartitionId, below: LogOffset) -> Pending<Result<(), AppendError>> {
        let more = u64::from(self.has(Defect::TrimsTooMuch));
        self.log.trim(partition, below.plus(more))
    }

    fn first(&self, partition: PartitionId) -> Pending<Result<LogOffset, ReadError>> {
        self.log.first(partition)
    }

    fn remove(&self, partition: PartitionId) -> Pending<Result<(), AppendError>> {
        if self.has(Defect::KeepsWhatIsRemoved) {
            return self.log.trim(partition, LogOffset(u64::MAX));
        }
        self.log.remove(partition)
    }
}

/// The suite fails, and its message names a rule that has `rule` in its name.
#[track_caller]
fn check(defect: Defect, rule: &str) {
    let log = std::cell::RefCell::new(SharedMemoryLog::new());
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        run(Subject {
            fresh: &mut || {
                *log.borrow_mut() = SharedMemoryLog::new();
                Arc::new(Broken::new(log.borrow().clone(), defect))
            },
            reopen: Some(&mut |_| {
                assert_eq!(defect, Defect::ForgetsOnReopening, "not noticed before");
                Arc::new(Broken::new(SharedMemoryLog::new(), defect))
            }),
        });
    }));
    let panic = outcome.expect_err("the suite has not noticed the defect");
    let text = panic.downcast_ref::<String>().expect("assertions have texts");
    assert!(text.contains(rule), "{defect:?} was noticed as: {text}");
}

#[test]
fn the_suite_notices_every_defect() {
    check(Defect::AppendsTwice, "offsets count from 0");
    check(Defect::AppendsWhenAwaited, "append order is call order");
    check(Defect::TakesAnything, "no records are refused");
    check(Defect::MixesPartitions, "offsets count from 0");
    check(Defect::IgnoresTheLimit, "a read stops at its limit");
    check(Defect::HasAnOldLocalEnd, "an end is fresh");
    check(Defect::WatchesAhead, "a watched end is durable");
    check(Defect::WatchesNothing, "the log is open");
    check(Defect::TrimsTooMuch, "trimmed records are gone by name");
    check(Defect::HidesTheTrim, "trimmed records are gone by name");
    check(Defect::KeepsWhatIsRemoved, "a removed partition starts anew");
    check(Defect::ForgetsOnReopening, "records survive");
}
