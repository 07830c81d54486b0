//! The records of one partition, with the offsets that hold none.
//!
//! Start reading at [`Partition::read`].

use super::{Fault, ReadFault};
use crate::{LogEntry, LogPage, LogReadError};
use bytes::Bytes;
use cortado_model::{LogOffset, LogPosition};
use std::collections::VecDeque;

/// One partition's log.
#[derive(Debug, Default)]
pub(super) struct Partition {
    pub(super) first: LogOffset,
    /// What stands from `first` on.
    slots: VecDeque<Slot>,
    pub(super) faults: VecDeque<Fault>,
    pub(super) read_faults: VecDeque<ReadFault>,
}

/// What stands at an offset.
#[derive(Debug)]
enum Slot {
    Record(Bytes),
    /// Never held a record, and the log knows.
    Gap,
    /// Held a record that is gone, and the log does not know why.
    Hole,
}

impl Partition {
    pub(super) fn end(&self) -> LogOffset {
        self.first.plus(self.slots.len() as u64)
    }

    /// Puts `records` at the end and tells where the first one stands.
    pub(super) fn land(&mut self, records: impl IntoIterator<Item = Bytes>) -> LogOffset {
        let offset = self.end();
        self.slots.extend(records.into_iter().map(Slot::Record));
        offset
    }

    /// Lets the next `count` offsets hold no record.
    pub(super) fn skip(&mut self, count: u64) {
        self.slots.extend((0..count).map(|_| Slot::Gap));
    }

    /// Loses the record at `offset`.
    pub(super) fn lose(&mut self, offset: LogOffset) {
        let at = self.index(offset);
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Slot::Hole;
        }
    }

    /// Loses everything from `end` on.
    pub(super) fn truncate(&mut self, end: LogOffset) {
        self.slots.truncate(self.index(end));
    }

    pub(super) fn trim(&mut self, below: LogOffset) {
        let below = below.min(self.end());
        while self.first < below {
            self.slots.pop_front();
            self.first = self.first.plus(1);
        }
    }

    pub(super) fn read(
        &self,
        from: LogPosition,
        bytes_max: usize,
    ) -> Result<LogPage, LogReadError> {
        let end = self.end();
        if from.offset < self.first {
            return Err(LogReadError::Trimmed { first: self.first });
        }
        if from.offset > end {
            return Err(LogReadError::Diverged { end });
        }
        let mut page = LogPage { entries: Vec::new(), next: from, end };
        let mut bytes = 0;
        for slot in self.slots.range(self.index(from.offset)..) {
            let offset = page.next.offset;
            match slot {
                Slot::Record(record) => {
                    bytes += record.len();
                    if bytes > bytes_max && !page.entries.is_empty() {
                        break;
                    }
                    page.entries.push(LogEntry { offset, record: record.clone() });
                }
                Slot::Gap => {}
                Slot::Hole if page.entries.is_empty() => {
                    return Err(LogReadError::Hole { at: offset });
                }
                Slot::Hole => break,
            }
            page.next.offset = offset.plus(1);
        }
        Ok(page)
    }

    fn index(&self, offset: LogOffset) -> usize {
        usize::try_from(offset.0.saturating_sub(self.first.0)).unwrap_or(usize::MAX)
    }
}
