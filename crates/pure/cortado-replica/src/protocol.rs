//! Everything that goes into a replica and comes out of it: together, the protocol.
//!
//! Decides nothing. Start reading at [`Input`] and [`Effect`].

use crate::fold::{Conflict, FoldState, Gap, Stop, VoidReason};
use crate::page::RecordPage;
use crate::record::{ClaimReason, Config, Draft, FEATURE_LEVEL_MAX, ReplicaSet, Transaction, Trim};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use cortado_model::{
    Etag, Generation, LogOffset, LogPosition, Millis, NodeId, ReplicaIncarnation, Scn, ScnBounds,
    WallMillis,
};

/// What a replica is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// What was read from the log, from [`FoldState::position`] or an earlier offset on.
    ///
    /// What was folded already is skipped, so pages may overlap; a gap that the page vouches for is
    /// passed over. One that begins beyond the position leaves out records, and stops the replica.
    Page(RecordPage),
    /// The log holds the records of an [`Effect::Append`] at consecutive offsets, from this one on.
    Appended {
        /// Which append.
        token: AppendToken,
        /// Where its first record stands, and under which leader of the log's own all of them do.
        first: LogPosition,
    },
    /// The log did not say so.
    AppendFailed {
        /// Which append.
        token: AppendToken,
        /// What is known of it.
        failure: AppendFailure,
    },
    /// The answer to [`Effect::Recover`]: the log has been fed up to `end`.
    CaughtUp {
        /// The log's end, as asked after the producer was replaced.
        end: LogOffset,
    },
    /// A write, evaluated against [`Replica::in_flight`](crate::Replica::in_flight) and, below
    /// that, the store, with nothing else fed in between.
    Write(DecidedWrite),
    /// Asks for [`RequestEnd::Ready`] when what the store shows satisfies `need`.
    Read {
        /// Whom to answer.
        request: RequestId,
        /// What the reader was promised.
        need: ReadNeed,
    },
    /// A write was found refused, or a repetition, when evaluated: asks for [`RequestEnd::Ready`]
    /// when everything it was evaluated against is committed and this node has proven to lead.
    Settle {
        /// Whom to answer.
        request: RequestId,
        /// How leadership is proven.
        need: ReadNeed,
    },
    /// Take the leadership.
    Claim {
        /// Why, for the audit.
        reason: ClaimReason,
        /// Hash of what the decision rests on; 0 for nothing.
        evidence: u128,
    },
    /// The answer to [`Effect::CompareHistories`]: no replica that was to be asked has what this
    /// one lacks, or none has answered. The leader of this generation opens it.
    Open {
        /// Which.
        generation: Generation,
    },
    /// The other answer: what another replica has would be lost. This replica does not open the
    /// generation; it serves nothing and claims nothing before it has come to agree with a later
    /// leader.
    Diverged {
        /// Which generation.
        generation: Generation,
    },
    /// Give the leadership up.
    HandOff {
        /// Who should claim; `None` leaves it to the candidates' order.
        to: Option<NodeId>,
        /// Answered when the step-down is committed.
        request: RequestId,
    },
    /// Publish a fact about the partition; no caller is answered.
    Config(Config),
    /// As leader of `generation`, let the nodes in `to` claim from now on, if those that may are
    /// exactly `from`: one node joins or leaves, and it is not this one. No caller is answered: the
    /// fold state shows what became of it, and an order that comes late changes nothing.
    ChangeReplicas {
        /// The leadership in which it was ordered.
        generation: Generation,
        /// The set that it rests on.
        from: ReplicaSet,
        /// The set that is wanted.
        to: ReplicaSet,
    },
    /// Time has passed; due at [`Replica::wake_at`](crate::Replica::wake_at).
    Tick,
}

/// What a replica wants done. The driver executes effects in order; it may merge neighbouring
/// [`Effect::Apply`]s and may execute appends before anything else.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Append these records next to one another; answer with the token.
    Append {
        /// Comes back with the answer.
        token: AppendToken,
        /// Encoded records.
        records: Vec<Bytes>,
    },
    /// Drop the producer, ask the log for its end, feed pages up to there, then
    /// [`Input::CaughtUp`].
    Recover,
    /// The claim was accepted: compare histories with the other replicas, then [`Input::Open`], by
    /// `until` at the latest, or [`Input::Diverged`].
    CompareHistories {
        /// How long answers are awaited.
        until: Millis,
    },
    /// Make these transactions visible, with the fold state, in one atomic batch.
    Apply(Box<Apply>),
    /// Tell a waiting request.
    Answer {
        /// Whom.
        request: RequestId,
        /// What.
        answer: RequestEnd,
    },
    /// Hash the state as applied so far, for comparison at this SCN.
    Digest {
        /// Where every replica does the same.
        at: Scn,
    },
    /// Forget bookmarks that lie below what the log may forget.
    TrimBookmarks(Trim),
    /// Let the log forget what lies below, if it is the one that is named. For the leader alone,
    /// and once: a trim of long ago may be of a log that is gone.
    TrimLog(Trim),
    /// Something that operators, detectors and metrics want to know. No duty.
    Event(ReplicaEvent),
}

/// Matches an append with its answer. Tokens of one replica only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AppendToken(pub u64);

/// Matches a request with its answer; the driver chooses it, never twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// What is known of an append that was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendFailure {
    /// None of it is in the log or will be.
    NotAppended,
    /// Some of it may be in the log, or may still arrive.
    Unknown,
    /// As unknown, and the log takes nothing more until the process starts again.
    Unusable,
}

/// A write with everything decided but its place.
#[derive(Clone, Debug)]
pub struct DecidedWrite {
    /// Whom to answer.
    pub request: RequestId,
    /// What it comes to.
    pub draft: Draft,
}

/// What must hold before a reader may look at the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadNeed {
    /// This node leads, and its lease says so still (`strong`).
    Lease,
    /// A record appended after this input was accepted (`strict`).
    Barrier,
    /// Everything below this offset is applied. With a log whose end can be read locally this
    /// proves `strict` on any replica.
    Folded(LogOffset),
    /// Everything up to this SCN is applied (`session`).
    Applied(Scn),
}

/// The end of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestEnd {
    /// Committed and applied.
    Committed {
        /// The transaction's place.
        scn: Scn,
        /// Its log time.
        time: WallMillis,
        /// The etag of every document it wrote.
        etag: Etag,
    },
    /// What was asked for holds: look at the store now.
    Ready,
    /// Definitely not done, now or later.
    NotDone(NotDone),
    /// This replica cannot say and never will.
    Unknown,
}

/// Why something was definitely not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// Another node leads, or none; ask again there.
    NotLeader,
    /// This node leads but does not serve yet, or hands over; ask again soon.
    Changing,
    /// Too much is in flight; ask again later.
    Overloaded,
    /// The log refused the records, for lack of space or the like; ask again later.
    LogRefused,
    /// The log takes nothing until the process starts again.
    LogUnusable,
    /// The partition's generations are used up: it is read-only for ever.
    Exhausted,
    /// The replica is offline.
    Offline,
}

impl NotDone {
    /// Whether the replica that leads by then, here or elsewhere, may do it.
    pub fn is_for_another_leader(self) -> bool {
        match self {
            NotDone::NotLeader | NotDone::Changing | NotDone::Offline => true,
            NotDone::Overloaded
            | NotDone::LogRefused
            | NotDone::LogUnusable
            | NotDone::Exhausted => false,
        }
    }
}

/// Committed transactions for the store, in SCN order.
#[derive(Clone, Debug)]
pub struct Apply {
    /// What becomes visible together.
    pub transactions: Vec<Committed>,
    /// The fold state behind the last of them: the checkpoint.
    pub state: FoldState,
    /// Fold states to be found again by their SCN.
    pub bookmarks: Vec<FoldState>,
}

/// A transaction that the fold accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its place.
    pub scn: Scn,
    /// Its log time.
    pub time: WallMillis,
    /// What it changes.
    pub transaction: Transaction,
}

/// What happened, for the journal, detectors and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplicaEvent {
    /// A record was folded that its producer's being alive can be seen from.
    Heard {
        /// The producer.
        node: NodeId,
        /// The life of its replica; 0 if the node spoke for itself.
        incarnation: ReplicaIncarnation,
    },
    /// The fold accepted a claim.
    NewGeneration {
        /// The generation.
        generation: Generation,
        /// Who leads it.
        leader: NodeId,
        /// Where the one before ended.
        previous_end: Scn,
    },
    /// This replica serves as leader from now on.
    Serving {
        /// Its generation.
        generation: Generation,
    },
    /// This replica leads no longer.
    Resigned {
        /// The generation it led.
        generation: Generation,
        /// Writes that can never take effect any more and were answered so.
        not_done: usize,
    },
    /// The leader of this generation has given up.
    SteppedDown {
        /// The generation it led.
        generation: Generation,
        /// Who should claim.
        to: Option<NodeId>,
    },
    /// Other nodes than before may claim.
    ReplicasChanged {
        /// Those that may.
        replicas: ReplicaSet,
    },
    /// This replica's claim lost.
    ClaimLost {
        /// What it claimed.
        generation: Generation,
    },
    /// A record was passed over.
    Void {
        /// Where it stands.
        offset: LogOffset,
        /// Why.
        why: VoidReason,
    },
    /// Publishing starts again from a checkpoint.
    Republishing {
        /// Records in flight that the fold has not accepted.
        records: usize,
    },
    /// Records are missing: what stands behind them is void until they appear, or until the next
    /// claim.
    GapBegan(Gap),
    /// Nothing is missing any more.
    GapEnded {
        /// What was.
        since: Scn,
    },
    /// The leader goes on with another history than this replica has.
    Disputed {
        /// Where it says so.
        offset: LogOffset,
        /// Both histories.
        conflict: Conflict,
    },
    /// The replica has stopped before a record, and goes no further in this life.
    Stopped {
        /// At which record.
        offset: LogOffset,
        /// What is wrong.
        why: Stop,
    },
}

/// The two clocks at the time of an input.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Steady; must not go backwards.
    pub clock: Millis,
    /// For log time only.
    pub wall: WallMillis,
}

/// What a replica is configured with.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Where generations and sequences end.
    pub bounds: ScnBounds,
    /// `None` where reads are proven by the log's end instead: no leader waits for a lease then.
    pub lease: Option<LeaseSettings>,
    /// Records in flight at most; 1 or more.
    pub in_flight_records_max: usize,
    /// Bytes in flight at most.
    pub in_flight_bytes_max: usize,
    /// An append or a claim without an answer counts as lost after this; what has failed is tried
    /// again after as long, then after [ever longer](cortado_model::back_off_ms).
    pub retry_ms: u64,
    /// Folded records between two bookmarks; 1 or more.
    pub bookmark_records: u64,
    /// The highest feature level that this node has declared to read; what needs a higher one and
    /// counts stops the replica.
    pub feature_level: u16,
}

/// How far a leader may trust its last accepted record; the lease length D is in the log.
#[derive(Clone, Copy, Debug)]
pub struct LeaseSettings {
    /// ρ: how much two clocks' rates may differ, in percent; 10 by default, below 100.
    pub drift_percent: u64,
}

impl LeaseSettings {
    /// D·(1−ρ): how long a leader may serve after it sent an accepted record.
    pub fn serve_ms(self, duration_ms: u32) -> u64 {
        u64::from(duration_ms) * (100 - self.drift_percent) / 100
    }

    /// D·(1+ρ): how long a new leader waits after it folded its predecessor's last record.
    pub fn wait_ms(self, duration_ms: u32) -> u64 {
        (u64::from(duration_ms) * (100 + self.drift_percent)).div_ceil(100)
    }
}

impl Settings {
    /// The defaults for a log whose end can be read locally.
    pub fn local() -> Settings {
        Settings {
            bounds: ScnBounds::FULL,
            lease: None,
            in_flight_records_max: 4_096,
            in_flight_bytes_max: 64 << 20,
            retry_ms: 200,
            bookmark_records: 1_024,
            feature_level: FEATURE_LEVEL_MAX,
        }
    }

    /// The defaults for a log shared with other machines.
    pub fn leased() -> Settings {
        let lease = LeaseSettings { drift_percent: 10 };
        Settings { lease: Some(lease), ..Settings::local() }
    }
}
