//! Who may hold a node's name in `_cluster`, and what becomes of the others.
//!
//! Nothing but `_cluster` is believed about it. Start reading at [`LifeStanding::of`].
//! Source: docs/protocols/failover.md, "Registration".

#[cfg(test)]
mod tests;

use crate::node_life::{NextLife, NodeLife};
use cortado_model::{
    DirectoryUuid, Millis, NodeId, NodeIncarnation, PartitionId, ReplicaIncarnation,
};

/// Long enough for a newer life to open its generation and to register.
const GIVE_WAY_MS: u64 = 5_000;

/// What stands in `_cluster` under a node's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The newest life that has registered.
    pub life: NodeLife,
    /// Another directory may take the name over.
    pub replaced: bool,
    /// The node is no member any more.
    pub removed: bool,
}

/// What `_cluster` makes of one life of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifeStanding {
    /// It may register: its name is free, or held by an earlier life in the same directory.
    Unregistered,
    /// It holds its name.
    Registered,
    /// It may not live, or not any longer.
    Refused(LifeRefusal),
}

/// What of a node decides whether it may claim at all. Whether it should is for others to say:
/// detection, a diverged claimant that asks it, or most replicas that dispute the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eligibility {
    /// It holds replicas that count; those of a router do not.
    pub is_member: bool,
    /// How its life stands in `_cluster`.
    pub standing: LifeStanding,
    /// It leaves the leadership to a newer life of its own: see [`NodeLife::gives_way_until`].
    pub gives_way: bool,
}

/// Why a life of a node may not hold its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LifeRefusal {
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
    /// It cannot read what the others write.
    #[error(
        "this build reads feature level {own}, and the cluster uses level {needed}: install a \
         newer build"
    )]
    TooOld {
        /// What the cluster uses.
        needed: u32,
        /// What the node declares.
        own: u32,
    },
}

impl LifeStanding {
    /// How the life `me` stands to what is registered under its node's name.
    pub fn of(me: &NodeLife, registered: Option<&Registration>) -> LifeStanding {
        let Some(Registration { life, replaced, removed }) = registered else {
            return LifeStanding::Unregistered;
        };
        let same_directory = life.directory == me.directory;
        let refused = if *removed {
            LifeRefusal::Removed
        } else if life == me {
            return LifeStanding::Registered;
        } else if (same_directory || *replaced) && life.incarnation < me.incarnation {
            return LifeStanding::Unregistered;
        } else if *replaced {
            LifeRefusal::Behind(life.incarnation)
        } else if !same_directory {
            LifeRefusal::OtherDirectory(life.directory)
        } else if life.incarnation == me.incarnation {
            LifeRefusal::Copy
        } else {
            LifeRefusal::NewerLife(life.incarnation)
        };
        LifeStanding::Refused(refused)
    }
}

impl Eligibility {
    /// Whether the node may claim the leadership of `partition`, for whatever reason.
    ///
    /// In `_cluster` an accepted claim is the node's registration: else no node could begin.
    pub fn may_claim(self, partition: PartitionId) -> bool {
        let is_known = match self.standing {
            LifeStanding::Registered => true,
            LifeStanding::Unregistered => partition == PartitionId::CLUSTER,
            LifeStanding::Refused(_) => false,
        };
        self.is_member && is_known && !self.gives_way
    }
}

impl LifeRefusal {
    /// What a node that was refused does next.
    pub fn next_life(self) -> NextLife {
        match self {
            LifeRefusal::Behind(above) => NextLife::Begins { above },
            LifeRefusal::NewerLife(_)
            | LifeRefusal::Copy
            | LifeRefusal::OtherDirectory(_)
            | LifeRefusal::Removed
            | LifeRefusal::TooOld { .. } => NextLife::Waits,
        }
    }
}

impl NodeLife {
    /// Until when this life leaves a leadership alone because a newer life of its node has claimed
    /// it; `None` if it has not.
    ///
    /// Which of the two may live is said in `_cluster` alone, and it could not be written if they
    /// took its leadership from one another. If nothing has been said in time, the claimant has
    /// died.
    ///
    /// * `leader`: who has claimed.
    /// * `since`: when that was heard.
    pub fn gives_way_until(
        &self,
        leader: Option<(NodeId, ReplicaIncarnation)>,
        since: Millis,
    ) -> Option<Millis> {
        let (node, life) = leader?;
        let newer = node == self.node && life.node > self.incarnation;
        newer.then(|| since.plus(GIVE_WAY_MS))
    }
}
