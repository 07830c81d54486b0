//! Rules about what is appended and what is then read.

use super::case::{Case, at, block_on, partition, records};
use crate::{AppendOutcome, Cause, LogPage, Producer, outcomes_of};
use bytes::Bytes;
use cortado_model::{LogOffset, LogPosition};
use std::thread;

pub(super) fn outcomes_name_the_place(case: &Case<'_>) {
    let mut places = Vec::new();
    for _ in 0..10 {
        places.extend(case.append(partition(0), &["a", "b"]));
    }
    let ascends = |pair: &[LogOffset]| pair[0] < pair[1];
    assert!(places.windows(2).all(ascends), "{}: {places:?}", case.name);
    let entries = case.read_all(partition(0), LogOffset::ZERO, 1 << 20);
    let found: Vec<LogOffset> = entries.iter().map(|entry| entry.offset).collect();
    assert_eq!(found, places, "{}", case.name);
    case.expect(partition(0), LogOffset::ZERO, &["a", "b"].repeat(10));
}

pub(super) fn every_record_has_one_outcome(case: &Case<'_>) {
    let mut producer = case.log.producer(partition(0));
    producer.send(Vec::new());
    assert_eq!(producer.outstanding(), 0, "{}", case.name);
    for count in [1, 2, 3, 5] {
        producer.send(records(&vec!["a"; count]));
    }
    assert_eq!(producer.outstanding(), 11, "{}", case.name);
    let mut outcomes = Vec::new();
    while producer.outstanding() > 0 {
        let before = outcomes.len();
        block_on(outcomes_of(producer.as_mut(), &mut outcomes));
        assert!(outcomes.len() > before, "{}", case.name);
        assert_eq!(outcomes.len() + producer.outstanding(), 11, "{}", case.name);
    }
    assert_eq!(outcomes.len(), 11, "{}", case.name);
}

pub(super) fn log_order_is_the_order_of_sending(case: &Case<'_>) {
    let texts: Vec<String> = (0..50).map(|number| format!("record {number}")).collect();
    let mut producer = case.log.producer(partition(0));
    for text in &texts {
        producer.send(records(&[text]));
    }
    let outcomes = outcomes_in_full(producer.as_mut());
    let offset = |outcome: &AppendOutcome| match outcome {
        AppendOutcome::At(position) => position.offset,
        other => panic!("{}: {other:?}", case.name),
    };
    let places: Vec<LogOffset> = outcomes.iter().map(offset).collect();
    assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "{}: {places:?}", case.name);
    case.expect(
        partition(0),
        LogOffset::ZERO,
        &texts.iter().map(String::as_str).collect::<Vec<_>>(),
    );
}

fn outcomes_in_full(producer: &mut dyn Producer) -> Vec<AppendOutcome> {
    let mut outcomes = Vec::new();
    while producer.outstanding() > 0 {
        block_on(outcomes_of(producer, &mut outcomes));
    }
    outcomes
}

pub(super) fn a_dropped_producer_drops_no_record(case: &Case<'_>) {
    let mut producer = case.log.producer(partition(0));
    for _ in 0..10 {
        producer.send(records(&["unheard"]));
    }
    drop(producer);
    // Whatever was handed over arrives, with no caller waiting for it.
    let mut follower = case.log.follow(partition(0), LogPosition::START);
    let mut seen = 0;
    while seen < 10 {
        let page = block_on(crate::page_of(follower.as_mut(), 1 << 20));
        seen += page.expect("nothing fails here").entries.len();
    }
    case.append(partition(0), &["heard"]);
    case.expect(partition(0), LogOffset::ZERO, &[&["unheard"; 10][..], &["heard"]].concat());
}

pub(super) fn partitions_do_not_mix(case: &Case<'_>) {
    fill_partitions(case);
    find_partitions(case);
}

/// Appends to eight partitions in turn, without awaiting in between.
pub(super) fn fill_partitions(case: &Case<'_>) {
    let mut producers: Vec<_> = (0..8).map(|number| case.log.producer(partition(number))).collect();
    for round in 0..25 {
        for (number, producer) in producers.iter_mut().enumerate() {
            producer.send(records(&[&format!("{number}:{round}")]));
        }
    }
    for producer in &mut producers {
        let outcomes = outcomes_in_full(producer.as_mut());
        let landed = outcomes.iter().all(|outcome| matches!(outcome, AppendOutcome::At(_)));
        assert!(landed && outcomes.len() == 25, "{}: {outcomes:?}", case.name);
    }
}

/// Finds what [`fill_partitions`] has appended, and appends behind it.
pub(super) fn find_partitions(case: &Case<'_>) {
    for number in 0..8 {
        let mut texts: Vec<String> = (0..25).map(|round| format!("{number}:{round}")).collect();
        texts.push("next".to_owned());
        let (_, end) = case.extent(partition(number));
        assert!(case.append(partition(number), &["next"])[0] >= end, "{}", case.name);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        case.expect(partition(number), LogOffset::ZERO, &texts);
    }
}

pub(super) fn threads_append_at_the_same_time(case: &Case<'_>) {
    let log = case.log;
    thread::scope(|scope| {
        for thread in 0..4_u64 {
            scope.spawn(move || {
                // Two threads for each of two partitions.
                let mut producer = log.producer(partition(u32::from(thread % 2 == 1)));
                for round in 0..50_u64 {
                    producer.send(records(&[&format!("{thread}:{round}")]));
                    outcomes_in_full(producer.as_mut());
                }
            });
        }
    });
    for number in 0..2_u32 {
        let entries = case.read_all(partition(number), LogOffset::ZERO, 100);
        assert_eq!(entries.len(), 100, "{}", case.name);
        for thread in [number, number + 2] {
            let prefix = format!("{thread}:");
            let texts = entries.iter().map(|entry| String::from_utf8_lossy(&entry.record));
            let own: Vec<_> = texts.filter(|text| text.starts_with(&prefix)).collect();
            let want: Vec<_> = (0..50).map(|round| format!("{prefix}{round}")).collect();
            assert_eq!(own, want, "{}", case.name);
        }
    }
}

pub(super) fn a_read_stops_at_its_limit(case: &Case<'_>) {
    let places = case.append(partition(0), &["1234567890"; 10]);
    for (from, bytes_max, want) in
        [(0, 0, 1), (0, 9, 1), (0, 10, 1), (0, 19, 1), (0, 20, 2), (3, 35, 3), (8, 1000, 2)]
    {
        let page = case.wait(case.log.read(partition(0), at(places[from]), bytes_max));
        let LogPage { entries, next, .. } = page.expect("nothing fails here");
        assert_eq!(entries.len(), want, "{}: from {from}, {bytes_max} bytes", case.name);
        assert_eq!(entries[0].offset, places[from], "{}", case.name);
        assert!(next.offset > entries[want - 1].offset, "{}", case.name);
    }
}

pub(super) fn a_read_at_the_end_is_empty(case: &Case<'_>) {
    case.expect(partition(0), LogOffset::ZERO, &[]);
    case.append(partition(0), &["a", "b"]);
    let (_, end) = case.extent(partition(0));
    let page = case.wait(case.log.read(partition(0), at(end), 100)).expect("nothing fails here");
    assert_eq!((page.entries.len(), page.next, page.end), (0, at(end), end), "{}", case.name);
}

pub(super) fn an_empty_record_is_a_record(case: &Case<'_>) {
    case.append(partition(0), &["", "a", ""]);
    case.append(partition(0), &[""]);
    case.expect(partition(0), LogOffset::ZERO, &["", "a", "", ""]);
}

pub(super) fn the_largest_record_fits(case: &Case<'_>) {
    let largest = Bytes::from(vec![0xA5; case.log.traits().record_bytes_max]);
    case.append(partition(0), &["before"]);
    let outcomes = case.send(partition(0), vec![largest.clone()]);
    assert!(matches!(outcomes[..], [AppendOutcome::At(_)]), "{}: {outcomes:?}", case.name);
    case.append(partition(0), &["after"]);
    let entries = case.read_all(partition(0), LogOffset::ZERO, 100);
    assert_eq!(entries.len(), 3, "{}", case.name);
    // Not assert_eq!: it would print 16 MiB.
    assert!(entries[1].record == largest, "{}: other bytes came back", case.name);
}

pub(super) fn a_too_large_record_is_refused(case: &Case<'_>) {
    let oversized = Bytes::from(vec![1; case.log.traits().record_bytes_max + 1]);
    let outcomes = case.send(partition(0), vec![oversized]);
    let refused = matches!(outcomes[..], [AppendOutcome::NotAppended(Cause::TooLarge { .. })]);
    assert!(refused, "{}: {outcomes:?}", case.name);
    case.append(partition(0), &["next"]);
    case.expect(partition(0), LogOffset::ZERO, &["next"]);
}
