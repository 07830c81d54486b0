//! Every message.
//!
//! Start reading at [`messages`].

use super::{ASKING, PARTITION, SCN_MAX, leaders, scn};
use crate::{Message, Progress, Reach, ReplicaProgress};
use cortado_driver::{DigestReport, ReplicaRole, Resolution};
use cortado_model::{LogOffset, NodeId, NodeIncarnation, PartitionId, WallMillis};
use cortado_replica::{ChainHash, HistoryPoint};

/// Each variant of each part of a message, as the node that asks tells it.
pub(in crate::conformance) fn messages() -> Vec<Message> {
    let (node, at, below) = (ASKING, scn(1_000), LogOffset(1_001));
    let report = DigestReport { node, at, below, digest: u128::MAX };
    let partition = PARTITION;
    let own = HistoryPoint { scn: at, chain: ChainHash(u128::MAX) };
    let resolution = Resolution { keep: NodeId(3), own, beyond: below };
    each! {
        Message::Progress(_) => reports_of_progress().into_iter().map(Message::Progress),
        Message::Digest { .. } => [Message::Digest { partition, report }],
        Message::Condemned { .. } => {
            [Message::Condemned { partition, why: "n1 and n3 hash to »ff«".to_owned() }]
        },
        Message::Claim { .. } => [Message::Claim { partition }],
        Message::Resolve { .. } => [Message::Resolve { partition, resolution }],
        Message::LogGrew { .. } => [log_grew(u64::MAX)],
        Message::Reach(_) => [
            Message::Reach(Reach { by: node, failed: vec![NodeId(1), NodeId(3)], served: vec![] }),
            Message::Reach(Reach { by: node, failed: vec![], served: vec![NodeId(u32::MAX)] }),
        ],
    }
}

/// A message that is told from others by a number.
pub(in crate::conformance) fn log_grew(end: u64) -> Message {
    Message::LogGrew { partition: PARTITION, end: LogOffset(end) }
}

fn reports_of_progress() -> Vec<Progress> {
    let full = Progress {
        node: ASKING,
        incarnation: NodeIncarnation(u64::MAX),
        wall: WallMillis(u64::MAX),
        fit: true,
        reaches_log: false,
        unreached: vec![PARTITION, PartitionId { number: u32::MAX, ..PARTITION }],
        number: u64::MAX,
        heard: Some((NodeIncarnation(3), 41)),
        complete: true,
        replicas: progress(),
    };
    let empty = Progress {
        node: ASKING,
        incarnation: NodeIncarnation(1),
        wall: WallMillis(1_700_000_000_123),
        fit: false,
        reaches_log: true,
        unreached: Vec::new(),
        number: 1,
        heard: None,
        complete: false,
        replicas: Vec::new(),
    };
    vec![full, empty]
}

/// Replicas in every role and under every kind of leader.
pub(super) fn progress() -> Vec<ReplicaProgress> {
    let roles = words!(
        ReplicaRole: Offline, Restoring, Follower, Candidate, Opening, Leader, SteppingDown,
        Diverged, Full, Disputed, NeedsUpgrade
    );
    let leaders = leaders().into_iter().cycle();
    let replica = |(number, (role, leader))| ReplicaProgress {
        partition: PartitionId { number, ..PARTITION },
        role,
        leader,
        applied: if number == 0 { SCN_MAX } else { scn(u64::from(number)) },
        folded: LogOffset(u64::from(number)),
        has_room: number != 1,
    };
    (0..).zip(roles.into_iter().zip(leaders)).map(replica).collect()
}
