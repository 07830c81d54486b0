//! Rules about logs that have lost something, or never held it.

use super::case::{Case, Mischief, at, block_on, partition, records, spec};
use crate::{AppendOutcome, LogReadError, page_of};
use cortado_model::{LogOffset, LogPosition};

pub(super) fn success_may_have_no_position(case: &Case<'_>) {
    if !(case.provoke)(partition(0), Mischief::SucceedWithoutPosition) {
        return;
    }
    let outcomes = case.send(partition(0), records(&["a", "b"]));
    let landed = outcomes.iter().all(|outcome| matches!(outcome, AppendOutcome::Somewhere));
    assert!(landed && outcomes.len() == 2, "{}: {outcomes:?}", case.name);
    case.append(partition(0), &["c"]);
    case.expect(partition(0), LogOffset::ZERO, &["a", "b", "c"]);
}

pub(super) fn a_gap_is_passed_over(case: &Case<'_>) {
    let first = case.append(partition(0), &["a", "b"]);
    if !(case.provoke)(partition(0), Mischief::Skip { offsets: 3 }) {
        return;
    }
    // A gap at the end: nothing to see, but a place further on.
    let behind = at(first[1].plus(1));
    let page = case.wait(case.log.read(partition(0), behind, 100)).expect("nothing fails here");
    assert_eq!((page.entries.len(), page.next), (0, at(first[1].plus(4))), "{}", case.name);
    let (_, end) = case.extent(partition(0));
    assert_eq!(end, page.next.offset, "{}", case.name);
    let next = case.append(partition(0), &["c"]);
    assert_eq!(next, [first[1].plus(4)], "{}", case.name);
    case.expect(partition(0), LogOffset::ZERO, &["a", "b", "c"]);
    let mut follower = case.log.follow(partition(0), behind);
    let page = block_on(page_of(follower.as_mut(), 100)).expect("nothing fails here");
    assert_eq!(page.entries[0].offset, next[0], "{}", case.name);
}

pub(super) fn a_hole_is_no_gap(case: &Case<'_>) {
    let places = case.append(partition(0), &["a", "b", "c"]);
    if !(case.provoke)(partition(0), Mischief::Lose { at: places[1] }) {
        return;
    }
    let before = case.wait(case.log.read(partition(0), at(places[0]), 100));
    let before = before.expect("the record before it is there");
    assert_eq!((before.entries.len(), before.next), (1, at(places[1])), "{}", case.name);
    let read = case.wait(case.log.read(partition(0), before.next, 100));
    let named = matches!(read, Err(LogReadError::Hole { at }) if at == places[1]);
    assert!(named, "{}: {read:?}", case.name);
    let behind = case.wait(case.log.read(partition(0), at(places[2]), 100));
    assert!(matches!(behind, Ok(page) if page.entries.len() == 1), "{}", case.name);
}

pub(super) fn a_truncated_log_says_so(case: &Case<'_>) {
    let places = case.append(partition(0), &["a", "b", "c"]);
    let behind = at(places[2].plus(1));
    let mut follower = case.log.follow(partition(0), behind);
    if !(case.provoke)(partition(0), Mischief::Truncate { end: places[1] }) {
        return;
    }
    let read = case.wait(case.log.read(partition(0), behind, 100));
    let named = matches!(read, Err(LogReadError::Diverged { end }) if end <= places[1]);
    assert!(named, "{}: {read:?}", case.name);
    let followed = block_on(page_of(follower.as_mut(), 100));
    assert!(matches!(followed, Err(LogReadError::Diverged { .. })), "{}: {followed:?}", case.name);
    case.expect(partition(0), LogOffset::ZERO, &["a"]);
}

pub(super) fn a_replaced_log_says_so(case: &Case<'_>) {
    let places = case.append(partition(0), &["a", "b"]);
    let before = case.wait(case.log.verify(&spec())).expect("it exists").log;
    let mut follower = case.log.follow(partition(0), at(places[1].plus(1)));
    if !(case.provoke)(partition(0), Mischief::Replace) {
        return;
    }
    let followed = block_on(page_of(follower.as_mut(), 100));
    let found = match followed {
        Err(LogReadError::Replaced { found }) => found,
        other => panic!("{}: {other:?}", case.name),
    };
    assert_ne!(found, before, "{}", case.name);
    let verified = case.wait(case.log.verify(&spec())).expect("it exists").log;
    assert_eq!(verified, found, "{}", case.name);
    let extents = case.wait(case.log.extents(&[partition(0)])).expect("it exists");
    assert_eq!((extents[0].log, extents[0].end), (found, LogOffset::ZERO), "{}", case.name);
    // A producer does not notice, but what it answers jumps backwards.
    let place = case.append(partition(0), &["c"]);
    assert!(place[0] < places[1].plus(1), "{}", case.name);
    let mut fresh = case.log.follow(partition(0), LogPosition::START);
    let page = block_on(page_of(fresh.as_mut(), 100)).expect("it follows the new one");
    assert_eq!(page.entries[0].record, "c", "{}", case.name);
}
