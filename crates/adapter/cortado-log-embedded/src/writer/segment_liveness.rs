//! Which partitions still have records in a segment, and so when its file can be recycled.
//!
//! Start reading at [`SegmentLiveness`].

use crate::partition::Partition;
use crate::segment::Segment;
use cortado_model::{LogOffset, PartitionId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// For each segment, the partitions with a record in it that is not trimmed.
#[derive(Debug, Default)]
pub(crate) struct SegmentLiveness {
    segments: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    segment: Arc<Segment>,
    /// Where each partition's records in this segment end.
    ends: BTreeMap<PartitionId, LogOffset>,
}

impl SegmentLiveness {
    /// Takes over what opening has found in a segment.
    pub(crate) fn restore(
        &mut self,
        segment: &Arc<Segment>,
        ends: BTreeMap<PartitionId, LogOffset>,
    ) {
        let segment = Arc::clone(segment);
        self.segments.insert(segment.number, Entry { segment, ends });
    }

    /// Notes that the newest records of `partition` stand in `segment`.
    pub(crate) fn note(&mut self, segment: &Arc<Segment>, partition: &Partition) {
        let entry = self
            .segments
            .entry(segment.number)
            .or_insert_with(|| Entry { segment: Arc::clone(segment), ends: BTreeMap::new() });
        entry.ends.insert(partition.id, partition.end());
    }

    /// Notes that the records of `partition` below `first` are trimmed.
    pub(crate) fn trim(&mut self, partition: PartitionId, first: LogOffset) {
        for entry in self.segments.values_mut() {
            if entry.ends.get(&partition).is_some_and(|end| *end <= first) {
                entry.ends.remove(&partition);
            }
        }
    }

    /// Notes that `partition` is removed.
    pub(crate) fn remove(&mut self, partition: PartitionId) {
        for entry in self.segments.values_mut() {
            entry.ends.remove(&partition);
        }
    }

    /// The segments before number `active` without live records; each is answered once.
    pub(crate) fn take_dead(&mut self, active: u64) -> Vec<Arc<Segment>> {
        let dead = |(number, entry): &(&u64, &Entry)| **number < active && entry.ends.is_empty();
        let numbers: Vec<u64> = self.segments.iter().filter(dead).map(|(n, _)| *n).collect();
        let taken = numbers.into_iter().filter_map(|number| self.segments.remove(&number));
        taken.map(|entry| entry.segment).collect()
    }
}
