//! What a run has reached: a simulator that never gets to a fault proves nothing about it.
//!
//! Decides nothing about runs. Start reading at [`Coverage`].

mod point;
pub mod variant;

pub use point::CoveragePoint;

use crate::database::scenario::Scenario;
use crate::kernel::counts::Counts;
use cortado_driver::ReplicaRole;
use variant::Variant;

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
    pub points: Counts<CoveragePoint>,
    /// Variants of what ships that were met.
    pub variants: Counts<Variant>,
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

    /// Something was reached.
    pub fn reach(&mut self, point: CoveragePoint) {
        self.points.count(point);
    }

    /// A variant of what ships was met.
    pub fn meet(&mut self, variant: Variant) {
        self.variants.count(variant);
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
        self.points.add(&other.points);
        self.variants.add(&other.variants);
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
        never.extend(self.points.missing(&CoveragePoint::ALL));
        let missing = variant::demanded().filter(|variant| !self.variants.has(variant));
        never.extend(missing.map(str::to_owned));
        never
    }

    /// What a few worlds of `scenario` should have met, and have not.
    pub fn never_in(&self, scenario: Scenario) -> Vec<Variant> {
        let demanded = variant::demanded_of(scenario);
        demanded.filter(|variant| !self.variants.has(variant)).collect()
    }

    /// The variants that were met although no world is thought to: they are demanded from now on.
    pub fn unexpected(&self) -> Vec<Variant> {
        let met = self.variants.iter().map(|(variant, _)| *variant);
        met.filter(|variant| variant::is_not_here(variant)).collect()
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
    /// What one replica asks another, or what that answers, is lost.
    PeerMessageLost,
    /// Such a message is delayed, up to longer than any replica waits for it.
    PeerMessageLate,
    /// A node is told an earlier end of the log, for a while.
    StaleEnd,
    /// A read of the log fails.
    ReadFails,
    /// A read of the log returns bytes that were never appended.
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
    /// A store takes up to a second for a batch.
    StoreSlow,
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
    /// No node reaches the log.
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
    /// A writer that does not belong to the partition appends to its log.
    StrangerWrites,
    /// A beat gets lost on its way to one stream.
    BeatLost,
    /// Streams of beats are silent, while the logs may work.
    BeatsSilent,
    /// A node's beats reach no stream.
    CutBeatsOut,
    /// A node hears no beats.
    CutBeatsIn,
    /// A broker's process is killed, and starts again later.
    BrokerKilled,
    /// A broker's process stops, and goes on later.
    BrokerFrozen,
    /// Two brokers do not reach each other.
    BrokersCut,
    /// A broker does not hear another.
    BrokerCutOneWay,
    /// The controller does not hear a broker.
    BrokerUnheard,
    /// A broker does not hear what the controller decides.
    BrokerNotTold,
    /// The controller's quorum is gone.
    ControllerAway,
    /// A node does not reach a broker, does not hear it, or neither.
    NodeCutFromBroker,
    /// A partition's leadership moves to another broker that is in sync.
    BrokerLeaderMoves,
    /// A broker's disk fails under an append, which stands there all the same or not.
    DiskFails,
    /// A follower fetches nothing.
    FetchStalls,
    /// A request takes up to seconds to its broker.
    RequestLate,
    /// A request reaches its broker twice, the second time up to seconds later.
    RequestRepeated,
    /// A request is lost, and all behind it on its connection.
    RequestDropped,
    /// A broker's answer is lost.
    AnswerLost,
    /// A stranger ends a transaction: control records, and perhaps foreign ones.
    StrangerTransacts,
    /// Retention that was set behind our back destroys what one replica may lack.
    StrangerTrims,
    /// One replica in sync suffices for a while.
    SettingsChanged,
    /// A replica that was not in sync leads, and what it lacks is destroyed.
    UncleanLeader,
    /// The topic is deleted and created again.
    TopicRecreated,
    /// What a node says reaches no other node.
    CutPeersOut,
    /// A node hears no other node.
    CutPeersIn,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 72] = [
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
        Fault::PeerMessageLost,
        Fault::PeerMessageLate,
        Fault::StaleEnd,
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
        Fault::StoreSlow,
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
        Fault::BeatLost,
        Fault::BeatsSilent,
        Fault::CutBeatsOut,
        Fault::CutBeatsIn,
        Fault::BrokerKilled,
        Fault::BrokerFrozen,
        Fault::BrokersCut,
        Fault::BrokerCutOneWay,
        Fault::BrokerUnheard,
        Fault::BrokerNotTold,
        Fault::ControllerAway,
        Fault::NodeCutFromBroker,
        Fault::BrokerLeaderMoves,
        Fault::DiskFails,
        Fault::FetchStalls,
        Fault::RequestLate,
        Fault::RequestRepeated,
        Fault::RequestDropped,
        Fault::AnswerLost,
        Fault::StrangerTransacts,
        Fault::StrangerTrims,
        Fault::SettingsChanged,
        Fault::UncleanLeader,
        Fault::TopicRecreated,
        Fault::CutPeersOut,
        Fault::CutPeersIn,
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
    /// A batch is in the store, perhaps not durable, and the driver is not told yet.
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
    /// A claimant does not open its generation.
    Diverges,
    /// A replica that disputed its leader follows the next one, or is that itself.
    Agrees,
    /// A replica's state is thrown away.
    Breaks,
    /// A replica begins a life.
    Begins,
    /// A life ends, and another may begin.
    Ends,
    /// A life ends, since its store has no room.
    FillsUp,
}

impl Transition {
    /// All of them.
    pub const ALL: [Transition; 16] = [
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
        Transition::Diverges,
        Transition::Agrees,
        Transition::Breaks,
        Transition::Begins,
        Transition::Ends,
        Transition::FillsUp,
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
            (Role::Opening, Role::Diverged) => Some(Transition::Diverges),
            (Role::Disputed, Role::Follower | Role::Opening) => Some(Transition::Agrees),
            (Role::Leader, Role::Follower) => Some(Transition::Fenced),
            (Role::Offline | Role::Restoring, Role::Follower) => Some(Transition::Begins),
            (_, Role::Full) if from != to => Some(Transition::FillsUp),
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
                | Role::SteppingDown
                | Role::Diverged
                | Role::Disputed
                | Role::NeedsUpgrade
                | Role::Full,
                _,
            ) => None,
        }
    }
}
