//! Full disks, and how trimming frees them.

use super::*;
use crate::files::faulty::{At, Fault};
use cortado_log::Log;
use std::io::ErrorKind;

fn no_space(name: &'static str, taken: usize) -> Fault {
    Fault { name, kind: ErrorKind::StorageFull, at: At::Write { taken } }
}

/// Appends until the log says that there is no room; answers how many records there are.
fn fill_up(log: &EmbeddedLog, number: u32) -> u64 {
    loop {
        let end = log.end(partition(number)).0;
        match append(log, number, end) {
            Ok(offset) => assert_eq!(offset.0, end),
            Err(AppendError::NotAppended(_)) => return end,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_full_disk_refuses_appends_and_goes_on_when_there_is_room() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    disk.limit_space(Some(2 * SEGMENT_BYTES + SEGMENT_BYTES / 2));
    let end = fill_up(&log, 0);
    assert!(end > 30, "{end} records in two segments");
    expect(&log, 0, 0, end);
    assert!(append(&log, 1, 0).is_err());
    assert_eq!(log.end(partition(1)), LogOffset::ZERO);
    disk.limit_space(None);
    fill(&log, 0, 10);
    drop(log);
    expect(&open(&disk.after_cut(0)).unwrap(), 0, 0, end + 10);
}

#[test]
fn a_full_disk_can_be_trimmed_and_then_has_room() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    disk.limit_space(Some(3 * SEGMENT_BYTES));
    let end = fill_up(&log, 0);
    block_on(log.trim(partition(0), LogOffset(end - 1))).unwrap();
    // The files go in the background; an append is refused until the first one has gone.
    wait_for(|| append(&log, 0, end).is_ok());
    expect(&log, 0, end - 1, end + 1);
    block_on(log.close());
    assert!(!segments(&disk).contains(&"0000000000000001.segment".to_owned()));
    assert!(disk.used_bytes() <= 3 * SEGMENT_BYTES);
}

fn append_urgently(log: &EmbeddedLog, number: u32) -> Result<LogOffset, AppendError> {
    append_with(log, number, AppendPriority::Urgent)
}

fn append_with(
    log: &EmbeddedLog,
    number: u32,
    priority: AppendPriority,
) -> Result<LogOffset, AppendError> {
    let record = record(log.end(partition(number)).0, 100);
    block_on(log.requests.append(partition(number), vec![record], priority))
}

/// Deletions may not keep a partition from being led.
#[test]
fn what_frees_space_leaves_room_for_claims() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    disk.limit_space(Some(3 * SEGMENT_BYTES));
    fill_up(&log, 0);
    let mut freeing = 0;
    while append_with(&log, 0, AppendPriority::Freeing).is_ok() {
        freeing += 1;
    }
    assert!(freeing >= 1, "{freeing}");
    assert!(append_with(&log, 0, AppendPriority::Normal).is_err());
    append_urgently(&log, 0).unwrap();
}

/// Claims and what frees space must find room where other records have found none.
#[test]
fn urgent_records_have_a_reserve_and_trims_have_one_behind() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    disk.limit_space(Some(3 * SEGMENT_BYTES));
    assert!(log.has_room());
    let end = fill_up(&log, 0);
    assert!(!log.has_room());
    assert_eq!(append_urgently(&log, 0).unwrap(), LogOffset(end));
    let mut urgent = 1;
    while append_urgently(&log, 0).is_ok() {
        urgent += 1;
    }
    assert!(urgent >= 2, "{urgent}");
    block_on(log.trim(partition(0), LogOffset(end))).unwrap();
    // There is room again without an append that would ask for it.
    wait_for(|| log.has_room());
    fill(&log, 0, 1);
    drop(log);
    expect(&open(&disk.after_cut(0)).unwrap(), 0, end, end + urgent + 1);
}

#[test]
fn a_full_disk_that_gets_room_is_noticed_without_an_append() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    disk.limit_space(Some(2 * SEGMENT_BYTES));
    let end = fill_up(&log, 0);
    assert!(!log.has_room());
    disk.limit_space(None);
    wait_for(|| log.has_room());
    fill(&log, 0, 50);
    drop(log);
    expect(&open(&disk.after_cut(0)).unwrap(), 0, 0, end + 50);
}

/// Records of every size, the smallest last, leave no room in a segment but the reserve.
#[test]
fn a_disk_that_is_full_to_the_last_frame_can_be_trimmed() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    disk.limit_space(Some(3 * SEGMENT_BYTES));
    let mut end = fill_up(&log, 0);
    while block_on(log.append(partition(0), vec![Bytes::new()])).is_ok() {
        end += 1;
    }
    block_on(log.trim(partition(0), LogOffset(end))).unwrap();
    // The files go in the background; an append is refused until the first one has gone.
    wait_for(|| append(&log, 0, end).is_ok());
    drop(log);
    expect(&open(&disk.after_cut(0)).unwrap(), 0, end, end + 1);
}

#[test]
fn opening_without_space_leaves_nothing_behind() {
    let disk = Disk::default();
    disk.limit_space(Some(SEGMENT_BYTES / 2));
    assert!(matches!(open(&disk), Err(OpenError::NoSpace { segment_bytes: SEGMENT_BYTES, .. })));
    assert!(disk.image().is_empty());
    disk.limit_space(None);
    fill(&open(&disk).unwrap(), 0, 1);
}

/// A file system that copies on write may have no room even in the middle of a file.
#[test]
fn a_write_without_space_is_undone() {
    for taken in [0, 1, 39, 40, 60, 170, 175] {
        let disk = Disk::default();
        let log = open(&disk).unwrap();
        fill(&log, 0, 3);
        wait_for_seal(&disk);
        disk.inject(no_space("1.segment", taken));
        let refused = append(&log, 0, 3);
        assert!(matches!(refused, Err(AppendError::NotAppended(_))), "{taken}: {refused:?}");
        expect(&log, 0, 0, 3);
        // Certainly not there, whatever a power cut leaves now.
        for choice in 0..10 {
            expect(&open(&disk.after_cut(choice)).unwrap(), 0, 0, 3);
        }
        fill(&log, 0, 2);
        drop(log);
        expect(&open(&disk.after_cut(0)).unwrap(), 0, 0, 5);
    }
}

#[test]
fn an_append_of_which_some_records_landed_is_unknown() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    fill(&log, 0, 1);
    disk.limit_space(Some(2 * SEGMENT_BYTES));
    let records = (1..200).map(|offset| record(offset, 100)).collect();
    let answer = block_on(log.append(partition(0), records));
    assert!(matches!(answer, Err(AppendError::Unknown(_))), "{answer:?}");
    let end = log.end(partition(0)).0;
    assert!((2..199).contains(&end), "{end}");
    expect(&log, 0, 0, end);
}

#[test]
fn a_segment_that_cannot_be_prepared_is_prepared_anew() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    disk.inject(Fault { name: "prepared", kind: ErrorKind::Other, at: At::Sync });
    // Half a segment makes the log prepare the next one; the failure is met only at its end.
    let mut refused = 0;
    while log.end(partition(0)) < LogOffset(100) {
        match append(&log, 0, log.end(partition(0)).0) {
            Ok(_) => {}
            Err(AppendError::NotAppended(_)) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused <= 1, "{refused} refusals for one failure");
    drop(log);
    expect(&open(&disk.after_cut(0)).unwrap(), 0, 0, 100);
}

#[test]
fn a_segment_without_live_records_goes_even_from_the_middle() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    // One record of a quiet partition in the first segment, and then only others.
    fill(&log, 9, 1);
    fill(&log, 0, 300);
    let before = segments(&disk);
    assert!(before.len() > 5);
    block_on(log.trim(partition(0), LogOffset(290))).unwrap();
    block_on(log.close());
    let after = segments(&disk);
    assert!(after.len() <= 4, "{after:?}");
    assert_eq!(after[0], before[0]);
    let log = open(&disk).unwrap();
    expect(&log, 9, 0, 1);
    expect(&log, 0, 290, 300);
    // When the quiet partition goes, its segment goes.
    block_on(log.remove(partition(9))).unwrap();
    block_on(log.close());
    assert!(!segments(&disk).contains(&before[0]));
    let log = open(&disk).unwrap();
    expect(&log, 9, 0, 0);
    fill(&log, 9, 1);
    drop(log);
    let log = open(&disk.after_cut(0)).unwrap();
    expect(&log, 9, 0, 1);
    expect(&log, 0, 290, 300);
}

#[test]
fn an_end_survives_the_trim_of_everything_and_the_deletion_of_every_old_segment() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    fill(&log, 0, 50);
    fill(&log, 1, 50);
    for number in [0, 1] {
        block_on(log.trim(partition(number), LogOffset(u64::MAX))).unwrap();
    }
    fill(&log, 2, 100);
    block_on(log.close());
    assert!(!segments(&disk).contains(&"0000000000000001.segment".to_owned()));
    let log = open(&disk).unwrap();
    expect(&log, 0, 50, 50);
    fill(&log, 0, 1);
    expect(&log, 0, 50, 51);
    expect(&log, 1, 50, 50);
}

#[test]
fn a_partition_whose_first_record_was_undone_does_not_exist() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    fill(&log, 0, 1);
    wait_for_seal(&disk);
    disk.inject(no_space("1.segment", 50));
    assert!(matches!(append(&log, 5, 0), Err(AppendError::NotAppended(_))));
    fill(&log, 6, 1);
    drop(log);
    let log = open(&disk).unwrap();
    expect(&log, 5, 0, 0);
    expect(&log, 6, 0, 1);
    fill(&log, 5, 1);
    drop(log);
    expect(&open(&disk).unwrap(), 5, 0, 1);
}

#[test]
fn a_segment_whose_first_write_was_undone_counts_as_unused() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    // Faults wait for the first write under the new name, which is the roll's.
    disk.inject(no_space("2.segment", 0));
    let end = fill_up(&log, 0);
    // Nothing to trim: an answer without a write.
    block_on(log.trim(partition(7), LogOffset(1))).unwrap();
    block_on(log.close());
    drop(log);
    let log = open(&disk).unwrap();
    expect(&log, 0, 0, end);
    fill(&log, 0, 30);
    drop(log);
    expect(&open(&disk).unwrap(), 0, 0, end + 30);
}
