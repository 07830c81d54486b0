//! Why the automation does not act where something seems wrong, grouped by cause.
//!
//! Data, as [`Explanation`](crate::Explanation) is. Start reading at [`Abstention`].

use crate::detector::Sickness;
use crate::explanation::Command;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use cortado_model::{NodeId, PartitionId};

/// Leaderships that a node does not claim, all for one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abstention {
    /// Who decided.
    pub node: NodeId,
    /// Why not.
    pub cause: AbstainCause,
    /// What that rests on, in one sentence; empty if the cause says all.
    pub evidence: String,
    /// The first of the partitions.
    pub first: PartitionId,
    /// How many there are.
    pub partitions: usize,
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
}

impl Abstention {
    /// What the decision rests on, one fact in each line, as the journal tells it.
    pub fn evidence(&self) -> Vec<String> {
        let of = format!("{} partitions, the first is {}", self.partitions, self.first);
        let evidence = Some(&self.evidence).filter(|text| !text.is_empty());
        evidence.map(ToString::to_string).into_iter().chain(vec![of]).collect()
    }

    /// How a person would act all the same, for the first of them.
    pub fn by_hand(&self) -> Command {
        Command::HandOff { partition: self.first, to: self.node }
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
        }
    }
}
