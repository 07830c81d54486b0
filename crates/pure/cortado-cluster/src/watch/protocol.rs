//! What goes into a [`Watch`](super::Watch), what it asks for, and what comes out of it.
//!
//! Decides nothing. Start reading at [`WatchEvent`], then [`WatchOrder`].

use crate::abstention::Abstention;
use crate::decision::Leadership;
use crate::detector::{Evidence, OwnSilence, Sickness};
use crate::explanation::Explanation;
use crate::placement::Placement;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use cortado_model::{Generation, NodeId, PartitionId, ReplicaIncarnation};

/// Something that a watch has to know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// This node should hold a replica of the partition, perhaps in another succession than before.
    Placed {
        /// The partition.
        partition: PartitionId,
        /// Who holds replicas; this node among them.
        placement: Placement,
    },
    /// This node should hold no replica of the partition any more.
    Withdrawn {
        /// The partition.
        partition: PartitionId,
    },
    /// The partition's replica shows something new: its leadership, its own life or what it does,
    /// or it has folded its log's first record. Progress alone is nothing new.
    Changed {
        /// The partition.
        partition: PartitionId,
    },
    /// The node's store has no room, or has room again.
    StoreFull(bool),
    /// Something was observed, of this node or of another one.
    Observed(Evidence),
    /// The claim that was ordered last for this partition could not be given to its replica.
    ClaimNotTaken {
        /// The partition.
        partition: PartitionId,
    },
    /// The handoff that was ordered last has succeeded, or has failed.
    HandOffEnded,
}

/// Something that a watch wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchOrder {
    /// Send a beat on every stream. The one before is no longer awaited.
    Beat {
        /// Counts the beats of this life of the node.
        count: u64,
    },
    /// Let the partition's replica claim.
    Claim {
        /// Why, and for which partition.
        why: Explanation,
        /// It is a decision of its own; a claim that is made again for the same leadership is not.
        first: bool,
    },
    /// Ask the leader, which works for some nodes and not for others, to step down in favour of
    /// this node. What it answers needs not be told: the log shows it.
    AskToStepDown {
        /// Who leads.
        leader: NodeId,
        /// Why, and which partition.
        why: Explanation,
    },
    /// What this node does not claim, and why not; told once.
    Abstain(Abstention),
    /// Hand the partition's leadership over. No other handoff is ordered before this one has ended.
    HandOff {
        /// Who should lead.
        to: NodeId,
        /// Why, and for which partition.
        why: Explanation,
    },
    /// What is wrong with this node has changed: `None` if it is well again.
    Sickness(Option<Sickness>),
    /// On which streams own beats do not come back has changed. While it is on any, this node
    /// claims nothing for another node's silence; `None` if it judges silence again.
    OwnSilence(Option<OwnSilence>),
    /// Whether no peer answers this node has changed. While none does, it judges nodes by the log
    /// alone, and lets all others claim before it.
    CutOff(bool),
}

/// What the node's replicas show; asked for those partitions only about which to decide.
pub trait ReplicaViews {
    /// The replica of `partition`; `None` if there is none, or if its log has not begun.
    fn view(&mut self, partition: PartitionId) -> Option<PartitionView>;

    /// How far the other replicas of `partition` that could lead are behind, in records; asked of a
    /// leader only.
    fn follower_lags(&mut self, partition: PartitionId) -> BTreeMap<NodeId, u64>;
}

/// What one replica of this node shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionView {
    /// This life of the replica.
    pub incarnation: ReplicaIncarnation,
    /// The last generation that it has folded.
    pub generation: Generation,
    /// Who leads that generation, as it has folded the log; `None` if no node has ever led.
    pub leadership: Option<Leadership>,
    /// Who may claim, as it has folded the log; none named is every node.
    pub claimants: Vec<NodeId>,
    /// What it does about that.
    pub duty: Duty,
    /// It is being built from a snapshot, or is out of service.
    pub restoring: bool,
    /// Records in the log that it has not applied yet, as far as it knows.
    pub lag_records: u64,
}

/// What a replica can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// It follows, and can claim.
    Follow,
    /// It leads, and can hand over.
    Lead,
    /// It is between the two, or out of service.
    Neither,
}
