//! Rules about making, checking and removing logs.

use super::case::{Case, other_spec, partition, records, spec};
use crate::{AppendOutcome, Cause, CreateError, LogReadError, LogSpec, VerifyError};
use cortado_model::{DatabaseId, LogOffset, LogPosition, PartitionId};

pub(super) fn a_log_exists_from_its_creation_on(case: &Case<'_>) {
    let other = other_spec();
    let undeclared = PartitionId { database: other.database, number: 0 };
    check_missing(case, undeclared, &other);
    let created = case.wait(case.log.create(&other)).expect("nothing fails here");
    let verified = case.wait(case.log.verify(&other)).expect("it was created");
    assert_eq!((verified.log, verified.drift), (created, Vec::new()), "{}", case.name);
    assert_eq!(case.extent(undeclared), (LogOffset::ZERO, LogOffset::ZERO), "{}", case.name);
    case.append(undeclared, &["a"]);
}

/// Nothing can be done with a log that does not exist.
fn check_missing(case: &Case<'_>, partition: PartitionId, spec: &LogSpec) {
    let verified = case.wait(case.log.verify(spec));
    assert!(matches!(verified, Err(VerifyError::Missing)), "{}: {verified:?}", case.name);
    let extents = case.wait(case.log.extents(&[partition]));
    assert!(matches!(extents, Err(LogReadError::Missing)), "{}: {extents:?}", case.name);
    let read = case.wait(case.log.read(partition, LogPosition::START, 100));
    assert!(matches!(read, Err(LogReadError::Missing)), "{}: {read:?}", case.name);
    for outcome in case.send(partition, records(&["a", "b"])) {
        let refused = matches!(outcome, AppendOutcome::NotAppended(Cause::Missing));
        assert!(refused, "{}: {outcome:?}", case.name);
    }
}

pub(super) fn creating_twice_is_creating_once(case: &Case<'_>) {
    case.append(partition(0), &["a"]);
    let first = case.wait(case.log.verify(&spec())).expect("it was created").log;
    assert_eq!(case.create(), first, "{}", case.name);
    case.expect(partition(0), LogOffset::ZERO, &["a"]);
}

pub(super) fn other_partitions_are_refused(case: &Case<'_>) {
    case.append(partition(0), &["a"]);
    let other = LogSpec { partitions: spec().partitions + 1, ..spec() };
    let created = case.wait(case.log.create(&other));
    assert!(matches!(created, Err(CreateError::OtherPartitions { .. })), "{}", case.name);
    let verified = case.wait(case.log.verify(&other));
    assert!(matches!(verified, Err(VerifyError::OtherPartitions { .. })), "{}", case.name);
    let beyond = PartitionId { number: spec().partitions, ..partition(0) };
    let outcomes = case.send(beyond, records(&["b"]));
    assert!(matches!(outcomes[0], AppendOutcome::NotAppended(Cause::Missing)), "{}", case.name);
}

pub(super) fn a_removed_log_is_gone(case: &Case<'_>) {
    remove_one(case);
    find_removed(case);
}

pub(super) fn remove_one(case: &Case<'_>) {
    let other = other_spec();
    case.wait(case.log.create(&other)).expect("nothing fails here");
    case.append(partition(0), &["x"]);
    for number in 0..3 {
        let gone = PartitionId { database: other.database, number };
        case.append(gone, &["a", "b", "c"]);
    }
    let never = LogSpec { database: DatabaseId(99), ..other_spec() };
    for spec in [other, never] {
        case.wait(case.log.remove(&spec)).expect("nothing fails here");
    }
}

pub(super) fn find_removed(case: &Case<'_>) {
    let other = other_spec();
    check_missing(case, PartitionId { database: other.database, number: 0 }, &other);
    case.expect(partition(0), LogOffset::ZERO, &["x"]);
}
