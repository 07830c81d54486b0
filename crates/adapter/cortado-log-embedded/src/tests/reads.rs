//! Which reads are answered from memory and which from the files, and that both are right.

use super::*;
use cortado_log::LogReadError;

const CACHE_BYTES_MAX: usize = 2_000;

fn open_with_small_cache(disk: &Disk) -> EmbeddedLog {
    let settings = Settings {
        segment_bytes: 1 << 20,
        cache_bytes_max: CACHE_BYTES_MAX,
        ..Settings::new("the test's disk")
    };
    EmbeddedLog::open_in(Arc::new(disk.clone()), &settings, LogUuid(7)).unwrap()
}

/// Whether a record is read without its file: reads of files fail meanwhile.
#[track_caller]
fn is_cached(disk: &Disk, log: &EmbeddedLog, number: u32, offset: u64) -> bool {
    disk.fail_reads(true);
    let answer = block_on(log.read(partition(number), LogOffset(offset), 1));
    disk.fail_reads(false);
    match answer {
        Ok(entries) => {
            assert_eq!(entries, [entry(offset, record(offset, 100))]);
            true
        }
        Err(LogReadError::Unavailable(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_cache_is_bounded() {
    let disk = Disk::default();
    let log = open_with_small_cache(&disk);
    // Ten times what may be kept.
    let end = 10 * CACHE_BYTES_MAX as u64 / 100;
    fill(&log, 0, end);
    let cached = (0..end).filter(|offset| is_cached(&disk, &log, 0, *offset)).count();
    assert!(is_cached(&disk, &log, 0, end - 1), "the newest record is read from memory");
    assert!(cached * 100 <= CACHE_BYTES_MAX, "{cached} records of 100 bytes are in memory");
}

#[test]
fn records_of_a_removed_partition_evict_none_of_its_successor() {
    let disk = Disk::default();
    let log = open_with_small_cache(&disk);
    fill(&log, 0, 10);
    block_on(log.remove(partition(0))).unwrap();
    // Beyond the bound: the oldest ones that count are the removed partition's.
    fill(&log, 0, 8);
    for offset in 0..8 {
        assert!(is_cached(&disk, &log, 0, offset), "record {offset}");
    }
}

/// A segment is scanned in steps of 1 MiB, and records are read in steps of 16 KiB.
#[test]
fn records_across_the_steps_of_a_scan_and_of_a_read_are_whole() {
    let disk = Disk::default();
    let log = open_with(&disk, 8 << 20).unwrap();
    // Sizes of which no multiple is a step, so that every step ends inside a record.
    let sizes = [9_973, 101, 33_331, 64, 7_001];
    let mut records = Vec::new();
    let mut bytes = 0;
    for number in 0.. {
        let record = record(number, sizes[number as usize % sizes.len()]);
        bytes += record.len();
        records.push(record);
        if bytes > 3 << 20 {
            break;
        }
    }
    for some in records.chunks(16) {
        block_on(log.append(partition(0), some.to_vec())).unwrap();
    }
    drop(log);
    let report = verify(&disk);
    assert!(report.is_sound() && report.segments[0].end > 3 << 20, "{report}");
    // Nothing is in memory now: everything comes from the file.
    let log = open_with(&disk, 8 << 20).unwrap();
    let read = read_all(&log, partition(0));
    assert_eq!(read.into_iter().map(|entry| entry.record).collect::<Vec<_>>(), records);
}
