//! The work that must not hold up an append: the next segment, marks in old ones, retiring them.
//!
//! One thread. Never touches the segment that the writer writes. Start reading at
//! [`SegmentMaintenance`].

use crate::append_queue::AppendQueue;
use crate::files::{Files, is_no_space, is_passing, write_all};
use crate::group::{GroupHeader, GroupKind};
use crate::place::Place;
use crate::preparation::{Preparation, Progress};
use crate::prepare_error::PrepareError;
use crate::segment::{LogUuid, PREPARED_NAME, Segment, SegmentHeader};
use crate::spare_segments::SpareSegments;
use crate::write_error::WriteError;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tracing::{info, warn};

/// The writer's handle on the maintenance thread; dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct SegmentMaintenance {
    /// Holds few: one request for a next segment, behind which the mark in the last one is done
    /// before another can be taken; and each segment of the log once, to be retired.
    tasks: Option<Sender<Task>>,
    next: Arc<NextSegment>,
    thread: Option<JoinHandle<()>>,
}

/// Where the next segment is handed over.
#[derive(Debug, Default)]
struct NextSegment {
    slot: Mutex<Slot>,
    changed: Condvar,
    stop: AtomicBool,
}

#[derive(Debug, Default)]
enum Slot {
    /// Not requested.
    #[default]
    Empty,
    /// It is being prepared.
    Working,
    Ready(Arc<Segment>),
    /// It could not be prepared; asking again tries again, and so does time.
    Failed(PrepareError),
}

/// Between two tries to prepare a segment, if nobody asks.
const RETRY: Duration = Duration::from_millis(500);

enum Task {
    Prepare(SegmentHeader),
    /// Notes at the end of a segment that the log goes on in the next one.
    Mark {
        segment: Arc<Segment>,
        position: u64,
        mark: GroupHeader,
    },
    Retire(Arc<Segment>),
}

impl SegmentMaintenance {
    /// Starts the thread.
    ///
    /// * `prepared`: the segment that an earlier process has prepared.
    /// * `queue`: is told if the medium fails.
    /// * `full`: shows whether there is no room for a next segment.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub(crate) fn start(
        files: Arc<dyn Files>,
        prepared: Option<Arc<Segment>>,
        queue: Arc<AppendQueue>,
        full: Arc<AtomicBool>,
    ) -> io::Result<SegmentMaintenance> {
        let slot = prepared.map_or(Slot::Empty, Slot::Ready);
        let next = Arc::new(NextSegment { slot: Mutex::new(slot), ..NextSegment::default() });
        let (tasks, received) = channel();
        let worker = Worker {
            files,
            next: Arc::clone(&next),
            preparation: None,
            spares: SpareSegments::default(),
            failing: None,
            queue,
            full,
        };
        let thread = thread::Builder::new()
            .name("cortado-log-maintenance".to_owned())
            .spawn(move || worker.run(&received))?;
        Ok(SegmentMaintenance { tasks: Some(tasks), next, thread: Some(thread) })
    }

    /// Has the next segment prepared, unless that was requested before.
    pub(crate) fn request(&self, header: SegmentHeader) {
        let mut slot = self.next.lock();
        match *slot {
            Slot::Empty => *slot = Slot::Working,
            Slot::Working | Slot::Ready(_) | Slot::Failed(_) => return,
        }
        drop(slot);
        self.send(Task::Prepare(header));
    }

    /// Whether the next segment is there.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(*self.next.lock(), Slot::Ready(_))
    }

    /// Waits for the next segment and takes it.
    ///
    /// # Errors
    /// See [`PrepareError`].
    pub(crate) fn take(&self, header: SegmentHeader) -> Result<Arc<Segment>, PrepareError> {
        let mut slot = self.next.lock();
        if let Slot::Failed(_) = *slot {
            // There may be room by now.
            *slot = Slot::Empty;
        }
        drop(slot);
        self.request(header);
        let mut slot = self.next.lock();
        loop {
            match std::mem::take(&mut *slot) {
                Slot::Ready(segment) => return Ok(segment),
                Slot::Failed(error) => {
                    *slot = Slot::Failed(error.clone());
                    return Err(error);
                }
                Slot::Working => {
                    *slot = Slot::Working;
                    self.next.changed.wait(&mut slot);
                }
                Slot::Empty => return Err(PrepareError::Stopped),
            }
        }
    }

    /// Notes at `position` of `segment`, its end, that group `number` stands in the next segment.
    pub(crate) fn mark_continued(
        &self,
        segment: Arc<Segment>,
        position: u64,
        number: u64,
        log: LogUuid,
    ) {
        let mark = GroupHeader::mark(GroupKind::Continued, number, log.tag());
        self.send(Task::Mark { segment, position, mark });
    }

    /// Recycles or deletes a segment without live records; readers that hold it read on.
    pub(crate) fn retire(&self, segment: Arc<Segment>) {
        self.send(Task::Retire(segment));
    }

    fn send(&self, task: Task) {
        if let Some(tasks) = &self.tasks {
            // Without the thread nothing is prepared, marked or retired; opening catches up.
            let _ = tasks.send(task);
        }
    }
}

impl Drop for SegmentMaintenance {
    fn drop(&mut self) {
        self.next.stop.store(true, Ordering::Relaxed);
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            // It has no result, and a panic has been reported by then.
            let _ = thread.join();
        }
    }
}

impl NextSegment {
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock()
    }

    fn set(&self, slot: Slot) {
        *self.lock() = slot;
        self.changed.notify_all();
    }
}

struct Worker {
    files: Arc<dyn Files>,
    next: Arc<NextSegment>,
    /// A preparation that ran out of space; goes on where it stopped.
    preparation: Option<Preparation>,
    spares: SpareSegments,
    /// Of the last preparation if it failed: each failure is logged once, and tried again.
    failing: Option<SegmentHeader>,
    queue: Arc<AppendQueue>,
    full: Arc<AtomicBool>,
}

impl Worker {
    fn run(mut self, tasks: &Receiver<Task>) {
        let stopped = Stopped(Arc::clone(&self.next));
        loop {
            let task = match self.failing {
                Some(_) => tasks.recv_timeout(RETRY),
                None => tasks.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match task {
                Ok(Task::Prepare(header)) => self.prepare(header),
                Ok(Task::Mark { segment, position, mark }) => self.mark(&segment, position, mark),
                Ok(Task::Retire(segment)) => self.retire(segment),
                Err(RecvTimeoutError::Timeout) => self.prepare_again(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        drop(stopped);
    }

    /// Prepares what could not be prepared before, unless the writer has asked for that.
    fn prepare_again(&mut self) {
        let Some(header) = self.failing else { return };
        let mut slot = self.next.lock();
        // The segment must be made once: a second one of its name would take the place of the
        // first.
        if !matches!(*slot, Slot::Failed(_)) {
            return;
        }
        *slot = Slot::Working;
        drop(slot);
        self.prepare(header);
    }

    fn prepare(&mut self, header: SegmentHeader) {
        let kept = self.preparation.take().filter(|kept| kept.number() == header.number);
        let slot = match self.try_prepare(kept, header) {
            Ok(Some(segment)) => Slot::Ready(Arc::new(segment)),
            Ok(None) => Slot::Empty,
            Err(error) => {
                if self.failing.replace(header).is_none() {
                    warn!(segment = header.number, %error, "cannot prepare the next segment");
                }
                self.full.store(is_no_space(&error), Ordering::Relaxed);
                Slot::Failed(PrepareError::Io { segment: header.number, source: Arc::new(error) })
            }
        };
        if let Slot::Ready(_) = slot {
            self.full.store(false, Ordering::Relaxed);
            if self.failing.take().is_some() {
                info!(segment = header.number, "prepared the next segment");
            }
        }
        self.next.set(slot);
    }

    /// Answers `None` if it was stopped in the middle.
    fn try_prepare(
        &mut self,
        kept: Option<Preparation>,
        header: SegmentHeader,
    ) -> io::Result<Option<Segment>> {
        if let Some(segment) = self.spares.recycle(self.files.as_ref(), &header) {
            if kept.is_some() {
                self.files.remove(PREPARED_NAME)?;
            }
            return Ok(Some(segment));
        }
        let mut preparation = match kept {
            Some(kept) => kept,
            None => Preparation::start(self.files.as_ref(), header)?,
        };
        loop {
            if self.next.stop.load(Ordering::Relaxed) {
                self.files.remove(PREPARED_NAME)?;
                return Ok(None);
            }
            match preparation.step(self.files.as_ref())? {
                Progress::Further(next) => preparation = next,
                Progress::Ready(segment) => return Ok(Some(segment)),
                Progress::NoSpace(kept, error) => {
                    self.preparation = Some(kept);
                    return Err(error);
                }
            }
        }
    }

    /// Losing the mark loses no record: it would have shown that a later file is missing. But a
    /// medium that fails here cannot be trusted with what comes next.
    fn mark(&self, segment: &Segment, position: u64, mark: GroupHeader) {
        let (place, file) = (Place { segment: segment.number, position }, segment.name.clone());
        let why = match write_all(segment.file.as_ref(), &mark.encode(place), position) {
            Ok(()) => match segment.file.sync() {
                Ok(()) => return,
                Err(source) => WriteError::Sync { file, source },
            },
            Err(failed) if is_passing(&failed.error) => {
                let error = failed.error;
                return warn!(segment = segment.number, %error, "cannot mark the end of a segment");
            }
            Err(failed) => WriteError::Write { file, source: failed.error },
        };
        self.queue.fail(Arc::new(why));
    }

    /// What cannot be kept or deleted now is retired when the log is opened again.
    fn retire(&mut self, segment: Arc<Segment>) {
        let (number, name) = (segment.number, segment.name.clone());
        // A reader that holds the segment must go on finding its bytes, which deletion grants it.
        let kept = match Arc::into_inner(segment) {
            Some(segment) => self.spares.keep(self.files.as_ref(), segment),
            None => Ok(false),
        };
        let deleted = kept.and_then(|kept| {
            if !kept {
                self.files.remove(&name)?;
                self.files.sync_directory()?;
            }
            Ok(!kept)
        });
        match deleted {
            Ok(deleted) => info!(segment = number, deleted, "retired a segment"),
            Err(error) => warn!(segment = number, %error, "cannot retire a segment"),
        }
    }
}

/// Tells a waiting writer, even after a panic, that nothing more will come.
struct Stopped(Arc<NextSegment>);

impl Drop for Stopped {
    fn drop(&mut self) {
        let mut slot = self.0.lock();
        if matches!(*slot, Slot::Working) {
            *slot = Slot::Empty;
        }
        drop(slot);
        self.0.changed.notify_all();
    }
}
