//! Many readers of one partition, and readers that are behind.

use crate::cluster::{
    at, follow, offsets, open, outcomes, partition, runtime, settings, shared_brokers, spec,
};
use bytes::Bytes;
use cortado_log::conformance::block_on;
use cortado_log::{Follower, Log, ready_of};
use cortado_log_kafka::KafkaLog;
use cortado_model::LogOffset;
use std::thread;

const RECORDS: usize = 300;
/// In all, several times what a feed holds.
const RECORD_BYTES: usize = 16 << 10;

fn fill(log: &KafkaLog) {
    let mut producer = log.producer(partition(0));
    let text = |number: usize| format!("{number:>RECORD_BYTES$}");
    producer.send((0..RECORDS).map(|number| Bytes::from(text(number))).collect());
    assert_eq!(offsets(&outcomes(producer.as_mut())).len(), RECORDS);
}

/// Reads from `first` to the end.
#[track_caller]
fn check(follower: &mut dyn Follower, first: usize) {
    let seen = follow(follower, RECORDS - first);
    let seen: Vec<usize> = seen.iter().map(|text| text.trim().parse().unwrap()).collect();
    assert!(seen.iter().copied().eq(first..RECORDS), "{seen:?}");
}

#[test]
fn a_reader_that_is_behind_reads_everything_and_holds_no_other_up() {
    let Some(brokers) = shared_brokers() else { return };
    let (runtime, spec) = (runtime(), spec(1));
    let log = open(&runtime, &settings(brokers.bootstrap()));
    block_on(log.create(&spec)).unwrap();
    let (mut slow, mut quick) = (log.follow(partition(0), at(0)), log.follow(partition(0), at(0)));
    // Both read at the tip, and then one of them stands still.
    assert_eq!(slow.known_end().0 + quick.known_end().0, 0);
    fill(&log);
    check(quick.as_mut(), 0);
    check(slow.as_mut(), 0);
}

#[test]
fn readers_begin_anywhere_at_the_same_time() {
    let Some(brokers) = shared_brokers() else { return };
    let (runtime, spec) = (runtime(), spec(1));
    let log = open(&runtime, &settings(brokers.bootstrap()));
    block_on(log.create(&spec)).unwrap();
    fill(&log);
    thread::scope(|scope| {
        for number in 0..12 {
            let log = &log;
            scope.spawn(move || {
                let first = number * RECORDS / 12;
                check(log.follow(partition(0), at(first as u64)).as_mut(), first);
            });
        }
    });
}

#[test]
fn a_reader_at_the_end_does_not_wait_for_one_at_the_beginning() {
    let Some(brokers) = shared_brokers() else { return };
    let (runtime, spec) = (runtime(), spec(1));
    let log = open(&runtime, &settings(brokers.bootstrap()));
    block_on(log.create(&spec)).unwrap();
    let mut producer = log.producer(partition(0));
    // Far more than a feed holds, and than a reader would wait for.
    let count = 12_000;
    producer.send((0..count).map(|number| Bytes::from(format!("{number:>1024}"))).collect());
    assert_eq!(offsets(&outcomes(producer.as_mut())).len(), count);
    let mut first = log.follow(partition(0), at(0));
    block_on(ready_of(first.as_mut()));
    let mut last = log.follow(partition(0), at(count as u64));
    assert!(last.known_end() <= LogOffset(count as u64));
    producer.send(vec![Bytes::from_static(b"new")]);
    assert_eq!(follow(last.as_mut(), 1), ["new"]);
    let seen = follow(first.as_mut(), count + 1);
    let want = (0..count).map(|number| number.to_string()).chain(["new".to_owned()]);
    assert!(seen.iter().map(|text| text.trim()).eq(want), "{} records", seen.len());
}
