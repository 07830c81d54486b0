//! What a decision about a partition rests on, and what it can be.
//!
//! Decides nothing. Start reading at [`PartitionFacts`], then [`Decision`].

use crate::detector::Sickness;
use crate::explanation::Explanation;
use crate::placement::Placement;
use alloc::collections::BTreeMap;
use cortado_model::{Millis, NodeId, PartitionId, ReplicaIncarnation};

/// What a node knows about one partition of which it may hold a replica.
#[derive(Clone, Debug)]
pub struct PartitionFacts<'a> {
    /// The partition.
    pub partition: PartitionId,
    /// This node.
    pub me: NodeId,
    /// This life of its replica.
    pub incarnation: ReplicaIncarnation,
    /// Who holds replicas, in order of succession.
    pub placement: &'a Placement,
    /// Who leads, as far as this node has folded the log.
    pub leadership: Leadership,
    /// Who may claim, as the log says; none named is every node. A replica that is placed and not
    /// among them is about to join or to leave.
    pub claimants: &'a [NodeId],
    /// This node's replica is being built anew.
    pub restoring: bool,
    /// This node's store takes nothing more: what is there can be read, and new writes are refused.
    pub store_full: bool,
    /// Records in the log that this node has not applied yet, as far as it knows.
    pub lag_records: u64,
    /// When this node's own claims of this partition were accepted, oldest first; as far as it
    /// remembers. Only the last minutes matter, and more do no harm.
    pub own_claims: &'a [Millis],
    /// Those of them that took the leadership over from another node, unasked.
    pub takeovers: &'a [Takeover],
    /// For a leader: how far each follower is behind, as last reported, in records.
    pub follower_lags: &'a BTreeMap<NodeId, u64>,
    /// Whether this node is handing over any partition right now.
    pub hand_off_running: bool,
    /// When this node last handed over any partition because its preferred leader was back.
    pub last_hand_back_at: Option<Millis>,
}

/// A claim of this node's where another one led, or should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takeover {
    /// When it was accepted.
    pub at: Millis,
    /// The other node.
    pub from: NodeId,
}

/// Who leads a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// No node has ever led it.
    Never {
        /// When this node learned of the partition.
        since: Millis,
    },
    /// The last claim that was accepted.
    Claimed {
        /// Who claimed.
        node: NodeId,
        /// In which life; a replica that starts again never continues a generation.
        incarnation: ReplicaIncarnation,
        /// When this node folded the claim.
        at: Millis,
    },
    /// The leader has stepped down.
    SteppedDown {
        /// Who led.
        by: NodeId,
        /// The successor that it named, if any.
        to: Option<NodeId>,
        /// When this node folded it.
        at: Millis,
    },
}

impl Leadership {
    /// Who leads, or led last, and since when that is known here.
    pub(crate) fn leader(&self) -> Option<(NodeId, Millis)> {
        match self {
            Leadership::Never { .. } => None,
            Leadership::Claimed { node, at, .. } => Some((*node, *at)),
            Leadership::SteppedDown { by, at, .. } => Some((*by, *at)),
        }
    }

    /// The node that `me` would take it over from by claiming it: the one that leads, or that was
    /// to lead and did not claim. `None` if `me` was asked to, or no other node had a part in it.
    pub(crate) fn taken_from(&self, me: NodeId) -> Option<NodeId> {
        let other = match self {
            Leadership::Never { .. } => None,
            Leadership::Claimed { node, .. } => Some(*node),
            Leadership::SteppedDown { by, to, .. } => Some(to.unwrap_or(*by)),
        };
        other.filter(|other| *other != me)
    }
}

/// What to do about a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Stay(StayReason),
    /// Claim, unless another node has by then; decide again before doing it.
    ClaimAt {
        /// The moment.
        at: Millis,
        /// Why.
        why: Explanation,
    },
    /// Claim now.
    Claim {
        /// Why.
        why: Explanation,
    },
    /// Ask the leader to step down, which works for some nodes and not for others; claim later.
    AskToStepDown {
        /// Who leads.
        leader: NodeId,
        /// When to claim if it does not.
        claim_at: Millis,
        /// Why.
        why: Explanation,
    },
    /// Step down in favour of a node.
    HandOff {
        /// The node.
        to: NodeId,
        /// Why.
        why: Explanation,
    },
}

/// Why there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StayReason {
    /// This node leads, and has no reason to hand over or no successor that could take over.
    Leading,
    /// The leader shows signs of life, or might.
    LeaderAlive {
        /// Who leads.
        leader: NodeId,
    },
    /// The leader has been silent, but not for long enough.
    LeaderSilent {
        /// Who leads.
        leader: NodeId,
        /// Its last sign of life.
        since: Millis,
    },
    /// This node holds no replica.
    NotPlaced,
    /// There is no leader, but the log does not let this replica claim: it is about to join or to
    /// leave.
    NotEligible,
    /// There is no leader, but this replica is being built anew.
    Restoring,
    /// There was no leader where this replica is in the log, which goes on.
    ReadsLog,
    /// There is no leader, but this node does not feel fit to lead.
    Sick(Sickness),
    /// The leader may be gone, but own beats do not come back: its silence means nothing.
    OwnBeatsSilent {
        /// Who leads.
        leader: NodeId,
    },
}

/// For what a leader may hand over; the same for many partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wanted {
    /// The preferred leader.
    pub(crate) preferred: NodeId,
    /// The leader's own node is drained, or its replica is to move away.
    pub(crate) leaves: bool,
}

impl PartitionFacts<'_> {
    /// For what this node may hand over, if it leads.
    pub(crate) fn wanted(&self) -> Wanted {
        let preferred = self.placement.preferred();
        let leaves = self.placement.is_drained(self.me) || self.placement.is_leaving(self.me);
        Wanted { preferred, leaves }
    }

    /// Whether the log lets `node` claim.
    pub(crate) fn is_eligible(&self, node: NodeId) -> bool {
        self.claimants.is_empty() || self.claimants.contains(&node)
    }

    /// Whether this life of this node's replica leads.
    pub(crate) fn leads(&self) -> bool {
        match self.leadership {
            Leadership::Claimed { node, incarnation, .. } => {
                node == self.me && incarnation == self.incarnation
            }
            Leadership::Never { .. } | Leadership::SteppedDown { .. } => false,
        }
    }
}
