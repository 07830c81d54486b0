//! Rules about what is appended and what is then read.

use super::{Case, block_on, partition, records};
use crate::{AppendError, LogEntry, Pending, RECORD_BYTES_MAX, ReadError};
use bytes::Bytes;
use cortado_model::LogOffset;
use std::thread;

pub(super) fn offsets_count_from_zero(case: &Case<'_>) {
    assert_eq!(case.end(partition(0)), LogOffset::ZERO, "{}", case.name);
    for number in 0..20 {
        let offset = case.append(partition(0), &["record"]);
        assert_eq!(offset, LogOffset(number), "{}", case.name);
    }
    assert_eq!(case.end(partition(0)), LogOffset(20), "{}", case.name);
    case.expect(partition(0), 0, &["record"; 20]);
}

pub(super) fn one_append_stands_together(case: &Case<'_>) {
    let texts = ["a", "b", "c"];
    let pending: Vec<_> = (0..30).map(|_| case.log.append(partition(0), records(&texts))).collect();
    for (number, pending) in pending.into_iter().enumerate() {
        let offset = case.wait(pending).expect("nothing fails here");
        assert_eq!(offset, LogOffset(3 * number as u64), "{}", case.name);
    }
    case.expect(partition(0), 0, &texts.repeat(30));
}

pub(super) fn append_order_is_call_order(case: &Case<'_>) {
    let texts: Vec<String> = (0..50).map(|number| format!("record {number}")).collect();
    let mut pending: Vec<_> =
        texts.iter().map(|text| case.log.append(partition(0), records(&[text]))).collect();
    // The last one first: who awaits what must not matter.
    while let Some(last) = pending.pop() {
        let offset = case.wait(last).expect("nothing fails here");
        assert_eq!(offset, LogOffset(pending.len() as u64), "{}", case.name);
    }
    case.expect(partition(0), 0, &texts.iter().map(String::as_str).collect::<Vec<_>>());
}

pub(super) fn a_dropped_answer_drops_no_append(case: &Case<'_>) {
    for _ in 0..10 {
        drop(case.log.append(partition(0), records(&["unheard"])));
    }
    // Answered after the ten before it, because order is call order.
    assert_eq!(case.append(partition(0), &["heard"]), LogOffset(10), "{}", case.name);
    case.expect(partition(0), 9, &["unheard", "heard"]);
}

pub(super) fn partitions_do_not_mix(case: &Case<'_>) {
    fill_partitions(case);
    find_partitions(case);
}

/// Appends to eight partitions in turn, without awaiting in between.
pub(super) fn fill_partitions(case: &Case<'_>) {
    let mut pending: Vec<Pending<Result<LogOffset, AppendError>>> = Vec::new();
    for round in 0..25 {
        for number in 0..8 {
            let text = format!("{number}:{round}");
            pending.push(case.log.append(partition(number), records(&[&text])));
        }
    }
    for pending in pending {
        case.wait(pending).expect("nothing fails here");
    }
}

/// Finds what [`fill_partitions`] has appended, and appends behind it.
pub(super) fn find_partitions(case: &Case<'_>) {
    for number in 0..8 {
        let mut texts: Vec<String> = (0..25).map(|round| format!("{number}:{round}")).collect();
        texts.push("next".to_owned());
        let offset = case.append(partition(number), &["next"]);
        assert_eq!(offset, LogOffset(25), "{}", case.name);
        case.expect(partition(number), 0, &texts.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

pub(super) fn threads_append_at_the_same_time(case: &Case<'_>) {
    thread::scope(|scope| {
        for thread in 0..4_u64 {
            scope.spawn(move || {
                for round in 0..50_u64 {
                    // Two threads for each of two partitions.
                    let number = u32::from(thread % 2 == 1);
                    let text = format!("{thread}:{round}");
                    block_on(case.log.append(partition(number), records(&[&text])))
                        .expect("nothing fails here");
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
    case.append(partition(0), &["1234567890"; 10]);
    let read = |from, bytes_max| -> Vec<LogEntry> {
        let answer = case.wait(case.log.read(partition(0), LogOffset(from), bytes_max));
        answer.expect("nothing fails here")
    };
    for (from, bytes_max, want) in
        [(0, 0, 1), (0, 9, 1), (0, 10, 1), (0, 19, 1), (0, 20, 2), (3, 35, 3), (8, 1000, 2)]
    {
        let got = read(from, bytes_max);
        assert_eq!(got.len(), want, "{}: from {from}, {bytes_max} bytes", case.name);
        assert_eq!(got[0].offset, LogOffset(from), "{}", case.name);
    }
}

pub(super) fn a_read_at_the_end_is_empty(case: &Case<'_>) {
    case.expect(partition(0), 0, &[]);
    case.append(partition(0), &["a", "b"]);
    for from in [2, 3, 1 << 40] {
        let answer = case.wait(case.log.read(partition(0), LogOffset(from), 100));
        assert!(matches!(answer, Ok(entries) if entries.is_empty()), "{}: {from}", case.name);
    }
}

pub(super) fn an_empty_record_is_a_record(case: &Case<'_>) {
    case.append(partition(0), &["", "a", ""]);
    case.append(partition(0), &[""]);
    case.expect(partition(0), 0, &["", "a", "", ""]);
}

pub(super) fn no_records_are_refused(case: &Case<'_>) {
    let answer = case.wait(case.log.append(partition(0), Vec::new()));
    assert!(matches!(answer, Err(AppendError::NotAppended { .. })), "{}", case.name);
    assert_eq!(case.end(partition(0)), LogOffset::ZERO, "{}", case.name);
}

pub(super) fn the_largest_record_fits(case: &Case<'_>) {
    let largest = Bytes::from(vec![0xA5; RECORD_BYTES_MAX]);
    case.append(partition(0), &["before"]);
    let answer = case.wait(case.log.append(partition(0), vec![largest.clone()]));
    assert!(matches!(answer, Ok(LogOffset(1))), "{}: {answer:?}", case.name);
    case.append(partition(0), &["after"]);
    let entries = case.read_all(partition(0), LogOffset::ZERO, 100);
    assert_eq!(entries.len(), 3, "{}", case.name);
    // Not assert_eq!: nobody wants to see 16 MiB.
    assert!(entries[1].record == largest, "{}: other bytes came back", case.name);
}

pub(super) fn a_too_large_record_is_refused(case: &Case<'_>) {
    let oversized = Bytes::from(vec![1; RECORD_BYTES_MAX + 1]);
    let both = vec![Bytes::from_static(b"small"), oversized];
    let answer = case.wait(case.log.append(partition(0), both));
    assert!(matches!(answer, Err(AppendError::NotAppended { .. })), "{}", case.name);
    assert_eq!(case.append(partition(0), &["next"]), LogOffset::ZERO, "{}", case.name);
    let below: Result<_, ReadError> = case.wait(case.log.read(partition(0), LogOffset(1), 1));
    assert!(matches!(below, Ok(entries) if entries.is_empty()), "{}", case.name);
}
