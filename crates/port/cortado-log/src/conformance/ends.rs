//! Rules about where a partition ends, as answered, as known locally, as watched.

use super::{Case, block_on, partition, records};
use cortado_model::LogOffset;
use std::thread;

pub(super) fn an_end_is_fresh(case: &Case<'_>) {
    let log = case.log;
    for number in 1..=50 {
        case.append(partition(0), &["record"]);
        if let Some(end) = log.local_end(partition(0)) {
            assert_eq!(end, LogOffset(number), "{}", case.name);
        }
        assert_eq!(case.end(partition(0)), LogOffset(number), "{}", case.name);
        let at_end = case.wait(log.read(partition(0), LogOffset(number - 1), 1));
        assert!(matches!(at_end, Ok(entries) if entries.len() == 1), "{}", case.name);
    }
    if let Some(end) = log.local_end(partition(9)) {
        assert_eq!(end, LogOffset::ZERO, "{}: nobody has appended there", case.name);
    }
}

pub(super) fn a_watched_end_is_durable(case: &Case<'_>) {
    let log = case.log;
    let mut watch = log.watch_end(partition(0));
    thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..100 {
                block_on(log.append(partition(0), records(&["a", "b"])))
                    .expect("nothing fails here");
            }
        });
        let mut shown = LogOffset::ZERO;
        loop {
            let next = *watch.borrow_and_update();
            assert!(next >= shown, "{}: {next} after {shown}", case.name);
            shown = next;
            check_durable(case, shown);
            if shown >= LogOffset(200) {
                return;
            }
            block_on(watch.changed()).expect("the log is open");
        }
    });
}

/// The partition ends at `shown` or later, and everything before can be read.
fn check_durable(case: &Case<'_>, shown: LogOffset) {
    let end = case.end(partition(0));
    assert!(shown <= end, "{}: shown {shown}, end {end}", case.name);
    if let Some(last) = shown.0.checked_sub(1) {
        let entries = case.wait(case.log.read(partition(0), LogOffset(last), 1));
        let entries = entries.expect("what a watch has shown can be read");
        assert_eq!(entries[0].offset, LogOffset(last), "{}", case.name);
    }
}

pub(super) fn a_watched_end_arrives(case: &Case<'_>) {
    // One that is there before its partition, one that comes late.
    let mut early = case.log.watch_end(partition(0));
    let untouched = case.log.watch_end(partition(1));
    assert_eq!(*early.borrow(), LogOffset::ZERO, "{}", case.name);
    case.append(partition(0), &["a", "b", "c"]);
    let mut late = case.log.watch_end(partition(0));
    for watch in [&mut early, &mut late] {
        let seen = block_on(watch.wait_for(|end| *end >= LogOffset(3)));
        let seen = seen.expect("the log is open");
        assert_eq!(*seen, LogOffset(3), "{}", case.name);
    }
    assert_eq!(*untouched.borrow(), LogOffset::ZERO, "{}", case.name);
}
