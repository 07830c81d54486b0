//! Every answer.
//!
//! Start reading at [`answers`].

use super::messages::progress;
use super::{SCN_MAX, document, key, leaders, scn};
use crate::conformance::{Answer, Question};
use crate::{
    ChangeReplicasAnswer, DocumentPage, HandOffAnswer, Holding, Holdings, NodeReport, ReadAnswer,
    ReplicaProgress, ReplicaReport, Seen, ServedRole, Sight, SnapshotAnswer, SnapshotChunk,
    SnapshotId, Unserved, VerifyAnswer, WriteAnswer,
};
use bytes::Bytes;
use cortado_document::{
    Done, JsonError, Malformed, PatchError, Refusal, Unacceptable, Unmet, Violation,
};
use cortado_driver::{Folded, PeerStanding, Refused, ReplicaRole, UnknownWhy, Written};
use cortado_model::{
    Etag, LogOffset, NodeId, NodeIncarnation, ReplicaIncarnation, Scn, StoreError, WallMillis,
};
use cortado_replica::{ChainHash, Claimant, HistoryPoint, NotDone};

/// More than one frame, window or buffer of any adapter.
const LONG_BYTES: usize = 600 << 10;

/// Each variant of each part of an answer.
pub(in crate::conformance) fn answers() -> Vec<Answer> {
    each! {
        Answer::Write(_) => writes().into_iter().map(Answer::Write),
        Answer::Read(_) => reads().into_iter().map(Answer::Read),
        Answer::HandOff(_) => hand_offs().into_iter().map(Answer::HandOff),
        Answer::Verify(_) => verifications().into_iter().map(Answer::Verify),
        Answer::Report(_) => reports().into_iter().map(Answer::Report),
        Answer::Standing(_) => standings().into_iter().map(Answer::Standing),
        Answer::ChangeReplicas(_) => changes().into_iter().map(Answer::ChangeReplicas),
        Answer::Holdings(_) => holdings().into_iter().map(Answer::Holdings),
        Answer::OpenSnapshot(_) => snapshots().into_iter().map(Answer::OpenSnapshot),
        Answer::SnapshotChunk(_) => chunks().into_iter().map(Answer::SnapshotChunk),
    }
}

/// An answer to any question.
pub(in crate::conformance) fn answer_to(question: &Question) -> Answer {
    match question {
        Question::Write(_) => Answer::Write(WriteAnswer::Late),
        Question::Read(_) => Answer::Read(ReadAnswer::Behind),
        Question::HandOff(_) => Answer::HandOff(HandOffAnswer::Leads),
        Question::Verify(..) => Answer::Verify(VerifyAnswer::Begun),
        Question::Report(..) => Answer::Report(report_of("n1:4711")),
        Question::Standing(..) => Answer::Standing(None),
        Question::ChangeReplicas(_) => Answer::ChangeReplicas(ChangeReplicasAnswer::Outdated),
        Question::Holdings(..) => Answer::Holdings(Holdings {
            cluster_scn: Scn::ZERO,
            away: Vec::new(),
            replicas: Vec::new(),
        }),
        Question::OpenSnapshot(..) => Answer::OpenSnapshot(SnapshotAnswer::Busy),
        Question::SnapshotChunk(..) => Answer::SnapshotChunk(SnapshotChunk::End),
    }
}

/// The report of a node that has no replicas.
pub(in crate::conformance) fn report_of(address: &str) -> NodeReport {
    let (incarnation, address) = (NodeIncarnation(1), address.to_owned());
    NodeReport { incarnation, address, sick: None, fit: true, replicas: Vec::new() }
}

/// Of a replica that has folded nothing, one before the first claim, and one behind a claim.
fn standings() -> Vec<Option<PeerStanding>> {
    let incarnation = ReplicaIncarnation { node: NodeIncarnation(u64::MAX), life: u32::MAX };
    let standing = |role, folded| {
        let (node, wall) = (NodeId(2), WallMillis(u64::MAX));
        Some(PeerStanding { node, incarnation, role, folded, wall })
    };
    let point = |scn, chain| HistoryPoint { scn, chain: ChainHash(chain) };
    let folded = |claimant| Folded {
        generation: SCN_MAX.generation,
        below: LogOffset(u64::MAX),
        accepted: point(SCN_MAX, u128::MAX),
        claimant,
    };
    let over = point(scn(7), 1);
    let claimant = Claimant { node: NodeId(3), incarnation, over, opened: scn(8) };
    vec![
        None,
        standing(ReplicaRole::Offline, None),
        standing(ReplicaRole::Follower, Some(folded(None))),
        standing(ReplicaRole::Opening, Some(folded(Some(claimant)))),
    ]
}

fn writes() -> Vec<WriteAnswer> {
    let words = words!(Done: Created, Replaced, Patched, Deleted, Missing, Checked);
    let (scn, time, etag) = (SCN_MAX, WallMillis(u64::MAX), Etag(u64::MAX));
    let written = |results, repeated| Written { scn, time, etag, results, repeated };
    let whole = |results, repeated| WriteAnswer::Written(Box::new(written(results, repeated)));
    let each = [Ok(written(vec![Done::Missing], true))].into_iter();
    let each = each.chain(refused().into_iter().map(Err)).collect();
    let unknown = words!(UnknownWhy: LeaderLost, LogFailed);
    each! {
        WriteAnswer::Written(_) => [whole(words, false), whole(Vec::new(), true)],
        WriteAnswer::Each(_) => [WriteAnswer::Each(each)],
        WriteAnswer::Refused(_) => refused().into_iter().map(WriteAnswer::Refused),
        WriteAnswer::NotDone(_) => not_done().into_iter().map(WriteAnswer::NotDone),
        WriteAnswer::WrongNode(_) => leaders().into_iter().map(WriteAnswer::WrongNode),
        WriteAnswer::NoSuchDatabase => [WriteAnswer::NoSuchDatabase],
        WriteAnswer::NoRoom => [WriteAnswer::NoRoom],
        WriteAnswer::LogDrift => [WriteAnswer::LogDrift],
        WriteAnswer::Late => [WriteAnswer::Late],
        WriteAnswer::Unknown(_) => unknown.into_iter().map(WriteAnswer::Unknown),
        WriteAnswer::UnknownLate => [WriteAnswer::UnknownLate],
    }
}

fn not_done() -> Vec<NotDone> {
    words!(NotDone: NotLeader, Changing, Overloaded, LogRefused, LogUnusable, Exhausted, Offline)
}

fn refused() -> Vec<Refused> {
    let operation = |refusal| Refused::Operation { operation: 999, refusal };
    each! {
        Refused::Operation { .. } => refusals().into_iter().map(operation),
        Refused::KeyReused => [Refused::KeyReused],
        Refused::TooLarge { .. } => [Refused::TooLarge { bytes: 2 << 20, bytes_max: 1 << 20 }],
        Refused::NoRoom => [Refused::NoRoom],
        Refused::Budget { .. } => [Refused::Budget { retry_after_ms: 60_000 }],
    }
}

fn refusals() -> Vec<Refusal> {
    let unmet = words!(Unmet: IfMatch, IfNoneMatch);
    let failed = unmet.into_iter().zip([Some(Etag(0xfeed)), None]);
    let failed = failed.map(|(unmet, current)| Refusal::ConditionFailed { unmet, current });
    let violation =
        |path: &str| Violation { path: path.to_owned(), why: "must be »ß«".to_owned() };
    let violations = vec![violation(""), violation("/a~1b/0")];
    each! {
        Refusal::ConditionFailed { .. } => failed,
        Refusal::Missing => [Refusal::Missing],
        Refusal::Patch(_) => patch_errors().into_iter().map(Refusal::Patch),
        Refusal::SchemaViolated(_) => [Refusal::SchemaViolated(violations)],
        Refusal::SchemaTooExpensive => [Refusal::SchemaTooExpensive],
    }
}

fn patch_errors() -> Vec<PatchError> {
    let step = 17;
    each! {
        PatchError::Json(_) => json_errors().into_iter().map(PatchError::Json),
        PatchError::NotAnArray => [PatchError::NotAnArray],
        PatchError::TooManySteps { .. } => [PatchError::TooManySteps { steps_max: 1_000 }],
        PatchError::BadStep { .. } => [PatchError::BadStep { step }],
        PatchError::BadPointer { .. } => [PatchError::BadPointer { step }],
        PatchError::TestFailed { .. } => [PatchError::TestFailed { step }],
        PatchError::NoSuchPlace { .. } => [PatchError::NoSuchPlace { step }],
        PatchError::IntoItself { .. } => [PatchError::IntoItself { step }],
        PatchError::CopiesTooMuch { .. } => [PatchError::CopiesTooMuch { bytes_max: 1 << 20 }],
        PatchError::TooMuchWork => [PatchError::TooMuchWork],
        PatchError::Refused(_) => json_errors().into_iter().map(PatchError::Refused),
        PatchError::Damaged => [PatchError::Damaged],
    }
}

fn json_errors() -> Vec<JsonError> {
    let malformed = words!(
        Malformed: Unexpected, Truncated, TrailingText, ByteOrderMark, InvalidUtf8,
        ControlCharacter, InvalidEscape, LoneSurrogate, LeadingZero, DuplicateName,
        TooDeep
    );
    let unacceptable = words!(
        Unacceptable: NotAnObject, NumberOutOfRange, NumberTooLong, TooManyFields, NameTooLong,
        NulInName
    );
    let malformed = malformed.into_iter().map(|why| JsonError::Malformed { offset: 0, why });
    let unacceptable = unacceptable.into_iter();
    each! {
        JsonError::Malformed { .. } => malformed,
        JsonError::Unacceptable { .. } => {
            unacceptable.map(|why| JsonError::Unacceptable { offset: 1 << 20, why })
        },
        JsonError::TooLarge { .. } => [JsonError::TooLarge { bytes_max: 1 << 20 }],
    }
}

fn reads() -> Vec<ReadAnswer> {
    let roles = words!(ServedRole: Leader, Follower);
    let sight = |seen, role| ReadAnswer::Seen(Box::new(Sight { seen, applied: SCN_MAX, role }));
    let position = |role| sight(Seen::Position(scn(8)), role);
    let looks = seen().into_iter().map(|seen| sight(seen, ServedRole::Leader));
    each! {
        ReadAnswer::Seen(_) => looks.chain(roles.into_iter().map(position)),
        ReadAnswer::WrongNode(_) => leaders().into_iter().map(ReadAnswer::WrongNode),
        ReadAnswer::Behind => [ReadAnswer::Behind],
        ReadAnswer::Unserved(_) => unserved().into_iter().map(ReadAnswer::Unserved),
        ReadAnswer::NoSuchDatabase => [ReadAnswer::NoSuchDatabase],
        ReadAnswer::Store(_) => store_errors().into_iter().map(ReadAnswer::Store),
    }
}

fn store_errors() -> Vec<StoreError> {
    let why = || "the disk's own words".to_owned();
    each! {
        StoreError::Full { .. } => [StoreError::Full { why: why() }],
        StoreError::Damaged { .. } => [StoreError::Damaged { why: why() }],
        StoreError::Failed { .. } => [StoreError::Failed { why: why() }],
    }
}

fn unserved() -> Vec<Unserved> {
    words!(Unserved: NoLeader, NotCaughtUp, NoReplica, SessionAhead, Overloaded, NoRoom, StoreLate)
}

fn seen() -> Vec<Seen> {
    let (kept, expiring) = (document(None), document(Some(WallMillis(u64::MAX))));
    let (first, last) = (key(&["Cesária"]), key(&["Cesária", "Miß", "1"]));
    let documents = vec![(first, kept.clone()), (last.clone(), expiring.clone())];
    let empty = DocumentPage { documents: Vec::new(), next: None };
    let fold = Some(Bytes::from_static(b"\x00\xff fold"));
    each! {
        Seen::Document(_) => [Seen::Document(None), Seen::Document(Some(expiring.clone()))],
        Seen::Documents(_) => [
            Seen::Documents(Vec::new()),
            Seen::Documents(vec![Some(kept), None, Some(expiring)]),
        ],
        Seen::Page(_) => [
            Seen::Page(empty),
            Seen::Page(DocumentPage { documents, next: Some(last) }),
        ],
        Seen::Position(_) => [Seen::Position(Scn::ZERO)],
        Seen::History { .. } => [
            Seen::History { fold: None, end: SCN_MAX },
            Seen::History { fold, end: scn(7) },
        ],
    }
}

fn hand_offs() -> Vec<HandOffAnswer> {
    each! {
        HandOffAnswer::SteppedDown(_) => [HandOffAnswer::SteppedDown(NodeId(u32::MAX))],
        HandOffAnswer::Leads => [HandOffAnswer::Leads],
        HandOffAnswer::WrongNode(_) => leaders().into_iter().map(HandOffAnswer::WrongNode),
        HandOffAnswer::NoSuccessor => [HandOffAnswer::NoSuccessor],
        HandOffAnswer::NotDone(_) => not_done().into_iter().map(HandOffAnswer::NotDone),
        HandOffAnswer::Unknown => [HandOffAnswer::Unknown],
    }
}

fn verifications() -> Vec<VerifyAnswer> {
    each! {
        VerifyAnswer::Begun => [VerifyAnswer::Begun],
        VerifyAnswer::WrongNode(_) => leaders().into_iter().map(VerifyAnswer::WrongNode),
    }
}

fn reports() -> Vec<NodeReport> {
    let replica = |progress: ReplicaProgress| {
        let unverified = progress.role == ReplicaRole::Leader;
        let end = LogOffset(u64::MAX);
        ReplicaReport { progress, end, behind_ms: 17, unverified, feature_level: 300 }
    };
    let full = NodeReport {
        incarnation: NodeIncarnation(u64::MAX),
        address: "[::1]:4711".to_owned(),
        sick: Some("appends to the log fail: »no space«".to_owned()),
        fit: false,
        replicas: progress().into_iter().map(replica).collect(),
    };
    vec![report_of(""), full]
}

fn changes() -> Vec<ChangeReplicasAnswer> {
    each! {
        ChangeReplicasAnswer::Taken => [ChangeReplicasAnswer::Taken],
        ChangeReplicasAnswer::WrongNode(_) => {
            leaders().into_iter().map(ChangeReplicasAnswer::WrongNode)
        },
        ChangeReplicasAnswer::Outdated => [ChangeReplicasAnswer::Outdated],
        ChangeReplicasAnswer::Overloaded => [ChangeReplicasAnswer::Overloaded],
    }
}

fn holdings() -> Vec<Holdings> {
    let holding = |progress: ReplicaProgress| Holding {
        progress,
        end: LogOffset(u64::MAX),
        replica_set: vec![NodeId(1), NodeId(u32::MAX)],
        bytes: progress.has_room.then_some(u64::MAX),
        copied_bytes: (!progress.has_room).then_some(0),
    };
    let bare = Holdings { cluster_scn: Scn::ZERO, away: Vec::new(), replicas: Vec::new() };
    let replicas = progress().into_iter().map(holding).collect();
    let away = vec![NodeId(1), NodeId(u32::MAX)];
    vec![bare, Holdings { cluster_scn: SCN_MAX, away, replicas }]
}

fn snapshots() -> Vec<SnapshotAnswer> {
    let opened = [SnapshotId(0), SnapshotId(u128::MAX)].map(SnapshotAnswer::Opened);
    each! {
        SnapshotAnswer::Opened(_) => opened,
        SnapshotAnswer::NotReadable => [SnapshotAnswer::NotReadable],
        SnapshotAnswer::Busy => [SnapshotAnswer::Busy],
    }
}

fn chunks() -> Vec<SnapshotChunk> {
    // A period that no power of two has, so that nothing is exchanged unnoticed.
    let long: Bytes = (0..=250_u8).cycle().take(LONG_BYTES).collect();
    each! {
        SnapshotChunk::Chunk(_) => [Bytes::new(), long].map(SnapshotChunk::Chunk),
        SnapshotChunk::End => [SnapshotChunk::End],
        SnapshotChunk::Gone => [SnapshotChunk::Gone],
    }
}
