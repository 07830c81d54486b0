//! Opens a directory: refuses what is damaged, cuts what a power cut tore, goes on at the end.
//!
//! Changes nothing before everything has been read and found whole. Start reading at [`open`].
//! Source: docs/formats/embedded-log.md, "Recovery".

use crate::append_queue::AppendQueue;
use crate::directory_scan::{DirectoryScan, DirectoryScanError, ScannedSegment, scan_directory};
use crate::files::{Access, Files, LockGuard, is_no_space, wipe, write_all};
use crate::group::GROUP_HEADER_BYTES;
use crate::maintenance::SegmentMaintenance;
use crate::open_error::OpenError;
use crate::partition::Partitions;
use crate::preparation::Preparation;
use crate::segment::{
    LogUuid, PREPARED_NAME, SEGMENT_HEADER_BYTES, Segment, SegmentHeader, is_leftover,
    segment_number,
};
use crate::segment_scan::Tail;
use crate::settings::Settings;
use crate::window::Window;
use crate::writer::{Active, Cache, SegmentLiveness, Writer};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use tracing::{info, warn};

/// A log that is ready to be written and read.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Which log it is.
    pub(crate) log: LogUuid,
    pub(crate) queue: Arc<AppendQueue>,
    pub(crate) partitions: Arc<Partitions>,
    pub(crate) writer: Writer,
    /// Bytes of recent records in memory.
    pub(crate) cache_bytes: Arc<AtomicU64>,
    /// Whether there is no room for the next segment.
    pub(crate) full: Arc<AtomicBool>,
    pub(crate) lock: LockGuard,
}

/// Opens the log in the directory behind `files`; an empty directory becomes a log.
///
/// * `fresh`: names the log if it is a new one.
///
/// # Errors
/// See [`OpenError`]; nothing was changed then.
pub(crate) fn open(
    files: &Arc<dyn Files>,
    settings: &Settings,
    fresh: LogUuid,
) -> Result<Opened, OpenError> {
    let directory = &settings.directory;
    settings.check()?;
    if settings.must_exist {
        check_exists(files.as_ref(), directory)?;
    }
    let lock = enter(files.as_ref(), directory, Access::Write)?;
    let scan = scan_directory(files.as_ref(), Access::Write)
        .map_err(|error| error.into_open(directory))?;
    if let Some(damage) = scan.damages.first() {
        let damage = damage.clone();
        return Err(OpenError::Damaged { directory: directory.clone(), damage });
    }
    let failed = |doing: &str| {
        let (directory, doing) = (directory.clone(), doing.to_owned());
        move |source: io::Error| OpenError::Io { directory, doing, source }
    };
    cut_torn_writes(&scan).map_err(failed("cut the torn end of the log"))?;
    make_end_durable(files.as_ref(), &scan).map_err(failed("sync the end of the log"))?;
    delete_leftovers(files.as_ref()).map_err(failed("delete a leftover file"))?;
    let log = scan.log.unwrap_or(fresh);
    let active = active(files.as_ref(), settings, &scan, log)?;
    let partitions = Arc::new(Partitions::default());
    restore(&partitions, &scan);
    let (liveness, dead) = liveness(&scan, &active);
    let prepared = prepared(&scan, &active);
    let (queue, full) = (Arc::new(AppendQueue::default()), Arc::new(AtomicBool::default()));
    let (told, shown) = (Arc::clone(&queue), Arc::clone(&full));
    let maintenance = SegmentMaintenance::start(Arc::clone(files), prepared, told, shown)
        .map_err(failed("start a thread for the log"))?;
    let DirectoryScan { segments, state, .. } = scan;
    info!(segments = segments.len(), partitions = state.extents.len(), "opened the log");
    // A segment that is still held here would be deleted rather than recycled.
    drop(segments);
    for segment in dead {
        maintenance.retire(segment);
    }
    let cache = Cache::new(settings.cache_bytes_max);
    let cache_bytes = cache.shown_bytes();
    let state = (state.extents, state.next_incarnation, liveness);
    let writer =
        Writer::new(Arc::clone(&queue), Arc::clone(&partitions), maintenance, active, state, cache);
    Ok(Opened { log, queue, partitions, writer, cache_bytes, full, lock })
}

/// Refuses a directory without segments, before even the lock file is made in it.
fn check_exists(files: &dyn Files, directory: &Path) -> Result<(), OpenError> {
    let names = files.list();
    let names =
        names.map_err(|error| OpenError::from_io(directory, "read the directory", error))?;
    if names.iter().any(|name| segment_number(name).is_some()) {
        return Ok(());
    }
    Err(OpenError::Gone { directory: directory.to_owned() })
}

/// Keeps others out of the directory.
///
/// # Errors
/// The ones that say what is wrong with the directory itself.
pub(crate) fn enter(
    files: &dyn Files,
    directory: &Path,
    access: Access,
) -> Result<LockGuard, OpenError> {
    match files.lock(access) {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => Err(OpenError::InUse { directory: directory.to_owned() }),
        Err(error) => Err(OpenError::from_io(directory, "lock the log", error)),
    }
}

impl DirectoryScanError {
    /// The same, for the caller that wanted to use `directory`.
    pub(crate) fn into_open(self, directory: &Path) -> OpenError {
        let directory = directory.to_owned();
        match self {
            DirectoryScanError::Io { file, source } => {
                OpenError::Io { directory, doing: format!("read {file}"), source }
            }
            DirectoryScanError::Version { file, version } => {
                OpenError::Version { directory, file, version }
            }
        }
    }
}

/// Takes from every torn write its header, so that nothing can ever make a group of the rest.
fn cut_torn_writes(scan: &DirectoryScan) -> io::Result<()> {
    let active = scan.active().map_or(0, |active| active.segment.number);
    for scanned in scan.segments.iter().filter(|scanned| scanned.segment.number >= active) {
        let Tail::Torn { upto, why } = scanned.scan.tail else { continue };
        let (segment, position) = (scanned.segment.number, scanned.scan.end);
        warn!(
            segment,
            position,
            bytes = upto - position,
            reason = why,
            "cut a write that was not finished"
        );
        wipe(scanned.segment.file.as_ref(), position, position + GROUP_HEADER_BYTES as u64)?;
    }
    Ok(())
}

/// Makes durable what has been read, by writing the last group again.
///
/// The process before may have died between the write and the sync of that group, or of a sync
/// that failed: then the system shows the bytes, holds them for clean, and the medium does not have
/// them.
fn make_end_durable(files: &dyn Files, scan: &DirectoryScan) -> io::Result<()> {
    files.sync_directory()?;
    let Some(ScannedSegment { segment, scan, .. }) = scan.active() else { return Ok(()) };
    let mut window = Window::new(segment.file.as_ref(), 0);
    // A group was built in memory once, so that it fits there again.
    let bytes = window.get(scan.last_group, (scan.end - scan.last_group) as usize)?;
    write_all(segment.file.as_ref(), bytes, scan.last_group).map_err(|failed| failed.error)?;
    segment.file.sync()
}

/// Deletes what another process has prepared by halves, or kept to recycle.
fn delete_leftovers(files: &dyn Files) -> io::Result<()> {
    files.list()?.iter().filter(|name| is_leftover(name)).try_for_each(|name| files.remove(name))
}

/// The segment to go on in; a new one if there is none.
fn active(
    files: &dyn Files,
    settings: &Settings,
    scan: &DirectoryScan,
    fresh: LogUuid,
) -> Result<Active, OpenError> {
    let segment_bytes = settings.segment_bytes;
    let log = scan.log.unwrap_or(fresh);
    if let Some(ScannedSegment { segment, scan: last, .. }) = scan.active() {
        let next_group = last.groups.map_or(1, |(_, last)| last + 1);
        let (segment, previous) = (Arc::clone(segment), scan.state.previous);
        return Ok(Active::new(segment, log, last.end, next_group, previous, segment_bytes));
    }
    let segment = match scan.segments.last() {
        Some(unused) => Arc::clone(&unused.segment),
        None => Arc::new(first_segment(files, settings, log)?),
    };
    let position = SEGMENT_HEADER_BYTES as u64;
    Ok(Active::new(segment, log, position, 1, None, segment_bytes))
}

fn first_segment(
    files: &dyn Files,
    settings: &Settings,
    log: LogUuid,
) -> Result<Segment, OpenError> {
    let header =
        SegmentHeader { log, number: 1, file_bytes: settings.segment_bytes, first_group: 1 };
    let prepared =
        Preparation::start(files, header).and_then(|preparation| preparation.finish(files));
    prepared.map_err(|source| {
        let directory = settings.directory.clone();
        if is_no_space(&source) {
            // Give the space back: there will be no log.
            let _ = files.remove(PREPARED_NAME);
            let segment_bytes = settings.segment_bytes;
            return OpenError::NoSpace { directory, segment_bytes, source };
        }
        OpenError::from_io(&directory, "prepare the first segment", source)
    })
}

/// Shows readers what is there.
fn restore(partitions: &Partitions, scan: &DirectoryScan) {
    for (id, extent) in &scan.state.extents {
        let chunks = scan.segments.iter().filter_map(|scanned| {
            let run = scanned.live.get(id)?;
            Some((Arc::clone(&scanned.segment), run.positions.clone()))
        });
        partitions.get_or_new(*id).restore(extent.incarnation, extent.first.0, chunks.collect());
    }
}

/// Which partitions have records in which segment, and the segments without any.
fn liveness(scan: &DirectoryScan, active: &Active) -> (SegmentLiveness, Vec<Arc<Segment>>) {
    let mut liveness = SegmentLiveness::default();
    for scanned in scan.segments.iter().filter(|scanned| scanned.is_used()) {
        let ends = scanned.live.iter().map(|(id, run)| (*id, run.end())).collect();
        liveness.restore(&scanned.segment, ends);
    }
    let dead = liveness.take_dead(active.segment().number);
    (liveness, dead)
}

/// The segment that was prepared to follow the active one.
fn prepared(scan: &DirectoryScan, active: &Active) -> Option<Arc<Segment>> {
    let last = scan.segments.last()?;
    (last.segment.number > active.segment().number).then(|| Arc::clone(&last.segment))
}
