//! A call as one value, so that a rule can speak of all calls at once.
//!
//! Start reading at [`Question`].

use crate::{
    CallError, ChangeReplicas, ChangeReplicasAnswer, HandOff, HandOffAnswer, Holdings, Message,
    NodeReport, Peer, Pending, Read, ReadAnswer, SnapshotAnswer, SnapshotChunk, SnapshotId,
    VerifyAnswer, Write, WriteAnswer,
};
use cortado_driver::PeerStanding;
use cortado_model::{DatabaseId, PartitionId};
use tokio::time::Instant;

/// What one node asks of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// See [`Peer::write`].
    Write(Write),
    /// See [`Peer::read`].
    Read(Read),
    /// See [`Peer::hand_off`].
    HandOff(HandOff),
    /// See [`Peer::verify`].
    Verify(PartitionId, Instant),
    /// See [`Peer::report`].
    Report(Option<DatabaseId>, Instant),
    /// See [`Peer::change_replicas`].
    ChangeReplicas(ChangeReplicas),
    /// See [`Peer::holdings`].
    Holdings(Option<Vec<PartitionId>>, Instant),
    /// See [`Peer::standing`].
    Standing(PartitionId, Instant),
    /// See [`Peer::open_snapshot`].
    OpenSnapshot(PartitionId, Instant),
    /// See [`Peer::snapshot_chunk`].
    SnapshotChunk(SnapshotId, u64, Instant),
}

/// What it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Of [`Question::Write`].
    Write(WriteAnswer),
    /// Of [`Question::Read`].
    Read(ReadAnswer),
    /// Of [`Question::HandOff`].
    HandOff(HandOffAnswer),
    /// Of [`Question::Verify`].
    Verify(VerifyAnswer),
    /// Of [`Question::Report`].
    Report(NodeReport),
    /// Of [`Question::ChangeReplicas`].
    ChangeReplicas(ChangeReplicasAnswer),
    /// Of [`Question::Holdings`].
    Holdings(Holdings),
    /// Of [`Question::Standing`].
    Standing(Option<PeerStanding>),
    /// Of [`Question::OpenSnapshot`].
    OpenSnapshot(SnapshotAnswer),
    /// Of [`Question::SnapshotChunk`].
    SnapshotChunk(SnapshotChunk),
}

impl Question {
    /// Asks `peer`.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn put_to(self, peer: &dyn Peer) -> Result<Answer, CallError> {
        Ok(match self {
            Question::Write(write) => Answer::Write(peer.write(write).await?),
            Question::Read(read) => Answer::Read(peer.read(read).await?),
            Question::HandOff(order) => Answer::HandOff(peer.hand_off(order).await?),
            Question::Verify(partition, deadline) => {
                Answer::Verify(peer.verify(partition, deadline).await?)
            }
            Question::Report(database, deadline) => {
                Answer::Report(peer.report(database, deadline).await?)
            }
            Question::ChangeReplicas(order) => {
                Answer::ChangeReplicas(peer.change_replicas(order).await?)
            }
            Question::Holdings(partitions, deadline) => {
                Answer::Holdings(peer.holdings(partitions, deadline).await?)
            }
            Question::Standing(partition, deadline) => {
                Answer::Standing(peer.standing(partition, deadline).await?)
            }
            Question::OpenSnapshot(partition, deadline) => {
                Answer::OpenSnapshot(peer.open_snapshot(partition, deadline).await?)
            }
            Question::SnapshotChunk(snapshot, number, deadline) => {
                Answer::SnapshotChunk(peer.snapshot_chunk(snapshot, number, deadline).await?)
            }
        })
    }

    /// When the asking node gives up.
    pub fn deadline(&self) -> Instant {
        match self {
            Question::Write(write) => write.deadline,
            Question::Read(read) => read.deadline,
            Question::HandOff(order) => order.deadline,
            Question::ChangeReplicas(order) => order.deadline,
            Question::Verify(_, deadline)
            | Question::Report(_, deadline)
            | Question::Holdings(_, deadline)
            | Question::Standing(_, deadline)
            | Question::OpenSnapshot(_, deadline)
            | Question::SnapshotChunk(_, _, deadline) => *deadline,
        }
    }

    /// The same question with another deadline.
    pub fn until(mut self, until: Instant) -> Question {
        match &mut self {
            Question::Write(write) => write.deadline = until,
            Question::Read(read) => read.deadline = until,
            Question::HandOff(order) => order.deadline = until,
            Question::ChangeReplicas(order) => order.deadline = until,
            Question::Verify(_, deadline)
            | Question::Report(_, deadline)
            | Question::Holdings(_, deadline)
            | Question::Standing(_, deadline)
            | Question::OpenSnapshot(_, deadline)
            | Question::SnapshotChunk(_, _, deadline) => *deadline = until,
        }
        self
    }
}

/// What answers reads at once, if it can.
pub type AtOnce = dyn Fn(&Read) -> Option<ReadAnswer> + Send + Sync;

/// A peer that is three functions.
pub struct FnPeer {
    /// Answers.
    pub call: Box<dyn Fn(Question) -> Pending<'static, Result<Answer, CallError>> + Send + Sync>,
    /// Answers reads for which nothing need be waited for: see [`Peer::read_at_once`].
    pub at_once: Box<AtOnce>,
    /// Hears.
    pub tell: Box<dyn Fn(Message) + Send + Sync>,
}

/// What stands in the answer, which must be one to the question.
macro_rules! answer {
    ($call:expr, $variant:path) => {{
        let answer = $call;
        Box::pin(async move {
            match answer.await? {
                $variant(answer) => Ok(answer),
                other => panic!("{other:?} answers another question"),
            }
        })
    }};
}

impl Peer for FnPeer {
    fn write(&self, write: Write) -> Pending<'_, Result<WriteAnswer, CallError>> {
        answer!((self.call)(Question::Write(write)), Answer::Write)
    }

    fn read(&self, read: Read) -> Pending<'_, Result<ReadAnswer, CallError>> {
        answer!((self.call)(Question::Read(read)), Answer::Read)
    }

    fn read_at_once(&self, read: &Read) -> Option<ReadAnswer> {
        (self.at_once)(read)
    }

    fn hand_off(&self, order: HandOff) -> Pending<'_, Result<HandOffAnswer, CallError>> {
        answer!((self.call)(Question::HandOff(order)), Answer::HandOff)
    }

    fn verify(
        &self,
        partition: PartitionId,
        deadline: Instant,
    ) -> Pending<'_, Result<VerifyAnswer, CallError>> {
        answer!((self.call)(Question::Verify(partition, deadline)), Answer::Verify)
    }

    fn report(
        &self,
        database: Option<DatabaseId>,
        deadline: Instant,
    ) -> Pending<'_, Result<NodeReport, CallError>> {
        answer!((self.call)(Question::Report(database, deadline)), Answer::Report)
    }

    fn change_replicas(
        &self,
        order: ChangeReplicas,
    ) -> Pending<'_, Result<ChangeReplicasAnswer, CallError>> {
        answer!((self.call)(Question::ChangeReplicas(order)), Answer::ChangeReplicas)
    }

    fn holdings(
        &self,
        partitions: Option<Vec<PartitionId>>,
        deadline: Instant,
    ) -> Pending<'_, Result<Holdings, CallError>> {
        answer!((self.call)(Question::Holdings(partitions, deadline)), Answer::Holdings)
    }

    fn standing(
        &self,
        partition: PartitionId,
        deadline: Instant,
    ) -> Pending<'_, Result<Option<PeerStanding>, CallError>> {
        answer!((self.call)(Question::Standing(partition, deadline)), Answer::Standing)
    }

    fn open_snapshot(
        &self,
        partition: PartitionId,
        deadline: Instant,
    ) -> Pending<'_, Result<SnapshotAnswer, CallError>> {
        answer!((self.call)(Question::OpenSnapshot(partition, deadline)), Answer::OpenSnapshot)
    }

    fn snapshot_chunk(
        &self,
        snapshot: SnapshotId,
        number: u64,
        deadline: Instant,
    ) -> Pending<'_, Result<SnapshotChunk, CallError>> {
        let question = Question::SnapshotChunk(snapshot, number, deadline);
        answer!((self.call)(question), Answer::SnapshotChunk)
    }

    fn tell(&self, message: Message) {
        (self.tell)(message);
    }
}
