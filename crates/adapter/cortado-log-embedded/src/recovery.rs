//! Opens a directory: refuses what is damaged, cuts what a power cut tore, goes on at the end.
//!
//! Changes nothing before everything has been read and found whole. Start reading at [`open`].
//! Source: docs/formats/embedded-log.md, "Recovery".

use crate::Settings;
use crate::files::{Access, Files, LockGuard, is_no_space, wipe, write_all};
use crate::group::GROUP_HEADER_BYTES;
use crate::line::Line;
use crate::open_error::OpenError;
use crate::partition::Partitions;
use crate::preparation::Preparation;
use crate::scan::Tail;
use crate::segment::{LogUuid, PREPARED_NAME, SEGMENT_HEADER_BYTES, Segment, SegmentHeader};
use crate::survey::{Survey, SurveyError, Surveyed, survey};
use crate::upkeep::Upkeep;
use crate::window::Window;
use crate::writer::{Active, Cache, Occupants, Writer};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tracing::{info, warn};

/// A log that is ready to be written and read.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) line: Arc<Line>,
    pub(crate) partitions: Arc<Partitions>,
    pub(crate) writer: Writer,
    /// Bytes of recent records in memory.
    pub(crate) cache_bytes: Arc<AtomicU64>,
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
    let lock = enter(files.as_ref(), directory, Access::Write)?;
    let survey =
        survey(files.as_ref(), Access::Write).map_err(|error| error.into_open(directory))?;
    if let Some(damage) = survey.damages.first() {
        let damage = damage.clone();
        return Err(OpenError::Damaged { directory: directory.clone(), damage });
    }
    let failed = |doing: &str| {
        let (directory, doing) = (directory.clone(), doing.to_owned());
        move |source: io::Error| OpenError::Io { directory, doing, source }
    };
    cut(&survey).map_err(failed("cut the torn end of the log"))?;
    settle(files.as_ref(), &survey).map_err(failed("sync the end of the log"))?;
    clean(files.as_ref()).map_err(failed("delete a half-prepared segment"))?;
    let active = active(files.as_ref(), settings, &survey, fresh)?;
    let partitions = Arc::new(Partitions::default());
    restore(&partitions, &survey);
    let (occupants, dead) = occupants(&survey, &active);
    let spare = spare(&survey, &active);
    let upkeep =
        Upkeep::start(Arc::clone(files), spare).map_err(failed("start a thread for the log"))?;
    for segment in dead {
        upkeep.delete(segment);
    }
    info!(
        segments = survey.segments.len(),
        partitions = survey.state.extents.len(),
        "opened the log"
    );
    let line = Arc::new(Line::default());
    let cache = Cache::new(settings.cache_bytes_max);
    let cache_bytes = cache.shown_bytes();
    let state = (survey.state.extents, survey.state.next_life, occupants);
    let writer =
        Writer::new(Arc::clone(&line), Arc::clone(&partitions), upkeep, active, state, cache);
    Ok(Opened { line, partitions, writer, cache_bytes, lock })
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

impl SurveyError {
    /// The same, to whoever wanted to use `directory`.
    pub(crate) fn into_open(self, directory: &Path) -> OpenError {
        let directory = directory.to_owned();
        match self {
            SurveyError::Io { file, source } => {
                OpenError::Io { directory, doing: format!("read {file}"), source }
            }
            SurveyError::Version { file, version } => {
                OpenError::Version { directory, file, version }
            }
        }
    }
}

/// Makes everything behind the end zeros again, the seal excepted.
fn cut(survey: &Survey) -> io::Result<()> {
    let active = survey.active().map_or(0, |active| active.segment.number);
    for surveyed in &survey.segments {
        if surveyed.segment.number < active {
            continue;
        }
        let end = surveyed.scanned.end;
        let (from, upto) = match surveyed.scanned.tail {
            Tail::Torn { upto, why } => {
                let (segment, bytes) = (surveyed.segment.number, upto - end);
                warn!(segment, position = end, bytes, why, "cut a write that was not finished");
                (end, upto)
            }
            Tail::Sealed { upto } => (end + GROUP_HEADER_BYTES as u64, upto),
            Tail::Bounded | Tail::Clean | Tail::Continued | Tail::Damaged { .. } => continue,
        };
        if from < upto {
            wipe(surveyed.segment.file.as_ref(), from, upto)?;
        }
    }
    Ok(())
}

/// Makes durable what has been read, by writing the last group again.
///
/// The process before may have died between the write and the sync of that group, or of a sync
/// that failed: then the system shows the bytes, holds them for clean, and the medium does not have
/// them.
fn settle(files: &dyn Files, survey: &Survey) -> io::Result<()> {
    files.sync_directory()?;
    let Some(Surveyed { segment, scanned, .. }) = survey.active() else { return Ok(()) };
    let mut window = Window::new(segment.file.as_ref(), 0);
    // A group was built in memory once, so that it fits there again.
    let bytes = window.get(scanned.last_group, (scanned.end - scanned.last_group) as usize)?;
    write_all(segment.file.as_ref(), bytes, scanned.last_group).map_err(|failed| failed.error)?;
    segment.file.sync()
}

/// Deletes what an interrupted preparation left behind.
fn clean(files: &dyn Files) -> io::Result<()> {
    if files.list()?.iter().any(|name| name == PREPARED_NAME) {
        files.remove(PREPARED_NAME)?;
    }
    Ok(())
}

/// The segment to go on in; a new one if there is none.
fn active(
    files: &dyn Files,
    settings: &Settings,
    survey: &Survey,
    fresh: LogUuid,
) -> Result<Active, OpenError> {
    let segment_bytes = settings.segment_bytes;
    let log = survey.log.unwrap_or(fresh);
    if let Some(Surveyed { segment, scanned, .. }) = survey.active() {
        let next_group = scanned.groups.map_or(1, |(_, last)| last + 1);
        let (segment, previous) = (Arc::clone(segment), survey.state.previous);
        return Ok(Active::new(segment, log, scanned.end, next_group, previous, segment_bytes));
    }
    let segment = match survey.segments.last() {
        Some(unused) => Arc::clone(&unused.segment),
        None => Arc::new(first_segment(files, settings, log)?),
    };
    let position = SEGMENT_HEADER_BYTES as u64;
    Ok(Active::new(segment, log, position, 1, (0, 0), segment_bytes))
}

fn first_segment(
    files: &dyn Files,
    settings: &Settings,
    log: LogUuid,
) -> Result<Segment, OpenError> {
    let header = SegmentHeader { log, number: 1, file_bytes: settings.segment_bytes };
    let prepared =
        Preparation::start(files, header).and_then(|preparation| preparation.finish(files));
    prepared.map_err(|source| {
        let directory = settings.directory.clone();
        if is_no_space(&source) {
            // The space is given back; whoever needs it more shall have it.
            let _ = files.remove(PREPARED_NAME);
            let segment_bytes = settings.segment_bytes;
            return OpenError::NoSpace { directory, segment_bytes, source };
        }
        OpenError::from_io(&directory, "prepare the first segment", source)
    })
}

/// Shows readers what is there.
fn restore(partitions: &Partitions, survey: &Survey) {
    for (id, extent) in &survey.state.extents {
        let chunks = survey.segments.iter().filter_map(|surveyed| {
            let run = surveyed.live.get(id)?;
            Some((Arc::clone(&surveyed.segment), run.positions.clone()))
        });
        partitions.get_or_new(*id).restore(extent.life, extent.first.0, chunks.collect());
    }
}

/// Who wants which segment, and the segments that nobody wants.
fn occupants(survey: &Survey, active: &Active) -> (Occupants, Vec<Arc<Segment>>) {
    let mut occupants = Occupants::default();
    for surveyed in survey.segments.iter().filter(|surveyed| surveyed.is_used()) {
        let ends = surveyed.live.iter().map(|(id, run)| (*id, run.end())).collect();
        occupants.restore(&surveyed.segment, ends);
    }
    let dead = occupants.take_dead(active.segment().number);
    (occupants, dead)
}

/// The segment that was prepared to follow the active one.
fn spare(survey: &Survey, active: &Active) -> Option<Arc<Segment>> {
    let last = survey.segments.last()?;
    (last.segment.number > active.segment().number).then(|| Arc::clone(&last.segment))
}
