//! Rules about where a partition ends, as answered, as known locally, as followed.

use super::case::{Case, at, block_on, partition, records};
use crate::{Follower, Producer, outcomes_of, page_of, ready_of};
use bytes::Bytes;
use cortado_model::{LogOffset, LogPosition};
use std::thread;

pub(super) fn an_extent_is_fresh(case: &Case<'_>) {
    for number in 0..50 {
        let last = case.append(partition(0), &["record"])[0];
        let (_, end) = case.extent(partition(0));
        assert!(end > last, "{}: the end is {end} after {last}", case.name);
        if let Some(local) = case.log.local_end(partition(0)) {
            assert!(case.log.traits().local && local == end, "{}: {local}, {end}", case.name);
        }
        let page = case.wait(case.log.read(partition(0), at(last), 1));
        assert!(matches!(page, Ok(page) if page.entries.len() == 1), "{}: {number}", case.name);
    }
    let (first, end) = case.extent(partition(5));
    assert_eq!((first, end), (LogOffset::ZERO, LogOffset::ZERO), "{}: untouched", case.name);
    let both = case.wait(case.log.extents(&[partition(5), partition(0)]));
    let both = both.expect("nothing fails here");
    assert_eq!(both[0].end, LogOffset::ZERO, "{}: in the order asked", case.name);
}

/// The records that `follower` sees next, `count` of them.
#[track_caller]
fn take(case: &Case<'_>, follower: &mut dyn Follower, count: usize) -> Vec<Bytes> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let page = block_on(page_of(follower, 64)).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        seen.extend(page.entries.into_iter().map(|entry| entry.record));
    }
    assert_eq!(seen.len(), count, "{}", case.name);
    seen
}

pub(super) fn a_follower_sees_every_record(case: &Case<'_>) {
    let log = case.log;
    let texts: Vec<String> = (0..100).map(|number| format!("record {number}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    // One that is there before the records, one that comes behind them.
    let mut early = log.follow(partition(0), LogPosition::START);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut producer = log.producer(partition(0));
            let mut outcomes = Vec::new();
            for text in &texts {
                producer.send(records(&[text]));
                block_on(outcomes_of(producer.as_mut(), &mut outcomes));
            }
        });
        assert_eq!(take(case, early.as_mut(), 100), records(&texts), "{}", case.name);
    });
    let mut late = log.follow(partition(0), LogPosition::START);
    assert_eq!(take(case, late.as_mut(), 100), records(&texts), "{}", case.name);
}

pub(super) fn a_follower_begins_where_it_is_told(case: &Case<'_>) {
    let places = case.append(partition(0), &["a", "b", "c", "d"]);
    let mut follower = case.log.follow(partition(0), at(places[2]));
    assert_eq!(take(case, follower.as_mut(), 2), records(&["c", "d"]), "{}", case.name);
    case.append(partition(0), &["e"]);
    assert_eq!(take(case, follower.as_mut(), 1), records(&["e"]), "{}", case.name);
    let places = case.append(partition(0), &["f", "g", "h"]);
    follower.seek(at(places[1]));
    assert_eq!(take(case, follower.as_mut(), 2), records(&["g", "h"]), "{}", case.name);
}

pub(super) fn a_known_end_is_durable(case: &Case<'_>) {
    let log = case.log;
    let mut follower = log.follow(partition(0), LogPosition::START);
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut producer: Box<dyn Producer> = log.producer(partition(0));
            for _ in 0..100 {
                producer.send(records(&["a", "b"]));
                let mut outcomes = Vec::new();
                while producer.outstanding() > 0 {
                    block_on(outcomes_of(producer.as_mut(), &mut outcomes));
                }
            }
        });
        let (mut shown, mut seen) = (LogOffset::ZERO, 0);
        while seen < 200 {
            block_on(ready_of(follower.as_mut()));
            let next = follower.known_end();
            assert!(next >= shown, "{}: {next} after {shown}", case.name);
            shown = next;
            let (_, end) = case.extent(partition(0));
            assert!(shown <= end, "{}: shown {shown}, end {end}", case.name);
            let page = block_on(page_of(follower.as_mut(), 1 << 20)).expect("nothing fails here");
            seen += page.entries.len();
        }
    });
}

pub(super) fn a_follower_at_the_end_is_woken(case: &Case<'_>) {
    let last = case.append(partition(0), &["a"])[0];
    let mut follower = case.log.follow(partition(0), at(last.plus(1)));
    let mut other = case.log.follow(partition(1), LogPosition::START);
    let log = case.log;
    thread::scope(|scope| {
        let waits = scope.spawn(move || {
            block_on(ready_of(follower.as_mut()));
            block_on(page_of(follower.as_mut(), 100)).expect("nothing fails here")
        });
        let mut producer = log.producer(partition(0));
        producer.send(records(&["b"]));
        let mut outcomes = Vec::new();
        block_on(outcomes_of(producer.as_mut(), &mut outcomes));
        let page = waits.join().expect("the follower has seen it");
        assert_eq!(page.entries[0].record, "b", "{}", case.name);
    });
    assert_eq!(other.known_end(), LogOffset::ZERO, "{}: untouched", case.name);
}
