//! Who may hold a node's name in `_cluster`, and what becomes of the others.
//!
//! Pure. Nothing but `_cluster` is believed about it. Start reading at [`standing`].
//! Source: docs/protocols/failover.md, "Registration".

use crate::node_life::{NextLife, NodeLife};
use cortado_driver::Leadership;
use cortado_gateway::NodeFacts;
use cortado_model::{
    DirectoryUuid, Millis, NodeId, NodeIncarnation, PartitionId, ReplicaIncarnation,
};

/// Long enough for a newer life to open its generation and to register.
const GIVE_WAY_MS: u64 = 5_000;

/// What `_cluster` makes of one life of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may register: its name is free, or held by an earlier life in the same directory.
    Unregistered,
    /// It holds its name.
    Registered,
    /// It may not live, or not any longer.
    Refused(Refusal),
}

/// Why a life of a node may not hold its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// A newer life of the same directory holds it.
    #[error(
        "incarnation {0} of this data directory has registered: another process runs a copy of it, \
         or this is an older copy; use the newest one, or see `cortado node replace`"
    )]
    NewerLife(NodeIncarnation),
    /// Another process counted the same incarnation, from a copy of the directory.
    #[error("another process runs a copy of this data directory; end one of them")]
    Copy,
    /// Another directory holds it.
    #[error(
        "the name is registered with data directory {0}; to let this one take over, use \
         `cortado node replace` and start the node again"
    )]
    OtherDirectory(DirectoryUuid),
    /// It was replaced by hand, and the one that takes over has to be above this life.
    #[error("a node that was replaced has reached incarnation {0}; its successor begins above it")]
    Behind(NodeIncarnation),
    /// The cluster has no such node any more.
    #[error("the node was removed from the cluster")]
    Removed,
}

impl Standing {
    /// Whether a node that stands so may claim the leadership of `partition`.
    ///
    /// In `_cluster` an accepted claim is the node's registration: else nobody could begin.
    pub(crate) fn may_claim(self, partition: PartitionId) -> bool {
        match self {
            Standing::Registered => true,
            Standing::Unregistered => partition == PartitionId::CLUSTER,
            Standing::Refused(_) => false,
        }
    }
}

impl Refusal {
    /// What a node that was refused does next.
    pub(crate) fn next_life(self) -> NextLife {
        match self {
            Refusal::Behind(above) => NextLife::Begins { above },
            Refusal::NewerLife(_)
            | Refusal::Copy
            | Refusal::OtherDirectory(_)
            | Refusal::Removed => NextLife::Waits,
        }
    }
}

/// Until when the life `me` leaves a leadership alone because a newer life of its node has claimed
/// it; `None` if it has not.
///
/// Which of the two may live is said in `_cluster` alone, and it could not be written if they took
/// its leadership from one another. If nothing has been said in time, the claimant has died.
pub(crate) fn gives_way_until(me: &NodeLife, leadership: &Leadership) -> Option<Millis> {
    let newer =
        |(node, life): (NodeId, ReplicaIncarnation)| node == me.node && life.node > me.incarnation;
    leadership.leader.is_some_and(newer).then(|| leadership.since.plus(GIVE_WAY_MS))
}

/// How the life `me` stands to what is registered under its node's name.
pub(crate) fn standing(registered: Option<&NodeFacts>, me: &NodeLife) -> Standing {
    let Some(facts) = registered else { return Standing::Unregistered };
    let same_directory = facts.directory == me.directory;
    let refused = if facts.removed {
        Refusal::Removed
    } else if same_directory && (facts.incarnation, facts.nonce) == (me.incarnation, me.nonce) {
        return Standing::Registered;
    } else if (same_directory || facts.replaced) && facts.incarnation < me.incarnation {
        return Standing::Unregistered;
    } else if facts.replaced {
        Refusal::Behind(facts.incarnation)
    } else if !same_directory {
        Refusal::OtherDirectory(facts.directory)
    } else if facts.incarnation == me.incarnation {
        Refusal::Copy
    } else {
        Refusal::NewerLife(facts.incarnation)
    };
    Standing::Refused(refused)
}

#[cfg(test)]
mod tests;
