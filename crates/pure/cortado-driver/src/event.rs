//! Everything that a driver can be told.
//!
//! Decides nothing. Start reading at [`Event`].

use crate::standing::PeerAnswers;
use crate::write::WriteOrder;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::error::Error;
use cortado_model::{
    Findings, Generation, LogId, LogOffset, LogPosition, NodeId, Scn, StoreError, WallMillis,
};
use cortado_replica::{ClaimReason, Config, HistoryPoint, ReadNeed, RecordPage, ReplicaSet};

/// What a driver is told. `C` is the caller: the driver gives it back with the answer.
#[derive(Debug)]
pub enum Event<C> {
    /// Evaluate and publish.
    Write {
        /// Who asks.
        caller: C,
        /// What.
        order: WriteOrder,
        /// Where the log ended when the write came, if that can be read locally.
        log_end: Option<LogOffset>,
    },
    /// Say when the store shows what `need` demands.
    Read {
        /// Who asks.
        caller: C,
        /// The demand.
        need: ReadNeed,
    },
    /// Give the leadership up; answered when the step-down is committed.
    HandOff {
        /// Who asks.
        caller: C,
        /// Who should claim.
        to: Option<NodeId>,
    },
    /// Take the leadership.
    Claim {
        /// Why.
        reason: ClaimReason,
        /// Hash of what the decision rests on.
        evidence: u128,
    },
    /// As leader: publish a fact about the partition. Who does not lead passes it over; so does a
    /// build that could not read it back. A replica set is changed by
    /// [`ChangeReplicas`](Self::ChangeReplicas) alone.
    Configure(Config),
    /// As leader of this generation: let the nodes in `to` claim, if those that may are exactly
    /// `from`. What becomes of it shows in the leadership that the driver tells of.
    ChangeReplicas {
        /// The leadership in which it was ordered.
        generation: Generation,
        /// The set that it rests on.
        from: ReplicaSet,
        /// The set that is wanted: one node more or less, and not without the leader.
        to: ReplicaSet,
    },
    /// As leader: begin a round of digests now.
    Verify,
    /// What some replica's state hashes to, for the leader that compares.
    Digest(DigestReport),
    /// The replica's state is not to be trusted: throw it away.
    Condemned {
        /// What was found, human-readable.
        why: String,
    },
    /// The store of the whole node has failed, as another of its replicas has met, and must be
    /// opened again.
    StoreFailed {
        /// Human-readable.
        why: String,
    },
    /// An operator has chosen which history goes on. Concerns a replica in doubt alone: one that
    /// disputes its leader, is diverged, or has more than its log.
    Resolve(Resolution),
    /// Finish what was begun, begin nothing, end. Told again: end now, whatever is open.
    Stop,

    /// The log's end, as far as it is known now.
    LogEnd(LogOffset),
    /// The log cannot be followed from where the replica stands, though nothing new is there.
    LogFailed(FollowError),
    /// Whether the node's store has room.
    Room(bool),
    /// What became of records, in the order in which this producer was given them.
    Outcomes {
        /// Which producer.
        producer: JobId,
        /// One for each record.
        outcomes: Vec<RecordOutcome>,
    },

    /// What was asked for with an action of the same number.
    Surveyed(JobId, Result<Survey, SurveyError>),
    /// What its whole log names.
    LookedThrough(JobId, Result<LookedThrough, SurveyError>),
    /// The log's extent.
    Extent(JobId, Result<LogExtent, AskLog>),
    /// Records of the log.
    Page(JobId, Result<RecordPage, FollowError>),
    /// What the store holds.
    Found(JobId, Result<Findings, StoreError>),
    /// The batch is visible, or nothing of it is.
    Applied(JobId, Result<(), StoreError>),
    /// The SCN below which every bookmark may go.
    BookmarkFound(JobId, Result<Option<Scn>, StoreError>),
    /// The state was hashed, and survives a power cut.
    Hashed(JobId, Result<Hashed, StoreError>),
    /// The store has room, or still not.
    Probed(JobId, Result<(), StoreError>),
    /// Nothing of the partition is in the store any more.
    Cleared(JobId, Result<(), StoreError>),
    /// A snapshot has taken the place of everything: up to which record.
    Installed(JobId, Result<(Scn, LogOffset), CopyError>),
    /// How the other replicas are.
    Around(JobId, Surroundings),
    /// How the placed replicas stand, as they say themselves.
    Peers(JobId, PeerAnswers),

    /// Time has passed; due at [`Driver::wake_at`](crate::Driver::wake_at).
    Tick,
    /// Nothing more is at hand: do what has been gathered. Follows every event, or a few of them.
    Settle,
}

/// Matches an action with the event that answers it. Numbers of one driver only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// What became of a record that was handed to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordOutcome {
    /// In the log, here.
    At(LogPosition),
    /// In the log; only reading tells where.
    Somewhere,
    /// Certainly not in the log, now or later.
    NotAppended,
    /// Perhaps in the log, or still on its way.
    Perhaps,
    /// As perhaps, and the log takes nothing more until its process restarts.
    Unusable,
}

/// What a driver must know before a replica can begin a life.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Which log was found.
    pub log: LogId,
    /// The store's checkpoint: an encoded fold state.
    pub checkpoint: Option<Bytes>,
    /// Where the log begins and ends.
    pub extent: LogExtent,
}

/// Which history goes on, as an operator has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// Whose history.
    pub keep: NodeId,
    /// What the replica that is told this has: the operator has decided about nothing else.
    pub own: HistoryPoint,
    /// What the chosen replica has folded, if it has gone on already: less is of no use to others.
    pub beyond: LogOffset,
}

/// What a driver must know before it goes on with its own history in a log that has another one.
#[derive(Clone, Debug)]
pub struct LookedThrough {
    /// Which log was found.
    pub log: LogId,
    /// The store's checkpoint: an encoded fold state.
    pub checkpoint: Option<Bytes>,
    /// Where the log ended.
    pub end: LogPosition,
    /// The highest generation that a record of the partition names below that, whether it counts or
    /// not.
    pub highest: Generation,
}

/// Where a log begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogExtent {
    /// Of which log: one that has taken another's place has offsets of its own.
    pub log: LogId,
    /// The oldest offset that can be read; the end if there is none.
    pub first: LogOffset,
    /// The offset that the next record gets.
    pub end: LogOffset,
}

/// Why a survey tells nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SurveyError {
    /// The log is not there, or not as it must be.
    Log {
        /// Human-readable.
        why: String,
    },
    /// The store cannot be read.
    Store(StoreError),
}

/// The log does not say where it begins and ends. Ask again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskLog {
    /// Human-readable.
    pub why: String,
}

/// Why a read has no records to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FollowError {
    /// They are gone.
    Trimmed {
        /// The oldest offset that can still be read.
        first: LogOffset,
    },
    /// The log ends below the position, or holds another history there.
    Truncated {
        /// Where it ends, or where the histories part.
        end: LogOffset,
    },
    /// Another log has taken its place.
    Replaced {
        /// Its identity.
        found: LogId,
    },
    /// It is not there.
    Missing,
    /// It cannot be followed past this place.
    Broken {
        /// Human-readable.
        why: String,
    },
    /// Passing; read again.
    Unavailable,
}

/// Why a snapshot was not installed. The replica has what it had, unless the own store or the disk
/// failed in the middle of installing: then the store may hold nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The peer does not answer. Ask another one.
    #[error("the peer is lost")]
    PeerLost(#[source] CopyCause),
    /// The peer gives none. Ask another one.
    #[error("the peer refuses: {0}")]
    Refused(CopyRefusal),
    /// What has come is not a whole snapshot. Ask another one.
    #[error("the snapshot is damaged")]
    Damaged(#[source] StoreError),
    /// It is whole, and not of this replica. Ask another one.
    #[error("the snapshot is of another {0}")]
    Foreign(CopyOf),
    /// This node's disk does not take it, or does not give it back. No peer can help.
    #[error("the snapshot cannot be kept on this node's disk")]
    Spool(#[source] CopyCause),
    /// The own store has failed. No peer can help.
    #[error("the snapshot cannot be written into the store")]
    Store(#[source] StoreError),
    /// The node is going away.
    #[error("the node is shutting down")]
    Interrupted,
}

/// What a call or a file has failed with.
pub type CopyCause = Box<dyn Error + Send + Sync>;

/// Why a peer gives no snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyRefusal {
    /// It has no replica whose state could be copied.
    #[error("its replica cannot be read")]
    NotReadable,
    /// It gives as many as it may, and did so for long.
    #[error("too many snapshots are copied from it")]
    Busy,
    /// It has let go of the one that was being copied.
    #[error("it does not keep the snapshot any longer")]
    Gone,
}

/// By what a snapshot is known to be of another partition or log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyOf {
    /// The partition's number, or the identity that its log begins with.
    #[error("partition")]
    Partition,
    /// The log that it was folded from.
    #[error("log")]
    Log,
}

/// What a state hashes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashed {
    /// The number.
    pub digest: u128,
    /// When the first of the remembered answers that counted expires: log time.
    pub first_expiry: Option<WallMillis>,
}

/// The state of one replica at one SCN, as one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestReport {
    /// Whose.
    pub node: NodeId,
    /// At which record.
    pub at: Scn,
    /// The first offset that the state does not cover.
    pub below: LogOffset,
    /// The number; its state survives a power cut.
    pub digest: u128,
}

/// What a driver asks about the world around its replica.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The partition's other replicas.
    pub peers: Vec<PeerState>,
    /// Where there should be replicas, this one included, but for nodes that have been away for so
    /// long that no log waits for them: all of these must hold what the log is to forget.
    pub holders: Vec<NodeId>,
    /// Bytes that were handed to all logs of the node.
    pub log_bytes: u64,
    /// What all replicas of the node held when they were last hashed.
    pub state_bytes: u64,
}

/// Another replica of the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerState {
    /// Where.
    pub node: NodeId,
    /// Its store shows a prefix of the history.
    pub readable: bool,
    /// Its store has room, and its node is not known to be sick: it can be named to lead.
    pub has_room: bool,
    /// It serves as leader.
    pub serves: bool,
    /// Everything below is in its store.
    pub folded: LogOffset,
}
