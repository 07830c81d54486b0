//! One replica of a partition: its batches, where each leader began, and how far it is committed.
//!
//! Source: KIP-101 and KIP-279, truncation by leader epoch. Start reading at [`ReplicaLog::fork`].

use crate::batch::{Batch, BatchKind, Sequenced};
use crate::code::ErrorCode;
use crate::sequences::{Sequences, Verdict};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// A replica's log on a broker's disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReplicaLog {
    /// The log start offset, below which nothing can be read.
    first: u64,
    batches: VecDeque<Arc<Batch>>,
    /// The log end offset.
    end: u64,
    /// The high watermark, as far as this replica knows it.
    high: u64,
    /// Where each leader began, oldest first.
    leaders: Vec<LeaderStart>,
    sequences: Sequences,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LeaderStart {
    epoch: u32,
    from: u64,
}

impl ReplicaLog {
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    pub(crate) fn high(&self) -> u64 {
        self.high
    }

    /// The epoch of the newest leader that is known here, if there was one.
    pub(crate) fn newest_leader(&self) -> Option<u32> {
        self.leaders.last().map(|start| start.epoch)
    }

    /// A leader begins at the end.
    pub(crate) fn begin(&mut self, epoch: u32) {
        if self.newest_leader().is_none_or(|newest| newest < epoch) {
            self.leaders.push(LeaderStart { epoch, from: self.end });
        }
    }

    /// Raises the high watermark, at most to the end; answers whether that was news.
    pub(crate) fn raise(&mut self, high: u64) -> bool {
        let high = high.min(self.end);
        let raised = high > self.high;
        self.high = self.high.max(high);
        raised
    }

    /// What becomes of records that are to be appended.
    pub(crate) fn judge(&self, writer: Option<Sequenced>, count: usize) -> Verdict {
        writer.map_or(Verdict::New, |writer| self.sequences.judge(writer, count))
    }

    /// Appends as the leader of `epoch`; answers where.
    pub(crate) fn append(
        &mut self,
        epoch: u32,
        writer: Option<Sequenced>,
        kind: BatchKind,
        records: Vec<Bytes>,
    ) -> u64 {
        let base = self.end;
        let slots = match kind {
            BatchKind::Control => vec![None],
            BatchKind::Plain | BatchKind::Transactional => {
                records.into_iter().map(Some).collect::<Vec<_>>()
            }
        };
        self.accept(Arc::new(Batch { base, epoch, writer, kind, slots }));
        base
    }

    /// Takes over a batch as a follower.
    pub(crate) fn accept(&mut self, batch: Arc<Batch>) {
        self.begin(batch.epoch);
        self.sequences.appended(&batch);
        self.end = batch.end();
        self.batches.push_back(batch);
    }

    /// The newest leader up to `epoch` that is known here, and where the next one begins.
    ///
    /// As a broker answers to who asks for the offset of a leader. `None` if none is known.
    pub(crate) fn end_of(&self, epoch: u32) -> Option<(u32, u64)> {
        let behind = self.leaders.partition_point(|start| start.epoch <= epoch);
        let found = self.leaders.get(behind.checked_sub(1)?)?;
        let end = self.leaders.get(behind).map_or(self.end, |next| next.from);
        Some((found.epoch, end))
    }

    /// How a follower with `offset`, whose last leader it knows is `epoch`, differs from this log:
    /// the newest leader that both know, and where that one ended here.
    pub(crate) fn fork(&self, epoch: Option<u32>, offset: u64) -> Option<(u32, u64)> {
        let (known, end) = self.end_of(epoch?).unwrap_or((0, self.first));
        (Some(known) != epoch || end < offset).then_some((known, end))
    }

    /// Cuts off what the leader does not have: all behind `end`, and behind the own end of `epoch`.
    pub(crate) fn cut_at_fork(&mut self, epoch: u32, end: u64) {
        let own_end = self.end_of(epoch).map_or(self.first, |(_, end)| end);
        self.truncate(end.min(own_end));
    }

    /// Loses everything from `end` on. A batch is lost whole.
    pub(crate) fn truncate(&mut self, end: u64) {
        while self.batches.pop_back_if(|batch| batch.end() > end).is_some() {}
        self.first = self.first.min(end);
        self.end = self.batches.back().map_or(self.first, |batch| batch.end());
        self.high = self.high.min(self.end);
        let end = self.end;
        while self.leaders.pop_if(|start| start.from >= end).is_some() {}
        self.sequences = Sequences::default();
        self.batches.iter().for_each(|batch| self.sequences.appended(batch));
    }

    /// As [`truncate`](Self::truncate), as if every record had come in a batch of its own.
    pub(crate) fn truncate_within(&mut self, end: u64) {
        let last = self.batches.iter().find(|batch| batch.base < end && batch.end() > end);
        let mut kept = last.map(|batch| Batch::clone(batch));
        self.truncate(end);
        if let Some(mut kept) = kept.take() {
            kept.slots.truncate((end - kept.base) as usize);
            self.accept(Arc::new(kept));
        }
    }

    /// Begins anew at `first`: what a follower does whose leader has forgotten what it lacks.
    pub(crate) fn restart(&mut self, first: u64) {
        *self = ReplicaLog { first, end: first, high: first, ..ReplicaLog::default() };
    }

    /// Whether this log is empty, and begins in the middle of `batch`.
    pub(crate) fn begins_within(&self, batch: &Batch) -> bool {
        self.batches.is_empty() && batch.base < self.end && batch.end() > self.end
    }

    /// Forgets what stands below `below`, batch by batch.
    pub(crate) fn forget(&mut self, below: u64) {
        self.first = self.first.max(below.min(self.end));
        while self.batches.pop_front_if(|batch| batch.end() <= self.first).is_some() {}
    }

    /// Loses the record at `offset`, as the log cleaner does; its offset stays.
    pub(crate) fn lose(&mut self, offset: u64) {
        for batch in &mut self.batches {
            if (batch.base..batch.end()).contains(&offset) && batch.kind != BatchKind::Control {
                let mut lost = Batch::clone(batch);
                lost.slots[(offset - batch.base) as usize] = None;
                *batch = Arc::new(lost);
            }
        }
    }

    /// Batches from the one that holds `from` on, below `below`: one at least, then up to
    /// `bytes_max`.
    pub(crate) fn read(&self, from: u64, below: u64, bytes_max: usize) -> Vec<Arc<Batch>> {
        let skipped = self.batches.partition_point(|batch| batch.end() <= from);
        let mut batches = Vec::new();
        let mut bytes = 0;
        for batch in self.batches.range(skipped..).filter(|batch| batch.end() <= below) {
            bytes += batch.slots.iter().flatten().map(Bytes::len).sum::<usize>();
            if bytes > bytes_max && !batches.is_empty() {
                break;
            }
            batches.push(Arc::clone(batch));
        }
        batches
    }

    /// The end of the last batch that is not behind `end`.
    pub(crate) fn boundary_below(&self, end: u64) -> u64 {
        let ends = self.batches.iter().rev().map(|batch| batch.end());
        ends.into_iter().find(|boundary| *boundary <= end).unwrap_or(self.first)
    }

    /// What would become of `records` here.
    pub(crate) fn check_size(records: &[Bytes], bytes_max: usize) -> Result<(), ErrorCode> {
        let bytes: usize = records.iter().map(Bytes::len).sum();
        if bytes <= bytes_max { Ok(()) } else { Err(ErrorCode::MessageTooLarge) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log whose leaders wrote so many records, each in a batch of its own.
    fn log(leaders: &[(u32, u64)]) -> ReplicaLog {
        let mut log = ReplicaLog::default();
        for (epoch, count) in leaders {
            log.begin(*epoch);
            for _ in 0..*count {
                log.append(*epoch, None, BatchKind::Plain, vec![Bytes::from_static(b"x")]);
            }
        }
        log
    }

    /// Where `follower` comes to stand after it has compared itself with `leader`.
    #[track_caller]
    fn check(leader: &[(u32, u64)], follower: &[(u32, u64)], want: u64) {
        let (leader, mut follower) = (log(leader), log(follower));
        while let Some((epoch, end)) = leader.fork(follower.newest_leader(), follower.end()) {
            let before = follower.end();
            follower.cut_at_fork(epoch, end);
            assert!(follower.end() < before || follower.newest_leader() <= Some(epoch));
        }
        assert_eq!(follower.end(), want);
    }

    #[test]
    fn a_follower_keeps_what_its_leader_has_and_nothing_else() {
        check(&[(0, 5)], &[(0, 3)], 3);
        check(&[(0, 5)], &[(0, 5)], 5);
        check(&[(0, 3), (1, 2)], &[(0, 5)], 3);
        check(&[(0, 3), (2, 4)], &[(0, 3), (1, 6)], 3);
        check(&[(0, 3), (1, 2), (3, 1)], &[(0, 3), (1, 4), (2, 2)], 5);
        check(&[(4, 2)], &[(0, 3), (1, 4)], 0);
    }

    #[test]
    fn a_trimmed_log_keeps_its_end() {
        let mut log = log(&[(0, 5)]);
        log.forget(9);
        assert_eq!((log.first(), log.end()), (5, 5));
        assert_eq!(log.append(0, None, BatchKind::Plain, vec![Bytes::new()]), 5);
        log.truncate(5);
        assert_eq!((log.first(), log.end()), (5, 5));
    }
}
