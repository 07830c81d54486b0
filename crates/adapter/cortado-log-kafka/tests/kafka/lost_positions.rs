//! Positions that the log does not have any more: trimmed, or truncated.

use crate::cluster::{
    append, at, follow, open, partition, runtime, settings, shared_brokers, spec, topic_of,
};
use cortado_kafka_brokers::{Pace, brokers_for_test};
use cortado_log::conformance::block_on;
use cortado_log::{Log, LogReadError, page_of};
use cortado_log_kafka::KafkaSettings;
use cortado_model::LogOffset;
use std::fs;

#[test]
fn a_position_that_was_trimmed_is_told_so() {
    let Some(brokers) = shared_brokers() else { return };
    let (runtime, spec) = (runtime(), spec(1));
    let log = open(&runtime, &settings(brokers.bootstrap()));
    let id = block_on(log.create(&spec)).unwrap();
    append(&log, 0, &["a", "b", "c", "d", "e"]);
    block_on(log.trim(partition(0), id, LogOffset(3))).unwrap();
    let trimmed = block_on(page_of(log.follow(partition(0), at(1)).as_mut(), 100));
    assert!(matches!(trimmed, Err(LogReadError::Trimmed { first: LogOffset(3) })), "{trimmed:?}");
    let mut follower = log.follow(partition(0), at(1));
    assert!(block_on(page_of(follower.as_mut(), 100)).is_err());
    // It stays where it was until it is told to go on elsewhere.
    assert!(block_on(page_of(follower.as_mut(), 100)).is_err());
    follower.seek(at(3));
    assert_eq!(follow(follower.as_mut(), 2), ["d", "e"]);
}

#[test]
fn a_log_that_lost_its_records_is_truncated_and_not_new() {
    let Some(brokers) = brokers_for_test(1, 0, Pace::Defaults) else { return };
    let alone = KafkaSettings {
        replication_factor: 1,
        min_insync_replicas: 1,
        ..settings(brokers.bootstrap())
    };
    let (runtime, spec) = (runtime(), spec(1));
    let log = open(&runtime, &alone);
    block_on(log.create(&spec)).unwrap();
    append(&log, 0, &["a", "b", "c"]);
    let mut follower = log.follow(partition(0), at(0));
    assert_eq!(follow(follower.as_mut(), 3), ["a", "b", "c"]);
    // The disk is replaced by an empty one.
    brokers.kill(1).unwrap();
    let topic = topic_of(&alone, &spec);
    fs::remove_dir_all(brokers.data_folder(1).join(format!("{topic}-0"))).unwrap();
    brokers.start_again(1).unwrap();
    let followed = block_on(page_of(follower.as_mut(), 100));
    let named = matches!(followed, Err(LogReadError::Diverged { end: LogOffset(0) }));
    assert!(named, "{followed:?}");
    let read = block_on(log.read(partition(0), at(3), 100));
    assert!(matches!(read, Err(LogReadError::Diverged { end: LogOffset(0) })), "{read:?}");
    assert_eq!(block_on(log.read(partition(0), at(0), 100)).unwrap().entries, []);
}
