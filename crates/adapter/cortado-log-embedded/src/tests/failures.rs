//! Failed writes and syncs, a full queue, other users of the directory.

use super::*;
use crate::files::faulty::{At, Fault};
use cortado_log::ReadError;
use std::io::ErrorKind;

fn fault(name: &'static str, at: At, kind: ErrorKind) -> Fault {
    Fault { name, kind, at }
}

/// Appends three records, lets the fourth meet `faults`, and finds the log unusable: it reads, it
/// writes nothing more, and a new process finds every acknowledged record.
#[track_caller]
fn check_fatal(faults: Vec<Fault>) {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    fill(&log, 0, 3);
    // Lest the seal meets the fault.
    wait_for_seal(&disk);
    for fault in faults {
        disk.inject(fault);
    }
    assert!(matches!(append(&log, 0, 3), Err(AppendError::Unusable { .. })));
    let touches = disk.touches("0000000000000001.segment");
    assert!(matches!(append(&log, 0, 3), Err(AppendError::Unusable { .. })));
    let trimmed = block_on(log.trim(partition(0), LogOffset(1)));
    assert!(matches!(trimmed, Err(AppendError::Unusable { .. })));
    let removed = block_on(log.remove(partition(0)));
    assert!(matches!(removed, Err(AppendError::Unusable { .. })));
    expect(&log, 0, 0, 3);
    drop(log);
    let touched = disk.touches("0000000000000001.segment") - touches;
    assert_eq!(touched, 0, "an unusable log wrote or synced");
    for choice in 0..20 {
        let log = open(&disk.after_cut(choice)).unwrap();
        let end = log.local_end(partition(0)).unwrap().0;
        assert!((3..=4).contains(&end), "{end} records");
        expect(&log, 0, 0, end);
    }
}

#[test]
fn a_failed_sync_is_fatal_and_never_repeated() {
    check_fatal(vec![fault("1.segment", At::Sync, ErrorKind::Other)]);
    check_fatal(vec![fault("1.segment", At::Sync, ErrorKind::StorageFull)]);
}

#[test]
fn a_failed_write_is_fatal_unless_it_was_for_space() {
    check_fatal(vec![fault("1.segment", At::Write { taken: 0 }, ErrorKind::Other)]);
    check_fatal(vec![fault("1.segment", At::Write { taken: 50 }, ErrorKind::Other)]);
}

#[test]
fn a_write_that_cannot_be_taken_back_is_fatal() {
    check_fatal(vec![
        fault("1.segment", At::Write { taken: 50 }, ErrorKind::StorageFull),
        fault("1.segment", At::Sync, ErrorKind::Other),
    ]);
}

#[test]
fn what_a_restart_shows_after_a_failed_sync_is_durable() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    fill(&log, 0, 3);
    disk.inject(fault("1.segment", At::Sync, ErrorKind::Other));
    assert!(append(&log, 0, 3).is_err());
    drop(log);
    // The system still shows the bytes that it has failed to write, and holds them for clean.
    let log = open(&disk).unwrap();
    expect(&log, 0, 0, 4);
    expect(&open(&disk.after_cut(0)).unwrap(), 0, 0, 4);
}

#[test]
fn opening_fails_if_what_it_found_cannot_be_made_durable() {
    let disk = Disk::default();
    fill(&open(&disk).unwrap(), 0, 3);
    disk.inject(fault("1.segment", At::Sync, ErrorKind::Other));
    assert!(matches!(open(&disk), Err(OpenError::Io { .. })));
    assert!(open(&disk).is_ok());
}

#[test]
fn a_full_queue_refuses_and_forgets_nothing() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    fill(&log, 0, 1);
    disk.hold_syncs(true);
    let large = Bytes::from(vec![1; cortado_log::RECORD_BYTES_MAX]);
    let mut pending = Vec::new();
    let refused = loop {
        let mut answer = log.append(partition(1), vec![large.clone()]);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match answer.as_mut().poll(&mut context) {
            std::task::Poll::Pending => pending.push(answer),
            std::task::Poll::Ready(answer) => break answer,
        }
    };
    assert!(matches!(refused, Err(AppendError::NotAppended { .. })), "{refused:?}");
    assert_eq!(
        pending.len(),
        crate::append_queue::QUEUE_BYTES_MAX / cortado_log::RECORD_BYTES_MAX - 1
    );
    disk.hold_syncs(false);
    for (offset, answer) in wait_all(pending).into_iter().enumerate() {
        assert_eq!(answer.unwrap(), LogOffset(offset as u64));
    }
    // There is room again.
    let next = block_on(log.append(partition(1), vec![large]));
    assert_eq!(next.unwrap(), LogOffset(3));
}

#[test]
fn an_old_record_that_cannot_be_read_is_told_and_not_guessed() {
    let disk = Disk::default();
    fill(&open(&disk).unwrap(), 0, 3);
    let log = open(&disk).unwrap();
    disk.inject(fault("1.segment", At::Read, ErrorKind::Other));
    let read = || block_on(log.read(partition(0), LogOffset(1), 1));
    assert!(matches!(read(), Err(ReadError::Unavailable(_))));
    assert_eq!(read().unwrap(), [entry(1, record(1, 100))]);
    disk.corrupt("0000000000000001.segment", |bytes| {
        let at = bytes.windows(2).position(|bytes| bytes == b"1;").unwrap();
        bytes[at] = b'7';
    });
    assert!(matches!(read(), Err(ReadError::Damaged { .. })));
}

#[test]
fn a_second_log_on_the_directory_is_refused() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    assert!(matches!(open(&disk), Err(OpenError::InUse { .. })));
    drop(log);
    assert!(open(&disk).is_ok());
}

#[test]
fn a_read_only_directory_is_named() {
    let disk = Disk::default();
    fill(&open(&disk).unwrap(), 0, 3);
    disk.make_read_only();
    assert!(matches!(open(&disk), Err(OpenError::ReadOnly { .. })));
    let report = verify(&disk);
    assert!(report.is_sound(), "{report}");
}

#[test]
fn impossible_segments_are_refused() {
    let disk = Disk::default();
    let settings = Settings { segment_bytes: 100, ..Settings::new("the test's disk") };
    let opened = EmbeddedLog::open_in(Arc::new(disk.clone()), &settings, LogUuid(7));
    assert!(matches!(opened, Err(OpenError::SegmentBytes { segment_bytes: 100, .. })));
    assert!(disk.image().is_empty());
}
