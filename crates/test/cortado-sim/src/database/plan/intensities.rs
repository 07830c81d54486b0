//! How often what strikes where a plan draws nothing else.
//!
//! Start reading at [`CHANCES`].

use crate::database::coverage::Fault;
use crate::kernel::time::SECOND;

/// Faults that strike when something else happens: an append, a read, a message, a boundary.
pub(super) const CHANCES: [(Fault, u32); 23] = [
    (Fault::AppendLost, 4_000),
    (Fault::AppendPerhaps, 4_000),
    (Fault::AppendLate, 4_000),
    (Fault::AppendPrefix, 4_000),
    (Fault::AppendDuplicated, 4_000),
    (Fault::AppendLateCopy, 4_000),
    (Fault::AppendSplit, 4_000),
    (Fault::AppendSomewhere, 4_000),
    (Fault::AppendRefused, 4_000),
    (Fault::NeverAnswered, 1_000),
    (Fault::ReportLost, 20_000),
    (Fault::PeerMessageLost, 20_000),
    (Fault::PeerMessageLate, 20_000),
    (Fault::StoreDamaged, 100),
    (Fault::AnswerSlow, 4_000),
    (Fault::ReadFails, 4_000),
    (Fault::RequestLost, 2_000),
    (Fault::ReplyLost, 2_000),
    (Fault::NodeCrash, 40),
    (Fault::NodePause, 60),
    (Fault::SnapshotBroken, 60_000),
    (Fault::StoreFails, 700),
    (Fault::StoreSlow, 1_000),
];

/// What leaves the outcome of an append unknown.
pub(super) const LIMBO: [(Fault, u32); 10] = [
    (Fault::AppendLost, 60_000),
    (Fault::AppendPerhaps, 40_000),
    (Fault::AppendLate, 100_000),
    (Fault::AppendPrefix, 60_000),
    (Fault::AppendSplit, 40_000),
    (Fault::AppendSomewhere, 40_000),
    (Fault::NeverAnswered, 10_000),
    (Fault::AppendDuplicated, 40_000),
    (Fault::AppendLateCopy, 60_000),
    (Fault::AnswerSlow, 60_000),
];

/// Faults that strike by themselves, and the mean time between two.
pub(super) const INTERVALS_US: [(Fault, u64); 19] = [
    (Fault::NodeCrash, 3 * SECOND),
    (Fault::NodePause, 3 * SECOND),
    (Fault::AllCrash, 12 * SECOND),
    (Fault::StoreWiped, 6 * SECOND),
    (Fault::CutAppend, 5 * SECOND),
    (Fault::CutRead, 5 * SECOND),
    (Fault::CutBoth, 5 * SECOND),
    (Fault::CutAnswers, 5 * SECOND),
    (Fault::CutPeer, 3 * SECOND),
    (Fault::LogOutage, 8 * SECOND),
    (Fault::LogFull, 8 * SECOND),
    (Fault::LogUnusable, 6 * SECOND),
    (Fault::WallJump, 2 * SECOND),
    (Fault::WrongSuspicion, 2 * SECOND),
    (Fault::StrangerWrites, 2 * SECOND),
    (Fault::StoreFull, 6 * SECOND),
    (Fault::Condemned, 6 * SECOND),
    (Fault::NodeStops, 4 * SECOND),
    (Fault::StaleEnd, 2 * SECOND),
];

/// What befalls beats by itself, and the mean time between two.
pub(super) const BEAT_INTERVALS_US: [(Fault, u64); 3] = [
    (Fault::BeatsSilent, 2 * SECOND),
    (Fault::CutBeatsOut, 3 * SECOND),
    (Fault::CutBeatsIn, 3 * SECOND),
];
