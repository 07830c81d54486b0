//! What each fault leaves behind, seen by the caller and by the next reader.

use super::*;
use crate::Log;
use std::task::{Context, Poll, Waker};

const P: PartitionId = PartitionId { database: DatabaseId(1), number: 2 };

fn spec() -> LogSpec {
    let uuid = cortado_model::PartitionUuid(1);
    LogSpec { database: P.database, name: "music".to_owned(), uuid, partitions: 4 }
}

fn log() -> MemoryLog {
    let mut log = MemoryLog::new();
    log.create_now(&spec()).unwrap();
    log
}

fn records(texts: &str) -> Vec<Bytes> {
    texts.split_whitespace().map(|text| Bytes::from(text.to_owned())).collect()
}

fn contents(log: &mut MemoryLog) -> String {
    let from = LogPosition { offset: log.first(P), epoch: 0 };
    let page = log.read_now(P, from, usize::MAX).unwrap();
    let texts: Vec<String> = page
        .entries
        .iter()
        .map(|entry| format!("{}={}", entry.offset, String::from_utf8_lossy(&entry.record)))
        .collect();
    texts.join(" ")
}

fn outcome(outcome: AppendOutcome) -> String {
    match outcome {
        AppendOutcome::At(position) => format!("at {}", position.offset),
        AppendOutcome::Somewhere => "somewhere".to_owned(),
        AppendOutcome::NotAppended(_) => "not".to_owned(),
        AppendOutcome::Perhaps(_) => "perhaps".to_owned(),
        AppendOutcome::Unusable(_) => "unusable".to_owned(),
    }
}

fn answer(receipt: Receipt) -> String {
    match receipt {
        Receipt::Answered(Appended::From(offset)) => format!("at {offset}"),
        Receipt::Answered(Appended::Each(each)) => outcome(each),
        Receipt::Answered(Appended::Mixed(outcomes)) => {
            outcomes.into_iter().map(outcome).collect::<Vec<_>>().join(", ")
        }
        Receipt::Held(_) => "held".to_owned(),
    }
}

/// Appends `a`, then `b c` under `fault`, then `d`; compares the answers and what the log holds.
#[track_caller]
fn check(fault: Fault, want_answer: &str, want_next: &str, want_contents: &str) {
    let mut log = log();
    assert_eq!(answer(log.append_now(P, records("a"))), "at 0");
    log.inject(P, fault);
    assert_eq!(answer(log.append_now(P, records("b c"))), want_answer);
    assert_eq!(answer(log.append_now(P, records("d"))), want_next);
    assert_eq!(contents(&mut log), want_contents);
}

#[test]
fn a_fault_strikes_once_and_leaves_what_it_says() {
    check(Fault::Refuse, "not", "at 1", "0=a 1=d");
    check(Fault::UnknownLanded, "perhaps", "at 3", "0=a 1=b 2=c 3=d");
    check(Fault::UnknownLost, "perhaps", "at 1", "0=a 1=d");
    check(Fault::Prefix { records: 1 }, "perhaps", "at 2", "0=a 1=b 2=d");
    check(Fault::Prefix { records: 9 }, "perhaps", "at 3", "0=a 1=b 2=c 3=d");
    check(Fault::Split { records: 1 }, "at 1, not", "at 2", "0=a 1=b 2=d");
    check(Fault::Split { records: 9 }, "at 1, at 2", "at 3", "0=a 1=b 2=c 3=d");
    check(Fault::Somewhere, "somewhere", "at 3", "0=a 1=b 2=c 3=d");
    check(Fault::HoldAcknowledgement, "held", "at 3", "0=a 1=b 2=c 3=d");
    check(Fault::HoldRecords, "held", "at 1", "0=a 1=d");
    check(Fault::Duplicate, "at 1", "at 5", "0=a 1=b 2=c 3=b 4=c 5=d");
    check(Fault::Unusable { landed: true }, "unusable", "unusable", "0=a 1=b 2=c");
    check(Fault::Unusable { landed: false }, "unusable", "unusable", "0=a");
}

#[test]
fn faults_strike_their_partition_only_in_the_order_given() {
    let mut log = log();
    let other = PartitionId { number: 3, ..P };
    log.inject(P, Fault::Refuse);
    log.inject(P, Fault::UnknownLost);
    assert_eq!(answer(log.append_now(other, records("x"))), "at 0");
    assert_eq!(answer(log.append_now(P, records("a"))), "not");
    assert_eq!(answer(log.append_now(P, records("a"))), "perhaps");
    assert_eq!(answer(log.append_now(P, records("a"))), "at 0");
}

#[test]
fn an_unusable_log_is_read_and_lives_again_after_a_restart() {
    let mut log = log();
    let id = log.create_now(&spec()).unwrap();
    log.append_now(P, records("a b"));
    log.make_unusable("a failed fsync");
    log.inject(P, Fault::Refuse);
    let trimmed = log.trim_now(P, id, LogOffset(1));
    assert!(matches!(trimmed, Err(TrimError::Unavailable(_))));
    assert_eq!(contents(&mut log), "0=a 1=b");
    log.restart();
    assert_eq!(answer(log.append_now(P, records("c"))), "at 2");
}

#[test]
fn a_read_fault_strikes_once() {
    let mut log = log();
    log.append_now(P, records("a"));
    log.inject_read(P, ReadFault::Unavailable);
    log.inject_read(P, ReadFault::Damaged);
    let mut read = || log.read_now(P, LogPosition::START, 1);
    assert!(matches!(read(), Err(LogReadError::Unavailable(_))));
    assert!(matches!(read(), Err(LogReadError::Damaged { .. })));
    assert_eq!(read().unwrap().entries.len(), 1);
}

#[test]
fn what_is_held_back_lands_behind_what_came_meanwhile() {
    let mut log = log();
    log.inject(P, Fault::HoldRecords);
    log.append_now(P, records("a b"));
    log.append_now(P, records("c"));
    let hold = log.holds().next().unwrap();
    assert_eq!(log.release(hold), Some(LogOffset(1)));
    assert_eq!((contents(&mut log), log.release(hold)), ("0=c 1=a 2=b".to_owned(), None));
}

fn shared() -> SharedMemoryLog {
    let shared = SharedMemoryLog::new();
    shared.with(|log| log.create_now(&spec())).unwrap();
    shared
}

/// What the producer of one append `a b` can tell of it now.
fn told(producer: &mut dyn crate::Producer) -> Option<Vec<String>> {
    let mut outcomes = Vec::new();
    match producer.poll_outcomes(&mut Context::from_waker(Waker::noop()), &mut outcomes) {
        Poll::Ready(()) => Some(outcomes.into_iter().map(outcome).collect()),
        Poll::Pending => None,
    }
}

#[test]
fn a_held_acknowledgement_is_seen_by_readers_before_its_caller() {
    let log = shared();
    let mut follower = log.follow(P, LogPosition::START);
    log.inject(P, Fault::HoldAcknowledgement);
    let mut producer = log.producer(P);
    producer.send(records("a b"));
    assert_eq!(told(producer.as_mut()), None);
    assert_eq!(follower.known_end(), LogOffset(2));
    assert_eq!(log.release_all(), 1);
    assert_eq!(told(producer.as_mut()).unwrap(), ["at 0", "at 1"]);
    assert_eq!(log.release_all(), 0);
}

#[test]
fn a_held_acknowledgement_becomes_perhaps_when_the_log_restarts() {
    let log = shared();
    log.inject(P, Fault::HoldAcknowledgement);
    let mut producer = log.producer(P);
    producer.send(records("a"));
    log.restart();
    assert_eq!(told(producer.as_mut()).unwrap(), ["perhaps"]);
    assert_eq!(log.local_end(P), Some(LogOffset(1)));
    assert_eq!(SharedMemoryLog::of_many_machines().local_end(P), None);
}
