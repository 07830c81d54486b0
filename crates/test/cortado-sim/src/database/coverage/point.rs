//! What a run must meet sometimes, besides faults, boundaries and changes of role.
//!
//! Start reading at [`CoveragePoint`].

use cortado_driver::News;
use cortado_replica::VoidReason;

/// What else must be met sometimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CoveragePoint {
    /// The fold passed over a record, for this reason.
    VoidZombie,
    /// As above: re-published.
    VoidDuplicate,
    /// As above: one before it is missing.
    VoidGap,
    /// As above: a claim that lost.
    VoidClaim,
    /// As above: a claim that disputes a leader which has served.
    VoidLeaderHasServed,
    /// As above: a stranger's.
    VoidForeign,
    /// Records were published again.
    Republished,
    /// An acknowledgement did not continue the fold.
    ReadBack,
    /// A leader claimed its own next generation.
    RolledOver,
    /// A new leader waited for its predecessor's lease.
    LeaseWaited,
    /// The log gave leases another length.
    LeaseChanged,
    /// A write was refused for what was in flight.
    Overloaded,
    /// A write was refused because the log certainly refused its record.
    LogRefused,
    /// A write was refused because the log was unusable.
    LogUnusable,
    /// A write was refused because the generations were used up.
    Exhausted,
    /// The replica itself answered that it cannot say.
    AnsweredUnknown,
    /// An idempotency key was found in the store.
    Repetition,
    /// An idempotency key was found in flight.
    KeyInFlight,
    /// Some parts of a bulk were done and others refused.
    BulkInPart,
    /// A part of a bulk was done before.
    BulkRepeated,
    /// A bulk was more than one record takes.
    BulkCut,
    /// A condition was evaluated against a change in flight.
    ConditionInFlight,
    /// A condition was refused after all before it was committed.
    RefusalSettled,
    /// A replica copied a snapshot.
    Resynced,
    /// The log forgot a prefix.
    Trimmed,
    /// Replicas compared their digests.
    Digested,
    /// A handoff was committed.
    HandedOff,
    /// A strong read waited for its lease.
    LeaseRead,
    /// A strict read waited for its barrier.
    StrictRead,
    /// A session read waited for its token.
    SessionRead,
    /// A strict read was proven by the end of a local log.
    LocalRead,
    /// Records landed after their producer had died.
    LandedPosthumously,
    /// `cortado-cluster` decided to claim.
    DecidedToClaim,
    /// `cortado-cluster` decided to hand over.
    DecidedToHandOff,
    /// It decided to claim since the leader was silent.
    ClaimedForSilence,
    /// A node's own beats did not come back.
    DeafToItself,
    /// They did again.
    HearsItself,
    /// A node felt too sick to lead.
    FeltSick,
    /// It felt well again.
    FeltWell,
    /// A replica was told an end of its log below what it had folded.
    ToldOldEnd,
    /// A replica was built anew inside a living process.
    Rebuilt,
    /// A client was told that its write was not done, and could not believe it: an earlier try
    /// may have been.
    GaveUpInDoubt,
    /// The log has not answered for too long, and its producer was given up.
    ProducerAbandoned,
    /// Replicas had equal digests.
    Agreed,
    /// Too few replicas reported a digest for the log to forget.
    TooFewDigests,
    /// Bookmarks below the log's beginning were forgotten.
    BookmarksTrimmed,
    /// A replica waited for its store to have room.
    WaitedForRoom,
    /// A store had room again.
    HasRoom,
    /// A replica's state was thrown away.
    Damaged,
    /// The log had forgotten what a replica had not folded.
    BehindLog,
    /// A replica folded its log from the beginning.
    FoldsAnew,
    /// A replica had to be built anew, and could not be yet.
    NotRebuilt,
    /// A gap in a log was closed.
    GapEnded,
    /// A leader resigned with writes that can never take effect.
    ResignedWithWrites,
    /// A write was withdrawn before it was begun.
    Withdrawn,
    /// A client followed at once what the wrong node told it of a newer leader.
    Redirected,
    /// A write had nothing to change.
    NothingChanged,
    /// A proven reader looked when the next generation was in the store already.
    LookedTooLate,
    /// A driver ended when it was told to stop.
    Ended,
    /// A replica rested because it holds more than its log.
    Robbed,
    /// Histories had parted, and the one that an operator has chosen goes on.
    Resolved,
    /// A replica stood still before a record that it cannot read.
    StoodStill,
    /// A replica did not follow a leader that went on with another history.
    Disputed,
    /// A claimant found out that another replica has what it lacks, and did not open.
    Diverged,
    /// A claimant opened its generation, and no peer had answered.
    Unverified,
    /// A peer answered afterwards, and had the same history.
    Verified,
    /// A replica in a gap found out that it alone had lost a record.
    LostRecord,
    /// Another broker came to lead a partition.
    BrokerLed,
    /// The controller fenced a broker.
    BrokerFenced,
    /// A broker cut off what its leader did not have.
    BrokerTruncated,
    /// A broker did not lead any more, and said so to a producer.
    BrokerDeposed,
    /// The followers took longer than a broker waited for them.
    BrokerTimedOut,
    /// A connection broke under a request, or there was none.
    BrokerDisconnected,
    /// A broker answered another error to a producer.
    BrokerFailed,
    /// Too few replicas were in sync for an append.
    TooFewInSync,
    /// Too few were in sync when it had been appended.
    TooFewInSyncAfterAppend,
    /// One replica of a partition was in sync alone.
    OneInSync,
    /// A batch was sent again and not appended again.
    BatchDeduplicated,
    /// A producer was told of success, and not where.
    StandsSomewhere,
    /// A producer told that records are certainly not in the log.
    RefusedByBroker,
    /// The end of a stranger's transaction took an offset.
    ControlRecordCommitted,
    /// A reader passed over offsets that never held a record.
    PassedControlRecords,
    /// A broker told an end that was not the last any more.
    ToldStaleEnd,
    /// A replica led that was not in sync.
    LedUnclean,
    /// Others have served a write of what a dead node led.
    ServedForDead,
    /// What a client had been told of was lost by its log, and held by a replica.
    AcknowledgedLost,
    /// A node asked a leader to step down that only one layer misses.
    AskedToStepDown,
    /// It was replaced, since it did not.
    ClaimedGray,
    /// A node told what kept it from claiming.
    ToldWhyNot,
    /// An operator planned that replicas should be elsewhere.
    ChangePlanned,
    /// Or wanted it no longer.
    ChangeCancelled,
    /// Everything that was planned was done, or given up.
    ChangeOver,
    /// A machine that was to leave was gone for good before.
    MachineLost,
    /// A move began.
    MoveBegun,
    /// A replica had moved.
    MoveDone,
    /// A move came to nothing.
    MoveGivenUp,
    /// What a controller wrote rested on what had changed.
    DeclarationRefused,
    /// A leader passed over an order that rested on less than its node had folded.
    OrderOutdated,
    /// A node deleted a replica that it had given up.
    ReplicaDeleted,
    /// The fold passed over a claim of a node that holds no replica, or is about to join.
    VoidNotAReplica,
    /// A strong read was stale where clocks break their promise: the one thing that they may cost.
    StaleUnderDrift,
    /// An operator drained a node.
    Drained,
    /// An operator resumed a node.
    Resumed,
    /// A drained node led when the faults stopped, until another one could.
    DrainedLed,
    /// An operator put the former build back.
    RolledBack,
    /// An upgrade was not finished: a node did not read what would be written.
    GateHeld,
    /// It was.
    GateOpened,
    /// A process was too old for what is written, and refused.
    TooOld,
}

impl CoveragePoint {
    /// All that many seeds of mixed scenarios must meet; only `drift` meets the last one
    /// above, and few the one before it.
    pub const ALL: [CoveragePoint; 106] = [
        CoveragePoint::VoidZombie,
        CoveragePoint::VoidDuplicate,
        CoveragePoint::VoidGap,
        CoveragePoint::VoidClaim,
        CoveragePoint::VoidLeaderHasServed,
        CoveragePoint::VoidForeign,
        CoveragePoint::Republished,
        CoveragePoint::ReadBack,
        CoveragePoint::RolledOver,
        CoveragePoint::LeaseWaited,
        CoveragePoint::LeaseChanged,
        CoveragePoint::Overloaded,
        CoveragePoint::LogRefused,
        CoveragePoint::LogUnusable,
        CoveragePoint::Exhausted,
        CoveragePoint::AnsweredUnknown,
        CoveragePoint::Repetition,
        CoveragePoint::KeyInFlight,
        CoveragePoint::BulkInPart,
        CoveragePoint::BulkRepeated,
        CoveragePoint::BulkCut,
        CoveragePoint::ConditionInFlight,
        CoveragePoint::RefusalSettled,
        CoveragePoint::Resynced,
        CoveragePoint::Trimmed,
        CoveragePoint::Digested,
        CoveragePoint::HandedOff,
        CoveragePoint::LeaseRead,
        CoveragePoint::StrictRead,
        CoveragePoint::SessionRead,
        CoveragePoint::LocalRead,
        CoveragePoint::LandedPosthumously,
        CoveragePoint::DecidedToClaim,
        CoveragePoint::DecidedToHandOff,
        CoveragePoint::ClaimedForSilence,
        CoveragePoint::DeafToItself,
        CoveragePoint::HearsItself,
        CoveragePoint::FeltSick,
        CoveragePoint::FeltWell,
        CoveragePoint::ToldOldEnd,
        CoveragePoint::Rebuilt,
        CoveragePoint::GaveUpInDoubt,
        CoveragePoint::ProducerAbandoned,
        CoveragePoint::Agreed,
        CoveragePoint::TooFewDigests,
        CoveragePoint::BookmarksTrimmed,
        CoveragePoint::WaitedForRoom,
        CoveragePoint::HasRoom,
        CoveragePoint::Damaged,
        CoveragePoint::BehindLog,
        CoveragePoint::FoldsAnew,
        CoveragePoint::NotRebuilt,
        CoveragePoint::GapEnded,
        CoveragePoint::ResignedWithWrites,
        CoveragePoint::Withdrawn,
        CoveragePoint::Redirected,
        CoveragePoint::NothingChanged,
        CoveragePoint::LookedTooLate,
        CoveragePoint::Ended,
        CoveragePoint::Robbed,
        CoveragePoint::Resolved,
        CoveragePoint::StoodStill,
        CoveragePoint::Disputed,
        CoveragePoint::Diverged,
        CoveragePoint::Unverified,
        CoveragePoint::Verified,
        CoveragePoint::LostRecord,
        CoveragePoint::BrokerLed,
        CoveragePoint::BrokerFenced,
        CoveragePoint::BrokerTruncated,
        CoveragePoint::BrokerDeposed,
        CoveragePoint::BrokerTimedOut,
        CoveragePoint::BrokerDisconnected,
        CoveragePoint::BrokerFailed,
        CoveragePoint::TooFewInSync,
        CoveragePoint::TooFewInSyncAfterAppend,
        CoveragePoint::OneInSync,
        CoveragePoint::BatchDeduplicated,
        CoveragePoint::StandsSomewhere,
        CoveragePoint::RefusedByBroker,
        CoveragePoint::ControlRecordCommitted,
        CoveragePoint::PassedControlRecords,
        CoveragePoint::ToldStaleEnd,
        CoveragePoint::LedUnclean,
        CoveragePoint::ServedForDead,
        CoveragePoint::AcknowledgedLost,
        CoveragePoint::Drained,
        CoveragePoint::Resumed,
        CoveragePoint::DrainedLed,
        CoveragePoint::RolledBack,
        CoveragePoint::GateHeld,
        CoveragePoint::GateOpened,
        CoveragePoint::TooOld,
        CoveragePoint::AskedToStepDown,
        CoveragePoint::ClaimedGray,
        CoveragePoint::ToldWhyNot,
        CoveragePoint::ChangePlanned,
        CoveragePoint::ChangeCancelled,
        CoveragePoint::ChangeOver,
        CoveragePoint::MachineLost,
        CoveragePoint::MoveBegun,
        CoveragePoint::MoveDone,
        CoveragePoint::MoveGivenUp,
        CoveragePoint::DeclarationRefused,
        CoveragePoint::OrderOutdated,
        CoveragePoint::ReplicaDeleted,
    ];

    /// What a driver's news shows; `None` for what is nothing special.
    pub fn of_news(news: &News) -> Option<CoveragePoint> {
        match news {
            News::Void { why, .. } => CoveragePoint::of_void(*why),
            News::Republishing { .. } => Some(CoveragePoint::Republished),
            News::ProducerAbandoned { .. } => Some(CoveragePoint::ProducerAbandoned),
            News::Agreed { .. } => Some(CoveragePoint::Agreed),
            News::TooFewDigests { .. } => Some(CoveragePoint::TooFewDigests),
            News::WaitsForRoom { .. } => Some(CoveragePoint::WaitedForRoom),
            News::HasRoom => Some(CoveragePoint::HasRoom),
            News::Damaged { .. } => Some(CoveragePoint::Damaged),
            News::BehindLog { .. } => Some(CoveragePoint::BehindLog),
            News::FoldsAnew { .. } => Some(CoveragePoint::FoldsAnew),
            News::NotRebuilt { .. } => Some(CoveragePoint::NotRebuilt),
            News::GapEnded { .. } => Some(CoveragePoint::GapEnded),
            News::Diverged { opened: false, .. } => Some(CoveragePoint::Diverged),
            News::Unverified { .. } => Some(CoveragePoint::Unverified),
            News::Verified { .. } => Some(CoveragePoint::Verified),
            News::LostRecord { .. } => Some(CoveragePoint::LostRecord),
            News::Disputed { .. } => Some(CoveragePoint::Disputed),
            News::Resigned { not_done: 1.., .. } => Some(CoveragePoint::ResignedWithWrites),
            News::Resigned { .. }
            | News::Starts { .. }
            | News::Heard { .. }
            | News::Claims
            | News::ReplicasChanged { .. }
            | News::NewGeneration { .. }
            | News::ClaimLost { .. }
            | News::Serving { .. }
            | News::SteppedDown { .. }
            | News::Foreign { .. }
            | News::GapBegan(_)
            | News::Diverged { opened: true, .. }
            | News::AppendFailed(_)
            | News::Stopped { .. }
            | News::Differ { .. }
            | News::NotHashed { .. }
            | News::BookmarksNotTrimmed { .. }
            | News::Contradicted { .. }
            | News::StandsStill { .. }
            | News::Resynced { .. }
            | News::SnapshotFailed { .. } => None,
        }
    }

    /// The coverage point of a void record; `None` for what no correct node here appends.
    pub fn of_void(why: VoidReason) -> Option<CoveragePoint> {
        match why {
            VoidReason::BeforeGenesis | VoidReason::AfterStepDown => None,
            VoidReason::Foreign => Some(CoveragePoint::VoidForeign),
            // Rare: a core claims only if it has folded that it may.
            VoidReason::NotAReplica => Some(CoveragePoint::VoidNotAReplica),
            // Nothing is sent behind a claim.
            VoidReason::Stranger | VoidReason::MissingClaim => None,
            // Told by its own name.
            VoidReason::Disputed(_) => None,
            VoidReason::LeaderHasServed => Some(CoveragePoint::VoidLeaderHasServed),
            VoidReason::NotNextGeneration => Some(CoveragePoint::VoidClaim),
            VoidReason::Zombie => Some(CoveragePoint::VoidZombie),
            VoidReason::Duplicate => Some(CoveragePoint::VoidDuplicate),
            VoidReason::Gap => Some(CoveragePoint::VoidGap),
        }
    }
}
