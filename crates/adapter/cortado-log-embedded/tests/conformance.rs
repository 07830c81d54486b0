//! The embedded log keeps the port's promises, with large segments and with tiny ones.

use cortado_log::Log;
use cortado_log::conformance::{Subject, block_on, run};
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
            open(&directory.borrow())
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
    let append = || log.append(partition, vec![bytes::Bytes::from_static(b"record")]);
    let pending: Vec<_> = (0..100).map(|_| append()).collect();
    block_on(log.close());
    for (number, pending) in pending.into_iter().enumerate() {
        assert_eq!(block_on(pending).unwrap().0, number as u64);
    }
    assert!(block_on(append()).is_err());
    let again = EmbeddedLog::open(settings).unwrap();
    assert_eq!(again.local_end(partition), log.local_end(partition));
    let entries = block_on(log.read(partition, cortado_model::LogOffset(99), 1)).unwrap();
    assert_eq!(entries.len(), 1);
}
