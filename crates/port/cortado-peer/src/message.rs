//! What nodes tell one another without being asked.
//!
//! Start reading at [`Message`].

use cortado_cluster::KnownLeader;
use cortado_driver::{DigestReport, ReplicaRole, Resolution};
use cortado_model::{LogOffset, NodeId, NodeIncarnation, PartitionId, Scn, WallMillis};

/// What a node tells another. It may be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// How far a node's replicas are.
    Progress(Progress),
    /// What a replica's state hashes to, for the leader that compares.
    Digest {
        /// Of which partition.
        partition: PartitionId,
        /// The report.
        report: DigestReport,
    },
    /// The state of this node's replica is not to be trusted.
    Condemned {
        /// Of which partition.
        partition: PartitionId,
        /// What was found, for the operator.
        why: String,
    },
    /// This node's replica should claim: the one that tells lacks what this one has.
    Claim {
        /// Of which partition.
        partition: PartitionId,
    },
    /// An operator has chosen which history goes on.
    Resolve {
        /// Of which partition.
        partition: PartitionId,
        /// Which, and for a replica of which history.
        resolution: Resolution,
    },
    /// The log has grown; what stands there now concerns this node.
    LogGrew {
        /// Of which partition.
        partition: PartitionId,
        /// Where it ends.
        end: LogOffset,
    },
    /// Which nodes requests reach.
    Reach(Reach),
}

impl Message {
    /// In whose name it is told, if it says so: an adapter lets nobody speak in another's.
    pub fn teller(&self) -> Option<NodeId> {
        match self {
            Message::Progress(progress) => Some(progress.node),
            Message::Digest { report, .. } => Some(report.node),
            Message::Reach(reach) => Some(reach.by),
            Message::Condemned { .. }
            | Message::Claim { .. }
            | Message::Resolve { .. }
            | Message::LogGrew { .. } => None,
        }
    }
}

/// Which nodes the requests of a node or router have reached lately, and which they have not:
/// evidence for who judges whether those live. A node to which nothing was sent is in neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Whose requests.
    pub by: NodeId,
    /// They have not reached these, and have been answered by none of them since.
    pub failed: Vec<NodeId>,
    /// These have answered again, after they had not been reached.
    pub served: Vec<NodeId>,
}

/// How far a node's replicas are, as far as the other node has not heard of it. Told in a steady
/// pace, also when there is nothing new: a node that is silent is not counted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The node that tells.
    pub node: NodeId,
    /// In which life; one that is newer makes what was told before void.
    pub incarnation: NodeIncarnation,
    /// Its wall clock.
    pub wall: WallMillis,
    /// It is well enough to be given leaderships.
    pub fit: bool,
    /// Some of its own beats have come back lately; a router, which sends none, says so, too.
    pub reaches_log: bool,
    /// Partitions that it leads, and to whose logs it does not get: all of them, in every message.
    pub unreached: Vec<PartitionId>,
    /// Counts what this life has told the other node, from 1.
    pub number: u64,
    /// The last number that it has heard of the other node without missing one, and of which life.
    pub heard: Option<(NodeIncarnation, u64)>,
    /// These are all of its replicas that the other node may want to know of, not only the news.
    pub complete: bool,
    /// The replicas.
    pub replicas: Vec<ReplicaProgress>,
}

/// How far a replica is, and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaProgress {
    /// Whose.
    pub partition: PartitionId,
    /// What it does.
    pub role: ReplicaRole,
    /// Who leads, as it has folded the log.
    pub leader: KnownLeader,
    /// What its store shows.
    pub applied: Scn,
    /// Everything below is in its store.
    pub folded: LogOffset,
    /// Its store has room.
    pub has_room: bool,
}

impl ReplicaProgress {
    /// Whether a leadership can be handed to it.
    ///
    /// * `fit`: its node would claim, and keep it.
    /// * `none_has_room`: no replica of the partition has; then it makes no difference which leads.
    pub fn could_lead(&self, fit: bool, none_has_room: bool) -> bool {
        let takes_writes = self.has_room || none_has_room;
        fit && takes_writes && self.role.is_readable() && self.role != ReplicaRole::Full
    }
}
