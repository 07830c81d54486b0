//! What every implementation of the port must do, as one suite that its tests run.
//!
//! The suite knows only the port: it waits for answers, never for time. Start reading at [`run`].

mod following;
mod giving_up;
mod lifecycle;
mod mischief;
mod order;
mod trimming;

use crate::{Log, LogEntry, LogSpec, Outcome, Pending, outcomes_of};
use bytes::Bytes;
use cortado_model::{DatabaseId, LogId, LogOffset, PartitionId, PartitionUuid, Position};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// The implementation under test.
pub struct Subject<'a> {
    /// Makes a log that holds nothing. Called once for every rule.
    pub fresh: &'a mut dyn FnMut() -> Fresh,
    /// Closes a log and opens what it left behind, as a new process would; `None` if nothing
    /// survives. It gets the only handle that the suite holds.
    pub reopen: Option<Reopen<'a>>,
}

/// A log that holds nothing.
pub struct Fresh {
    /// The log.
    pub log: Arc<dyn Log>,
    /// Lets something go wrong with it.
    pub provoke: Provoke,
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

/// Closes a log and opens it again.
pub type Reopen<'a> = &'a mut dyn FnMut(Arc<dyn Log>) -> Arc<dyn Log>;

/// Runs every rule on a log of its own.
///
/// # Panics
/// When a rule is broken; standard error names it.
pub fn run(mut subject: Subject<'_>) {
    for (name, rule) in RULES {
        let _naming = Naming(name);
        let Fresh { log, provoke } = (subject.fresh)();
        let case = Case { name, log: log.as_ref(), provoke: &provoke };
        case.create();
        rule(&case);
    }
    if let Some(reopen) = &mut subject.reopen {
        for (name, prepare, inspect) in SURVIVALS {
            let _naming = Naming(name);
            let Fresh { log, provoke } = (subject.fresh)();
            let case = Case { name, log: log.as_ref(), provoke: &provoke };
            case.create();
            prepare(&case);
            let log = reopen(log);
            // What every process does before it uses a log.
            let verified = block_on(log.verify(&spec()));
            assert!(verified.is_ok(), "{name}: {verified:?}");
            inspect(&Case { name, log: log.as_ref(), provoke: &provoke });
        }
    }
}

/// Names the rule during which something panics.
struct Naming<'a>(&'a str);

impl Drop for Naming<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the log breaks this rule: {}", self.0);
        }
    }
}

/// One rule on one log, on which the suite's database exists.
#[derive(Clone, Copy)]
struct Case<'a> {
    name: &'a str,
    log: &'a dyn Log,
    provoke: &'a Provoke,
}

type Rule = fn(&Case<'_>);

/// What an open log does.
const RULES: &[(&str, Rule)] = &[
    ("a log exists from its creation on", lifecycle::a_log_exists_from_its_creation_on),
    ("creating twice is creating once", lifecycle::creating_twice_is_creating_once),
    ("another number of partitions is refused", lifecycle::other_partitions_are_refused),
    ("a removed log is gone, and no other", lifecycle::a_removed_log_is_gone),
    ("outcomes name the place", order::outcomes_name_the_place),
    ("every record has one outcome", order::every_record_has_one_outcome),
    ("log order is the order of sending", order::log_order_is_the_order_of_sending),
    ("a dropped producer drops no record", order::a_dropped_producer_drops_no_record),
    ("partitions do not mix", order::partitions_do_not_mix),
    ("threads append at the same time", order::threads_append_at_the_same_time),
    ("a read stops at its limit", order::a_read_stops_at_its_limit),
    ("a read at the end is empty", order::a_read_at_the_end_is_empty),
    ("an empty record is a record", order::an_empty_record_is_a_record),
    ("the largest record fits", order::the_largest_record_fits),
    ("a too large record is refused", order::a_too_large_record_is_refused),
    ("an extent is fresh", following::an_extent_is_fresh),
    ("a follower sees every record", following::a_follower_sees_every_record),
    ("a follower begins where it is told", following::a_follower_begins_where_it_is_told),
    ("a known end is durable", following::a_known_end_is_durable),
    ("a follower at the end is woken", following::a_follower_at_the_end_is_woken),
    ("giving up answers everything", giving_up::giving_up_answers_everything),
    ("late copies land behind", giving_up::late_copies_land_behind),
    ("trimmed records are gone by name", trimming::trimmed_records_are_named),
    ("trimming keeps what it must", trimming::trimming_keeps_what_it_must),
    ("trimming everything keeps the end", trimming::trimming_everything_keeps_the_end),
    ("another log is not trimmed", trimming::another_log_is_not_trimmed),
    ("success may have no position", mischief::success_may_have_no_position),
    ("a gap is passed over", mischief::a_gap_is_passed_over),
    ("a hole is no gap", mischief::a_hole_is_no_gap),
    ("a truncated log says so", mischief::a_truncated_log_says_so),
    ("a replaced log says so", mischief::a_replaced_log_says_so),
];

/// What survives closing and opening: prepared on one log, inspected on the next.
const SURVIVALS: &[(&str, Rule, Rule)] = &[
    ("records survive", order::fill_partitions, order::find_partitions),
    ("an end survives the trim of everything", trimming::trim_everything, trimming::find_end),
    ("a removal survives", lifecycle::remove_one, lifecycle::find_removed),
];

/// Partitions of each database of the suite.
const PARTITIONS: u32 = 8;

impl Case<'_> {
    /// Awaits an answer on this thread.
    fn wait<T>(&self, pending: Pending<T>) -> T {
        block_on(pending)
    }

    /// Makes the suite's database.
    #[track_caller]
    fn create(&self) -> LogId {
        let created = self.wait(self.log.create(&spec()));
        created.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Appends texts that must all land; answers where.
    #[track_caller]
    fn append(&self, partition: PartitionId, texts: &[&str]) -> Vec<LogOffset> {
        let at = |outcome| match outcome {
            Outcome::At(position) => position.offset,
            other => panic!("{}: {other:?}", self.name),
        };
        self.send(partition, records(texts)).into_iter().map(at).collect()
    }

    /// Appends records and awaits what becomes of each.
    fn send(&self, partition: PartitionId, records: Vec<Bytes>) -> Vec<Outcome> {
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
    fn read_all(&self, partition: PartitionId, from: LogOffset, bytes_max: usize) -> Vec<LogEntry> {
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
    fn expect(&self, partition: PartitionId, from: LogOffset, texts: &[&str]) {
        let got = self.read_all(partition, from, 1 << 20);
        let got: Vec<Bytes> = got.into_iter().map(|entry| entry.record).collect();
        assert_eq!(got, records(texts), "{}", self.name);
    }

    /// Where the partition begins, and where it ends.
    #[track_caller]
    fn extent(&self, partition: PartitionId) -> (LogOffset, LogOffset) {
        let extents = self.wait(self.log.extents(&[partition]));
        let extents = extents.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        assert_eq!(extents.len(), 1, "{}", self.name);
        (extents[0].first, extents[0].end)
    }
}

/// The suite's database.
fn spec() -> LogSpec {
    let database = partition(0).database;
    let uuid = PartitionUuid(0xC0FFEE);
    LogSpec { database, name: "suite".to_owned(), uuid, partitions: PARTITIONS }
}

/// Another one.
fn other_spec() -> LogSpec {
    let uuid = PartitionUuid(0xDECAF);
    LogSpec { database: DatabaseId(8), name: "other".to_owned(), uuid, partitions: PARTITIONS }
}

/// Partition `number` of the suite's database.
const fn partition(number: u32) -> PartitionId {
    PartitionId { database: DatabaseId(7), number }
}

const fn at(offset: LogOffset) -> Position {
    Position { offset, epoch: 0 }
}

fn records(texts: &[&str]) -> Vec<Bytes> {
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
