//! What follows from the group that is being formed, once it is durable or has failed.
//!
//! Start reading at [`PendingGroup`].

use crate::append_error::AppendError;
use crate::frame::PartitionIncarnation;
use crate::opening::Extent;
use crate::partition::Partition;
use crate::write_error::Failure;
use bytes::Bytes;
use cortado_model::{LogOffset, PartitionId};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Effects and answers that wait for a group.
#[derive(Debug, Default)]
pub(crate) struct PendingGroup {
    pub(crate) effects: Vec<Effect>,
    answers: Vec<Answer>,
    /// What each frame has changed, oldest first: the partition and the next incarnation as they
    /// were.
    undo: Vec<(PartitionId, Option<Extent>, PartitionIncarnation)>,
    /// Of the queue, to be released.
    pub(crate) bytes: usize,
}

/// What readers see when the group is durable.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Records behind the end of a partition, with their positions.
    Records {
        partition: Arc<Partition>,
        incarnation: PartitionIncarnation,
        records: Vec<(u64, Bytes)>,
    },
    /// The records below `first` are trimmed.
    Trimmed { partition: Arc<Partition>, first: LogOffset },
    /// The partition is removed.
    Removed { partition: Arc<Partition> },
}

#[derive(Debug)]
enum Answer {
    Appended(LogOffset, oneshot::Sender<Result<LogOffset, AppendError>>),
    Done(oneshot::Sender<Result<(), AppendError>>),
}

/// What an answer can be about.
pub(crate) trait Answered: Sized {
    /// Keeps a success until the group is durable.
    fn kept(self, answer: oneshot::Sender<Result<Self, AppendError>>, group: &mut PendingGroup);
}

impl Answered for LogOffset {
    fn kept(self, answer: oneshot::Sender<Result<Self, AppendError>>, group: &mut PendingGroup) {
        group.answers.push(Answer::Appended(self, answer));
    }
}

impl Answered for () {
    fn kept(self, answer: oneshot::Sender<Result<Self, AppendError>>, group: &mut PendingGroup) {
        group.answers.push(Answer::Done(answer));
    }
}

impl PendingGroup {
    /// Keeps a success until the group is durable; sends an error now.
    pub(crate) fn answer<T: Answered>(
        &mut self,
        result: Result<T, AppendError>,
        answer: oneshot::Sender<Result<T, AppendError>>,
    ) {
        match result {
            Ok(value) => value.kept(answer, self),
            // The caller may have dropped its end, here and below.
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    /// Remembers how a partition and the next incarnation were before a frame.
    pub(crate) fn touch(
        &mut self,
        id: PartitionId,
        before: Option<Extent>,
        next_incarnation: PartitionIncarnation,
    ) {
        self.undo.push((id, before, next_incarnation));
    }

    /// Adds a record that the group holds.
    pub(crate) fn record(
        &mut self,
        partition: &Arc<Partition>,
        incarnation: PartitionIncarnation,
        position: u64,
        record: Bytes,
    ) {
        if let Some(Effect::Records { partition: last, incarnation: last_incarnation, records }) =
            self.effects.last_mut()
            && Arc::ptr_eq(last, partition)
            && *last_incarnation == incarnation
        {
            records.push((position, record));
            return;
        }
        let (partition, records) = (Arc::clone(partition), vec![(position, record)]);
        self.effects.push(Effect::Records { partition, incarnation, records });
    }

    /// Answers every request of the group: it is durable.
    pub(crate) fn acknowledge(&mut self) {
        self.undo.clear();
        for answer in self.answers.drain(..) {
            match answer {
                Answer::Appended(offset, answer) => drop(answer.send(Ok(offset))),
                Answer::Done(answer) => drop(answer.send(Ok(()))),
            }
        }
    }

    /// Puts `extents` back as they were before the group; answers the next incarnation of then.
    pub(crate) fn undo(
        &mut self,
        extents: &mut BTreeMap<PartitionId, Extent>,
    ) -> Option<PartitionIncarnation> {
        let mut next_incarnation = None;
        for (id, before, incarnation) in self.undo.drain(..).rev() {
            match before {
                Some(extent) => extents.insert(id, extent),
                None => extents.remove(&id),
            };
            next_incarnation = Some(incarnation);
        }
        next_incarnation
    }

    /// Answers every request of the group: it has failed.
    pub(crate) fn fail(&mut self, failure: &Failure) {
        self.effects.clear();
        for answer in self.answers.drain(..) {
            let error = failure.clone().into_error();
            match answer {
                Answer::Appended(_, answer) => drop(answer.send(Err(error))),
                Answer::Done(answer) => drop(answer.send(Err(error))),
            }
        }
    }
}
