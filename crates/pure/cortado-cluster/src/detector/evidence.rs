//! What a node observes, of itself and of others.
//!
//! Concludes nothing. Start reading at [`Evidence`]. Source: docs/protocols/failover.md,
//! "Evidence".

use super::peers::PeerOpinion;
use cortado_model::{Beat, BeatStream, NodeId, NodeIncarnation, PartitionId};

/// Something that a node has observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A beat was heard; an own one shows that there is something to hear.
    Beat {
        /// On which stream.
        stream: BeatStream,
        /// What it says.
        beat: Beat,
    },
    /// A record was accepted in the log of a partition that this node follows.
    PartitionRecord {
        /// Who wrote it.
        node: NodeId,
        /// In which life.
        incarnation: NodeIncarnation,
    },
    /// An own append was acknowledged.
    OwnAppend {
        /// From handing it over to the acknowledgement.
        took_ms: u64,
    },
    /// An own append waits for its acknowledgement: no news until it is slow.
    OwnAppendWaits {
        /// Since it was handed over.
        waited_ms: u64,
    },
    /// An own append failed.
    OwnAppendFailed,
    /// The own store has applied something, or is at it.
    OwnStore {
        /// For how long.
        took_ms: u64,
    },
    /// The own store failed to apply something.
    OwnStoreFailed,
    /// The own wall clock was compared with those of others.
    OwnClock {
        /// It is too far off for a leader, as [`LogClock::is_off`](crate::LogClock::is_off) says.
        is_off: bool,
    },
    /// Gossip says something of another node. Without any, detection goes by the log alone.
    Gossip {
        /// Of which node.
        node: NodeId,
        /// Of which life.
        incarnation: NodeIncarnation,
        /// What.
        opinion: PeerOpinion,
    },
    /// How well gossip goes for this node itself.
    GossipReach {
        /// Other members that have answered it lately.
        answering: u32,
        /// Other members of the cluster, whatever gossip thinks of them.
        members: u32,
    },
    /// A router could not reach a node.
    RequestFailed {
        /// Which node.
        node: NodeId,
        /// Whose router.
        by: NodeId,
    },
    /// A router has reached a node.
    RequestServed {
        /// Which node.
        node: NodeId,
    },
    /// A node has told this one something, on the way that requests take.
    PeerHeard {
        /// Which node.
        node: NodeId,
    },
    /// A node has told, on that way, whether any of its own beats come back from the log.
    PeerReachesLog {
        /// Which node.
        node: NodeId,
        /// It does.
        reaches: bool,
    },
    /// A node has told, on that way, whether it reaches the log of a partition that it leads.
    PeerReachesLogOf {
        /// Which node.
        node: NodeId,
        /// Which partition.
        partition: PartitionId,
        /// It does, or leads it no longer.
        reaches: bool,
    },
    /// The machine of a node has answered this one, at the last try to reach that life of it, that
    /// nothing listens there; or no longer so.
    PeerRefuses {
        /// Which node.
        node: NodeId,
        /// It has.
        refuses: bool,
    },
    /// An own timer ran. Reported for every tick, punctual ones too.
    Lateness {
        /// How much later than it should have.
        late_ms: u64,
    },
}
