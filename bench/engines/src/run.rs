//! The phases, each in a process of its own. Facts go to standard output, a name and a number.

use crate::engine::Engine;
use crate::kind::Kind;
use crate::workload::{PARTITIONS, Random, Size, batch_of, key, position_key, position_of};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Point reads, in no order.
const READS: u64 = 200_000;
/// Scans of 100 documents from anywhere.
const SCANS: u64 = 3_000;
/// Documents written over in small batches after the load.
const SMALL_DOCUMENTS: u64 = 1 << 17;
/// Documents written before the kill.
const KILL_DOCUMENTS: u64 = 1 << 16;

/// Runs one phase on the store in `directory`.
pub fn phase(phase: &str, kind: Kind, directory: &Path, size: Size) {
    match phase {
        "load" => load(kind, directory, size),
        "reopen" => reopen(kind, directory, "reopen_clean_ms"),
        "kill" => write_until_killed(kind, directory, size),
        "after_kill" => check_after_kill(kind, directory, size),
        _ => panic!("no phase {phase}"),
    }
}

/// Loads everything in big batches, writes some over in small ones, reads, closes.
fn load(kind: Kind, directory: &Path, size: Size) {
    let mut engine = kind.open(directory);
    let batches = size.documents / 256;
    apply(&mut *engine, size, 0..batches, 256, "256");
    let first = size.documents / 16;
    apply(&mut *engine, size, first..first + SMALL_DOCUMENTS / 16, 16, "16");
    read(&*engine, size);
    let start = Instant::now();
    engine.close();
    fact("close_ms", millis(start.elapsed()));
    fact("memory_mb", peak_memory_mb());
    end();
}

fn apply(
    engine: &mut dyn Engine,
    size: Size,
    batches: std::ops::Range<u64>,
    count: u64,
    name: &str,
) {
    let documents = (batches.end - batches.start) * count;
    let mut times = Vec::new();
    for nth in batches {
        let (writes, (position_key, position)) = size.batch(nth, count);
        let start = Instant::now();
        engine.apply(&writes, (&position_key, &position));
        times.push(start.elapsed());
    }
    // Making the documents is not part of it.
    let total: Duration = times.iter().sum();
    fact(&format!("apply{name}_per_s"), documents as f64 / total.as_secs_f64());
    facts_of(&format!("apply{name}"), times);
}

fn read(engine: &dyn Engine, size: Size) {
    let mut random = Random(1);
    let mut times = Vec::new();
    for _ in 0..READS {
        let key = key(random.next() % size.documents);
        let start = Instant::now();
        let found = engine.get(&key);
        times.push(start.elapsed());
        assert_eq!(found, Some(1_024));
    }
    facts_of("get", times);
    let mut times = Vec::new();
    for _ in 0..SCANS {
        let key = key(random.next() % size.documents);
        let start = Instant::now();
        let found = engine.scan(&key, 100);
        times.push(start.elapsed());
        assert!(found > 0);
    }
    facts_of("scan", times);
}

fn reopen(kind: Kind, directory: &Path, name: &str) {
    let start = Instant::now();
    let engine = kind.open(directory);
    assert!(engine.get(&key(0)).is_some());
    fact(name, millis(start.elapsed()));
    engine.close();
    end();
}

fn write_until_killed(kind: Kind, directory: &Path, size: Size) {
    let mut engine = kind.open(directory);
    for nth in kill_batches(size) {
        let (writes, (position_key, position)) = size.batch(nth, 16);
        engine.apply(&writes, (&position_key, &position));
        if nth == kill_batches(size).start + KILL_DOCUMENTS / 16 {
            end();
        }
    }
}

/// The batches that are being written when the kill comes: above all that were written before.
fn kill_batches(size: Size) -> std::ops::Range<u64> {
    size.documents..u64::MAX
}

/// Opens what the kill left and checks that every partition is at its position.
fn check_after_kill(kind: Kind, directory: &Path, size: Size) {
    let start = Instant::now();
    let engine = kind.open(directory);
    assert!(engine.get(&key(0)).is_some());
    fact("reopen_kill_ms", millis(start.elapsed()));
    let mut newest = 0;
    for partition in 0..PARTITIONS {
        let position = engine.get_value(&position_key(partition)).expect("a partition's position");
        let position = position_of(&position);
        newest = newest.max(position);
        check_batch(&*engine, size, position, |found| found == position);
        // The next batch of this partition is not there, not even a part of it.
        check_batch(&*engine, size, position + PARTITIONS, |found| found <= position);
    }
    let written = newest.saturating_sub(kill_batches(size).start);
    fact("kept_after_kill_documents", (written * 16) as f64);
    engine.close();
    end();
}

/// Checks who wrote the documents of a batch last.
fn check_batch(engine: &dyn Engine, size: Size, nth: u64, is_right: impl Fn(u64) -> bool) {
    if nth < kill_batches(size).start {
        // Written over since, in batches of another size.
        return;
    }
    for (key, _) in size.batch(nth, 16).0 {
        let document = engine.get_value(&key).expect("every document was loaded");
        let found = batch_of(&document);
        assert!(is_right(found), "batch {nth}: a document of batch {found}");
    }
}

fn facts_of(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: f64| {
        let index = ((times.len() - 1) as f64 * part) as usize;
        times[index].as_secs_f64() * 1e6
    };
    fact(&format!("{name}_p50_us"), at(0.5));
    fact(&format!("{name}_p999_us"), at(0.999));
}

fn fact(name: &str, value: f64) {
    println!("{name} {value}");
}

fn end() {
    println!("end");
    std::io::stdout().flush().expect("the parent listens");
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The most memory that this process had, memory maps included.
fn peak_memory_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux");
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kilobytes / 1e3
}

/// What all files below `directory` take on the disk, holes left out.
pub fn disk_bytes(directory: &Path) -> u64 {
    let found = std::fs::read_dir(directory).expect("the directory can be read");
    let sizes = found.map(|entry| {
        let entry = entry.expect("the directory can be read");
        let metadata = entry.metadata().expect("a file has metadata");
        match metadata.is_dir() {
            true => disk_bytes(&entry.path()),
            false => metadata.blocks() * 512,
        }
    });
    sizes.sum()
}
