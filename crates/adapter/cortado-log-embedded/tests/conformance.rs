//! The embedded log keeps the port's promises, with large segments and with tiny ones.

use cortado_log::conformance::{Fresh, Subject, block_on, run};
use cortado_log::{AppendOutcome, Log, LogSpec};
use cortado_log_embedded::{EmbeddedLog, Settings};
use std::cell::RefCell;
use std::sync::Arc;
use tempfile::TempDir;

#[track_caller]
fn check(segment_bytes: u64, cache_bytes_max: usize) {
    let directory =
        RefCell::new(tempfile::tempdir().expect("the machine has a directory for tests"));
    let open = |directory: &TempDir| -> Arc<dyn Log> {
        let settings =
            Settings { segment_bytes, cache_bytes_max, ..Settings::new(directory.path()) };
        Arc::new(EmbeddedLog::open(settings).expect("the directory is sound"))
    };
    run(Subject {
        fresh: &mut || {
            *directory.borrow_mut() =
                tempfile::tempdir().expect("the machine has a directory for tests");
            // Files lose, hold back and skip nothing on demand: see the crate's own tests.
            Fresh { log: open(&directory.borrow()), provoke: Box::new(|_, _| false) }
        },
        reopen: Some(&mut |log| {
            drop(log);
            open(&directory.borrow())
        }),
    });
}

#[test]
fn it_conforms_with_one_segment_and_everything_cached() {
    check(1 << 20, 64 << 20);
}

#[test]
fn it_conforms_with_tiny_segments_and_nothing_cached() {
    check(Settings::SEGMENT_BYTES_MIN, 0);
}

#[test]
fn closing_finishes_queued_appends_and_releases_the_directory() {
    let directory = tempfile::tempdir().expect("the machine has a directory for tests");
    let settings = Settings { segment_bytes: 1 << 16, ..Settings::new(directory.path()) };
    let log = EmbeddedLog::open(settings.clone()).unwrap();
    let partition = cortado_model::PartitionId::CLUSTER;
    let uuid = cortado_model::PartitionUuid(0);
    let spec =
        LogSpec { database: partition.database, name: "_cluster".into(), uuid, partitions: 1 };
    block_on(log.create(&spec)).unwrap();
    let mut producer = log.producer(partition);
    for _ in 0..100 {
        producer.send(vec![bytes::Bytes::from_static(b"record")]);
    }
    block_on(log.close());
    let landed = |outcome: &AppendOutcome| matches!(outcome, AppendOutcome::At(_));
    assert_eq!(producer.abandon().into_iter().filter(landed).count(), 100);
    let mut late = log.producer(partition);
    late.send(vec![bytes::Bytes::from_static(b"late")]);
    assert!(
        late.abandon().into_iter().all(|outcome| matches!(outcome, AppendOutcome::NotAppended(_)))
    );
    let again = EmbeddedLog::open(settings).unwrap();
    assert_eq!(again.local_end(partition), log.local_end(partition));
    let last = cortado_model::LogPosition { offset: cortado_model::LogOffset(99), epoch: 0 };
    let page = block_on(log.read(partition, last, 1)).unwrap();
    assert_eq!(page.entries.len(), 1);
}
