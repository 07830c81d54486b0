//! Brokers that are spoken to over TLS, as a user who may do some things.

use crate::acls::{allow, topic_is_there};
use crate::cluster::{append, at, follow, open, partition, runtime, settings, spec, topic_of};
use crate::markers::append_markers;
use cortado_kafka_brokers::{KafkaBrokers, Secured, secured_brokers_for_test};
use cortado_log::conformance::block_on;
use cortado_log::{AppendOutcome, Log};
use cortado_log_kafka::{
    KafkaBeats, KafkaLog, KafkaOpenError, KafkaPassword, KafkaSasl, KafkaSecurity, KafkaSettings,
    KafkaTls, OPERATIONS_NEEDED, SaslMechanism,
};
use std::fs;

const USER: &str = "cortado";
const PASSWORD: &str = "correcthorse";

fn brokers(with_acls: bool) -> Option<KafkaBrokers> {
    let (user, password) = (USER.to_owned(), PASSWORD.to_owned());
    secured_brokers_for_test(1, Secured { user, password, with_acls })
}

/// Settings for one broker, which is spoken to over TLS.
fn alone(brokers: &KafkaBrokers, mechanism: SaslMechanism, password: &str) -> KafkaSettings {
    let tls = Some(KafkaTls { ca_file: Some(brokers.authority()), own: None });
    let password = KafkaPassword::of_file(password).unwrap();
    let sasl = Some(KafkaSasl { mechanism, user: USER.to_owned(), password });
    let (replication_factor, min_insync_replicas) = (1, 1);
    let security = KafkaSecurity { tls, sasl };
    let settings = settings(brokers.bootstrap_secured());
    KafkaSettings { replication_factor, min_insync_replicas, security, ..settings }
}

fn opened(settings: &KafkaSettings) -> Result<(), KafkaOpenError> {
    runtime().block_on(KafkaLog::open(settings.clone())).map(drop)
}

#[test]
fn a_log_is_kept_over_tls_by_a_user_of_each_kind() {
    let Some(brokers) = brokers(false) else { return };
    let (runtime, spec) = (runtime(), spec(1));
    for mechanism in SaslMechanism::ALL {
        let settings = alone(&brokers, mechanism, PASSWORD);
        let log = open(&runtime, &settings);
        block_on(log.create(&spec)).unwrap();
        assert_eq!(block_on(log.verify(&spec)).unwrap().drift, [], "{mechanism:?}");
        let told = append(&log, 0, &["a", "b"]);
        assert!(matches!(told[..], [AppendOutcome::At(_), AppendOutcome::At(_)]), "{told:?}");
        // What librdkafka does not ask is asked over TLS, too: what stands in a gap, and whether
        // the log holds what was read of it.
        append_markers(&brokers.bootstrap(), &topic_of(&settings, &spec), 0, 2);
        append(&log, 0, &["c"]);
        assert_eq!(follow(log.follow(partition(0), at(0)).as_mut(), 3), ["a", "b", "c"]);
        drop(log);
        let log = open(&runtime, &settings);
        block_on(log.verify(&spec)).unwrap();
        let page = block_on(log.read(partition(0), at(1), 1)).unwrap();
        assert_eq!(page.entries.len(), 1, "{mechanism:?}");
        runtime.block_on(KafkaBeats::open(settings)).unwrap();
    }
}

#[test]
fn who_is_not_who_it_should_be_is_refused_at_once() {
    let Some(brokers) = brokers(false) else { return };
    for mechanism in SaslMechanism::ALL {
        let refused = opened(&alone(&brokers, mechanism, "wrong"));
        let named = matches!(&refused, Err(KafkaOpenError::Unauthenticated { user, .. })
            if user == "User:cortado");
        assert!(named, "{mechanism:?}: {refused:?}");
        assert!(!format!("{refused:?}").contains("wrong"), "{refused:?}");
    }
    // Signed by nobody that this knows: the authorities of another cluster.
    let mut settings = alone(&brokers, SaslMechanism::ScramSha256, PASSWORD);
    let Some(other) = self::brokers(false) else { return };
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    fs::copy(other.authority(), &authority).unwrap();
    settings.security.tls = Some(KafkaTls { ca_file: Some(authority), own: None });
    let refused = opened(&settings);
    assert!(matches!(refused, Err(KafkaOpenError::Untrusted { .. })), "{refused:?}");
}

#[test]
fn a_user_who_may_not_do_what_a_log_needs_is_told_what_and_nothing_is_made() {
    let Some(brokers) = brokers(true) else { return };
    let (runtime, spec) = (runtime(), spec(1));
    let settings = alone(&brokers, SaslMechanism::ScramSha512, PASSWORD);
    let prefix = format!("{}-", settings.topic_prefix);
    let mut granted: Vec<&str> = Vec::new();
    for next in ["Describe", "DescribeConfigs", "Create", "Write", "Read", "Delete"] {
        let Err(KafkaOpenError::Forbidden { user, missing, .. }) = opened(&settings) else {
            panic!("{granted:?} are enough");
        };
        assert_eq!(user, "User:cortado");
        for lack in missing {
            let want: Vec<&str> =
                OPERATIONS_NEEDED.into_iter().filter(|one| !granted.contains(one)).collect();
            let mut named = lack.operations.clone();
            named.sort_unstable();
            // Who may read, write, delete or alter may describe.
            named.retain(|one| *one != "Describe");
            let want: Vec<&str> = want.into_iter().filter(|one| *one != "Describe").collect();
            assert_eq!(named, want, "{}", lack.topic);
            assert!(lack.topic.starts_with(&prefix), "{}", lack.topic);
        }
        let cluster = format!("{prefix}cluster");
        assert!(!topic_is_there(&brokers.bootstrap(), &cluster));
        allow(&brokers.bootstrap(), USER, &prefix, next);
        granted.push(next);
    }
    // Brokers learn of it one after the other, and there is one.
    let log = loop {
        match runtime.block_on(KafkaLog::open(settings.clone())) {
            Ok(log) => break log,
            Err(KafkaOpenError::Forbidden { .. }) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    };
    let id = block_on(log.create(&spec)).unwrap();
    assert!(matches!(append(&log, 0, &["a"])[..], [AppendOutcome::At(_)]));
    block_on(log.trim(partition(0), id, cortado_model::LogOffset(1))).unwrap();
    block_on(log.remove(&spec)).unwrap();
}
