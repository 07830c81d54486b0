//! What a run has reached: a simulator that never gets to a fault proves nothing about it.
//!
//! Decides nothing about runs. Start reading at [`Coverage`].

use crate::kernel::counts::Counts;
use cortado_driver::{News, ReplicaRole};
use cortado_replica::Why;

/// How often each thing happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Faults that struck.
    pub faults: Counts<Fault>,
    /// Places at which a node died or stopped, and how often it did.
    pub boundaries: Counts<Boundary>,
    /// Changes of role.
    pub transitions: Counts<Transition>,
    /// Everything else that a run must meet sometimes.
    pub sights: Counts<Sight>,
}

impl Coverage {
    /// A fault struck.
    pub fn fault(&mut self, fault: Fault) {
        self.faults.count(fault);
    }

    /// A node died or stopped at a boundary.
    pub fn boundary(&mut self, boundary: Boundary) {
        self.boundaries.count(boundary);
    }

    /// Something was met.
    pub fn sight(&mut self, sight: Sight) {
        self.sights.count(sight);
    }

    /// A replica went from one role to another; staying is no transition.
    pub fn transition(&mut self, from: ReplicaRole, to: ReplicaRole) {
        if let Some(transition) = Transition::between(from, to) {
            self.transitions.count(transition);
        }
    }

    /// Adds what another run has reached.
    pub fn add(&mut self, other: &Coverage) {
        self.faults.add(&other.faults);
        self.boundaries.add(&other.boundaries);
        self.transitions.add(&other.transitions);
        self.sights.add(&other.sights);
    }

    /// The names of everything that was never reached.
    pub fn never(&self) -> Vec<String> {
        let mut never = self.faults.missing(&Fault::ALL);
        let (points, actions) =
            (BoundaryPoint::ALL, [BoundaryAction::Crash, BoundaryAction::Pause]);
        for point in points {
            let all = actions.map(|action| Boundary { point, action });
            never.extend(self.boundaries.missing(&all));
        }
        never.extend(self.transitions.missing(&Transition::ALL));
        never.extend(self.sights.missing(&Sight::ALL));
        never
    }
}

/// The closed set of things that go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// An append never lands and is answered "perhaps".
    AppendLost,
    /// An append lands and is answered "perhaps".
    AppendPerhaps,
    /// An append is answered "perhaps" and lands later, up to seconds.
    AppendLate,
    /// A prefix of an append lands; it is answered "perhaps".
    AppendPrefix,
    /// An append lands twice, one copy behind the other.
    AppendDuplicated,
    /// An append lands, and once more later, up to seconds.
    AppendLateCopy,
    /// A prefix of an append lands, and each record's outcome says what became of it.
    AppendSplit,
    /// An append lands, and the log does not say where.
    AppendSomewhere,
    /// An append is certainly refused.
    AppendRefused,
    /// An append lands; its answer comes late, and all behind it with it.
    AnswerSlow,
    /// An append lands or does not; its answer never comes.
    NeverAnswered,
    /// A digest on its way to the leader is lost.
    ReportLost,
    /// A read of the log fails.
    ReadFails,
    /// A read of the log answers bytes that nobody wrote.
    ReadDamaged,
    /// A read of the log answers a stranger's bytes where a record stands.
    ReadForeign,
    /// A client's request is lost.
    RequestLost,
    /// The answer to a client is lost.
    ReplyLost,
    /// A client gives up waiting.
    ClientDeadline,
    /// A process dies at any moment.
    NodeCrash,
    /// A process stops at any moment and goes on later.
    NodePause,
    /// All processes die at once.
    AllCrash,
    /// A crash loses applied batches that were not yet durable.
    SuffixLost,
    /// A node loses a whole store.
    StoreWiped,
    /// A store fails under a batch, which is there afterwards or not, and must be opened again.
    StoreFails,
    /// A store has no room for a while.
    StoreFull,
    /// A store finds bytes that it has not written.
    StoreDamaged,
    /// A replica is said to have another state than the others.
    Condemned,
    /// A process is asked to end, and finishes what it has begun.
    NodeStops,
    /// The log loses its last records when it starts again.
    LogTruncated,
    /// A leader publishes what only a newer build can read.
    NewerLeader,
    /// A node can read the log and not append.
    CutAppend,
    /// A node can append to the log and not read.
    CutRead,
    /// A node can do neither.
    CutBoth,
    /// A node's appends land, and it never hears so.
    CutAnswers,
    /// A node does not hear another.
    CutPeer,
    /// Nobody reaches the log.
    LogOutage,
    /// The log refuses all appends.
    LogFull,
    /// A node's log takes nothing more until its process starts again.
    LogUnusable,
    /// A node's wall clock jumps, back or forth.
    WallJump,
    /// A node claims though the leader lives.
    WrongSuspicion,
    /// The peer that sends a snapshot dies on the way.
    SnapshotBroken,
    /// Somebody who has nothing to do with the partition writes into its log.
    StrangerWrites,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 42] = [
        Fault::AppendLost,
        Fault::AppendPerhaps,
        Fault::AppendLate,
        Fault::AppendPrefix,
        Fault::AppendDuplicated,
        Fault::AppendLateCopy,
        Fault::AppendSplit,
        Fault::AppendSomewhere,
        Fault::AppendRefused,
        Fault::AnswerSlow,
        Fault::NeverAnswered,
        Fault::ReportLost,
        Fault::ReadFails,
        Fault::ReadDamaged,
        Fault::ReadForeign,
        Fault::RequestLost,
        Fault::ReplyLost,
        Fault::ClientDeadline,
        Fault::NodeCrash,
        Fault::NodePause,
        Fault::AllCrash,
        Fault::SuffixLost,
        Fault::StoreWiped,
        Fault::StoreFails,
        Fault::StoreFull,
        Fault::StoreDamaged,
        Fault::Condemned,
        Fault::NodeStops,
        Fault::LogTruncated,
        Fault::NewerLeader,
        Fault::CutAppend,
        Fault::CutRead,
        Fault::CutBoth,
        Fault::CutAnswers,
        Fault::CutPeer,
        Fault::LogOutage,
        Fault::LogFull,
        Fault::LogUnusable,
        Fault::WallJump,
        Fault::WrongSuspicion,
        Fault::SnapshotBroken,
        Fault::StrangerWrites,
    ];
}

/// A place between two things that a driver does, and what befell the node there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Boundary {
    /// Where.
    pub point: BoundaryPoint,
    /// What.
    pub action: BoundaryAction,
}

/// What befalls a node at a boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BoundaryAction {
    /// The process dies.
    Crash,
    /// The process stops and goes on later.
    Pause,
}

/// The closed set of places between two things that a driver does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BoundaryPoint {
    /// Something waits; it has not been looked at.
    BeforeStep,
    /// The driver has decided; its records are not on their way.
    BeforeAppend,
    /// The records are on their way.
    AfterAppend,
    /// Before the end of the log is asked for.
    BeforeRecover,
    /// Before a write's documents are looked up.
    BeforeFind,
    /// A batch is committed and not in the store.
    BeforeApply,
    /// A batch is in the store, perhaps not durable, and nobody knows.
    AfterApply,
    /// A write is applied and not answered.
    BeforeAnswer,
    /// Between the proof that a read may be served and the read.
    BeforeRead,
    /// The answer is on its way.
    AfterAnswer,
    /// A digest is due.
    BeforeDigest,
    /// A trim is committed and not executed.
    BeforeTrim,
    /// A trim is executed.
    AfterTrim,
    /// Before everything in the store is thrown away, for a snapshot or for the log itself.
    BeforeRebuild,
}

impl BoundaryPoint {
    /// All of them.
    pub const ALL: [BoundaryPoint; 14] = [
        BoundaryPoint::BeforeStep,
        BoundaryPoint::BeforeAppend,
        BoundaryPoint::AfterAppend,
        BoundaryPoint::BeforeRecover,
        BoundaryPoint::BeforeFind,
        BoundaryPoint::BeforeApply,
        BoundaryPoint::AfterApply,
        BoundaryPoint::BeforeAnswer,
        BoundaryPoint::BeforeRead,
        BoundaryPoint::AfterAnswer,
        BoundaryPoint::BeforeDigest,
        BoundaryPoint::BeforeTrim,
        BoundaryPoint::AfterTrim,
        BoundaryPoint::BeforeRebuild,
    ];

    /// How much more often something befalls a node here than elsewhere.
    pub fn weight(self) -> u32 {
        match self {
            BoundaryPoint::BeforeRecover | BoundaryPoint::BeforeDigest => 20,
            BoundaryPoint::BeforeTrim | BoundaryPoint::AfterTrim | BoundaryPoint::BeforeRebuild => {
                60
            }
            BoundaryPoint::BeforeStep
            | BoundaryPoint::BeforeAppend
            | BoundaryPoint::AfterAppend
            | BoundaryPoint::BeforeFind
            | BoundaryPoint::BeforeApply
            | BoundaryPoint::AfterApply
            | BoundaryPoint::BeforeAnswer
            | BoundaryPoint::BeforeRead
            | BoundaryPoint::AfterAnswer => 1,
        }
    }
}

/// The closed set of changes of role that the protocol knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transition {
    /// A follower sent a claim.
    Claims,
    /// A claim was lost, refused or given up.
    ClaimEnds,
    /// A claim was accepted.
    Wins,
    /// A claim that had been given up was accepted after all.
    WinsLate,
    /// A new leader serves.
    Serves,
    /// A new leader was fenced before it served.
    FencedOpening,
    /// A leader hands over.
    HandsOver,
    /// A leader that handed over became a follower.
    HandedOver,
    /// A leader's step-down was refused, and it leads on.
    LeadsOn,
    /// A leader was fenced.
    Fenced,
    /// A replica's state is thrown away.
    Breaks,
    /// A replica begins a life.
    Begins,
    /// A life ends, and another may begin.
    Ends,
}

impl Transition {
    /// All of them.
    pub const ALL: [Transition; 13] = [
        Transition::Claims,
        Transition::ClaimEnds,
        Transition::Wins,
        Transition::WinsLate,
        Transition::Serves,
        Transition::FencedOpening,
        Transition::HandsOver,
        Transition::HandedOver,
        Transition::LeadsOn,
        Transition::Fenced,
        Transition::Breaks,
        Transition::Begins,
        Transition::Ends,
    ];

    /// What a step from one role to another is; `None` for staying, and for what one step does
    /// only in passing.
    fn between(from: ReplicaRole, to: ReplicaRole) -> Option<Transition> {
        use ReplicaRole as Role;
        match (from, to) {
            (Role::Follower, Role::Candidate) => Some(Transition::Claims),
            (Role::Candidate, Role::Follower) => Some(Transition::ClaimEnds),
            (Role::Candidate, Role::Opening) => Some(Transition::Wins),
            (Role::Follower, Role::Opening | Role::Leader) => Some(Transition::WinsLate),
            (Role::Opening, Role::Leader) => Some(Transition::Serves),
            (Role::Opening, Role::Follower) => Some(Transition::FencedOpening),
            (Role::Leader, Role::SteppingDown) => Some(Transition::HandsOver),
            (Role::SteppingDown, Role::Follower) => Some(Transition::HandedOver),
            (Role::SteppingDown, Role::Leader) => Some(Transition::LeadsOn),
            (Role::Leader, Role::Follower) => Some(Transition::Fenced),
            (Role::Offline | Role::Restoring, Role::Follower) => Some(Transition::Begins),
            (Role::Offline, Role::Restoring) | (Role::Restoring, Role::Offline) => None,
            (_, Role::Offline) if from != to => Some(Transition::Ends),
            (_, Role::Restoring) if from != to => Some(Transition::Breaks),
            (
                Role::Offline
                | Role::Restoring
                | Role::Follower
                | Role::Candidate
                | Role::Opening
                | Role::Leader
                | Role::SteppingDown,
                _,
            ) => None,
        }
    }
}

/// What else must be met sometimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sight {
    /// The fold passed over a record, for this reason.
    VoidZombie,
    /// As above: re-published.
    VoidDuplicate,
    /// As above: one before it is missing.
    VoidGap,
    /// As above: a claim that lost.
    VoidClaim,
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
    /// A replica that had to be built anew found nobody to help.
    NotRebuilt,
    /// A gap in a log was closed.
    GapEnded,
    /// A leader resigned with writes that can never take effect.
    ResignedWithWrites,
    /// A write was withdrawn before it was begun.
    Withdrawn,
    /// A write had nothing to change.
    NothingChanged,
    /// A proven reader looked when the next generation was in the store already.
    LookedTooLate,
    /// A driver ended when it was told to stop.
    Ended,
    /// A replica rested because it holds more than its log.
    Robbed,
    /// A replica stood still before a record that it cannot read.
    StoodStill,
    /// A replica stood still, since its history is not the leader's.
    Disputed,
    /// A strong read was stale where clocks break their promise: the one thing that they may cost.
    StaleUnderDrift,
}

impl Sight {
    /// All that many seeds of mixed scenarios must meet; only `drift` meets the last one above.
    pub const ALL: [Sight; 51] = [
        Sight::VoidZombie,
        Sight::VoidDuplicate,
        Sight::VoidGap,
        Sight::VoidClaim,
        Sight::VoidForeign,
        Sight::Republished,
        Sight::ReadBack,
        Sight::RolledOver,
        Sight::LeaseWaited,
        Sight::LeaseChanged,
        Sight::Overloaded,
        Sight::LogRefused,
        Sight::LogUnusable,
        Sight::Exhausted,
        Sight::AnsweredUnknown,
        Sight::Repetition,
        Sight::KeyInFlight,
        Sight::ConditionInFlight,
        Sight::RefusalSettled,
        Sight::Resynced,
        Sight::Trimmed,
        Sight::Digested,
        Sight::HandedOff,
        Sight::LeaseRead,
        Sight::StrictRead,
        Sight::SessionRead,
        Sight::LocalRead,
        Sight::LandedPosthumously,
        Sight::DecidedToClaim,
        Sight::DecidedToHandOff,
        Sight::Rebuilt,
        Sight::GaveUpInDoubt,
        Sight::ProducerAbandoned,
        Sight::Agreed,
        Sight::TooFewDigests,
        Sight::BookmarksTrimmed,
        Sight::WaitedForRoom,
        Sight::HasRoom,
        Sight::Damaged,
        Sight::BehindLog,
        Sight::FoldsAnew,
        Sight::NotRebuilt,
        Sight::GapEnded,
        Sight::ResignedWithWrites,
        Sight::Withdrawn,
        Sight::NothingChanged,
        Sight::LookedTooLate,
        Sight::Ended,
        Sight::Robbed,
        Sight::StoodStill,
        Sight::Disputed,
    ];

    /// What a driver's news shows; `None` for what is nothing special.
    pub fn of_news(news: &News) -> Option<Sight> {
        match news {
            News::Void { why, .. } => Sight::of_void(*why),
            News::Republishing { .. } => Some(Sight::Republished),
            News::ProducerAbandoned { .. } => Some(Sight::ProducerAbandoned),
            News::Agreed { .. } => Some(Sight::Agreed),
            News::TooFewDigests { .. } => Some(Sight::TooFewDigests),
            News::WaitsForRoom { .. } => Some(Sight::WaitedForRoom),
            News::HasRoom => Some(Sight::HasRoom),
            News::Damaged { .. } => Some(Sight::Damaged),
            News::BehindLog { .. } => Some(Sight::BehindLog),
            News::FoldsAnew { .. } => Some(Sight::FoldsAnew),
            News::NotRebuilt { .. } => Some(Sight::NotRebuilt),
            News::GapEnded { .. } => Some(Sight::GapEnded),
            News::Resigned { not_done: 1.., .. } => Some(Sight::ResignedWithWrites),
            News::Resigned { .. }
            | News::Starts { .. }
            | News::Heard { .. }
            | News::Claims
            | News::NewGeneration { .. }
            | News::ClaimLost { .. }
            | News::Serving { .. }
            | News::SteppedDown { .. }
            | News::Foreign { .. }
            | News::GapBegan(_)
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

    /// The sight of a void record; `None` for what no correct node here appends.
    pub fn of_void(why: Why) -> Option<Sight> {
        match why {
            Why::Heartbeat | Why::BeforeGenesis | Why::AfterStepDown => None,
            Why::Foreign => Some(Sight::VoidForeign),
            // Every node has a replica of every partition; and nothing is sent behind a claim.
            Why::NotAReplica | Why::Stranger | Why::MissingClaim => None,
            Why::NotNextGeneration => Some(Sight::VoidClaim),
            Why::Zombie => Some(Sight::VoidZombie),
            Why::Duplicate => Some(Sight::VoidDuplicate),
            Why::Gap => Some(Sight::VoidGap),
        }
    }
}
