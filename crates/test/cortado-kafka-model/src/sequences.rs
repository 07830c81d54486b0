//! What a replica remembers of producers, so that a batch which is sent again stands once.
//!
//! Source: KIP-98, idempotent producers; `ProducerStateManager` keeps five batches of each.
//! Start reading at [`Sequences::judge`].

use crate::batch::{Batch, BatchKind, Sequenced};
use crate::code::ErrorCode;
use crate::names::ProducerName;
use std::collections::{BTreeMap, VecDeque};

/// Batches of a producer that are remembered.
const REMEMBERED: usize = 5;

/// The last batches of every producer of a partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequences(BTreeMap<u64, Producer>);

#[derive(Clone, Debug)]
struct Producer {
    epoch: u16,
    batches: VecDeque<Remembered>,
}

#[derive(Clone, Copy, Debug)]
struct Remembered {
    first: u32,
    /// The number behind its last record.
    next: u32,
    base: u64,
    /// The leader that has appended it.
    epoch: u32,
}

/// What becomes of a batch that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is next.
    New,
    /// It stands here already.
    Duplicate { base: u64, epoch: u32 },
    /// Neither.
    Refused(ErrorCode),
}

impl Sequences {
    /// What becomes of `count` records of `writer`.
    ///
    /// A producer that is not remembered may begin with any number: its batches were trimmed, or
    /// the log is another one.
    pub(crate) fn judge(&self, writer: Sequenced, count: usize) -> Verdict {
        let Some(known) = self.0.get(&writer.producer.id) else { return Verdict::New };
        if writer.producer.epoch != known.epoch {
            return match writer.producer.epoch > known.epoch {
                true if writer.first == 0 => Verdict::New,
                true => Verdict::Refused(ErrorCode::OutOfOrderSequence),
                false => Verdict::Refused(ErrorCode::ProducerFenced),
            };
        }
        let next = writer.first + count as u32;
        let same = |each: &&Remembered| each.first == writer.first && each.next == next;
        if let Some(same) = known.batches.iter().find(same) {
            return Verdict::Duplicate { base: same.base, epoch: same.epoch };
        }
        match known.batches.back() {
            None => Verdict::New,
            Some(last) if last.next == writer.first => Verdict::New,
            Some(last) if next <= last.next => Verdict::Refused(ErrorCode::DuplicateSequence),
            Some(_) => Verdict::Refused(ErrorCode::OutOfOrderSequence),
        }
    }

    /// A batch was appended.
    pub(crate) fn appended(&mut self, batch: &Batch) {
        let Some(Sequenced { producer: ProducerName { id, epoch }, first }) = batch.writer else {
            return;
        };
        if batch.kind == BatchKind::Control {
            return;
        }
        let known = self.0.entry(id).or_insert(Producer { epoch, batches: VecDeque::new() });
        if known.epoch != epoch {
            *known = Producer { epoch, batches: VecDeque::new() };
        }
        let next = first + batch.slots.len() as u32;
        let (base, leader) = batch.identity();
        known.batches.push_back(Remembered { first, next, base, epoch: leader });
        if known.batches.len() > REMEMBERED {
            known.batches.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(epoch: u16, first: u32, count: usize, base: u64) -> Batch {
        let writer = Some(Sequenced { producer: ProducerName { id: 7, epoch }, first });
        let slots = vec![Some(Default::default()); count];
        Batch { base, epoch: 0, writer, kind: BatchKind::Plain, slots }
    }

    /// What becomes of `count` records from number `first` on, after seven batches of two.
    #[track_caller]
    fn check(epoch: u16, first: u32, count: usize, want: Verdict) {
        let mut sequences = Sequences::default();
        for number in 0..7 {
            sequences.appended(&batch(3, number * 2, 2, 100 + u64::from(number) * 2));
        }
        let writer = Sequenced { producer: ProducerName { id: 7, epoch }, first };
        assert_eq!(sequences.judge(writer, count), want);
    }

    #[test]
    fn of_the_last_five_batches_it_is_known_where_they_stand() {
        check(3, 14, 2, Verdict::New);
        check(3, 12, 2, Verdict::Duplicate { base: 112, epoch: 0 });
        check(3, 4, 2, Verdict::Duplicate { base: 104, epoch: 0 });
        check(3, 2, 2, Verdict::Refused(ErrorCode::DuplicateSequence));
        check(3, 4, 1, Verdict::Refused(ErrorCode::DuplicateSequence));
        check(3, 16, 2, Verdict::Refused(ErrorCode::OutOfOrderSequence));
        check(2, 14, 2, Verdict::Refused(ErrorCode::ProducerFenced));
        check(4, 0, 2, Verdict::New);
        check(4, 14, 2, Verdict::Refused(ErrorCode::OutOfOrderSequence));
    }

    #[test]
    fn a_producer_that_is_not_remembered_may_go_on() {
        let writer = Sequenced { producer: ProducerName { id: 7, epoch: 0 }, first: 900 };
        assert_eq!(Sequences::default().judge(writer, 1), Verdict::New);
    }
}
