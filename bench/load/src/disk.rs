//! The raw ceiling of durable writes: append 1 KB to an allocated file, fdatasync, again.

use hdrhistogram::Histogram;
use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes of the file: written before anything is measured, so that only data is synced.
const FILE_BYTES: usize = 32 << 20;

/// Appends `record` and syncs it, over and over; returns microseconds of each.
pub(crate) fn append_and_sync(
    directory: &Path,
    record: &[u8],
    time: Duration,
) -> anyhow::Result<Histogram<u64>> {
    let path = directory.join("raw-append");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    file.write_all(&vec![0; FILE_BYTES])?;
    file.sync_all()?;
    file.seek(SeekFrom::Start(0))?;
    let mut latencies = Histogram::new(3)?;
    let (begun, mut written) = (Instant::now(), 0);
    while begun.elapsed() < time {
        if written + record.len() > FILE_BYTES {
            file.seek(SeekFrom::Start(0))?;
            written = 0;
        }
        let sent = Instant::now();
        file.write_all(record)?;
        file.sync_data()?;
        latencies.record(sent.elapsed().as_micros() as u64)?;
        written += record.len();
    }
    drop(file);
    std::fs::remove_file(path)?;
    Ok(latencies)
}
