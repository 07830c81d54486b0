//! The one writer: takes everything that waits, makes it one group, one write and one sync.
//!
//! Nothing is shown to readers or acknowledged before it is durable. After a write or sync that may
//! have left anything on the medium, the writer writes nothing any more. Start reading at
//! [`Writer::run`]. Source: docs/formats/embedded-log.md, "Writing".

mod active;
mod cache;
mod pending_group;
mod segment_liveness;

pub(crate) use active::Active;
pub(crate) use cache::Cache;
pub(crate) use segment_liveness::SegmentLiveness;

use crate::append_error::AppendError;
use crate::append_queue::{AppendQueue, Request};
use crate::frame::{FRAME_HEADER_BYTES, Frame, FrameKind, PartitionIncarnation, frame_bytes};
use crate::group::GroupBuilder;
use crate::maintenance::SegmentMaintenance;
use crate::opening::{Extent, Opening};
use crate::partition::{Partition, Partitions};
use crate::write_error::{Failure, WriteError};
use bytes::Bytes;
use cortado_log::{AppendPriority, Cause};
use cortado_model::{LogOffset, PartitionId};
use pending_group::{Effect, PendingGroup};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Everything that only the writer changes.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: Arc<AppendQueue>,
    partitions: Arc<Partitions>,
    maintenance: SegmentMaintenance,
    active: Active,
    /// The group that is being formed, and what follows from it.
    group: GroupBuilder,
    pending: PendingGroup,
    /// Every partition with an incarnation, the group that is being formed included.
    extents: BTreeMap<PartitionId, Extent>,
    next_incarnation: PartitionIncarnation,
    liveness: SegmentLiveness,
    cache: Cache,
}

/// A group is written when it has reached this, even if more waits: four milliseconds of a disk
/// that writes 1 GB/s.
const GROUP_BYTES_TARGET: u64 = 4 << 20;

/// What room in a segment is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// A record, which must leave alone what is reserved for those of a higher priority.
    Record(AppendPriority),
    /// A trim or a removal, which makes room and so must find some on a full disk.
    Control,
}

impl Writer {
    /// A writer that goes on at the end of `active`.
    pub(crate) fn new(
        queue: Arc<AppendQueue>,
        partitions: Arc<Partitions>,
        maintenance: SegmentMaintenance,
        active: Active,
        state: (BTreeMap<PartitionId, Extent>, PartitionIncarnation, SegmentLiveness),
        cache: Cache,
    ) -> Writer {
        let group = GroupBuilder::new(active.place());
        let pending = PendingGroup::default();
        let (extents, next_incarnation, liveness) = state;
        Writer {
            queue,
            partitions,
            maintenance,
            active,
            group,
            pending,
            extents,
            next_incarnation,
            liveness,
            cache,
        }
    }

    /// Serves the queue until it is closed and empty, then seals the log.
    pub(crate) fn run(mut self) {
        let _guard = ClosesQueue(Arc::clone(&self.queue));
        let mut batch = VecDeque::new();
        loop {
            if !self.queue.take(&mut batch) {
                self.seal(Active::seal);
                if !self.queue.wait(&mut batch) {
                    break;
                }
            }
            self.serve(&mut batch);
        }
        self.seal(Active::sync_seal);
    }

    /// Seals the log unless it is unusable, which it is if that fails.
    fn seal(&mut self, seal: fn(&mut Active) -> Result<(), WriteError>) {
        if self.queue.failure().is_none()
            && let Err(error) = seal(&mut self.active)
        {
            self.queue.fail(Arc::new(error));
        }
    }

    fn serve(&mut self, batch: &mut VecDeque<Request>) {
        while let Some(request) = batch.pop_front() {
            self.pending.bytes += request.bytes();
            match request {
                Request::Append { partition, records, priority, answer } => {
                    self.append(partition, records, priority, answer);
                }
                Request::Trim { partition, below, answer } => {
                    let trimmed = self.trim(partition, below);
                    self.pending.answer(trimmed.map_err(Failure::into_error), answer);
                }
                Request::Remove { partition, answer } => {
                    let removed = self.remove(partition);
                    self.pending.answer(removed.map_err(Failure::into_error), answer);
                }
            }
            if self.group.len() >= GROUP_BYTES_TARGET {
                // The requests of the group are answered; those to come are not concerned.
                let _ = self.commit();
            }
        }
        let _ = self.commit();
    }

    fn append(
        &mut self,
        id: PartitionId,
        records: Vec<Bytes>,
        priority: AppendPriority,
        answer: oneshot::Sender<Result<LogOffset, AppendError>>,
    ) {
        let partition = self.partitions.get_or_new(id);
        let mut formed: Option<(LogOffset, u64)> = None;
        let appended = records.into_iter().try_for_each(|record| {
            let offset = self.record(&partition, record, priority)?;
            formed.get_or_insert((offset, self.active.next_group()));
            Ok(())
        });
        let failure: Failure = match (appended, formed) {
            (Ok(()), Some((first, _))) => return self.pending.answer(Ok(first), answer),
            (Ok(()), None) => {
                let cause = Cause::refused("an append needs at least one record");
                return self.pending.answer(Err(AppendError::NotAppended(cause)), answer);
            }
            (Err(failure), _) => failure,
        };
        // The group that held the first records may have been written before the failure.
        let landed = formed.is_some_and(|(_, group)| group < self.active.next_group());
        let error =
            if landed { failure.into_partial_error(partition.end()) } else { failure.into_error() };
        self.pending.answer(Err(error), answer);
    }

    /// Adds a record to the group, behind its partition's end.
    fn record(
        &mut self,
        partition: &Arc<Partition>,
        record: Bytes,
        priority: AppendPriority,
    ) -> Result<LogOffset, Failure> {
        self.make_room(frame_bytes(record.len()), Purpose::Record(priority))?;
        let id = partition.id;
        let before = self.extents.get(&id).copied();
        let extent = before.unwrap_or(Extent {
            incarnation: self.next_incarnation,
            first: LogOffset::ZERO,
            end: LogOffset::ZERO,
        });
        self.pending.touch(id, before, self.next_incarnation);
        if before.is_none() {
            // Wraps after four thousand million partitions; the old ones are long gone by then.
            self.next_incarnation = PartitionIncarnation(self.next_incarnation.0.wrapping_add(1));
        }
        let position = self.group.push(&Frame {
            kind: FrameKind::Record,
            partition: id,
            incarnation: extent.incarnation,
            offset: extent.end,
            payload: &record,
        });
        self.extents.insert(id, Extent { end: extent.end.plus(1), ..extent });
        self.pending.record(partition, extent.incarnation, position, record);
        Ok(extent.end)
    }

    fn trim(&mut self, id: PartitionId, below: LogOffset) -> Result<(), Failure> {
        self.make_room(FRAME_HEADER_BYTES, Purpose::Control)?;
        let Some(extent) = self.extents.get(&id).copied() else { return Ok(()) };
        let first = below.min(extent.end);
        if first <= extent.first {
            return Ok(());
        }
        self.pending.touch(id, Some(extent), self.next_incarnation);
        self.push_control(FrameKind::Trimmed, id, extent.incarnation, first);
        self.extents.insert(id, Extent { first, ..extent });
        let partition = self.partitions.get_or_new(id);
        self.pending.effects.push(Effect::Trimmed { partition, first });
        Ok(())
    }

    fn remove(&mut self, id: PartitionId) -> Result<(), Failure> {
        self.make_room(FRAME_HEADER_BYTES, Purpose::Control)?;
        let Some(extent) = self.extents.remove(&id) else { return Ok(()) };
        self.pending.touch(id, Some(extent), self.next_incarnation);
        self.push_control(FrameKind::Removed, id, extent.incarnation, LogOffset::ZERO);
        let partition = self.partitions.get_or_new(id);
        self.pending.effects.push(Effect::Removed { partition });
        Ok(())
    }

    fn push_control(
        &mut self,
        kind: FrameKind,
        id: PartitionId,
        incarnation: PartitionIncarnation,
        offset: LogOffset,
    ) {
        self.group.push(&Frame { kind, partition: id, incarnation, offset, payload: &[] });
    }

    /// Sees to it that a frame of `bytes` fits behind the group: writes the group, goes on in the
    /// next segment, or both. A frame that fits no segment gets one that grows.
    fn make_room(&mut self, bytes: usize, purpose: Purpose) -> Result<(), Failure> {
        if let Some(error) = self.queue.failure() {
            return Err(Failure::Unusable(error));
        }
        loop {
            if self.group.is_empty() && self.active.is_fresh() {
                self.push_opening();
            }
            let end = self.active.place().position + self.group.len() + bytes as u64;
            let room = match purpose {
                // The next segment has reserves of its own.
                Purpose::Record(_) if self.maintenance.is_ready() => {
                    self.active.capacity_for(AppendPriority::Urgent)
                }
                Purpose::Record(priority) => self.active.capacity_for(priority),
                Purpose::Control => self.active.capacity(),
            };
            let alone = self.active.is_fresh() && self.group.frames() == 1;
            if end <= room || alone {
                return Ok(());
            }
            if self.group.is_empty() {
                self.active.roll(&self.maintenance)?;
                self.group.restart(self.active.place());
            } else {
                self.commit()?;
            }
        }
    }

    /// Begins a segment; the group is empty, so that all that is known is durable.
    fn push_opening(&mut self) {
        let partitions = self.extents.iter().map(|(id, extent)| (*id, *extent)).collect();
        let opening = Opening {
            previous: self.active.previous(),
            next_incarnation: self.next_incarnation,
            partitions,
        };
        self.group.push(&Frame {
            kind: FrameKind::Opening,
            partition: PartitionId::CLUSTER,
            incarnation: PartitionIncarnation(0),
            offset: LogOffset::ZERO,
            payload: &opening.encode(),
        });
    }

    /// Writes and syncs the group, then shows and acknowledges what is in it; or takes it back.
    fn commit(&mut self) -> Result<(), Failure> {
        let committed = if self.pending.effects.is_empty() {
            Ok(())
        } else if let Some(error) = self.queue.failure() {
            // Met by another thread of the log.
            Err(Failure::Unusable(error))
        } else {
            self.active.write(&mut self.group)
        };
        match &committed {
            Ok(()) => self.apply(),
            Err(failure) => self.revert(failure),
        }
        self.group.restart(self.active.place());
        self.queue.release(std::mem::take(&mut self.pending.bytes));
        committed
    }

    fn apply(&mut self) {
        let effects = std::mem::take(&mut self.pending.effects);
        for effect in effects {
            match effect {
                Effect::Records { partition, incarnation, records } => {
                    let segment = self.active.segment();
                    for (position, record) in records {
                        self.cache.note(&partition, incarnation, record.len());
                        partition.push(incarnation, segment, position, record);
                    }
                    partition.publish();
                    self.liveness.note(segment, &partition);
                }
                Effect::Trimmed { partition, first } => {
                    partition.trim(first);
                    self.liveness.trim(partition.id, first);
                }
                Effect::Removed { partition } => {
                    partition.reset();
                    self.liveness.remove(partition.id);
                }
            }
        }
        self.pending.acknowledge();
        self.cache.evict();
        self.active.after_write(&self.maintenance);
        for segment in self.liveness.take_dead(self.active.segment().number) {
            self.maintenance.retire(segment);
        }
    }

    fn revert(&mut self, failure: &Failure) {
        self.next_incarnation =
            self.pending.undo(&mut self.extents).unwrap_or(self.next_incarnation);
        self.pending.fail(failure);
        if let Failure::Unusable(error) = failure {
            self.queue.fail(Arc::clone(error));
        }
    }
}

/// Leaves no request waiting in the queue if the writer panics.
struct ClosesQueue(Arc<AppendQueue>);

impl Drop for ClosesQueue {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(Arc::new(WriteError::WriterPanicked));
            // Their callers hear it from the dropped answer.
            self.0.take(&mut VecDeque::new());
        }
    }
}
