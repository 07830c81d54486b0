//! Appending: one outcome for each record, and a way to give up.
//!
//! Start reading at [`Producer`].

use bytes::Bytes;
use cortado_model::LogPosition;
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Appends to one partition.
///
/// Dropping it gives up the outcomes, never the records.
pub trait Producer: Send {
    /// Puts `records` in line, in order, behind everything that was sent before.
    ///
    /// Records of others may come to stand between them.
    fn send(&mut self, records: Vec<Bytes>);

    /// As [`send`](Self::send), for records without which no partition is led or nothing is freed:
    /// a log without room for others may have a reserve for these.
    ///
    /// * `priority`: no higher than that of anything outstanding, or it may be taken where what
    ///   stands before it is refused.
    fn send_with(&mut self, records: Vec<Bytes>, _priority: AppendPriority) {
        self.send(records);
    }

    /// Adds outcomes to `outcomes`: one for each record, in the order in which they were sent.
    ///
    /// Ready once it has added one; pending while nothing is known, and for ever while nothing is
    /// outstanding.
    fn poll_outcomes(
        &mut self,
        context: &mut Context<'_>,
        outcomes: &mut Vec<AppendOutcome>,
    ) -> Poll<()>;

    /// Records that were sent and whose outcome has not been taken.
    fn outstanding(&self) -> usize;

    /// Gives up: answers every outstanding record now, with [`AppendOutcome::Perhaps`] where
    /// nothing is known. Such a record may still land, and a later producer's records before it.
    fn abandon(self: Box<Self>) -> Vec<AppendOutcome>;
}

/// Which room the records of an append may take; a higher one takes all that a lower one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AppendPriority {
    /// All but what is reserved.
    Normal,
    /// What is reserved for what frees space, too.
    Freeing,
    /// And what is reserved for leaderships.
    Urgent,
}

/// Awaits outcomes of `producer`; dropping the future loses none.
pub async fn outcomes_of(producer: &mut dyn Producer, outcomes: &mut Vec<AppendOutcome>) {
    poll_fn(|context| producer.poll_outcomes(context, outcomes)).await;
}

/// What became of one record.
#[derive(Clone, Debug)]
pub enum AppendOutcome {
    /// In the log, durably, here. A log with an epoch names that of the leader which has appended
    /// the record, as who reads it there will be told; if it cannot know, this is
    /// [`Somewhere`](Self::Somewhere).
    At(LogPosition),
    /// In the log, durably; only reading tells where.
    Somewhere,
    /// Certainly not in the log, now or later. Send it again after backing off.
    NotAppended(Cause),
    /// Perhaps in the log, or still on its way. Read back before saying anything about it.
    Perhaps(Cause),
    /// As [`Perhaps`](Self::Perhaps), and the log takes nothing more until its process restarts.
    Unusable(Cause),
}

/// Why a record has no position to tell.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Cause {
    /// The record is longer than [`LogTraits::record_bytes_max`](crate::LogTraits).
    #[error("a record of {bytes} bytes exceeds the limit of {max_bytes} bytes")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// The partition's log was not created, or was removed.
    #[error("the log of this partition does not exist")]
    Missing,
    /// Nothing more is taken at the moment: no space, or too few replicas of the log.
    #[error("the log refuses records: {0}")]
    Refused(#[source] Arc<io::Error>),
    /// The producer was abandoned before the log had answered.
    #[error("the producer was abandoned")]
    Abandoned,
    /// The log did not answer, or failed.
    #[error("the log failed: {0}")]
    Failed(#[source] Arc<io::Error>),
}

impl Cause {
    /// A refusal with a reason of one's own.
    pub fn refused(why: impl Into<Box<dyn Error + Send + Sync>>) -> Cause {
        Cause::Refused(Arc::new(io::Error::other(why)))
    }

    /// A failure with a reason of one's own.
    pub fn failed(why: impl Into<Box<dyn Error + Send + Sync>>) -> Cause {
        Cause::Failed(Arc::new(io::Error::other(why)))
    }
}
