//! What every implementation of the port must do, as one suite that its tests run.
//!
//! The suite knows only the port: it waits for answers, never for time. Start reading at [`run`].

mod ends;
mod order;
mod trimming;

use crate::{Log, LogEntry, Pending};
use bytes::Bytes;
use cortado_model::{DatabaseId, LogOffset, PartitionId};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// The implementation under test.
pub struct Subject<'a> {
    /// Makes a log that holds nothing. Called once for every rule.
    pub fresh: &'a mut dyn FnMut() -> Arc<dyn Log>,
    /// Closes a log and opens what it left behind, as a new process would; `None` if nothing
    /// survives. It gets the only handle that the suite holds.
    pub reopen: Option<Reopen<'a>>,
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
        let log = (subject.fresh)();
        rule(&Case { name, log: log.as_ref() });
    }
    if let Some(reopen) = &mut subject.reopen {
        for (name, prepare, inspect) in SURVIVALS {
            let _naming = Naming(name);
            let log = (subject.fresh)();
            prepare(&Case { name, log: log.as_ref() });
            let log = reopen(log);
            inspect(&Case { name, log: log.as_ref() });
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

/// One rule on one log.
#[derive(Clone, Copy)]
struct Case<'a> {
    name: &'a str,
    log: &'a dyn Log,
}

type Rule = fn(&Case<'_>);

/// What an open log does.
const RULES: &[(&str, Rule)] = &[
    ("offsets count from 0 without holes", order::offsets_count_from_zero),
    ("the records of one append stand together", order::one_append_stands_together),
    ("append order is call order", order::append_order_is_call_order),
    ("a dropped answer is not a dropped append", order::a_dropped_answer_drops_no_append),
    ("partitions do not mix", order::partitions_do_not_mix),
    ("threads append at the same time", order::threads_append_at_the_same_time),
    ("a read stops at its limit", order::a_read_stops_at_its_limit),
    ("a read at the end is empty", order::a_read_at_the_end_is_empty),
    ("an empty record is a record", order::an_empty_record_is_a_record),
    ("no records are refused", order::no_records_are_refused),
    ("the largest record fits", order::the_largest_record_fits),
    ("a too large record is refused", order::a_too_large_record_is_refused),
    ("an end is fresh after the answer", ends::an_end_is_fresh),
    ("a watched end is durable", ends::a_watched_end_is_durable),
    ("a watched end arrives", ends::a_watched_end_arrives),
    ("trimmed records are gone by name", trimming::trimmed_records_are_named),
    ("trimming keeps what it must", trimming::trimming_keeps_what_it_must),
    ("trimming everything keeps the end", trimming::trimming_everything_keeps_the_end),
    ("a removed partition starts anew", trimming::a_removed_partition_starts_anew),
];

/// What survives closing and opening: prepared on one log, inspected on the next.
const SURVIVALS: &[(&str, Rule, Rule)] = &[
    ("records survive", order::fill_partitions, order::find_partitions),
    ("an end survives the trim of everything", trimming::trim_everything, trimming::find_end),
    ("a removal survives", trimming::remove_one, trimming::find_removed),
];

impl Case<'_> {
    /// Awaits an answer on this thread.
    fn wait<T>(&self, pending: Pending<T>) -> T {
        block_on(pending)
    }

    /// Appends texts as one append that must succeed; answers the first one's offset.
    #[track_caller]
    fn append(&self, partition: PartitionId, texts: &[&str]) -> LogOffset {
        let answer = self.wait(self.log.append(partition, records(texts)));
        answer.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Reads as often as it takes from `from` to the end, `bytes_max` at a time.
    #[track_caller]
    fn read_all(&self, partition: PartitionId, from: LogOffset, bytes_max: usize) -> Vec<LogEntry> {
        let mut entries: Vec<LogEntry> = Vec::new();
        loop {
            let next = from.plus(entries.len() as u64);
            let more = self.wait(self.log.read(partition, next, bytes_max));
            let more = more.unwrap_or_else(|error| panic!("{}: {error}", self.name));
            if more.is_empty() {
                return entries;
            }
            entries.extend(more);
        }
    }

    /// Compares everything from `from` on with `texts`, offsets included.
    #[track_caller]
    fn expect(&self, partition: PartitionId, from: u64, texts: &[&str]) {
        let got = self.read_all(partition, LogOffset(from), 1 << 20);
        let want: Vec<LogEntry> = (from..)
            .zip(records(texts))
            .map(|(offset, record)| LogEntry { offset: LogOffset(offset), record })
            .collect();
        assert_eq!(got, want, "{}", self.name);
    }

    /// The end, which must be known.
    #[track_caller]
    fn end(&self, partition: PartitionId) -> LogOffset {
        let answer = self.wait(self.log.end(partition));
        answer.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// The oldest offset that can be read, which must be known.
    #[track_caller]
    fn first(&self, partition: PartitionId) -> LogOffset {
        let answer = self.wait(self.log.first(partition));
        answer.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

/// Partition `number` of the suite's database.
const fn partition(number: u32) -> PartitionId {
    PartitionId { database: DatabaseId(7), number }
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
