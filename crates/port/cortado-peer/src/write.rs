//! A write on its way to the leader, and what becomes of it there.
//!
//! Start reading at [`Write`].

use cortado_cluster::KnownLeader;
use cortado_document::Operation;
use cortado_driver::{KeyedWrite, Refused, UnknownWhy, WriteMode, Written};
use cortado_model::{PartitionId, Scn};
use cortado_replica::NotDone;
use tokio::time::Instant;

/// A write of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where.
    pub partition: PartitionId,
    /// What the asking node has folded of `_cluster`: the leader looks at no older tables.
    pub catalog: Scn,
    /// No document twice in a whole write.
    pub operations: Vec<Operation>,
    /// How they hang together.
    pub mode: WriteMode,
    /// How it is recognised when it comes again: nothing, or one of a whole write, or else one of
    /// each operation.
    pub keyed: Vec<KeyedWrite>,
    /// When the asking node gives up.
    pub deadline: Instant,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteAnswer {
    /// It is committed and in the leader's store, or had nothing to change.
    Written(Box<Written>),
    /// Of a write of [`WriteMode::Each`]: what each operation would have been answered alone, from
    /// the first one on; one at least. Of the others nothing was done: they are to be asked for
    /// anew.
    Each(Vec<Result<Written, Refused>>),
    /// Not done, for a reason that lies in the request.
    Refused(Refused),
    /// Definitely not done, now or later.
    NotDone(NotDone),
    /// Definitely not done: this node does not lead.
    WrongNode(KnownLeader),
    /// Definitely not done: the database was dropped.
    NoSuchDatabase,
    /// Definitely not done: no replica can lead, since the stores are full.
    NoRoom,
    /// Definitely not done: a setting of the database's log endangers what would be acknowledged.
    LogDrift,
    /// Definitely not done: the deadline passed before it was begun.
    Late,
    /// Perhaps done.
    Unknown(UnknownWhy),
    /// Perhaps done: the deadline passed while it was on its way.
    UnknownLate,
}
