//! Rules about forgetting what stands below an offset.

use super::case::{Case, at, partition, spec};
use crate::{LogReadError, TrimError};
use cortado_model::{LogId, LogOffset};

#[track_caller]
fn trim(case: &Case<'_>, number: u32, below: LogOffset) {
    let log = case.wait(case.log.verify(&spec())).expect("it was created").log;
    let answer = case.wait(case.log.trim(partition(number), log, below));
    assert!(answer.is_ok(), "{}: {answer:?}", case.name);
}

pub(super) fn trimmed_records_are_named(case: &Case<'_>) {
    let places = case.append(partition(0), &["a", "b", "c", "d"]);
    trim(case, 0, places[3]);
    let (first, _) = case.extent(partition(0));
    assert!(first <= places[3], "{}: first {first}", case.name);
    // A log may keep more than it must, but what it has let go of it must say.
    for below in places.into_iter().filter(|place| *place < first) {
        let answer = case.wait(case.log.read(partition(0), at(below), 100));
        let Err(LogReadError::Trimmed { first: named }) = answer else {
            panic!("{}: {answer:?} at {below}", case.name);
        };
        assert_eq!(named, first, "{}", case.name);
    }
}

pub(super) fn trimming_keeps_what_it_must(case: &Case<'_>) {
    let places = case.append(partition(0), &["a", "b", "c", "d"]);
    case.append(partition(1), &["x", "y"]);
    trim(case, 0, places[2]);
    case.expect(partition(0), places[2], &["c", "d"]);
    // Backwards, and again: nothing happens.
    trim(case, 0, places[1]);
    trim(case, 0, places[2]);
    case.expect(partition(0), places[2], &["c", "d"]);
    case.expect(partition(1), LogOffset::ZERO, &["x", "y"]);
    let next = case.append(partition(0), &["e"])[0];
    assert!(next > places[3], "{}", case.name);
    case.expect(partition(0), places[3], &["d", "e"]);
    trim(case, 5, LogOffset(10));
    assert_eq!(case.extent(partition(5)).1, LogOffset::ZERO, "{}", case.name);
}

pub(super) fn trimming_everything_keeps_the_end(case: &Case<'_>) {
    trim_everything(case);
    find_end(case);
}

pub(super) fn trim_everything(case: &Case<'_>) {
    let places = case.append(partition(0), &["a", "b", "c"]);
    let (_, end) = case.extent(partition(0));
    // Beyond the end means the end.
    trim(case, 0, end.plus(1_000));
    assert_eq!(case.extent(partition(0)).1, end, "{}", case.name);
    // So that the next process knows where that was.
    case.append(partition(1), &[&places[2].to_string()]);
}

pub(super) fn find_end(case: &Case<'_>) {
    let noted = case.read_all(partition(1), LogOffset::ZERO, 100);
    let noted = String::from_utf8_lossy(&noted[0].record).into_owned();
    let last = LogOffset(noted.parse().expect("a number was noted"));
    let (first, end) = case.extent(partition(0));
    assert!(first <= end && end > last, "{}: {first} to {end} after {last}", case.name);
    case.expect(partition(0), end, &[]);
    let next = case.append(partition(0), &["d"])[0];
    assert!(next >= end, "{}", case.name);
    case.expect(partition(0), end, &["d"]);
}

pub(super) fn another_log_is_not_trimmed(case: &Case<'_>) {
    let places = case.append(partition(0), &["a", "b"]);
    let log = case.wait(case.log.verify(&spec())).expect("it was created").log;
    let other = LogId(log.0 ^ 1);
    let answer = case.wait(case.log.trim(partition(0), other, places[1]));
    let named = matches!(answer, Err(TrimError::Replaced { found }) if found == log);
    assert!(named, "{}: {answer:?}", case.name);
    case.expect(partition(0), LogOffset::ZERO, &["a", "b"]);
}
