//! What the log says that it takes up.

use super::*;
use crate::append_queue::QUEUE_BYTES_MAX;
use cortado_log::{Log, LogUsage};
use cortado_model::Budget;

#[test]
fn usage_tells_files_segments_and_memory() {
    let disk = Disk::default();
    let cache_bytes_max = 1_000;
    let settings = Settings {
        segment_bytes: SEGMENT_BYTES,
        cache_bytes_max,
        ..Settings::new("the test's disk")
    };
    let log = EmbeddedLog::open_in(Arc::new(disk.clone()), &settings, LogUuid(7)).unwrap();
    assert_eq!(log.usage().disk.unwrap().segments, 1);
    assert_eq!(log.usage().cache, Budget { used_bytes: 0, limit_bytes: 1_000 });
    fill(&log, 0, 200);
    // Closing also ends the preparation of the next segment.
    block_on(log.close());
    let LogUsage { disk: used, cache, queue } = log.usage();
    let used = used.unwrap();
    assert_eq!(used.segments, segments(&disk).len() as u64);
    assert!(used.segments > 2, "{used:?}");
    assert_eq!(used.bytes, disk.used_bytes());
    // Six records of 100 bytes, and what each costs beside its bytes.
    assert_eq!(cache, Budget { used_bytes: 6 * 164, limit_bytes: 1_000 });
    assert_eq!(queue, Budget { used_bytes: 0, limit_bytes: QUEUE_BYTES_MAX as u64 });
}

#[test]
fn a_directory_that_cannot_be_read_has_no_size() {
    let directory = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(Settings::new(directory.path())).unwrap();
    assert!(log.usage().disk.is_some());
    std::fs::remove_dir_all(directory.path()).unwrap();
    assert_eq!(log.usage().disk, None);
}
