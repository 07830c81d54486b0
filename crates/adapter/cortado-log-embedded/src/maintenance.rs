//! The work that must not hold up an append: the next segment, marks in old ones, retiring them.
//!
//! One thread. Never touches the segment that the writer writes. Start reading at
//! [`SegmentMaintenance`].

use crate::files::{Files, write_all};
use crate::group::{GroupHeader, GroupKind};
use crate::place::Place;
use crate::preparation::{Preparation, Progress};
use crate::segment::{LogUuid, PREPARED_NAME, Segment, SegmentHeader};
use crate::spare_segments::SpareSegments;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
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
    /// It could not be prepared; asking again tries again.
    Failed(PrepareError),
}

/// Why there is no next segment. Nothing is lost by asking again.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    #[error("cannot prepare segment {segment}")]
    Io {
        segment: u64,
        #[source]
        source: Arc<io::Error>,
    },
    #[error("the log's maintenance thread has stopped")]
    Stopped,
}

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
    /// Starts the thread; `prepared` is the segment that an earlier process has prepared.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub(crate) fn start(
        files: Arc<dyn Files>,
        prepared: Option<Arc<Segment>>,
    ) -> io::Result<SegmentMaintenance> {
        let slot = prepared.map_or(Slot::Empty, Slot::Ready);
        let next = Arc::new(NextSegment { slot: Mutex::new(slot), ..NextSegment::default() });
        let (tasks, received) = channel();
        let worker = Worker {
            files,
            next: Arc::clone(&next),
            preparation: None,
            spares: SpareSegments::default(),
            failing: false,
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
    /// Whether the last preparation failed, so that each failure is logged once.
    failing: bool,
}

impl Worker {
    fn run(mut self, tasks: &Receiver<Task>) {
        let stopped = Stopped(Arc::clone(&self.next));
        for task in tasks {
            match task {
                Task::Prepare(header) => self.prepare(header),
                Task::Mark { segment, position, mark } => self.mark(&segment, position, mark),
                Task::Retire(segment) => self.retire(segment),
            }
        }
        drop(stopped);
    }

    fn prepare(&mut self, header: SegmentHeader) {
        let kept = self.preparation.take().filter(|kept| kept.number() == header.number);
        let slot = match self.try_prepare(kept, header) {
            Ok(Some(segment)) => Slot::Ready(Arc::new(segment)),
            Ok(None) => Slot::Empty,
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    warn!(segment = header.number, %error, "cannot prepare the next segment");
                }
                Slot::Failed(PrepareError::Io { segment: header.number, source: Arc::new(error) })
            }
        };
        if let Slot::Ready(_) = slot {
            self.failing = false;
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

    /// Losing the mark loses no record: it would have shown that a later file is missing.
    fn mark(&self, segment: &Segment, position: u64, mark: GroupHeader) {
        let place = Place { segment: segment.number, position };
        let written = write_all(segment.file.as_ref(), &mark.encode(place), position)
            .map_err(|failed| failed.error)
            .and_then(|()| segment.file.sync());
        if let Err(error) = written {
            warn!(segment = segment.number, %error, "cannot mark the end of a segment");
        }
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
