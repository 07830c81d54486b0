//! What readers share of a partition: where it ends, its recent records, where the older ones are.
//!
//! Only the writer changes it, and only by what is durable. Start reading at [`Partition`].

use crate::frame::PartitionIncarnation;
use crate::place::{packed, unpacked};
use crate::segment::Segment;
use bytes::Bytes;
use cortado_log::{LogEntry, LogReadError};
use cortado_model::{LogOffset, PartitionId};
use parking_lot::{Mutex, MutexGuard, RwLock};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// One partition, as its readers see it.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) id: PartitionId,
    /// The same as the end in `records`, for readers that want nothing else.
    end: AtomicU64,
    records: Mutex<Records>,
    watch: watch::Sender<LogOffset>,
}

/// Durable records. Invariant: the chunks cover `first..end` without holes, and the cache holds the
/// last `cache.len()` records, perhaps some below `first`.
#[derive(Debug, Default)]
struct Records {
    /// Whose records these are, if the partition was removed and begun anew.
    incarnation: PartitionIncarnation,
    first: u64,
    end: u64,
    chunks: VecDeque<Chunk>,
    cache: VecDeque<Bytes>,
}

/// Where the records of one segment stand. Four bytes for each record: one that is wanted is found
/// at once, and reading a partition never reads the others' records in between.
#[derive(Debug)]
struct Chunk {
    segment: Arc<Segment>,
    first: u64,
    /// [`packed`], so that four bytes reach 32 GiB.
    positions: Vec<u32>,
}

/// What a read gets without waiting.
#[derive(Debug)]
pub(crate) enum Found {
    /// The whole answer, from memory.
    Entries(Vec<LogEntry>),
    /// Where to read, in order.
    Stored(Vec<Stored>),
}

/// Where a record stands.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) partition: PartitionId,
    pub(crate) offset: LogOffset,
    pub(crate) segment: Arc<Segment>,
    pub(crate) position: u64,
}

/// Records that one read takes from files at most: bounds the plan, not the bytes.
const STORED_MAX: usize = 4_096;

impl Partition {
    /// A partition without records.
    pub(crate) fn new(id: PartitionId) -> Partition {
        let watch = watch::Sender::new(LogOffset::ZERO);
        Partition { id, end: AtomicU64::new(0), records: Mutex::default(), watch }
    }

    /// Where the partition ends, durably.
    pub(crate) fn end(&self) -> LogOffset {
        // Acquire: a thread that sees this end also sees what the writer did before it.
        LogOffset(self.end.load(Ordering::Acquire))
    }

    /// The oldest record that is left, and where the partition ends.
    pub(crate) fn bounds(&self) -> (LogOffset, LogOffset) {
        let records = self.lock();
        // Not the end of the records, which are pushed before they are shown.
        (LogOffset(records.first), self.end())
    }

    /// Follows the end.
    pub(crate) fn watch(&self) -> watch::Receiver<LogOffset> {
        self.watch.subscribe()
    }

    /// Finds the records from `from` on, up to `bytes_max` if they are in memory, and the end.
    ///
    /// # Errors
    /// `Trimmed` below the first, `Diverged` beyond the end.
    pub(crate) fn find(
        &self,
        from: LogOffset,
        bytes_max: usize,
    ) -> Result<(Found, LogOffset), LogReadError> {
        let records = self.lock();
        let end = LogOffset(records.end);
        if from > end {
            return Err(LogReadError::Diverged { end });
        }
        if from.0 < records.first {
            return Err(LogReadError::Trimmed { first: LogOffset(records.first) });
        }
        let cached = records.end - records.cache.len() as u64;
        if from.0 >= cached {
            let skipped = usize::try_from(from.0 - cached).unwrap_or(usize::MAX);
            let entries = take(records.cache.iter().skip(skipped), from, bytes_max);
            return Ok((Found::Entries(entries), end));
        }
        Ok((Found::Stored(records.stored(self.id, from.0)), end))
    }

    /// Adds a record that has become durable; the end is shown by [`publish`](Self::publish).
    pub(crate) fn push(
        &self,
        incarnation: PartitionIncarnation,
        segment: &Arc<Segment>,
        position: u64,
        record: Bytes,
    ) {
        let mut records = self.lock();
        records.incarnation = incarnation;
        let first = records.end;
        match records.chunks.back_mut() {
            Some(chunk) if chunk.segment.number == segment.number => {
                chunk.positions.push(packed(position));
            }
            Some(_) | None => {
                let positions = vec![packed(position)];
                let segment = Arc::clone(segment);
                records.chunks.push_back(Chunk { segment, first, positions });
            }
        }
        records.cache.push_back(record);
        records.end += 1;
    }

    /// Shows readers and followers the end that [`push`](Self::push) has moved.
    pub(crate) fn publish(&self) {
        let end = self.lock().end;
        self.end.store(end, Ordering::Release);
        let shown = LogOffset(end);
        self.watch.send_if_modified(|watched| std::mem::replace(watched, shown) != shown);
    }

    /// Gives up the memory of the oldest cached record, if it is one of `incarnation`.
    pub(crate) fn uncache_oldest(&self, incarnation: PartitionIncarnation) {
        let mut records = self.lock();
        if records.incarnation == incarnation {
            records.cache.pop_front();
        }
    }

    /// Drops the records below `below`.
    pub(crate) fn trim(&self, below: LogOffset) {
        let mut records = self.lock();
        records.first = below.0;
        while records.chunks.front().is_some_and(|chunk| chunk.end() <= below.0) {
            records.chunks.pop_front();
        }
    }

    /// Drops everything.
    pub(crate) fn reset(&self) {
        *self.lock() = Records::default();
        self.publish();
    }

    /// Takes over what opening has found: the first record that is left, and where each stands.
    pub(crate) fn restore(
        &self,
        incarnation: PartitionIncarnation,
        first: u64,
        chunks: Vec<(Arc<Segment>, Vec<u32>)>,
    ) {
        let mut records = self.lock();
        records.incarnation = incarnation;
        records.first = first;
        records.end = first;
        for (segment, positions) in chunks {
            let first = records.end;
            records.end += positions.len() as u64;
            records.chunks.push_back(Chunk { segment, first, positions });
        }
        drop(records);
        self.publish();
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        // Every method leaves the invariant true at each step that could panic.
        self.records.lock()
    }
}

impl Records {
    /// Where the records from `from` on stand; `from` is one of them.
    fn stored(&self, partition: PartitionId, from: u64) -> Vec<Stored> {
        let chunk = self.chunks.partition_point(|chunk| chunk.end() <= from);
        let mut stored = Vec::new();
        for chunk in self.chunks.range(chunk..) {
            let skipped = from.saturating_sub(chunk.first) as usize;
            for position in &chunk.positions[skipped..] {
                if stored.len() == STORED_MAX {
                    return stored;
                }
                stored.push(Stored {
                    partition,
                    offset: LogOffset(from + stored.len() as u64),
                    segment: Arc::clone(&chunk.segment),
                    position: unpacked(*position),
                });
            }
        }
        stored
    }
}

impl Chunk {
    fn end(&self) -> u64 {
        self.first + self.positions.len() as u64
    }
}

/// As many of `records`, which begin at `from`, as a read of `bytes_max` answers.
fn take<'a>(
    records: impl Iterator<Item = &'a Bytes>,
    from: LogOffset,
    bytes_max: usize,
) -> Vec<LogEntry> {
    let mut entries: Vec<LogEntry> = Vec::new();
    let mut bytes = 0;
    for record in records {
        bytes += record.len();
        if bytes > bytes_max && !entries.is_empty() {
            break;
        }
        let offset = from.plus(entries.len() as u64);
        entries.push(LogEntry { offset, record: record.clone() });
    }
    entries
}

/// All partitions by name. A lookup takes a read lock that only a new partition ever contends.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    by_id: RwLock<HashMap<PartitionId, Arc<Partition>>>,
}

impl Partitions {
    /// The partition, if it was ever used.
    pub(crate) fn get(&self, id: PartitionId) -> Option<Arc<Partition>> {
        let by_id = self.by_id.read();
        by_id.get(&id).cloned()
    }

    /// Every partition that has been used.
    pub(crate) fn ids(&self) -> Vec<PartitionId> {
        let by_id = self.by_id.read();
        by_id.keys().copied().collect()
    }

    /// The partition's end, without cloning its `Arc`.
    pub(crate) fn end(&self, id: PartitionId) -> LogOffset {
        let by_id = self.by_id.read();
        by_id.get(&id).map_or(LogOffset::ZERO, |partition| partition.end())
    }

    /// The partition, created on first use.
    pub(crate) fn get_or_new(&self, id: PartitionId) -> Arc<Partition> {
        if let Some(partition) = self.get(id) {
            return partition;
        }
        let mut by_id = self.by_id.write();
        let partition = by_id.entry(id).or_insert_with(|| Arc::new(Partition::new(id)));
        Arc::clone(partition)
    }
}
