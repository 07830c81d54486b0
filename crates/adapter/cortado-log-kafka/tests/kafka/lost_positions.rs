//! Positions that the log does not have any more: trimmed, or truncated.

use crate::cluster::{
    append, at, follow, open, partition, runtime, settings, shared_brokers, spec, topic_of,
};
use cortado_kafka_brokers::{KafkaBrokers, Pace, brokers_for_test};
use cortado_log::conformance::block_on;
use cortado_log::{AppendOutcome, Log, LogReadError, page_of};
use cortado_log_kafka::KafkaSettings;
use cortado_model::{LogOffset, LogPosition};
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

/// The disk of the one broker is replaced by an empty one.
fn lose_everything(brokers: &KafkaBrokers, topic: &str) {
    brokers.kill(1).unwrap();
    fs::remove_dir_all(brokers.data_folder(1).join(format!("{topic}-0"))).unwrap();
    brokers.start_again(1).unwrap();
}

#[test]
fn a_log_that_has_grown_again_is_no_continuation_of_what_was_cut_off() {
    let Some(brokers) = brokers_for_test(1, 0, Pace::Defaults) else { return };
    let (runtime, spec, alone) = (runtime(), spec(1), alone(&brokers));
    let log = open(&runtime, &alone);
    block_on(log.create(&spec)).unwrap();
    let former = append(&log, 0, &["a", "b", "c"]);
    let mut follower = log.follow(partition(0), at(0));
    assert_eq!(follow(follower.as_mut(), 3), ["a", "b", "c"]);
    drop((follower, log));
    lose_everything(&brokers, &topic_of(&alone, &spec));
    // Another process, which has seen nothing of all that.
    let log = open(&runtime, &alone);
    block_on(log.verify(&spec)).unwrap();
    let latter = append(&log, 0, &["u", "v", "w", "x", "y"]);
    let epoch = |outcome: &AppendOutcome| match outcome {
        AppendOutcome::At(position) => position.epoch,
        other => panic!("{other:?}"),
    };
    assert!(epoch(&former[2]) < epoch(&latter[0]), "{former:?} {latter:?}");
    drop(log);
    let log = open(&runtime, &alone);
    block_on(log.verify(&spec)).unwrap();
    let after_c = LogPosition { offset: LogOffset(3), epoch: epoch(&former[2]) };
    for _ in 0..2 {
        // The second time it has seen for itself what stands there.
        let read = block_on(log.read(partition(0), after_c, 100));
        assert!(matches!(read, Err(LogReadError::Diverged { end: LogOffset(0) })), "{read:?}");
        assert_eq!(follow(log.follow(partition(0), at(0)).as_mut(), 5)[3..], ["x", "y"]);
    }
    let after_w = LogPosition { offset: LogOffset(3), epoch: epoch(&latter[2]) };
    let page = block_on(log.read(partition(0), after_w, 100)).unwrap();
    assert_eq!((page.entries.len(), page.next.epoch), (2, epoch(&latter[0])));
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
    lose_everything(&brokers, &topic_of(&alone, &spec));
    let followed = block_on(page_of(follower.as_mut(), 100));
    let named = matches!(followed, Err(LogReadError::Diverged { end: LogOffset(0) }));
    assert!(named, "{followed:?}");
    let read = block_on(log.read(partition(0), at(3), 100));
    assert!(matches!(read, Err(LogReadError::Diverged { end: LogOffset(0) })), "{read:?}");
    assert_eq!(block_on(log.read(partition(0), at(0), 100)).unwrap().entries, []);
}
