//! Which variants of what ships a run has met: whatever drivers are told and want, watches are told
//! and order, and requests come to.
//!
//! Each enum is matched without a wildcard: what is new there must be given a name here. Start
//! reading at [`Variant`].

use crate::database::asker::Asker;
use crate::database::scenario::Scenario;
use cortado_cluster::{
    AbstainCause, Cause, Doubt, Evidence, GrayFailure, GrayKind, PeerOpinion, RouteStep, Sickness,
    TryOutcome, WatchEvent, WatchOrder,
};
use cortado_driver::{
    Action, CopyError, CopyOf, CopyRefusal, Event, FollowError, News, RecordOutcome, Refused,
    Reply, SurveyError, UnknownWhy,
};
use cortado_model::StoreError;
use cortado_replica::{AppendFailure, NotDone, ReadNeed, Stop};

/// A variant, as `Enum::Variant`, with what went wrong behind a slash.
pub type Variant = &'static str;

/// Names the variants of an enum, and lists the names.
macro_rules! variants {
    ($(#[$about:meta])* $function:ident, $all:ident: $type:ty {
        $($($pattern:pat_param)|+ => $name:literal,)+
    }) => {
        $(#[$about])*
        pub fn $function(value: &$type) -> Variant {
            match value { $($($pattern)|+ => $name,)+ }
        }

        const $all: &[Variant] = &[$($name),+];
    };
}

variants! {
    /// What a driver is told.
    event, EVENTS: Event<Asker> {
        Event::Write { .. } => "Event::Write",
        Event::Read { need: ReadNeed::Lease, .. } => "Event::Read/Lease",
        Event::Read { need: ReadNeed::Barrier, .. } => "Event::Read/Barrier",
        Event::Read { need: ReadNeed::Folded(_), .. } => "Event::Read/Folded",
        Event::Read { need: ReadNeed::Applied(_), .. } => "Event::Read/Applied",
        Event::HandOff { to: Some(_), .. } => "Event::HandOff/to",
        Event::HandOff { to: None, .. } => "Event::HandOff",
        Event::Claim { .. } => "Event::Claim",
        Event::Configure(_) => "Event::Configure",
        Event::ChangeReplicas { .. } => "Event::ChangeReplicas",
        Event::Verify => "Event::Verify",
        Event::Digest(_) => "Event::Digest",
        Event::Condemned { .. } => "Event::Condemned",
        Event::StoreFailed { .. } => "Event::StoreFailed",
        Event::Stop => "Event::Stop",
        Event::LogEnd(_) => "Event::LogEnd",
        Event::LogFailed(FollowError::Trimmed { .. }) => "Event::LogFailed/Trimmed",
        Event::LogFailed(FollowError::Truncated { .. }) => "Event::LogFailed/Truncated",
        Event::LogFailed(FollowError::Replaced { .. }) => "Event::LogFailed/Replaced",
        Event::LogFailed(FollowError::Missing) => "Event::LogFailed/Missing",
        Event::LogFailed(FollowError::Broken { .. }) => "Event::LogFailed/Broken",
        Event::LogFailed(FollowError::Unavailable) => "Event::LogFailed/Unavailable",
        Event::Room(true) => "Event::Room/yes",
        Event::Room(false) => "Event::Room/no",
        Event::Outcomes { .. } => "Event::Outcomes",
        Event::Surveyed(_, Ok(_)) => "Event::Surveyed",
        Event::Surveyed(_, Err(SurveyError::Log { .. })) => "Event::Surveyed/Log",
        Event::Surveyed(_, Err(SurveyError::Store(_))) => "Event::Surveyed/Store",
        Event::Extent(_, Ok(_)) => "Event::Extent",
        Event::Extent(_, Err(_)) => "Event::Extent/AskLog",
        Event::Page(_, Ok(_)) => "Event::Page",
        Event::Page(_, Err(FollowError::Trimmed { .. })) => "Event::Page/Trimmed",
        Event::Page(_, Err(FollowError::Truncated { .. })) => "Event::Page/Truncated",
        Event::Page(_, Err(FollowError::Replaced { .. })) => "Event::Page/Replaced",
        Event::Page(_, Err(FollowError::Missing)) => "Event::Page/Missing",
        Event::Page(_, Err(FollowError::Broken { .. })) => "Event::Page/Broken",
        Event::Page(_, Err(FollowError::Unavailable)) => "Event::Page/Unavailable",
        Event::Found(_, Ok(_)) => "Event::Found",
        Event::Found(_, Err(StoreError::Full { .. })) => "Event::Found/Full",
        Event::Found(_, Err(StoreError::Damaged { .. })) => "Event::Found/Damaged",
        Event::Found(_, Err(StoreError::Failed { .. })) => "Event::Found/Failed",
        Event::Applied(_, Ok(())) => "Event::Applied",
        Event::Applied(_, Err(StoreError::Full { .. })) => "Event::Applied/Full",
        Event::Applied(_, Err(StoreError::Damaged { .. })) => "Event::Applied/Damaged",
        Event::Applied(_, Err(StoreError::Failed { .. })) => "Event::Applied/Failed",
        Event::BookmarkFound(_, Ok(_)) => "Event::BookmarkFound",
        Event::BookmarkFound(_, Err(_)) => "Event::BookmarkFound/StoreError",
        Event::Hashed(_, Ok(_)) => "Event::Hashed",
        Event::Hashed(_, Err(_)) => "Event::Hashed/StoreError",
        Event::Probed(_, Ok(())) => "Event::Probed",
        Event::Probed(_, Err(_)) => "Event::Probed/StoreError",
        Event::Cleared(_, Ok(())) => "Event::Cleared",
        Event::Cleared(_, Err(_)) => "Event::Cleared/StoreError",
        Event::Installed(_, Ok(_)) => "Event::Installed",
        Event::Installed(_, Err(CopyError::PeerLost(_))) => "Event::Installed/PeerLost",
        Event::Installed(_, Err(CopyError::Refused(CopyRefusal::NotReadable))) =>
            "Event::Installed/NotReadable",
        Event::Installed(_, Err(CopyError::Refused(CopyRefusal::Busy))) => "Event::Installed/Busy",
        Event::Installed(_, Err(CopyError::Refused(CopyRefusal::Gone))) => "Event::Installed/Gone",
        Event::Installed(_, Err(CopyError::Damaged(_))) => "Event::Installed/Damaged",
        Event::Installed(_, Err(CopyError::Foreign(CopyOf::Partition))) =>
            "Event::Installed/Foreign/Partition",
        Event::Installed(_, Err(CopyError::Foreign(CopyOf::Log))) => "Event::Installed/Foreign/Log",
        Event::Installed(_, Err(CopyError::Spool(_))) => "Event::Installed/Spool",
        Event::Installed(_, Err(CopyError::Store(_))) => "Event::Installed/Store",
        Event::Installed(_, Err(CopyError::Interrupted)) => "Event::Installed/Interrupted",
        Event::Resolve(_) => "Event::Resolve",
        Event::LookedThrough(_, Ok(_)) => "Event::LookedThrough",
        Event::LookedThrough(_, Err(_)) => "Event::LookedThrough/SurveyError",
        Event::Around(_, _) => "Event::Around",
        Event::Peers(_, _) => "Event::Peers",
        Event::Tick => "Event::Tick",
        Event::Settle => "Event::Settle",
    }
}

variants! {
    /// What became of one record, as a driver hears it.
    record_outcome, RECORD_OUTCOMES: RecordOutcome {
        RecordOutcome::At(_) => "RecordOutcome::At",
        RecordOutcome::Somewhere => "RecordOutcome::Somewhere",
        RecordOutcome::NotAppended => "RecordOutcome::NotAppended",
        RecordOutcome::Perhaps => "RecordOutcome::Perhaps",
        RecordOutcome::Unusable => "RecordOutcome::Unusable",
    }
}

variants! {
    /// What a driver wants done.
    action, ACTIONS: Action<Asker> {
        Action::Survey(_) => "Action::Survey",
        Action::OpenProducer(_) => "Action::OpenProducer",
        Action::Append { .. } => "Action::Append",
        Action::AskExtent(_) => "Action::AskExtent",
        Action::ReadPage { .. } => "Action::ReadPage",
        Action::Find { .. } => "Action::Find",
        Action::Apply { .. } => "Action::Apply",
        Action::FindBookmark { .. } => "Action::FindBookmark",
        Action::Hash { known: None, .. } => "Action::Hash",
        Action::Hash { known: Some(_), .. } => "Action::Hash/known",
        Action::ProbeStore(_) => "Action::ProbeStore",
        Action::ClearStore(_) => "Action::ClearStore",
        Action::InstallSnapshot { .. } => "Action::InstallSnapshot",
        Action::LookThrough(_) => "Action::LookThrough",
        Action::LookAround(_) => "Action::LookAround",
        Action::AskPeers(_) => "Action::AskPeers",
        Action::AskToClaim { .. } => "Action::AskToClaim",
        Action::Report(_) => "Action::Report",
        Action::Condemn { .. } => "Action::Condemn",
        Action::TrimLog(_) => "Action::TrimLog",
        Action::FailStore { .. } => "Action::FailStore",
        Action::Reply { reply: Reply::Written(_), .. } => "Reply::Written",
        Action::Reply { reply: Reply::Each(_), .. } => "Reply::Each",
        Action::Reply { reply: Reply::Ready, .. } => "Reply::Ready",
        Action::Reply { reply: Reply::Refused(Refused::Operation { .. }), .. } =>
            "Reply::Refused/Operation",
        Action::Reply { reply: Reply::Refused(Refused::KeyReused), .. } =>
            "Reply::Refused/KeyReused",
        Action::Reply { reply: Reply::Refused(Refused::TooLarge { .. }), .. } =>
            "Reply::Refused/TooLarge",
        Action::Reply { reply: Reply::Refused(Refused::NoRoom), .. } => "Reply::Refused/NoRoom",
        Action::Reply { reply: Reply::Refused(Refused::Budget { .. }), .. } =>
            "Reply::Refused/Budget",
        Action::Reply { reply: Reply::NotDone(NotDone::NotLeader), .. } =>
            "Reply::NotDone/NotLeader",
        Action::Reply { reply: Reply::NotDone(NotDone::Changing), .. } => "Reply::NotDone/Changing",
        Action::Reply { reply: Reply::NotDone(NotDone::Overloaded), .. } =>
            "Reply::NotDone/Overloaded",
        Action::Reply { reply: Reply::NotDone(NotDone::LogRefused), .. } =>
            "Reply::NotDone/LogRefused",
        Action::Reply { reply: Reply::NotDone(NotDone::LogUnusable), .. } =>
            "Reply::NotDone/LogUnusable",
        Action::Reply { reply: Reply::NotDone(NotDone::Exhausted), .. } =>
            "Reply::NotDone/Exhausted",
        Action::Reply { reply: Reply::NotDone(NotDone::Offline), .. } => "Reply::NotDone/Offline",
        Action::Reply { reply: Reply::Unknown(UnknownWhy::LeaderLost), .. } =>
            "Reply::Unknown/LeaderLost",
        Action::Reply { reply: Reply::Unknown(UnknownWhy::LogFailed), .. } =>
            "Reply::Unknown/LogFailed",
        Action::Tell(_) => "Action::Tell",
        Action::End => "Action::End",
    }
}

variants! {
    /// What a driver tells.
    news, NEWS: News {
        News::Starts { .. } => "News::Starts",
        News::Heard { .. } => "News::Heard",
        News::Claims => "News::Claims",
        News::NewGeneration { .. } => "News::NewGeneration",
        News::ReplicasChanged { .. } => "News::ReplicasChanged",
        News::ClaimLost { .. } => "News::ClaimLost",
        News::Serving { .. } => "News::Serving",
        News::Resigned { .. } => "News::Resigned",
        News::SteppedDown { .. } => "News::SteppedDown",
        News::Void { .. } => "News::Void",
        News::Foreign { .. } => "News::Foreign",
        News::GapBegan(_) => "News::GapBegan",
        News::GapEnded { .. } => "News::GapEnded",
        News::LostRecord { .. } => "News::LostRecord",
        News::Unverified { .. } => "News::Unverified",
        News::Verified { .. } => "News::Verified",
        News::Diverged { opened: false, .. } => "News::Diverged",
        News::Diverged { opened: true, .. } => "News::Diverged/opened",
        News::Disputed { .. } => "News::Disputed",
        News::AppendFailed(AppendFailure::NotAppended) => "News::AppendFailed/NotAppended",
        News::AppendFailed(AppendFailure::Unknown) => "News::AppendFailed/Unknown",
        News::AppendFailed(AppendFailure::Unusable) => "News::AppendFailed/Unusable",
        News::ProducerAbandoned { .. } => "News::ProducerAbandoned",
        News::Republishing { .. } => "News::Republishing",
        News::Stopped { why: Stop::Broken(_), .. } => "News::Stopped/Broken",
        News::Stopped { why: Stop::Behind(_), .. } => "News::Stopped/Behind",
        News::Stopped { why: Stop::NeedsUpgrade(_), .. } => "News::Stopped/NeedsUpgrade",
        News::Stopped { why: Stop::Disputed(_), .. } => "News::Stopped/Disputed",
        News::Agreed { again: false, .. } => "News::Agreed",
        News::Agreed { again: true, .. } => "News::Agreed/again",
        News::TooFewDigests { .. } => "News::TooFewDigests",
        News::Differ { .. } => "News::Differ",
        News::NotHashed { .. } => "News::NotHashed",
        News::BookmarksNotTrimmed { .. } => "News::BookmarksNotTrimmed",
        News::WaitsForRoom { .. } => "News::WaitsForRoom",
        News::HasRoom => "News::HasRoom",
        News::Damaged { .. } => "News::Damaged",
        News::BehindLog { .. } => "News::BehindLog",
        News::Contradicted { .. } => "News::Contradicted",
        News::StandsStill { .. } => "News::StandsStill",
        News::Resynced { .. } => "News::Resynced",
        News::SnapshotFailed { .. } => "News::SnapshotFailed",
        News::FoldsAnew { .. } => "News::FoldsAnew",
        News::NotRebuilt { .. } => "News::NotRebuilt",
    }
}

variants! {
    /// What a watch is told.
    watch_event, WATCH_EVENTS: WatchEvent {
        WatchEvent::Placed { .. } => "WatchEvent::Placed",
        WatchEvent::Withdrawn { .. } => "WatchEvent::Withdrawn",
        WatchEvent::Changed { .. } => "WatchEvent::Changed",
        WatchEvent::StoreFull(true) => "WatchEvent::StoreFull/yes",
        WatchEvent::StoreFull(false) => "WatchEvent::StoreFull/no",
        WatchEvent::Observed(Evidence::Beat { .. }) => "Evidence::Beat",
        WatchEvent::Observed(Evidence::PartitionRecord { .. }) => "Evidence::PartitionRecord",
        WatchEvent::Observed(Evidence::OwnAppend { .. }) => "Evidence::OwnAppend",
        WatchEvent::Observed(Evidence::OwnAppendWaits { .. }) => "Evidence::OwnAppendWaits",
        WatchEvent::Observed(Evidence::OwnAppendFailed) => "Evidence::OwnAppendFailed",
        WatchEvent::Observed(Evidence::OwnStore { .. }) => "Evidence::OwnStore",
        WatchEvent::Observed(Evidence::OwnStoreFailed) => "Evidence::OwnStoreFailed",
        WatchEvent::Observed(Evidence::OwnClock { is_off: true }) => "Evidence::OwnClock/off",
        WatchEvent::Observed(Evidence::OwnClock { is_off: false }) => "Evidence::OwnClock",
        WatchEvent::Observed(Evidence::Gossip { opinion: PeerOpinion::Alive, .. }) =>
            "Evidence::Gossip/Alive",
        WatchEvent::Observed(Evidence::Gossip { opinion: PeerOpinion::Suspect, .. }) =>
            "Evidence::Gossip/Suspect",
        WatchEvent::Observed(Evidence::Gossip { opinion: PeerOpinion::Down, .. }) =>
            "Evidence::Gossip/Down",
        WatchEvent::Observed(Evidence::GossipReach { .. }) => "Evidence::GossipReach",
        WatchEvent::Observed(Evidence::RequestFailed { .. }) => "Evidence::RequestFailed",
        WatchEvent::Observed(Evidence::RequestServed { .. }) => "Evidence::RequestServed",
        WatchEvent::Observed(Evidence::PeerHeard { .. }) => "Evidence::PeerHeard",
        WatchEvent::Observed(Evidence::PeerReachesLog { reaches: true, .. }) =>
            "Evidence::PeerReachesLog/yes",
        WatchEvent::Observed(Evidence::PeerReachesLog { reaches: false, .. }) =>
            "Evidence::PeerReachesLog/no",
        WatchEvent::Observed(Evidence::PeerReachesLogOf { reaches: true, .. }) =>
            "Evidence::PeerReachesLogOf/yes",
        WatchEvent::Observed(Evidence::PeerReachesLogOf { reaches: false, .. }) =>
            "Evidence::PeerReachesLogOf/no",
        WatchEvent::Observed(Evidence::PeerRefuses { refuses: true, .. }) =>
            "Evidence::PeerRefuses/yes",
        WatchEvent::Observed(Evidence::PeerRefuses { refuses: false, .. }) =>
            "Evidence::PeerRefuses/no",
        WatchEvent::Observed(Evidence::Lateness { .. }) => "Evidence::Lateness",
        WatchEvent::ClaimNotTaken { .. } => "WatchEvent::ClaimNotTaken",
        WatchEvent::HandOffEnded => "WatchEvent::HandOffEnded",
    }
}

variants! {
    /// What a watch orders.
    watch_order, WATCH_ORDERS: WatchOrder {
        WatchOrder::Beat { .. } => "WatchOrder::Beat",
        WatchOrder::Claim { first: true, .. } => "WatchOrder::Claim",
        WatchOrder::Claim { first: false, .. } => "WatchOrder::Claim/again",
        WatchOrder::AskToStepDown { .. } => "WatchOrder::AskToStepDown",
        WatchOrder::Abstain(_) => "WatchOrder::Abstain",
        WatchOrder::HandOff { .. } => "WatchOrder::HandOff",
        WatchOrder::Sickness(Some(Sickness::AppendsFail)) => "WatchOrder::Sickness/AppendsFail",
        WatchOrder::Sickness(Some(Sickness::StoreFails)) => "WatchOrder::Sickness/StoreFails",
        WatchOrder::Sickness(Some(Sickness::AppendsSlow)) => "WatchOrder::Sickness/AppendsSlow",
        WatchOrder::Sickness(Some(Sickness::StoreSlow)) => "WatchOrder::Sickness/StoreSlow",
        WatchOrder::Sickness(Some(Sickness::Late)) => "WatchOrder::Sickness/Late",
        WatchOrder::Sickness(Some(Sickness::ClockOff)) => "WatchOrder::Sickness/ClockOff",
        WatchOrder::Sickness(None) => "WatchOrder::Sickness/well",
        WatchOrder::OwnSilence(Some(_)) => "WatchOrder::OwnSilence",
        WatchOrder::OwnSilence(None) => "WatchOrder::OwnSilence/heard",
        WatchOrder::CutOff(true) => "WatchOrder::CutOff/yes",
        WatchOrder::CutOff(false) => "WatchOrder::CutOff/no",
    }
}

variants! {
    /// Why a watch orders a claim or a handoff.
    cause, CAUSES: Cause {
        Cause::NeverLed => "Cause::NeverLed",
        Cause::LeaderDead { .. } => "Cause::LeaderDead",
        Cause::LeaderGray { gray: GrayFailure { kind: GrayKind::Unreachable(_), .. }, .. } =>
            "Cause::LeaderGray/Unreachable",
        Cause::LeaderGray { gray: GrayFailure { kind: GrayKind::LogSilent(_), .. }, .. } =>
            "Cause::LeaderGray/LogSilent",
        Cause::LeaderCutOff { .. } => "Cause::LeaderCutOff",
        Cause::LeaderRestarted { .. } => "Cause::LeaderRestarted",
        Cause::SteppedDown { .. } => "Cause::SteppedDown",
        Cause::PreferredIsBack { .. } => "Cause::PreferredIsBack",
        Cause::PinnedIsBack { .. } => "Cause::PinnedIsBack",
        Cause::Drained => "Cause::Drained",
        Cause::MovesAway => "Cause::MovesAway",
        Cause::Sick(_) => "Cause::Sick",
    }
}

variants! {
    /// Why a watch orders none.
    abstention, ABSTENTIONS: AbstainCause {
        AbstainCause::Grace { .. } => "AbstainCause::Grace",
        AbstainCause::Sick(_) => "AbstainCause::Sick",
        AbstainCause::Restoring => "AbstainCause::Restoring",
        AbstainCause::NotEligible => "AbstainCause::NotEligible",
        AbstainCause::Last => "AbstainCause::Last",
        AbstainCause::OwnBeatsSilent { .. } => "AbstainCause::OwnBeatsSilent",
        AbstainCause::GossipAlone { .. } => "AbstainCause::GossipAlone",
    }
}

variants! {
    /// How a try of a request ended.
    try_outcome, TRY_OUTCOMES: TryOutcome {
        TryOutcome::Answered => "TryOutcome::Answered",
        TryOutcome::NotHere => "TryOutcome::NotHere",
        TryOutcome::Declined => "TryOutcome::Declined",
        TryOutcome::DeadlineBefore => "TryOutcome::DeadlineBefore",
        TryOutcome::LeaderLost => "TryOutcome::LeaderLost",
        TryOutcome::LogFailed => "TryOutcome::LogFailed",
        TryOutcome::DeadlineAfter => "TryOutcome::DeadlineAfter",
    }
}

variants! {
    /// What follows from that.
    route_step, ROUTE_STEPS: RouteStep {
        RouteStep::TryAgain => "RouteStep::TryAgain",
        RouteStep::Answer => "RouteStep::Answer",
        RouteStep::NotDone => "RouteStep::NotDone",
        RouteStep::Unknown(Doubt::LeaderLost) => "RouteStep::Unknown/LeaderLost",
        RouteStep::Unknown(Doubt::LogFailed) => "RouteStep::Unknown/LogFailed",
        RouteStep::Unknown(Doubt::Deadline) => "RouteStep::Unknown/Deadline",
    }
}

/// All of them.
fn all() -> impl Iterator<Item = Variant> {
    let lists = [
        EVENTS,
        RECORD_OUTCOMES,
        ACTIONS,
        NEWS,
        WATCH_EVENTS,
        WATCH_ORDERS,
        CAUSES,
        ABSTENTIONS,
        TRY_OUTCOMES,
        ROUTE_STEPS,
    ];
    lists.into_iter().flatten().copied()
}

/// Those that no world meets, and why.
const NOT_HERE: &[(Variant, &str)] = &[
    ("Event::LogFailed/Missing", "a topic that is deleted is created again at once"),
    ("Event::LogFailed/Broken", "no log here damages or loses single records"),
    ("Event::LogFailed/Unavailable", "who is told where the log ends can read it"),
    ("Event::Surveyed/Store", "checkpoints can always be read"),
    ("Event::Page/Missing", "a topic that is deleted is created again at once"),
    ("Event::Page/Broken", "no log here damages or loses single records"),
    ("Event::Found/Full", "a look needs no room"),
    ("Event::Installed/Foreign/Partition", "no replica here holds another partition's state"),
    ("Event::Installed/Foreign/Log", "no replica here folds another topic"),
    ("Event::Installed/Interrupted", "processes die at once"),
    ("Action::Condemn", "digests that differ are a violation"),
    ("News::Differ", "digests that differ are a violation"),
    ("Reply::Refused/KeyReused", "clients use a key for one thing"),
    ("Reply::Refused/TooLarge", "clients write little"),
    ("Reply::Refused/NoRoom", "clients write little"),
    ("Reply::Refused/Budget", "clients write little"),
    ("Evidence::Lateness", "the watch itself tells its detector"),
    ("WatchEvent::ClaimNotTaken", "a driver here always has room for a claim"),
];

/// Those that are met in some thousands of seeds, if at all.
const RARE: &[Variant] = &[
    "Event::LogFailed/Trimmed",
    "Event::BookmarkFound/StoreError",
    "Event::Cleared/StoreError",
    "Event::Hashed/StoreError",
    "Event::Installed/PeerLost",
    "Event::LookedThrough/SurveyError",
    "Event::Installed/Damaged",
    "Event::Installed/Spool",
    "Event::Installed/Busy",
    "News::BookmarksNotTrimmed",
    "News::NotHashed",
    "Cause::LeaderGray/LogSilent",
    "Cause::LeaderCutOff",
    "Evidence::PeerReachesLogOf/yes",
    "Evidence::PeerReachesLogOf/no",
    "Cause::MovesAway",
    "AbstainCause::NotEligible",
    "AbstainCause::Restoring",
    "AbstainCause::GossipAlone",
];

/// What a few worlds of one scenario must meet, or it has lost what it is about.
const OF_SCENARIO: &[(Scenario, &[Variant])] = &[
    (
        Scenario::Gray,
        &[
            "Evidence::Gossip/Alive",
            "Evidence::Gossip/Suspect",
            "Evidence::Gossip/Down",
            "Evidence::GossipReach",
            "Evidence::PeerHeard",
            "Evidence::PeerReachesLog/yes",
            "Evidence::PeerReachesLog/no",
            "Evidence::PeerRefuses/yes",
            "Evidence::PeerRefuses/no",
            "Evidence::RequestFailed",
            "Evidence::RequestServed",
            "Cause::LeaderGray/Unreachable",
        ],
    ),
    (Scenario::CutOff, &["Evidence::PeerReachesLog/no", "Evidence::PeerHeard"]),
    (
        Scenario::LeaderDies,
        &[
            "Cause::LeaderDead",
            "Evidence::Gossip/Suspect",
            "Evidence::PeerRefuses/yes",
            "Evidence::RequestFailed",
            "Evidence::RequestServed",
        ],
    ),
];

/// What a few worlds of `scenario` together must meet.
pub fn demanded_of(scenario: Scenario) -> impl Iterator<Item = Variant> {
    let of = OF_SCENARIO.iter().filter(move |(of, _)| *of == scenario);
    of.flat_map(|(_, variants)| variants.iter().copied())
}

/// What many worlds together must meet.
pub fn demanded() -> impl Iterator<Item = Variant> {
    all().filter(|variant| !RARE.contains(variant) && !is_not_here(variant))
}

/// Whether no world is thought to meet `variant`.
pub fn is_not_here(variant: Variant) -> bool {
    NOT_HERE.iter().any(|(name, _)| *name == variant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_excused_is_a_variant_and_has_a_reason() {
        let excused = NOT_HERE.iter().map(|(name, _)| name).chain(RARE);
        let demanded = OF_SCENARIO.iter().flat_map(|(_, variants)| *variants);
        for name in excused.chain(demanded) {
            assert!(all().any(|variant| variant == *name), "{name}");
        }
        assert!(NOT_HERE.iter().all(|(name, why)| !why.is_empty() && !RARE.contains(name)));
    }
}
