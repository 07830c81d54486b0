//! The log on a real directory: what is refused, and with which words.

use bytes::Bytes;
use cortado_log::conformance::block_on;
use cortado_log::{Log, LogSpec, Producer, outcomes_of};
use cortado_log_embedded::{Damage, EmbeddedLog, OpenError, Settings, verify};
use cortado_model::{PartitionId, PartitionUuid};
use std::path::Path;

fn settings(directory: &Path) -> Settings {
    Settings { segment_bytes: 1 << 16, ..Settings::new(directory) }
}

/// Appends to the one partition of the log's one database.
fn producer(log: &EmbeddedLog) -> Box<dyn Producer> {
    let (database, uuid) = (PartitionId::CLUSTER.database, PartitionUuid(0));
    let spec = LogSpec { database, name: "_cluster".to_owned(), uuid, partitions: 1 };
    block_on(log.create(&spec)).expect("nothing fails here");
    log.producer(PartitionId::CLUSTER)
}

fn append(producer: &mut dyn Producer) {
    producer.send(vec![Bytes::from_static(b"some record")]);
    let mut outcomes = Vec::new();
    block_on(outcomes_of(producer, &mut outcomes));
    assert!(matches!(outcomes[..], [cortado_log::AppendOutcome::At(_)]), "{outcomes:?}");
}

/// A closed log of ten records.
fn closed_log() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("the machine has a directory for tests");
    let log = EmbeddedLog::open(settings(directory.path())).expect("it is empty");
    let mut producer = producer(&log);
    for _ in 0..10 {
        append(producer.as_mut());
    }
    directory
}

#[test]
fn a_second_log_on_the_directory_is_refused() {
    let directory = closed_log();
    let log = EmbeddedLog::open(settings(directory.path())).unwrap();
    let error = EmbeddedLog::open(settings(directory.path())).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }));
    assert!(error.to_string().contains("stop it, or choose another directory"), "{error}");
    assert!(matches!(verify(directory.path()), Err(OpenError::InUse { .. })));
    drop(log);
    assert!(EmbeddedLog::open(settings(directory.path())).is_ok());
}

#[test]
fn a_missing_directory_and_a_file_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    assert!(matches!(EmbeddedLog::open(settings(&missing)), Err(OpenError::Missing { .. })));
    assert!(matches!(verify(&missing), Err(OpenError::Missing { .. })));
    assert!(!missing.exists());
    let file = directory.path().join("file");
    std::fs::write(&file, "not a directory").unwrap();
    assert!(matches!(EmbeddedLog::open(settings(&file)), Err(OpenError::NotADirectory { .. })));
    assert!(matches!(verify(&file), Err(OpenError::NotADirectory { .. })));
    assert_eq!(std::fs::read(&file).unwrap(), b"not a directory");
}

#[test]
fn a_log_whose_segments_are_gone_is_not_made_anew() {
    let directory = closed_log();
    std::fs::remove_file(directory.path().join("0000000000000001.segment")).unwrap();
    let files = || std::fs::read_dir(directory.path()).unwrap().count();
    let before = files();
    let must_exist = Settings { must_exist: true, ..settings(directory.path()) };
    let error = EmbeddedLog::open(must_exist).unwrap_err();
    assert!(matches!(error, OpenError::Gone { .. }), "{error}");
    assert_eq!(files(), before);
}

#[test]
fn files_are_their_owners_alone_and_links_are_not_followed() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target = other.path().join("precious");
    std::fs::write(&target, "precious").unwrap();
    symlink(&target, directory.path().join("lock")).unwrap();
    assert!(EmbeddedLog::open(settings(directory.path())).is_err());
    std::fs::remove_file(directory.path().join("lock")).unwrap();
    symlink(&target, directory.path().join("prepared.tmp")).unwrap();
    drop(EmbeddedLog::open(settings(directory.path())).unwrap());
    assert_eq!(std::fs::read(&target).unwrap(), b"precious");
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let metadata = entry.unwrap().metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn damage_is_refused_and_reported() {
    let directory = closed_log();
    let segment = directory.path().join("0000000000000001.segment");
    let whole = std::fs::read(&segment).unwrap();
    let mut flipped = whole.clone();
    flipped[4_200] ^= 1;
    for (bytes, says) in [(&flipped[..], "at byte 41"), (&whole[..5_000], "it was truncated")] {
        std::fs::write(&segment, bytes).unwrap();
        let error = EmbeddedLog::open(settings(directory.path())).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(says) && text.contains("0000000000000001.segment"), "{text}");
        let report = verify(directory.path()).unwrap();
        assert!(report.to_string().contains("will not be opened"), "{report}");
        assert!(matches!(report.damages[..], [Damage::Bytes { .. } | Damage::Truncated { .. }]));
        assert_eq!(std::fs::read(&segment).unwrap(), bytes, "a refused log was changed");
    }
    std::fs::write(&segment, whole).unwrap();
    let log = EmbeddedLog::open(settings(directory.path())).unwrap();
    assert_eq!(log.local_end(PartitionId::CLUSTER), Some(cortado_model::LogOffset(10)));
}

#[test]
fn verifying_writes_nothing() {
    let directory = closed_log();
    std::fs::remove_file(directory.path().join("lock")).unwrap();
    let report = verify(directory.path()).unwrap();
    assert!(report.is_sound());
    let text = report.to_string();
    assert!(text.contains("partition 0/0  first 0, end 10"), "{text}");
    assert!(text.contains("10 records") && text.ends_with("the log is sound"), "{text}");
    assert!(!directory.path().join("lock").exists());
    let empty = tempfile::tempdir().unwrap();
    assert!(verify(empty.path()).unwrap().is_sound());
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}
