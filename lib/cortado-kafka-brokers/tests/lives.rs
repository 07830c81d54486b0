//! A broker is started, broken and removed; skipped where there is no Java or no Maven.

use cortado_kafka_brokers::{
    BrokerSettings, BrokerStatus, BrokersError, Compilation, KafkaBrokers, Lifetime, Pace,
    brokers_for_test,
};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;

fn status(brokers: &KafkaBrokers) -> BrokerStatus {
    brokers.status()[0].1
}

fn settings(folder: &Path) -> BrokerSettings {
    let lifetime = Lifetime::OfThisProcess;
    BrokerSettings {
        folder: folder.to_owned(),
        brokers: 1,
        address: Ipv4Addr::LOCALHOST,
        pace: Pace::Steady,
        clients: 0,
        secured: None,
        lifetime,
        compilation: Compilation::Quick,
    }
}

#[test]
fn a_broker_is_killed_started_again_and_removed() {
    let Some(brokers) = brokers_for_test(1, 1, Pace::Defaults) else { return };
    let address = brokers.bootstrap();
    assert!(matches!(status(&brokers), BrokerStatus::Runs(_)));
    assert!(TcpStream::connect(&address).is_ok());
    assert!(matches!(brokers.start_again(1), Err(BrokersError::Runs { id: 1, .. })));
    assert!(matches!(brokers.kill(2), Err(BrokersError::NoSuchBroker { id: 2, .. })));

    brokers.pause(1).unwrap();
    assert!(matches!(status(&brokers), BrokerStatus::Paused(_)));
    brokers.resume(1).unwrap();

    brokers.kill(1).unwrap();
    assert_eq!(status(&brokers), BrokerStatus::Ended);
    assert!(matches!(brokers.kill(1), Err(BrokersError::RunsNot { id: 1 })));
    brokers.start_again(1).unwrap();
    assert!(TcpStream::connect(&address).is_ok());

    // Told to end, it ends in good order.
    let folder = brokers.data_folder(1);
    let clean = folder.join(".kafka_cleanshutdown");
    assert!(!clean.exists());
    brokers.stop(1).unwrap();
    assert!(clean.exists());
    drop(brokers);
    assert!(!folder.exists());
    assert!(TcpStream::connect(&address).is_err());
}

#[test]
fn a_folder_that_is_there_is_refused_and_kept() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("cluster");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("mine"), "").unwrap();
    match KafkaBrokers::start(&settings(&folder)) {
        Err(BrokersError::AlreadyThere { .. }) => assert!(folder.join("mine").is_file()),
        Err(BrokersError::NotInstalled { .. } | BrokersError::NotFetched { .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(matches!(KafkaBrokers::open(&folder), Err(BrokersError::NotThere { .. })));
}

#[test]
fn impossible_numbers_are_refused() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("cluster");
    for (brokers, clients) in [(0, 0), (10, 0), (1, 10)] {
        let settings = BrokerSettings { brokers, clients, ..settings(&folder) };
        match KafkaBrokers::start(&settings) {
            Err(BrokersError::Impossible { .. }) => assert!(!folder.exists()),
            Err(BrokersError::NotInstalled { .. } | BrokersError::NotFetched { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}
