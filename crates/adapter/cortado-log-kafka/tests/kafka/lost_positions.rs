//! Positions that the log does not have any more: trimmed, or truncated.

use crate::cluster::{
    append, at, follow, open, partition, runtime, settings, shared_brokers, spec, topic_of,
};
use cortado_kafka_brokers::{KafkaBrokers, Pace, brokers_for_test};
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

/// Settings for one broker.
fn alone(brokers: &KafkaBrokers) -> KafkaSettings {
    let (replication_factor, min_insync_replicas) = (1, 1);
    KafkaSettings { replication_factor, min_insync_replicas, ..settings(brokers.bootstrap()) }
}

#[test]
fn a_record_that_is_gone_is_a_hole_and_no_gap() {
    let Some(brokers) = brokers_for_test(1, 0, Pace::Defaults) else { return };
    let (runtime, spec, alone) = (runtime(), spec(1), alone(&brokers));
    let log = open(&runtime, &alone);
    block_on(log.create(&spec)).unwrap();
    for text in ["a", "b", "c"] {
        append(&log, 0, &[text]);
    }
    // In good order, or the broker would look for damage when it starts.
    brokers.stop(1).unwrap();
    let folder = brokers.data_folder(1).join(format!("{}-0", topic_of(&alone, &spec)));
    let segment = folder.join("00000000000000000000.log");
    let bytes = fs::read(&segment).unwrap();
    let length = |at: usize| {
        let length = bytes[at + 8..at + 12].try_into().unwrap();
        12 + u32::from_be_bytes(length) as usize
    };
    let (second, third) = (length(0), length(0) + length(length(0)));
    fs::write(&segment, [&bytes[..second], &bytes[third..]].concat()).unwrap();
    for index in ["index", "timeindex"] {
        fs::remove_file(folder.join(format!("00000000000000000000.{index}"))).unwrap();
    }
    brokers.start_again(1).unwrap();
    let mut follower = log.follow(partition(0), at(0));
    assert_eq!(follow(follower.as_mut(), 1), ["a"]);
    let followed = block_on(page_of(follower.as_mut(), 100));
    assert!(matches!(followed, Err(LogReadError::Hole { at: LogOffset(1) })), "{followed:?}");
    let read = block_on(log.read(partition(0), at(1), 100));
    assert!(matches!(read, Err(LogReadError::Hole { at: LogOffset(1) })), "{read:?}");
    assert_eq!(block_on(log.read(partition(0), at(2), 100)).unwrap().entries.len(), 1);
}

#[test]
fn a_log_that_lost_its_records_is_truncated_and_not_new() {
    let Some(brokers) = brokers_for_test(1, 0, Pace::Defaults) else { return };
    let (runtime, spec, alone) = (runtime(), spec(1), alone(&brokers));
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
