//! Why the automation does not act where something seems wrong, grouped by cause.
//!
//! Data, as [`Explanation`](crate::Explanation) is. Start reading at [`Abstention`].

use crate::detector::Sickness;
use crate::explanation::Command;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use cortado_model::{DatabaseId, NodeId, PartitionId};

/// Leaderships that a node does not claim, all for one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abstention {
    /// Who decided.
    pub node: NodeId,
    /// Why not.
    pub cause: AbstainCause,
    /// What that rests on, in one sentence; empty if the cause says all.
    pub evidence: String,
    /// The partitions, at least one, in ascending order.
    pub partitions: Vec<PartitionId>,
}

/// What keeps a node from claiming a leadership that seems to be vacant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AbstainCause {
    /// The leader works for some nodes and not for others, and has not had its time yet.
    Grace {
        /// Who leads.
        leader: NodeId,
    },
    /// This node does not feel fit to lead.
    Sick(Sickness),
    /// This node's replica is being built anew.
    Restoring,
    /// The log does not let this node's replica claim.
    NotEligible,
    /// This node goes last: it has claimed too often, is far behind, has no room, or no peer
    /// reaches it.
    Last,
    /// This node's own beats do not come back: silence says nothing.
    OwnBeatsSilent {
        /// Who leads, and is silent.
        leader: NodeId,
    },
    /// Gossip counts the leader as gone, and it works.
    GossipAlone {
        /// Who leads.
        leader: NodeId,
    },
}

impl Abstention {
    /// What the decision rests on about the partitions of one database, one fact in each line, as
    /// the journal tells it.
    ///
    /// * `numbers`: of those partitions.
    pub fn evidence(&self, numbers: &[u32]) -> Vec<String> {
        let evidence = Some(&self.evidence).filter(|text| !text.is_empty());
        let mut evidence: Vec<String> = evidence.cloned().into_iter().collect();
        if numbers.len() > 1 {
            let all: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            evidence.push(format!("partitions {}", all.join(", ")));
        }
        evidence
    }

    /// The partitions by database, ascending.
    pub fn by_database(&self) -> BTreeMap<DatabaseId, Vec<u32>> {
        let mut all: BTreeMap<DatabaseId, Vec<u32>> = BTreeMap::new();
        for PartitionId { database, number } in &self.partitions {
            all.entry(*database).or_default().push(*number);
        }
        all
    }

    /// How a person would act all the same.
    pub fn by_hand(&self, partition: PartitionId) -> Command {
        Command::HandOff { partition, to: self.node }
    }
}

impl fmt::Display for AbstainCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AbstainCause::Grace { leader } => {
                write!(f, "leader {leader} is given time to step down")
            }
            AbstainCause::Sick(sickness) => write!(f, "this node is not fit to lead: {sickness}"),
            AbstainCause::Restoring => f.write_str("this node's replica is being rebuilt"),
            AbstainCause::NotEligible => {
                f.write_str("this node's replica is not in the replica set")
            }
            AbstainCause::Last => f.write_str("this node lets all others claim first"),
            AbstainCause::OwnBeatsSilent { leader } => {
                write!(f, "own beats do not come back, so leader {leader} cannot be judged")
            }
            AbstainCause::GossipAlone { leader } => {
                write!(f, "leader {leader} works, although gossip counts it as down")
            }
        }
    }
}
