//! Changed, lost and exchanged bytes: refused by name, and nothing is touched.

use super::*;
use crate::Damage;
use crate::SegmentState;
use crate::directory_scan::DirectoryScan;
use crate::frame::{Frame, FrameKind, PartitionIncarnation};
use crate::group::{GROUP_HEADER_BYTES, GroupBuilder};
use crate::opening::{Extent, Opening};
use crate::place::{Place, SegmentEnd};
use crate::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};

/// A log of three segments and a prepared one, closed.
fn closed_log() -> Disk {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    let in_third = |scan: &DirectoryScan| {
        let active = scan.active();
        active.is_some_and(|active| active.segment.number == 3 && active.scan.end > 6_000)
    };
    while !in_third(&scan_directory(&disk, Access::Read).unwrap()) {
        let end = log.end(partition(0)).0;
        append(&log, 0, end).unwrap();
        append(&log, 1, end).unwrap();
    }
    wait_for(|| segments(&disk).len() == 4);
    block_on(log.trim(partition(1), LogOffset(3))).unwrap();
    block_on(log.close());
    disk
}

/// Opening is refused for damage that `names`, and changes nothing.
#[track_caller]
fn check_refused(disk: &Disk, names: impl Fn(&Damage) -> bool) {
    let before = disk.image();
    match open(disk) {
        Err(OpenError::Damaged { damage, .. }) => assert!(names(&damage), "{damage}"),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("opened"),
    }
    assert!(disk.image() == before, "a refused log was changed");
    let report = verify(disk);
    assert!(report.damages.iter().any(names), "{report}");
    assert!(!report.is_sound());
}

#[test]
fn a_flipped_bit_in_any_byte_is_detected() {
    let disk = closed_log();
    let report = verify(&disk);
    assert!(report.is_sound(), "{report}");
    let states: Vec<SegmentState> = report.segments.iter().map(|one| one.state).collect();
    use SegmentState::{Active, Full, Prepared};
    assert_eq!(states, [Full, Full, Active, Prepared]);
    for segment in &report.segments {
        for position in 0..segment.end as usize {
            let flip = |bytes: &mut Vec<u8>| bytes[position] ^= 1 << (position % 8);
            disk.corrupt(&segment.file, flip);
            let damages = verify(&disk).damages;
            let [damage] = &damages[..] else {
                panic!("{} byte {position}: {damages:?}", segment.file);
            };
            let Damage::Bytes { file, position: told, .. } = damage else { panic!("{damage}") };
            assert_eq!(file, &segment.file);
            assert!(*told as usize <= position && position < *told as usize + 4_096, "{damage}");
            if position % 101 == 0 {
                check_refused(&disk, |told| told == damage);
            }
            disk.corrupt(&segment.file, flip);
        }
    }
}

#[test]
fn a_flipped_bit_behind_the_end_costs_nothing() {
    let disk = closed_log();
    let whole = open(&disk.copy()).unwrap().end(partition(0)).0;
    let active = verify(&disk).segments[2].clone();
    // All of the seal, and some of the zeros.
    let seal = active.end as usize..active.end as usize + GROUP_HEADER_BYTES;
    for position in seal.chain([active.end as usize + 100, SEGMENT_BYTES as usize - 1]) {
        let disk = disk.copy();
        disk.corrupt(&active.file, |bytes| bytes[position] ^= 0x10);
        let log = open(&disk).unwrap_or_else(|error| panic!("byte {position}: {error}"));
        expect(&log, 0, 0, whole);
        expect(&log, 1, 3, whole);
    }
}

/// The one case that cannot be detected: no seal, because the power went at once, and damage to
/// what was acknowledged last. It looks like the write that the power cut tore.
#[test]
fn damage_to_the_last_group_is_seen_with_its_seal_only() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    fill(&log, 0, 3);
    block_on(log.close());
    let end = verify(&disk).segments[0].end as usize;
    let last_byte = |bytes: &mut Vec<u8>| bytes[end - 6] ^= 1;
    disk.corrupt("0000000000000001.segment", last_byte);
    check_refused(&disk, |damage| matches!(damage, Damage::Bytes { .. }));
    disk.corrupt("0000000000000001.segment", |bytes| bytes[end..].fill(0));
    let report = verify(&disk);
    let torn = report.torn_tail.clone().unwrap_or_else(|| panic!("{report}"));
    assert!(report.is_sound() && torn.position < end as u64, "{report}");
    expect(&open(&disk).unwrap(), 0, 0, 2);
    assert_eq!(verify(&disk).torn_tail, None, "the tail was cut");
}

/// Another proof, when there is no seal: the next segment was prepared after that group.
#[test]
fn damage_to_the_group_before_a_segment_was_prepared_is_seen_without_a_seal() {
    let disk = Disk::default();
    let segment_bytes = 2 * SEGMENT_BYTES;
    let log = open_with(&disk, segment_bytes).unwrap();
    let end = |disk: &Disk| scan_directory(disk, Access::Read).unwrap().segments[0].scan.end;
    fill(&log, 0, 1);
    while end(&disk) <= segment_bytes / 2 {
        fill(&log, 0, 1);
    }
    wait_for(|| segments(&disk.after_cut(0)).len() == 2);
    let disk = disk.after_cut(0);
    let last_byte = end(&disk) as usize - 6;
    disk.corrupt(&segment_name(1), |bytes| bytes[last_byte] ^= 1);
    check_refused(
        &disk,
        |damage| matches!(damage, Damage::Bytes { file, .. } if *file == segment_name(1)),
    );
}

#[test]
fn a_lost_segment_is_named() {
    for number in 1..=3 {
        let disk = closed_log();
        disk.lose(&segment_name(number));
        let lost = segment_name(number);
        check_refused(
            &disk,
            |damage| matches!(damage, Damage::MissingSegment { file, .. } if *file == lost),
        );
    }
    // Without the prepared segment too, the mark at the end of the second tells of the third.
    let disk = closed_log();
    disk.lose(&segment_name(3));
    disk.lose(&segment_name(4));
    check_refused(&disk, |damage| matches!(damage, Damage::MissingSegment { .. }));
    // The prepared one alone is no loss.
    let disk = closed_log();
    disk.lose(&segment_name(4));
    assert!(open(&disk).is_ok());
}

#[test]
fn a_truncated_segment_is_named() {
    for number in 1..=4 {
        for length in [SEGMENT_HEADER_BYTES, 5_000, SEGMENT_BYTES as usize - 1] {
            let disk = closed_log();
            disk.corrupt(&segment_name(number), |bytes| bytes.truncate(length));
            check_refused(&disk, |damage| {
                matches!(damage, Damage::Truncated { file, bytes, .. }
                    if *file == segment_name(number) && *bytes == length as u64)
            });
        }
        let disk = closed_log();
        disk.corrupt(&segment_name(number), Vec::clear);
        check_refused(&disk, |damage| matches!(damage, Damage::Bytes { position: 0, .. }));
    }
}

#[test]
fn exchanged_segments_are_refused() {
    let disk = closed_log();
    let (first, second) = (segment_name(1), segment_name(2));
    let bytes = disk.bytes_of(&first);
    disk.corrupt(&second, |other| *other = bytes);
    check_refused(&disk, |damage| matches!(damage, Damage::Bytes { position: 0, .. }));
}

#[test]
fn a_segment_of_another_log_is_refused() {
    let disk = closed_log();
    let settings = Settings { segment_bytes: SEGMENT_BYTES, ..Settings::new("another disk") };
    let other = Disk::default();
    let log = EmbeddedLog::open_in(Arc::new(other.clone()), &settings, LogUuid(8)).unwrap();
    fill(&log, 0, 100);
    drop(log);
    let bytes = other.bytes_of(&segment_name(2));
    disk.corrupt(&segment_name(2), |own| *own = bytes);
    check_refused(&disk, |damage| matches!(damage, Damage::Foreign { .. }));
}

#[test]
fn bytes_of_the_log_inside_a_record_are_only_a_record() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    fill(&log, 0, 5);
    // A client stores the log's own file as a document, and the power tears that write.
    let copy = disk.bytes_of(&segment_name(1))[SEGMENT_HEADER_BYTES..5_200].to_vec();
    disk.cut_at(2);
    let answer = block_on(log.append(partition(1), vec![copy.clone().into()]));
    let answer = answer.and_then(|_| block_on(log.append(partition(1), vec![copy.into()])));
    assert!(answer.is_err());
    drop(log);
    for choice in 0..50 {
        let log = open(&disk.after_cut(choice)).unwrap_or_else(|error| panic!("{choice}: {error}"));
        expect(&log, 0, 0, 5);
    }
}

/// A segment of version 2 as it was when that was released: its length, then each line of 32 bytes
/// that are not all zero, behind its position. The file never changes: a build that cannot read it
/// is of version 3.
const SEGMENT: &str = include_str!("../../testdata/segment-v2.txt");

fn dumped(bytes: &[u8]) -> String {
    let mut text = format!("{}\n", bytes.len());
    for (line, part) in bytes.chunks(32).enumerate() {
        if part.iter().any(|byte| *byte != 0) {
            let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
            text += &format!("{} {hex}\n", 32 * line);
        }
    }
    text
}

fn undumped(text: &str) -> Vec<u8> {
    let (length, lines) = text.split_once('\n').unwrap();
    let mut bytes = vec![0; length.parse().unwrap()];
    for line in lines.lines() {
        let (position, hex) = line.split_once(' ').unwrap();
        let position: usize = position.parse().unwrap();
        for index in 0..hex.len() / 2 {
            let digits = &hex[2 * index..2 * index + 2];
            bytes[position + index] = u8::from_str_radix(digits, 16).unwrap();
        }
    }
    bytes
}

#[test]
fn a_segment_of_version_2_is_read() {
    let disk = Disk::default();
    disk.put(&segment_name(1), undumped(SEGMENT));
    assert!(verify(&disk).is_sound());
    let log = open(&disk).unwrap();
    expect(&log, 0, 1, 2);
    expect(&log, 1, 0, 1);
}

#[test]
fn the_bytes_of_version_2_do_not_change() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    fill(&log, 0, 2);
    block_on(log.append(partition(1), vec![record(0, 0), record(1, 50)])).unwrap();
    block_on(log.trim(partition(0), LogOffset(1))).unwrap();
    block_on(log.remove(partition(1))).unwrap();
    fill(&log, 1, 1);
    block_on(log.close());
    assert_eq!(dumped(&disk.bytes_of(&segment_name(1))), SEGMENT);
}

#[test]
fn another_version_is_refused_by_name() {
    for other in [1, 3] {
        let disk = closed_log();
        disk.corrupt(&segment_name(2), |bytes| {
            bytes[12] = other;
            let crc = crc32c::crc32c(&bytes[12..SEGMENT_HEADER_BYTES]);
            bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        });
        let before = disk.image();
        let error = open(&disk).unwrap_err();
        assert!(matches!(error, OpenError::Version { version, .. } if version == other.into()));
        let text = error.to_string();
        let names = [&segment_name(2), &format!("version {other}"), "reads only version 2"];
        assert!(names.iter().all(|name| text.contains(name)), "{text}");
        assert!(disk.image() == before);
    }
}

/// Numbers that have no successor, behind checksums that hold: an answer, never an overflow.
#[test]
fn the_last_of_all_numbers_is_judged() {
    let check = |group: u64, previous: Option<u64>, end: u64, offset: u64| {
        let previous = previous.map(|segment| SegmentEnd { segment, position: 5_000 });
        let (first, end) = (LogOffset(end.min(offset)), LogOffset(end));
        let extent = Extent { incarnation: PartitionIncarnation(1), first, end };
        let partitions = vec![(partition(0), extent)];
        let opening = Opening { previous, next_incarnation: PartitionIncarnation(2), partitions };
        let mut bytes = SegmentHeader {
            log: LogUuid(7),
            number: 1,
            file_bytes: SEGMENT_HEADER_BYTES as u64,
            first_group: 1,
        }
        .encode();
        let place = Place { segment: 1, position: bytes.len() as u64 };
        let (mut builder, incarnation) = (GroupBuilder::new(place), PartitionIncarnation(1));
        let (payload, offset) = (opening.encode(), LogOffset(offset));
        let kinds = [(FrameKind::Opening, &payload[..]), (FrameKind::Record, b"record")];
        for (kind, payload) in kinds {
            builder.push(&Frame { kind, partition: partition(0), incarnation, offset, payload });
        }
        bytes.extend_from_slice(builder.finish(group, LogUuid(7).tag()));
        let disk = Disk::default();
        disk.put(&segment_name(1), bytes);
        (verify(&disk).is_sound(), open(&disk).is_ok())
    };
    assert_eq!(check(1, None, 5, 5), (true, true));
    assert_eq!(check(1, Some(u64::MAX), 5, 5), (false, false));
    for (group, end) in [(1, u64::MAX), (u64::MAX, 5)] {
        let (sound, opened) = check(group, None, end, end);
        assert_eq!(sound, opened);
    }
}

#[test]
fn leftovers_of_another_process_are_deleted() {
    let disk = closed_log();
    disk.put("prepared.tmp", vec![0; 5_000]);
    disk.put("0000000000000007.spare", disk.bytes_of(&segment_name(1)));
    disk.put("notes.txt", b"the operator's".to_vec());
    assert!(open(&disk).is_ok());
    let image = disk.image();
    assert!(!image.contains_key("prepared.tmp") && image.contains_key("notes.txt"));
    assert!(!image.contains_key("0000000000000007.spare"));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config {
        cases: 300, failure_persistence: None, ..Default::default()
    })]

    /// Any bytes under any segment's name: an answer, never a panic.
    #[test]
    fn arbitrary_bytes_are_judged(
        number in 1_u64..6,
        from in 0_usize..9_000,
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600),
    ) {
        let disk = closed_log();
        let name = segment_name(number);
        if number > 4 {
            disk.put(&name, bytes);
        } else {
            disk.corrupt(&name, |old| {
                old.truncate(from.max(100));
                old.extend_from_slice(&bytes);
                old.resize(SEGMENT_BYTES as usize + 16, 0);
            });
        }
        let sound = verify(&disk).is_sound();
        proptest::prop_assert_eq!(open(&disk).is_ok(), sound);
    }
}
