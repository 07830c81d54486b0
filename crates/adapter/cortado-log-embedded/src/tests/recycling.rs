//! Recycled files: what is recycled and what is not, and that remains are never taken for groups.

use super::*;
use crate::files::faulty::{At, Fault};
use crate::frame::{Frame, FrameKind, PartitionIncarnation};
use crate::group::{GROUP_HEADER_BYTES, GroupBuilder, GroupHeader, GroupKind};
use crate::partition::Found;
use crate::place::Place;
use crate::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, segment_name, segment_number};
use std::io::ErrorKind;

/// Names of the files that are kept to be recycled.
fn spares(disk: &Disk) -> Vec<String> {
    disk.image().into_keys().filter(|name| name.ends_with(".spare")).collect()
}

/// Where room is short, it is not kept for speed.
#[test]
fn a_disk_with_little_room_keeps_one_spare() {
    let spares_after = |fault: Option<Fault>| {
        let disk = Disk::default();
        let log = open(&disk).unwrap();
        while segments(&disk).len() < 6 {
            fill(&log, 0, 1);
        }
        disk.limit_space(Some(disk.used_bytes() + SEGMENT_BYTES));
        fault.into_iter().for_each(|fault| disk.inject(fault));
        block_on(log.trim(partition(0), LogOffset(u64::MAX))).unwrap();
        wait_for(|| segments(&disk).len() <= 2);
        block_on(log.close());
        spares(&disk).len()
    };
    assert_eq!(spares_after(None), 1);
    // A spare that cannot be deleted stays, and keeps no segment from being retired.
    let fault = Fault { name: ".spare", kind: ErrorKind::Other, at: At::Remove };
    assert_eq!(spares_after(Some(fault)), 2);
}

/// The segment in use: its name, its header, and where its last group ends.
fn active(disk: &Disk) -> (String, SegmentHeader, u64) {
    // It fails while a file is being renamed.
    let mut scan = scan_directory(disk, Access::Read);
    while scan.is_err() {
        scan = scan_directory(disk, Access::Read);
    }
    let scan = scan.unwrap();
    let active = scan.active().unwrap();
    let name = active.segment.name.clone();
    let header = SegmentHeader::decode(&disk.bytes_of(&name)).unwrap();
    (name, header, active.scan.end)
}

#[test]
fn a_log_that_is_trimmed_as_it_grows_stays_in_its_first_files() {
    let files_of = |trims: bool| {
        let disk = Disk::default();
        let log = open(&disk).unwrap();
        for round in 0..200 {
            fill(&log, 0, 2);
            if trims {
                block_on(log.trim(partition(0), LogOffset(2 * round))).unwrap();
            }
        }
        drop(log);
        let last = segment_number(segments(&disk).last().unwrap()).unwrap();
        assert!(last > 10, "{last} segments");
        (last, disk.files())
    };
    let (segments, files) = files_of(false);
    assert!(files >= segments as usize, "nothing can be recycled without trims");
    // One is written, one prepared, and the one before may not have gone yet.
    let (_, files) = files_of(true);
    assert!(files <= 3, "{files} files");
}

/// Bytes that the disk takes for each record of 1,024 bytes, appended alone.
fn bytes_per_record(segment_bytes: u64, trims: bool) -> u64 {
    const RECORDS: u64 = 4_000;
    let disk = Disk::default();
    let log = open_with(&disk, segment_bytes).unwrap();
    for number in 0..RECORDS {
        block_on(log.append(partition(0), vec![record(number, 1_024)])).unwrap();
        if trims && number % 16 == 0 {
            block_on(log.trim(partition(0), LogOffset(number))).unwrap();
        }
    }
    drop(log);
    disk.bytes_written() / RECORDS
}

#[test]
fn a_recycled_log_writes_its_bytes_once() {
    let (recycled, with_zeros) =
        (bytes_per_record(1 << 18, true), bytes_per_record(1 << 18, false));
    // 1,056 for the frame; its group's header, seals, trims, segment headers come on top.
    assert!(recycled < 1_056 * 3 / 2, "{recycled} bytes for a record");
    assert!(with_zeros > 1_056 * 2, "{with_zeros} bytes for a record");
}

#[test]
fn a_file_is_recycled_again_and_again() {
    let disk = Disk::default();
    let log = recycled(&disk);
    let (before, ..) = active(&disk);
    fill(&log, 0, 50);
    block_on(log.close());
    assert!(is_recycled(&disk) && active(&disk).0 > before);
    let report = verify(&disk);
    assert!(report.is_sound() && report.torn_tail.is_none(), "{report}");
    drop(log);
    expect(&open(&disk.after_cut(0)).unwrap(), 0, 0, 50);
}

#[test]
fn the_spares_are_bounded() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    while segments(&disk).len() < 2 * SPARES_MAX {
        fill(&log, 0, 1);
    }
    block_on(log.trim(partition(0), LogOffset(u64::MAX))).unwrap();
    block_on(log.close());
    assert!(segments(&disk).len() <= 2);
    assert_eq!(spares(&disk).len(), SPARES_MAX);
    drop(log);
    let log = open(&disk).unwrap();
    assert_eq!(spares(&disk), [""; 0], "spares do not outlive their process");
    drop(log);
}

#[test]
fn a_segment_that_is_being_read_is_not_recycled() {
    let disk = Disk::default();
    fill(&open(&disk).unwrap(), 0, 1);
    let log = open(&disk).unwrap();
    // A read that has been planned, and has not come to its file yet.
    let planned = log.requests.partitions.get(partition(0)).unwrap().find(LogOffset(0), 1_000);
    let Ok((Found::Stored(stored), _)) = planned else { panic!("it is in memory") };
    while segments(&disk).len() < 4 {
        fill(&log, 0, 1);
    }
    block_on(log.trim(partition(0), LogOffset(u64::MAX))).unwrap();
    wait_for(|| segments(&disk).len() <= 2);
    assert!(!spares(&disk).contains(&"0000000000000001.spare".to_owned()));
    fill(&log, 1, 100);
    let read = block_on(log.requests.reader.read(stored, 1_000)).unwrap().unwrap();
    assert_eq!(read, [entry(0, record(0, 100))]);
}

#[test]
fn files_of_another_length_are_not_recycled() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    // Fits no segment, so that its file is longer than the others.
    block_on(log.append(partition(3), vec![record(0, 9_000)])).unwrap();
    let (grown, ..) = active(&disk);
    assert!(disk.bytes_of(&grown).len() as u64 > SEGMENT_BYTES);
    fill(&log, 0, 30);
    block_on(log.trim(partition(3), LogOffset(1))).unwrap();
    wait_for(|| !segments(&disk).contains(&grown));
    assert_eq!(spares(&disk).iter().find(|spare| spare[..16] == grown[..16]), None);
    drop(log);
    // From here on segments are longer: files of the old length must not become any.
    let log = open_with(&disk, 2 * SEGMENT_BYTES).unwrap();
    block_on(log.trim(partition(0), LogOffset(29))).unwrap();
    for _ in 0..6 {
        let (before, ..) = active(&disk);
        while active(&disk).0 == before {
            fill(&log, 0, 1);
            for (name, bytes) in disk.image() {
                let header = SegmentHeader::decode(&bytes);
                let whole = header.is_ok_and(|header| bytes.len() as u64 >= header.file_bytes);
                assert!(whole || !name.ends_with(".segment"), "{name} has {} bytes", bytes.len());
            }
        }
        let end = log.end(partition(0));
        block_on(log.trim(partition(0), end)).unwrap();
    }
    fill(&log, 0, 1);
    block_on(log.close());
    drop(log);
    let (name, header, _) = active(&disk);
    assert_eq!(header.file_bytes, 2 * SEGMENT_BYTES);
    assert_eq!(disk.bytes_of(&name).len() as u64, 2 * SEGMENT_BYTES);
    let report = verify(&disk);
    assert!(report.is_sound(), "{report}");
}

#[test]
fn a_spare_that_cannot_be_rewritten_is_replaced_by_a_new_file() {
    for at in [At::Write { taken: 0 }, At::Write { taken: 50 }, At::Sync] {
        let disk = Disk::default();
        let log = open(&disk).unwrap();
        fill(&log, 0, 60);
        disk.inject(Fault { name: ".spare", kind: ErrorKind::Other, at });
        block_on(log.trim(partition(0), LogOffset(60))).unwrap();
        fill(&log, 0, 60);
        drop(log);
        let report = verify(&disk);
        assert!(report.is_sound(), "{report}");
        expect(&open(&disk.after_cut(0)).unwrap(), 0, 60, 120);
    }
}

/// All groups are equally long, so that one of an earlier life begins exactly where the log ends.
#[test]
fn remains_at_the_very_end_of_the_log_are_not_read() {
    for more in 0..40 {
        let disk = Disk::default();
        let log = recycled(&disk);
        fill(&log, 8, more);
        let end = log.end(partition(8)).0;
        // The seal, which would hide the remains, is not synced.
        let disk = disk.after_cut(0);
        let (name, _, position) = active(&disk);
        let rest = &disk.bytes_of(&name)[position as usize..];
        assert!(rest.iter().any(|byte| *byte != 0), "{more}: the file was not recycled");
        let report = verify(&disk);
        assert!(report.is_sound() && report.torn_tail.is_none(), "{more}: {report}");
        expect(&open(&disk).unwrap(), 8, end - more, end);
    }
}

/// Writes `header` at `position` of the file `name`, with the checksum of that very place.
fn plant(disk: &Disk, name: &str, segment: u64, position: u64, header: &GroupHeader) {
    let encoded = header.encode(Place { segment, position });
    let at = position as usize;
    disk.corrupt(name, |bytes| bytes[at..at + GROUP_HEADER_BYTES].copy_from_slice(&encoded));
}

/// One in 2^32 headers of a former life has a valid checksum by chance. Its number tells it.
#[test]
fn remains_whose_checksum_matches_by_chance_are_no_proof_of_damage() {
    let disk = Disk::default();
    let log = recycled(&disk);
    fill(&log, 0, 3);
    block_on(log.close());
    drop(log);
    let scan = scan_directory(&disk, Access::Read).unwrap();
    assert_eq!(scan.segments.len(), 2, "one in use, one prepared");
    let (first, last) = scan.active().unwrap().scan.groups.unwrap();
    for scanned in &scan.segments {
        let (name, number) = (&scanned.segment.name, scanned.segment.number);
        // Whatever a file held before it became this segment is older than the segment in use.
        for (group, sound) in [(first - 1, true), (last + 900, false)] {
            let disk = disk.copy();
            let mark = GroupHeader::mark(GroupKind::Seal, group, scan.log.unwrap().tag());
            plant(&disk, name, number, SEGMENT_BYTES - 64, &mark);
            let report = verify(&disk);
            assert_eq!(report.is_sound(), sound, "{name}, group {group}: {report}");
            assert_eq!(open(&disk).is_ok(), sound);
        }
    }
}

/// A group of a former life, at the end of the log and with a valid checksum by chance.
#[test]
fn a_whole_group_with_a_lower_number_is_not_read() {
    let disk = Disk::default();
    let log = recycled(&disk);
    drop(log);
    let scan = scan_directory(&disk, Access::Read).unwrap();
    let prepared = scan.segments.last().unwrap();
    assert!(!prepared.is_used());
    let (name, number) = (&prepared.segment.name, prepared.segment.number);
    let (first, _) = scan.active().unwrap().scan.groups.unwrap();
    let position = SEGMENT_HEADER_BYTES as u64;
    let mut group = GroupBuilder::new(Place { segment: number, position });
    group.push(&Frame {
        kind: FrameKind::Opening,
        partition: PartitionId::CLUSTER,
        incarnation: PartitionIncarnation(0),
        offset: LogOffset::ZERO,
        payload: &crate::opening::Opening::default().encode(),
    });
    let bytes = group.finish(first - 1, scan.log.unwrap().tag()).to_vec();
    disk.corrupt(name, |old| {
        old[SEGMENT_HEADER_BYTES..SEGMENT_HEADER_BYTES + bytes.len()].copy_from_slice(&bytes);
    });
    let report = verify(&disk);
    assert!(report.is_sound() && report.torn_tail.is_none(), "{report}");
    assert_eq!(report.segments.last().unwrap().groups, 0);
}

/// The one way in which a torn write could come back: it lacked a piece, the log was opened without
/// it, and a later write, torn in its turn, lands exactly that piece with the same bytes.
///
/// * `length`: of the record that is torn; a group of the segment or the log is before it.
#[track_caller]
fn check_torn_write_stays_away(disk: &Disk, log: &EmbeddedLog, segment_bytes: u64, length: usize) {
    let end = log.end(partition(0));
    assert_eq!(block_on(log.append(partition(0), vec![record(end.0, length)])).unwrap(), end);
    // Without the seal: the process dies as soon as the write has been begun.
    let disk = disk.after_cut(0);
    let (name, _, position) = active(&disk);
    let piece = position as usize - 600..position as usize - 500;
    let whole = disk.bytes_of(&name)[piece.clone()].to_vec();
    disk.corrupt(&name, |bytes| bytes[piece.clone()].fill(0x55));
    assert!(verify(&disk).torn_tail.is_some());
    // The log goes on without the record, and so do its readers; then it dies again.
    let log = open_with(&disk, segment_bytes).unwrap();
    assert_eq!(log.end(partition(0)), end);
    let disk = disk.after_cut(0);
    disk.corrupt(&name, |bytes| bytes[piece].copy_from_slice(&whole));
    assert_eq!(verify(&disk).torn_tail, None);
    let log = open_with(&disk, segment_bytes).unwrap();
    assert_eq!(log.end(partition(0)), end);
    expect(&log, 0, 0, end.0);
}

#[test]
fn a_torn_write_is_not_completed_by_a_later_one() {
    for base in [Disk::default(), recycled_disk()] {
        let log = open(&base).unwrap();
        fill(&log, 8, 1);
        // Not the first group of its segment.
        while active(&base).2 + 2_300 > SEGMENT_BYTES - SEGMENT_BYTES / 16 {
            fill(&log, 8, 1);
        }
        fill(&log, 0, 1);
        check_torn_write_stays_away(&base, &log, SEGMENT_BYTES, 2_000);
    }
}

#[test]
fn a_torn_first_write_of_a_segment_is_not_completed_by_a_later_one() {
    // Large enough for the segment behind not to be prepared yet.
    let segment_bytes = 8 * SEGMENT_BYTES;
    let disk = Disk::default();
    let log = open_with(&disk, segment_bytes).unwrap();
    fill(&log, 0, 1);
    while active(&disk).2 + 5_000 < segment_bytes - segment_bytes / 16 {
        fill(&log, 0, 1);
    }
    wait_for(|| segments(&disk.after_cut(0)).len() == 2);
    wait_for_seal(&disk);
    // The write and its sync; the first segment does not tell any more that the second goes on.
    disk.cut_at(2);
    check_torn_write_stays_away(&disk, &log, segment_bytes, 5_000);
    assert_eq!(active(&disk).0, segment_name(2));
}

/// The process has died between a trim and what follows from it.
#[test]
fn a_segment_without_records_is_recycled_when_the_log_is_opened() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    while segments(&disk).len() < 4 {
        fill(&log, 0, 1);
    }
    wait_for_seal(&disk);
    // The write and the sync of the trim, and nothing after them.
    disk.cut_at(2);
    block_on(log.trim(partition(0), LogOffset(u64::MAX))).unwrap();
    drop(log);
    let disk = disk.after_cut(0);
    assert_eq!(segments(&disk).len(), 4);
    let log = open(&disk).unwrap();
    wait_for(|| spares(&disk) == ["0000000000000001.spare", "0000000000000002.spare"]);
    fill(&log, 0, 40);
    drop(log);
    assert!(disk.image().keys().any(|name| disk.names_of(name).len() > 3), "none was recycled");
}
