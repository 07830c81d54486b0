//! The suite notices each of these broken logs: a rule that cannot fail is no rule.

use bytes::Bytes;
use cortado_log::conformance::{Fresh, Mischief, Subject, run};
use cortado_log::memory::SharedMemoryLog;
use cortado_log::{
    AppendOutcome, CreateError, Extent, Follower, Log, LogPage, LogReadError, LogSpec, LogTraits,
    Pending, Producer, RemoveError, TrimError, Verified, VerifyError,
};
use cortado_model::{DatabaseId, LogId, LogOffset, LogPosition, PartitionId, PartitionUuid};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

/// One promise that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    /// An append lands twice.
    AppendsTwice,
    /// Records are sent in the wrong order.
    SendsBackwards,
    /// Of five records or more, one too many is answered for.
    AnswersTooOften,
    /// Giving up answers nothing.
    AbandonsInSilence,
    /// Giving up takes back what was on its way.
    AbandonsTheRecords,
    /// All partitions are one.
    MixesPartitions,
    /// A log is made by using it.
    CreatesByUse,
    /// A read answers everything.
    IgnoresTheLimit,
    /// The local end is one record old.
    HasAnOldLocalEnd,
    /// The known end is one record early.
    KnowsAhead,
    /// A follower begins one record too early.
    FollowsTooEarly,
    /// One record too many is trimmed.
    TrimsTooMuch,
    /// Whatever the log's identity.
    TrimsAnyLog,
    /// The records below the trim point are passed over in silence.
    HidesTheTrim,
    /// A removed log is still there.
    KeepsWhatIsRemoved,
    /// A hole is passed over like a gap.
    HidesTheHole,
    /// A log that lost its tail looks like one that has no more.
    HidesTheTruncation,
    /// Another log passes for the same.
    HidesTheReplacement,
    /// Reopening loses the last record.
    ForgetsOnReopening,
}

/// A log with a defect.
#[derive(Clone, Debug)]
struct Broken {
    log: SharedMemoryLog,
    defect: Defect,
}

impl Broken {
    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn mixed(&self, partition: PartitionId) -> PartitionId {
        if self.has(Defect::MixesPartitions) && partition.number < 8 {
            PartitionId { number: 0, ..partition }
        } else {
            partition
        }
    }
}

impl Log for Broken {
    fn traits(&self) -> LogTraits {
        self.log.traits()
    }

    fn create(&self, spec: &LogSpec) -> Pending<Result<LogId, CreateError>> {
        self.log.create(spec)
    }

    fn verify(&self, spec: &LogSpec) -> Pending<Result<Verified, VerifyError>> {
        let answer = self.log.with(|log| log.verify_now(spec));
        // The first log that a fresh one makes is the one of the suite's database.
        let hides = self.has(Defect::HidesTheReplacement) && spec.database == DatabaseId(7);
        let hidden = |verified: Verified| {
            if hides { Verified { log: LogId(1), ..verified } } else { verified }
        };
        Box::pin(std::future::ready(answer.map(hidden)))
    }

    fn remove(&self, spec: &LogSpec) -> Pending<Result<(), RemoveError>> {
        if self.has(Defect::KeepsWhatIsRemoved) {
            return Box::pin(std::future::ready(Ok(())));
        }
        self.log.remove(spec)
    }

    fn extents(&self, partitions: &[PartitionId]) -> Pending<Result<Vec<Extent>, LogReadError>> {
        self.log.extents(partitions)
    }

    fn producer(&self, partition: PartitionId) -> Box<dyn Producer> {
        let partition = self.mixed(partition);
        if self.has(Defect::CreatesByUse) {
            let (database, name) = (partition.database, "used".to_owned());
            let uuid = PartitionUuid(1);
            let spec = LogSpec { database, name, uuid, partitions: 8 };
            // One that exists already stays as it is.
            let _ = self.log.with(|log| log.create_now(&spec));
        }
        Box::new(BrokenProducer {
            producer: self.log.producer(partition),
            broken: self.clone(),
            partition,
        })
    }

    fn follow(&self, partition: PartitionId, from: LogPosition) -> Box<dyn Follower> {
        let early = u64::from(self.has(Defect::FollowsTooEarly));
        let from = LogPosition { offset: LogOffset(from.offset.0.saturating_sub(early)), ..from };
        let follower = self.log.follow(self.mixed(partition), from);
        Box::new(BrokenFollower { follower, broken: self.clone() })
    }

    fn read(
        &self,
        partition: PartitionId,
        from: LogPosition,
        bytes_max: usize,
    ) -> Pending<Result<LogPage, LogReadError>> {
        let partition = self.mixed(partition);
        let bytes_max = if self.has(Defect::IgnoresTheLimit) { usize::MAX } else { bytes_max };
        let read = |from| self.log.with(|log| log.read_now(partition, from, bytes_max));
        let answer = match read(from) {
            Err(LogReadError::Trimmed { first }) if self.has(Defect::HidesTheTrim) => {
                read(LogPosition { offset: first, ..from })
            }
            Err(LogReadError::Hole { at }) if self.has(Defect::HidesTheHole) => {
                read(LogPosition { offset: at.plus(1), ..from })
            }
            Err(LogReadError::Diverged { end }) if self.has(Defect::HidesTheTruncation) => {
                Ok(LogPage { entries: Vec::new(), next: from, end })
            }
            answer => answer,
        };
        Box::pin(std::future::ready(answer))
    }

    fn local_end(&self, partition: PartitionId) -> Option<LogOffset> {
        let end = self.log.local_end(partition)?;
        let late = u64::from(self.has(Defect::HasAnOldLocalEnd));
        Some(LogOffset(end.0.saturating_sub(late)))
    }

    fn trim(
        &self,
        partition: PartitionId,
        log: LogId,
        below: LogOffset,
    ) -> Pending<Result<(), TrimError>> {
        let more = u64::from(self.has(Defect::TrimsTooMuch));
        let found = self.log.with(|log| log.extent(partition)).map(|extent| extent.log);
        let log = if self.has(Defect::TrimsAnyLog) { found.unwrap_or(log) } else { log };
        self.log.trim(partition, log, below.plus(more))
    }
}

struct BrokenProducer {
    producer: Box<dyn Producer>,
    broken: Broken,
    partition: PartitionId,
}

impl Producer for BrokenProducer {
    fn send(&mut self, mut records: Vec<Bytes>) {
        if self.broken.has(Defect::AppendsTwice) {
            self.broken.log.with(|log| drop(log.append_now(self.partition, records.clone())));
        }
        if self.broken.has(Defect::SendsBackwards) {
            records.reverse();
        }
        self.producer.send(records);
    }

    fn poll_outcomes(
        &mut self,
        context: &mut Context<'_>,
        outcomes: &mut Vec<AppendOutcome>,
    ) -> Poll<()> {
        let ready = self.producer.poll_outcomes(context, outcomes);
        if outcomes.len() >= 5 && self.broken.has(Defect::AnswersTooOften) {
            outcomes.push(AppendOutcome::Somewhere);
        }
        ready
    }

    fn outstanding(&self) -> usize {
        self.producer.outstanding()
    }

    fn abandon(self: Box<Self>) -> Vec<AppendOutcome> {
        if self.broken.has(Defect::AbandonsTheRecords) {
            self.broken.log.restart();
        }
        if self.broken.has(Defect::AbandonsInSilence) {
            Vec::new()
        } else {
            self.producer.abandon()
        }
    }
}

struct BrokenFollower {
    follower: Box<dyn Follower>,
    broken: Broken,
}

impl Follower for BrokenFollower {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.follower.poll_ready(context)
    }

    fn poll_page(
        &mut self,
        context: &mut Context<'_>,
        bytes_max: usize,
    ) -> Poll<Result<LogPage, LogReadError>> {
        self.follower.poll_page(context, bytes_max)
    }

    fn seek(&mut self, to: LogPosition) {
        self.follower.seek(to);
    }

    fn known_end(&mut self) -> LogOffset {
        self.follower.known_end().plus(u64::from(self.broken.has(Defect::KnowsAhead)))
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
                let provoked = log.borrow().clone();
                let provoke = move |partition, mischief: Mischief| {
                    provoked.provoke(partition, mischief);
                    true
                };
                let log = Arc::new(Broken { log: log.borrow().clone(), defect });
                Fresh { log, provoke: Box::new(provoke) }
            },
            reopen: Some(&mut |_| {
                assert_eq!(defect, Defect::ForgetsOnReopening, "not noticed before");
                let log = SharedMemoryLog::new();
                let database = DatabaseId(7);
                let spec = LogSpec {
                    database,
                    name: String::new(),
                    uuid: PartitionUuid(1),
                    partitions: 8,
                };
                log.with(|log| log.create_now(&spec)).expect("nothing fails here");
                Arc::new(Broken { log, defect })
            }),
        });
    }));
    let panic = outcome.expect_err("the suite has not noticed the defect");
    let text = panic.downcast_ref::<String>().expect("assertions have texts");
    assert!(text.contains(rule), "{defect:?} was noticed as: {text}");
}

#[test]
fn the_suite_notices_every_defect() {
    check(Defect::AppendsTwice, "creating twice");
    check(Defect::SendsBackwards, "outcomes name the place");
    check(Defect::AnswersTooOften, "every record has one outcome");
    check(Defect::AbandonsInSilence, "giving up answers everything");
    check(Defect::AbandonsTheRecords, "late copies land behind");
    check(Defect::MixesPartitions, "partitions do not mix");
    check(Defect::CreatesByUse, "a log exists from its creation on");
    check(Defect::IgnoresTheLimit, "a read stops at its limit");
    check(Defect::HasAnOldLocalEnd, "an extent is fresh");
    check(Defect::KnowsAhead, "a known end is durable");
    check(Defect::FollowsTooEarly, "a follower begins where");
    check(Defect::TrimsTooMuch, "trimmed records are gone by name");
    check(Defect::TrimsAnyLog, "another log is not trimmed");
    check(Defect::HidesTheTrim, "trimmed records are gone by name");
    check(Defect::KeepsWhatIsRemoved, "a removed log is gone");
    check(Defect::HidesTheHole, "a hole is no gap");
    check(Defect::HidesTheTruncation, "a truncated log says so");
    check(Defect::HidesTheReplacement, "a replaced log says so");
    check(Defect::ForgetsOnReopening, "records survive");
}
