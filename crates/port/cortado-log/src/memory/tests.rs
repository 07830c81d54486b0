//! What each fault leaves behind, seen by the caller and by the next reader.

use super::*;
use crate::Log;
use cortado_model::DatabaseId;
use std::task::{Context, Poll, Waker};

const P: PartitionId = PartitionId { database: DatabaseId(1), number: 2 };

fn records(texts: &str) -> Vec<Bytes> {
    texts.split_whitespace().map(|text| Bytes::from(text.to_owned())).collect()
}

fn contents(log: &mut MemoryLog) -> String {
    let entries = log.read_now(P, log.first(P), usize::MAX).unwrap();
    let texts: Vec<String> = entries
        .iter()
        .map(|entry| format!("{}={}", entry.offset, String::from_utf8_lossy(&entry.record)))
        .collect();
    texts.join(" ")
}

fn answer(appended: Appended) -> String {
    match appended {
        Appended::Answered(Ok(offset)) => format!("at {offset}"),
        Appended::Answered(Err(AppendError::NotAppended { .. })) => "not".to_owned(),
        Appended::Answered(Err(AppendError::Unknown { .. })) => "perhaps".to_owned(),
        Appended::Answered(Err(AppendError::Unusable { .. })) => "unusable".to_owned(),
        Appended::Held(_) => "held".to_owned(),
    }
}

/// Appends `a`, then `b c` under `fault`, then `d`; compares the answers and what the log holds.
#[track_caller]
fn check(fault: Fault, want_answer: &str, want_next: &str, want_contents: &str) {
    let mut log = MemoryLog::new();
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
    check(Fault::HoldAcknowledgement, "held", "at 3", "0=a 1=b 2=c 3=d");
    check(Fault::Duplicate, "at 1", "at 5", "0=a 1=b 2=c 3=b 4=c 5=d");
    check(Fault::Unusable { landed: true }, "unusable", "unusable", "0=a 1=b 2=c");
    check(Fault::Unusable { landed: false }, "unusable", "unusable", "0=a");
}

#[test]
fn faults_strike_their_partition_only_in_the_order_given() {
    let mut log = MemoryLog::new();
    let other = PartitionId { number: 3, ..P };
    log.inject(P, Fault::Refuse);
    log.inject(P, Fault::UnknownLost);
    assert_eq!(answer(log.append_now(other, records("x"))), "at 0");
    assert_eq!(answer(log.append_now(P, Vec::new())), "not");
    assert_eq!(answer(log.append_now(P, records("a"))), "not");
    assert_eq!(answer(log.append_now(P, records("a"))), "perhaps");
    assert_eq!(answer(log.append_now(P, records("a"))), "at 0");
}

#[test]
fn an_unusable_log_is_read_and_lives_again_after_a_restart() {
    let mut log = MemoryLog::new();
    log.append_now(P, records("a b"));
    log.make_unusable("a failed fsync");
    log.inject(P, Fault::Refuse);
    assert!(matches!(log.trim_now(P, LogOffset(1)), Err(AppendError::Unusable { .. })));
    assert!(matches!(log.remove_now(P), Err(AppendError::Unusable { .. })));
    assert_eq!(contents(&mut log), "0=a 1=b");
    log.restart();
    assert_eq!(answer(log.append_now(P, records("c"))), "at 2");
}

#[test]
fn a_read_fault_strikes_once() {
    let mut log = MemoryLog::new();
    log.append_now(P, records("a"));
    log.inject_read(P, ReadFault::Unavailable);
    log.inject_read(P, ReadFault::Damaged);
    let mut read = || log.read_now(P, LogOffset::ZERO, 1);
    assert!(matches!(read(), Err(ReadError::Unavailable(_))));
    assert!(matches!(read(), Err(ReadError::Damaged { .. })));
    assert_eq!(read().unwrap().len(), 1);
}

fn poll<T>(pending: &mut crate::Pending<T>) -> Poll<T> {
    pending.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_held_acknowledgement_is_seen_by_readers_before_its_caller() {
    let log = SharedMemoryLog::new();
    let end = log.watch_end(P);
    log.inject(P, Fault::HoldAcknowledgement);
    let mut held = log.append(P, records("a b"));
    assert!(poll(&mut held).is_pending());
    assert_eq!(*end.borrow(), LogOffset(2));
    assert_eq!(log.release_all(), 1);
    assert!(matches!(poll(&mut held), Poll::Ready(Ok(LogOffset(0)))));
    assert_eq!(log.release_all(), 0);
}

#[test]
fn a_held_acknowledgement_becomes_perhaps_when_the_log_restarts() {
    let log = SharedMemoryLog::new();
    log.inject(P, Fault::HoldAcknowledgement);
    let mut held = log.append(P, records("a"));
    log.restart();
    assert!(matches!(poll(&mut held), Poll::Ready(Err(AppendError::Unknown { .. }))));
    assert_eq!(log.local_end(P), Some(LogOffset(1)));
    assert_eq!(SharedMemoryLog::of_many_machines().local_end(P), None);
}
