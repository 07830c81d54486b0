//! Failed writes and syncs, a full queue, other users of the directory.

use super::*;
use crate::files::faulty::{At, Fault};
use cortado_log::{Log, LogReadError};
use cortado_model::with_causes;
use std::io::ErrorKind;

fn fault(name: &'static str, at: At, kind: ErrorKind) -> Fault {
    Fault { name, kind, at }
}

/// Appends three records, lets the fourth meet `faults`, and finds the log unusable: it reads, it
/// writes nothing more, and a new process finds every acknowledged record.
///
/// * `touches`: writes and syncs that the fourth record may cost; the failing ones count as far as
///   the disk has begun them.
#[track_caller]
fn check_fatal(faults: Vec<Fault>, touches: u64) {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    fill(&log, 0, 3);
    // Lest the seal meets the fault.
    wait_for_seal(&disk);
    let before = disk.touches("0000000000000001.segment");
    for fault in faults {
        disk.inject(fault);
    }
    for _ in 0..2 {
        // The first answer and those after it name the file, and what the system said.
        let error = append(&log, 0, 3).unwrap_err();
        assert!(matches!(error, AppendError::Unusable(_)), "{error}");
        let why = with_causes(&error);
        assert!(why.contains("0000000000000001.segment: "), "{why}");
    }
    let trimmed = block_on(log.trim(partition(0), LogOffset(1)));
    assert!(matches!(trimmed, Err(AppendError::Unusable(_))));
    let removed = block_on(log.remove(partition(0)));
    assert!(matches!(removed, Err(AppendError::Unusable(_))));
    expect(&log, 0, 0, 3);
    drop(log);
    let touched = disk.touches("0000000000000001.segment") - before;
    assert_eq!(touched, touches, "an unusable log wrote or synced");
    for choice in 0..20 {
        let log = open(&disk.after_cut(choice)).unwrap();
        let end = log.end(partition(0)).0;
        assert!((3..=4).contains(&end), "{end} records");
        expect(&log, 0, 0, end);
    }
}

#[test]
fn a_failed_sync_is_fatal_and_never_repeated() {
    check_fatal(vec![fault("1.segment", At::Sync, ErrorKind::Other)], 2);
    check_fatal(vec![fault("1.segment", At::Sync, ErrorKind::StorageFull)], 2);
}

#[test]
fn a_failed_write_is_fatal_unless_it_was_for_space() {
    check_fatal(vec![fault("1.segment", At::Write { taken: 0 }, ErrorKind::Other)], 0);
    check_fatal(vec![fault("1.segment", At::Write { taken: 50 }, ErrorKind::Other)], 1);
}

#[test]
fn a_write_that_cannot_be_undone_is_fatal() {
    let faults = vec![
        fault("1.segment", At::Write { taken: 50 }, ErrorKind::StorageFull),
        fault("1.segment", At::Sync, ErrorKind::Other),
    ];
    // The write, the zeros over what it took, and their sync.
    check_fatal(faults, 3);
}

/// No record is at stake, but what the medium says of one write it may say of the next.
#[test]
fn a_failed_seal_is_fatal() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    disk.inject(fault("1.segment", At::Write { taken: 0 }, ErrorKind::Other));
    // The fault waits for the first write, which is the record's; so that is written behind a sync.
    assert!(append(&log, 0, 0).is_err());
    drop(log);
    let log = open(&disk).unwrap();
    fill(&log, 0, 1);
    wait_for_seal(&disk);
    disk.hold_syncs(true);
    let before = disk.touches("0000000000000001.segment");
    let next = log.append(partition(0), vec![record(1, 100)]);
    wait_for(|| disk.touches("0000000000000001.segment") == before + 1);
    // The record is written: the next write is its seal.
    disk.inject(fault("1.segment", At::Write { taken: 0 }, ErrorKind::Other));
    disk.hold_syncs(false);
    assert_eq!(block_on(next).unwrap(), LogOffset(1));
    let why = block_on(log.failed());
    assert!(why.contains("cannot write 0000000000000001.segment"), "{why}");
    assert!(matches!(append(&log, 0, 2), Err(AppendError::Unusable(_))));
    assert_eq!(log.failure(), Some(why));
    drop(log);
    expect(&open(&disk.after_cut(0)).unwrap(), 0, 0, 2);
}

/// Appends up to the end of the first segment, then one more record with `fault`; `None` if that
/// record was not the first of the next segment.
fn met_by_the_mark(records: u64, fault: Fault) -> Option<(Disk, EmbeddedLog)> {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    fill(&log, 0, records);
    if wait_for_seal(&disk) > 1 {
        return None;
    }
    disk.inject(fault);
    append(&log, 0, records).is_ok().then_some((disk, log))
}

#[test]
fn a_failed_mark_at_the_end_of_a_segment_is_fatal() {
    for (at, what) in [(At::Write { taken: 0 }, "write"), (At::Sync, "sync")] {
        let fault = || fault("1.segment", at.clone(), ErrorKind::Other);
        // How many records fit depends on when the next segment is there.
        let mut tries = (1..30).cycle().take(300);
        let met = tries.find_map(|count| Some((count, met_by_the_mark(count, fault())?)));
        let (records, (disk, log)) = met.expect("a segment holds fewer than 30 records");
        let why = block_on(log.failed());
        assert!(why.contains(&format!("cannot {what} 0000000000000001.segment")), "{why}");
        assert!(matches!(append(&log, 0, records + 1), Err(AppendError::Unusable(_))));
        drop(log);
        expect(&open(&disk.after_cut(0)).unwrap(), 0, 0, records + 1);
    }
}

#[test]
fn a_write_for_which_the_system_has_no_memory_is_refused_and_undone() {
    for taken in [0, 50] {
        let disk = Disk::default();
        let log = open(&disk).unwrap();
        fill(&log, 0, 3);
        wait_for_seal(&disk);
        disk.inject(fault("1.segment", At::Write { taken }, ErrorKind::OutOfMemory));
        assert!(matches!(append(&log, 0, 3), Err(AppendError::NotAppended(_))));
        fill(&log, 0, 1);
        drop(log);
        expect(&open(&disk.after_cut(0)).unwrap(), 0, 0, 4);
    }
}

#[test]
fn nothing_that_waits_is_written_after_a_failed_write() {
    let disk = Disk::default();
    let log = open_with(&disk, 32 << 20).unwrap();
    fill(&log, 0, 1);
    wait_for_seal(&disk);
    let touches = || disk.touches("0000000000000001.segment");
    let before = touches();
    disk.hold_syncs(true);
    let first = log.append(partition(0), vec![record(1, 100)]);
    wait_for(|| touches() == before + 1);
    // Queued behind the sync, and taken together: the first fills a group of its own.
    let large = log.append(partition(1), vec![record(0, 5 << 20)]);
    let small = log.append(partition(2), vec![record(0, 100)]);
    let trimmed = log.trim(partition(0), LogOffset(1));
    disk.inject(fault("1.segment", At::Write { taken: 0 }, ErrorKind::Other));
    disk.hold_syncs(false);
    assert_eq!(block_on(first).unwrap(), LogOffset(1));
    for error in [block_on(large).err(), block_on(small).err(), block_on(trimmed).err()] {
        assert!(matches!(error, Some(AppendError::Unusable(_))), "{error:?}");
    }
    block_on(log.close());
    assert_eq!(touches(), before + 2, "something was written or synced after the failure");
    expect(&log, 0, 0, 2);
    drop(log);
    expect(&open_with(&disk.after_cut(0), 32 << 20).unwrap(), 0, 0, 2);
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
fn a_full_queue_refuses_appends_and_loses_none() {
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
    assert!(matches!(refused, Err(AppendError::NotAppended(_))), "{refused:?}");
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
fn an_unreadable_old_record_is_an_error() {
    let disk = Disk::default();
    fill(&open(&disk).unwrap(), 0, 3);
    let log = open(&disk).unwrap();
    disk.inject(fault("1.segment", At::Read, ErrorKind::Other));
    let read = || block_on(log.read(partition(0), LogOffset(1), 1));
    assert!(matches!(read(), Err(LogReadError::Unavailable(_))));
    assert_eq!(read().unwrap(), [entry(1, record(1, 100))]);
    disk.corrupt("0000000000000001.segment", |bytes| {
        let at = bytes.windows(2).position(|bytes| bytes == b"1;").unwrap();
        bytes[at] = b'7';
    });
    assert!(matches!(read(), Err(LogReadError::Damaged { .. })));
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
fn a_read_only_directory_is_refused() {
    let disk = Disk::default();
    fill(&open(&disk).unwrap(), 0, 3);
    disk.make_read_only();
    assert!(matches!(open(&disk), Err(OpenError::ReadOnly { .. })));
    let report = verify(&disk);
    assert!(report.is_sound(), "{report}");
}

#[test]
fn an_invalid_segment_size_is_refused() {
    let disk = Disk::default();
    let settings = Settings { segment_bytes: 100, ..Settings::new("the test's disk") };
    let opened = EmbeddedLog::open_in(Arc::new(disk.clone()), &settings, LogUuid(7));
    assert!(matches!(opened, Err(OpenError::SegmentBytes { segment_bytes: 100, .. })));
    assert!(disk.image().is_empty());
}
