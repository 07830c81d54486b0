//! Planted bugs: what a careless driver or core would do, to prove that the checkers notice.
//!
//! Each changes what goes into or comes out of the core; the core itself stays as it is.
//! Start reading at [`Mutant`].

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
    /// Conditions are evaluated without what is in flight.
    IgnoresInFlight,
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
}

impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 19] = [
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
        Mutant::IgnoresInFlight,
        Mutant::SkipsSettle,
        Mutant::IgnoresToken,
        Mutant::TrimsEarly,
        Mutant::DropsApply,
        Mutant::DeafLeader,
    ];
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
