//! Rules about forgetting: trimming and removing.

use super::{Case, partition};
use crate::ReadError;
use cortado_model::LogOffset;

#[track_caller]
fn trim(case: &Case<'_>, number: u32, below: u64) {
    let answer = case.wait(case.log.trim(partition(number), LogOffset(below)));
    assert!(answer.is_ok(), "{}: {answer:?}", case.name);
}

pub(super) fn trimmed_records_are_named(case: &Case<'_>) {
    case.append(partition(0), &["a", "b", "c", "d"]);
    trim(case, 0, 3);
    let first = case.first(partition(0));
    assert!(first <= LogOffset(3), "{}: first {first}", case.name);
    // A log may keep more than it must, but what it has let go of it must say.
    for below in 0..first.0 {
        let answer = case.wait(case.log.read(partition(0), LogOffset(below), 100));
        let Err(ReadError::Trimmed { first: named }) = answer else {
            panic!("{}: {answer:?} at {below}", case.name);
        };
        assert_eq!(named, first, "{}", case.name);
    }
}

pub(super) fn trimming_keeps_what_it_must(case: &Case<'_>) {
    case.append(partition(0), &["a", "b", "c", "d"]);
    case.append(partition(1), &["x", "y"]);
    trim(case, 0, 2);
    case.expect(partition(0), 2, &["c", "d"]);
    // Backwards, and again: nothing happens.
    trim(case, 0, 1);
    trim(case, 0, 2);
    case.expect(partition(0), 2, &["c", "d"]);
    case.expect(partition(1), 0, &["x", "y"]);
    assert_eq!(case.append(partition(0), &["e"]), LogOffset(4), "{}", case.name);
    case.expect(partition(0), 3, &["d", "e"]);
    trim(case, 5, 10);
    assert_eq!(case.end(partition(5)), LogOffset::ZERO, "{}", case.name);
}

pub(super) fn trimming_everything_keeps_the_end(case: &Case<'_>) {
    trim_everything(case);
    find_end(case);
}

pub(super) fn trim_everything(case: &Case<'_>) {
    case.append(partition(0), &["a", "b", "c"]);
    // Beyond the end means the end.
    trim(case, 0, 1_000);
    assert_eq!(case.end(partition(0)), LogOffset(3), "{}", case.name);
}

pub(super) fn find_end(case: &Case<'_>) {
    assert_eq!(case.end(partition(0)), LogOffset(3), "{}", case.name);
    assert!(case.first(partition(0)) <= LogOffset(3), "{}", case.name);
    case.expect(partition(0), 3, &[]);
    assert_eq!(case.append(partition(0), &["d"]), LogOffset(3), "{}", case.name);
    case.expect(partition(0), 3, &["d"]);
}

pub(super) fn a_removed_partition_starts_anew(case: &Case<'_>) {
    remove_one(case);
    find_removed(case);
}

pub(super) fn remove_one(case: &Case<'_>) {
    case.append(partition(0), &["a", "b", "c"]);
    case.append(partition(1), &["x"]);
    for number in [0, 5] {
        let answer = case.wait(case.log.remove(partition(number)));
        assert!(answer.is_ok(), "{}: {answer:?}", case.name);
    }
}

pub(super) fn find_removed(case: &Case<'_>) {
    assert_eq!(case.end(partition(0)), LogOffset::ZERO, "{}", case.name);
    assert_eq!(case.first(partition(0)), LogOffset::ZERO, "{}", case.name);
    case.expect(partition(0), 0, &[]);
    assert_eq!(case.append(partition(0), &["new"]), LogOffset::ZERO, "{}", case.name);
    case.expect(partition(0), 0, &["new"]);
    case.expect(partition(1), 0, &["x"]);
}
