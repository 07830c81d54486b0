//! Topics that are deleted, created anew and changed behind the log's back.

use crate::cluster::{
    Tools, append, at, follow, offsets, open, outcomes, partition, runtime, settings,
    shared_brokers, spec, topic_of,
};
use bytes::Bytes;
use cortado_log::conformance::block_on;
use cortado_log::{AppendOutcome, Cause, Log, LogReadError, TrimError, VerifyError, page_of};
use cortado_log_kafka::KafkaSettings;
use cortado_model::LogOffset;
use std::thread;
use std::time::Duration;

#[test]
fn a_deleted_topic_is_missing_for_who_follows_it() {
    let Some(brokers) = shared_brokers() else { return };
    let (runtime, settings) = (runtime(), settings(brokers.bootstrap()));
    let (log, tools, spec) = (open(&runtime, &settings), Tools::new(&brokers.bootstrap()), spec(2));
    block_on(log.create(&spec)).unwrap();
    append(&log, 0, &["a"]);
    let mut follower = log.follow(partition(0), at(0));
    assert_eq!(follow(follower.as_mut(), 1), ["a"]);
    tools.delete_topic(&runtime, &topic_of(&settings, &spec));
    // Consumers say nothing of it: the log finds out by itself.
    let followed = block_on(page_of(follower.as_mut(), 100));
    assert!(matches!(followed, Err(LogReadError::Missing)), "{followed:?}");
    let appended = append(&log, 1, &["b"]);
    let refused = matches!(appended[..], [AppendOutcome::NotAppended(Cause::Missing)]);
    assert!(refused, "{appended:?}");
    let verified = block_on(log.verify(&spec));
    assert!(matches!(verified, Err(VerifyError::Missing)), "{verified:?}");
    let read = block_on(log.read(partition(0), at(0), 100));
    assert!(matches!(read, Err(LogReadError::Missing)), "{read:?}");
}

#[test]
fn an_append_to_a_topic_that_was_created_anew_has_no_place() {
    let Some(brokers) = shared_brokers() else { return };
    // Nobody looks: only what the append itself answers shows it.
    let identity_interval = Duration::from_secs(3_600);
    let settings = KafkaSettings { identity_interval, ..settings(brokers.bootstrap()) };
    let (runtime, spec) = (runtime(), spec(1));
    let (log, tools) = (open(&runtime, &settings), Tools::new(&brokers.bootstrap()));
    let former = block_on(log.create(&spec)).unwrap();
    let mut producer = log.producer(partition(0));
    producer.send(vec![Bytes::from_static(b"a"); 5]);
    assert_eq!(offsets(&outcomes(producer.as_mut())), [0, 1, 2, 3, 4]);
    let mut follower = log.follow(partition(0), at(0));
    assert_eq!(follow(follower.as_mut(), 5).len(), 5);
    let waits = thread::spawn(move || block_on(page_of(follower.as_mut(), 100)));
    let topic = topic_of(&settings, &spec);
    tools.delete_topic(&runtime, &topic);
    tools.create_topic(&runtime, &topic, 1, 3);
    producer.send(vec![Bytes::from_static(b"b")]);
    let appended = outcomes(producer.as_mut());
    assert!(matches!(appended[..], [AppendOutcome::Somewhere]), "{appended:?}");
    let trimmed = block_on(log.trim(partition(0), former, LogOffset(1)));
    assert!(matches!(trimmed, Err(TrimError::Replaced { found }) if found != former));
    let removed = block_on(log.remove(&spec));
    assert!(removed.is_err(), "another topic than was verified is not deleted");
    // Once it is verified, it is the log.
    let latter = block_on(log.verify(&spec)).unwrap().log;
    assert_ne!(latter, former);
    // Who follows the former one hears of it, though nothing comes.
    let followed = waits.join().unwrap();
    assert!(matches!(followed, Err(LogReadError::Replaced { found }) if found == latter));
    assert_eq!(offsets(&append(&log, 0, &["c"])), [1]);
    // That it was looked at is no proof that it is the database's.
    assert!(block_on(log.remove(&spec)).is_err());
    tools.delete_topic(&runtime, &topic);
    block_on(log.remove(&spec)).unwrap();
}

#[test]
fn a_setting_that_was_changed_is_named() {
    let Some(brokers) = shared_brokers() else { return };
    let (runtime, settings) = (runtime(), settings(brokers.bootstrap()));
    let (log, tools, spec) = (open(&runtime, &settings), Tools::new(&brokers.bootstrap()), spec(1));
    block_on(log.create(&spec)).unwrap();
    assert_eq!(block_on(log.verify(&spec)).unwrap().drift, []);
    tools.reset_topic(&runtime, &topic_of(&settings, &spec), ("retention.ms", "60000"));
    // Brokers learn of it one after the other.
    let drift = loop {
        let drift = block_on(log.verify(&spec)).unwrap().drift;
        if drift.len() == 2 {
            break drift;
        }
    };
    let mut told: Vec<_> = drift
        .iter()
        .map(|drift| (drift.setting.as_str(), drift.found.as_str(), drift.wanted.as_str()))
        .collect();
    told.sort_unstable();
    let length = ("max.message.bytes", "1048588", "at least 2162688");
    assert_eq!(told, [length, ("retention.ms", "60000", "-1")]);
}
