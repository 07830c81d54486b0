//! Planted bugs: what a careless driver or core would do, to prove that the checkers notice.
//!
//! Each changes what goes into or comes out of a driver; what ships stays as it is.
//! Start reading at [`Mutant`].

use cortado_kafka_model::{BrokerDefect, ClientDefect};
use std::fmt;

/// One planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutant {
    /// A write is answered when its record is sent.
    AnswersWhenSent,
    /// A write is answered when the log has taken its record, accepted or not.
    AnswersWhenAppended,
    /// A strict read looks at once.
    SkipsBarrier,
    /// A strong read looks at once.
    SkipsLease,
    /// Half of the nodes wait for no lease of the leader before.
    WaitsTooShort,
    /// The steady clock stands still while a process does.
    ClockStops,
    /// Records of fenced leaders reach the store.
    AppliesZombies,
    /// A crash loses documents and keeps their checkpoint.
    TearsCheckpoint,
    /// Idempotency keys do not survive a restart.
    ForgetsKeys,
    /// A process starts again under its old incarnation.
    KeepsIncarnation,
    /// A replica is built anew inside its process and keeps its incarnation.
    RebuildsAsItself,
    /// "Perhaps appended" is taken for "certainly not".
    TrustsSilence,
    /// Who cannot know says "not done".
    DeniesUnknown,
    /// A look into the store shows documents as they were before the last batch that was answered.
    FindsLate,
    /// A refusal is answered before what it rests on is committed.
    SkipsSettle,
    /// A session read looks at once.
    IgnoresToken,
    /// The log is trimmed above what is durable elsewhere.
    TrimsEarly,
    /// A store misses a transaction now and then.
    DropsApply,
    /// A leader never hears of records that are not its own.
    DeafLeader,
    /// A batch is said to be in the store before it is.
    AnswersBeforeApply,
    /// Callers that wait when a leader resigns are never answered.
    LosesAnswersAtResignation,
    /// A driver that finds out what the log holds is not shown one of its records. (A log that is
    /// said to end too early does no harm: what was missed is published again, as a duplicate.)
    RecoveryMissesRecord,
    /// A request is answered twice now and then.
    SettlesTwice,
    /// An idempotency key is looked up and not found.
    PurgesKeysEarly,
    /// Of all idempotency keys of a bulk, the first alone is looked up.
    LooksUpOneKey,
    /// The parts of a bulk get one another's answers.
    MixesParts,
    /// The parts of a bulk that no record took are answered like the last that one did.
    TakesRestForDone,
    /// What a producer says that was given up is taken for the present one's.
    MixesProducers,
    /// A driver is never told that nothing more is at hand.
    NeverSettles,
    /// A state is hashed after the next batch has been applied.
    HashesLate,
    /// Peers are asked neither before a claimant opens nor by a replica in a gap.
    SkipsPeerComparison,
    /// Records are stamped with whatever a node's own clock says.
    StampsAnyTime,
    /// A replica that stands still is wiped and built anew.
    WipesWhoStands,
    /// A node counts its own beats as heard when it sends them: if deaf, it takes others for dead.
    TrustsNoEar,
    /// A node whose store is full claims nothing, even if no other node can.
    LeavesFullUnled,
    /// A replica that disputes its leader is never told that the majority does.
    DisputesAlone,
    /// Who disputes a leader replaces it, whatever that one has acknowledged by then.
    ReplacesWhoServes,
    /// A node that has not registered claims for those who dispute a leader.
    DisputesUnregistered,
    /// A log is trimmed without waiting for nodes that are down.
    TrimsWithoutTheAbsent,
    /// A replica reads on, however far its store is behind.
    GathersWithoutBound,
    /// A node that starts again does not know where operators want leaderships.
    ForgetsPins,
    /// A node that starts again does not know which nodes are drained.
    ForgetsDrains,
    /// A node does not know that it is drained itself.
    IgnoresOwnDrain,
    /// Behind a wall clock that ran ahead, log time goes on at the pace of the steady clock.
    HurriesLogTime,
    /// A leader does not look which of the log's own leaders has appended its record.
    ForgetsLeaders,
    /// A replica that cannot follow its log any more hears only that nothing new is there.
    HidesLogFailures,
    /// Who goes on with its own history does not look which generations the log names.
    LooksThroughNothing,
    /// A client of the brokers breaks a rule; only where a world has brokers.
    Client(ClientDefect),
    /// The brokers break a promise.
    Broker(BrokerDefect),
    /// A controller takes every replica that is placed for caught up.
    TakesAllForCaughtUp,
    /// A controller does not know of moves that others have begun.
    ForgetsMoves,
    /// A node deletes a replica when it is to leave, and not when it has left.
    DeletesEarly,
    /// A controller takes it that those may claim who should.
    TrustsReplicaSets,
    /// What peers see, or say themselves, is not told: a node that the log misses counts as gone
    /// for peers as well.
    DoubtsPeers,
    /// A node goes by its own probes, and asks no other member to probe for it.
    ProbesAlone,
    /// The gate waits for the nodes that run, and for no other one.
    CountsWhoRuns,
    /// The gate is opened by what nodes had declared when it was looked.
    OpensOnOldWord,
    /// A node that does not reach the log tells nobody.
    HidesItsCut,
    /// A node does not hear that a machine refuses connections to a node that does not run.
    HearsNoRefusals,
    /// A node passes over what leaders tell of single partitions.
    PassesOverCuts,
}

impl Mutant {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Mutant> {
        let clients = ClientDefect::ALL.into_iter().map(Mutant::Client);
        Mutant::OWN
            .into_iter()
            .chain(clients)
            .chain(BrokerDefect::ALL.into_iter().map(Mutant::Broker))
    }

    /// Those of the simulator itself.
    const OWN: [Mutant; 58] = [
        Mutant::AnswersWhenSent,
        Mutant::AnswersWhenAppended,
        Mutant::SkipsBarrier,
        Mutant::SkipsLease,
        Mutant::WaitsTooShort,
        Mutant::ClockStops,
        Mutant::AppliesZombies,
        Mutant::TearsCheckpoint,
        Mutant::ForgetsKeys,
        Mutant::KeepsIncarnation,
        Mutant::RebuildsAsItself,
        Mutant::TrustsSilence,
        Mutant::DeniesUnknown,
        Mutant::FindsLate,
        Mutant::SkipsSettle,
        Mutant::IgnoresToken,
        Mutant::TrimsEarly,
        Mutant::DropsApply,
        Mutant::DeafLeader,
        Mutant::AnswersBeforeApply,
        Mutant::LosesAnswersAtResignation,
        Mutant::RecoveryMissesRecord,
        Mutant::SettlesTwice,
        Mutant::PurgesKeysEarly,
        Mutant::LooksUpOneKey,
        Mutant::MixesParts,
        Mutant::TakesRestForDone,
        Mutant::MixesProducers,
        Mutant::NeverSettles,
        Mutant::HashesLate,
        Mutant::SkipsPeerComparison,
        Mutant::StampsAnyTime,
        Mutant::WipesWhoStands,
        Mutant::TrustsNoEar,
        Mutant::LeavesFullUnled,
        Mutant::DisputesAlone,
        Mutant::ReplacesWhoServes,
        Mutant::DisputesUnregistered,
        Mutant::TrimsWithoutTheAbsent,
        Mutant::GathersWithoutBound,
        Mutant::ForgetsPins,
        Mutant::ForgetsDrains,
        Mutant::IgnoresOwnDrain,
        Mutant::HurriesLogTime,
        Mutant::ForgetsLeaders,
        Mutant::HidesLogFailures,
        Mutant::LooksThroughNothing,
        Mutant::TakesAllForCaughtUp,
        Mutant::ForgetsMoves,
        Mutant::DeletesEarly,
        Mutant::TrustsReplicaSets,
        Mutant::DoubtsPeers,
        Mutant::ProbesAlone,
        Mutant::CountsWhoRuns,
        Mutant::OpensOnOldWord,
        Mutant::HidesItsCut,
        Mutant::HearsNoRefusals,
        Mutant::PassesOverCuts,
    ];
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mutant::Client(defect) => write!(f, "{defect:?}"),
            Mutant::Broker(defect) => write!(f, "{defect:?}"),
            own => write!(f, "{own:?}"),
        }
    }
}
