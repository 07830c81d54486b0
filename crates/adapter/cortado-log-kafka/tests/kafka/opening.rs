//! Clusters that cannot be used.

use crate::cluster::{open, runtime, settings, shared_brokers};
use cortado_log::Log;
use cortado_log_kafka::{KafkaBeats, KafkaLog, KafkaOpenError, KafkaSettings};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

#[test]
fn a_cluster_with_too_few_brokers_is_refused() {
    let Some(brokers) = shared_brokers() else { return };
    let too_few = |opened: Result<(), KafkaOpenError>| {
        let few = matches!(opened, Err(KafkaOpenError::TooFewBrokers { brokers: 3, wanted: 4 }));
        assert!(few, "{opened:?}");
    };
    // Each topic that is made has so many replicas.
    let topic_prefix = "fewbrokers".to_owned();
    let all = settings(brokers.bootstrap());
    let settings = KafkaSettings { replication_factor: 4, topic_prefix, ..all };
    too_few(runtime().block_on(KafkaBeats::open(settings.clone())).map(|_| ()));
    // One that is down keeps nobody away from those that are there.
    drop(open(&runtime(), &settings));
    let settings = KafkaSettings { replication_factor: 5, min_insync_replicas: 4, ..settings };
    too_few(runtime().block_on(KafkaLog::open(settings)).map(|_| ()));
}

#[test]
fn the_cluster_tells_after_how_long_it_takes_a_broker_for_dead() {
    let Some(brokers) = shared_brokers() else { return };
    let runtime = runtime();
    let log = open(&runtime, &settings(brokers.bootstrap()));
    let told = runtime.block_on(log.broker_session_timeout()).unwrap();
    assert_eq!(told, Duration::from_secs(60));
    // The log finds out by itself, so that nobody gives its appends up too early.
    while log.stall_max() != told {
        std::thread::yield_now();
    }
}

#[test]
fn a_cluster_that_does_not_answer_is_named() {
    // Something listens there, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let bootstrap = silent.local_addr().unwrap().to_string();
    let call_timeout = Duration::from_millis(500);
    let settings = KafkaSettings { call_timeout, ..settings(bootstrap.clone()) };
    let opened = runtime().block_on(KafkaLog::open(settings)).map(|_| ());
    let named = matches!(&opened, Err(KafkaOpenError::Unreachable { bootstrap_servers, .. })
        if *bootstrap_servers == bootstrap);
    assert!(named, "{opened:?}");
}

#[test]
fn brokers_that_are_too_old_are_named() {
    // It speaks as brokers before 4.0 did: Fetch from version 0 on.
    let old = TcpListener::bind("127.0.0.1:0").unwrap();
    let bootstrap = old.local_addr().unwrap().to_string();
    let spoken = std::thread::spawn(move || {
        let (mut stream, _) = old.accept().unwrap();
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut request).unwrap();
        let mut answer = request[4..8].to_vec();
        answer.extend([0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 16]);
        stream.write_all(&(answer.len() as u32).to_be_bytes()).unwrap();
        stream.write_all(&answer).unwrap();
    });
    let opened = runtime().block_on(KafkaLog::open(settings(bootstrap))).map(|_| ());
    assert!(matches!(opened, Err(KafkaOpenError::TooOld)), "{opened:?}");
    spoken.join().unwrap();
}

#[test]
fn a_setting_that_cannot_be_used_is_named() {
    let refused = KafkaSettings { consumers: 0, ..settings("127.0.0.1:1".to_owned()) };
    let opened = runtime().block_on(KafkaLog::open(refused)).map(|_| ());
    assert!(matches!(opened, Err(KafkaOpenError::Setting(_))), "{opened:?}");
    let client_options = vec![("no.such.option".to_owned(), "1".to_owned())];
    let unknown = KafkaSettings { client_options, ..settings("127.0.0.1:1".to_owned()) };
    let opened = runtime().block_on(KafkaLog::open(unknown)).map(|_| ());
    assert!(matches!(opened, Err(KafkaOpenError::Client(_))), "{opened:?}");
}
