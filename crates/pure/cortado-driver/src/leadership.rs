//! Who leads the partition, as one replica has folded it: what detection goes by.

use cortado_model::{Generation, Millis, NodeId, ReplicaIncarnation};
use cortado_replica::{FoldState, ReplicaSet, StepDown};

/// Who leads the partition, as this replica has folded it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoldedLeadership {
    /// Counts the leaderships.
    pub generation: Generation,
    /// Who won it.
    pub leader: Option<(NodeId, ReplicaIncarnation)>,
    /// How it ended, if it has.
    pub stepped_down: Option<StepDown>,
    /// Who may claim.
    pub replicas: ReplicaSet,
    /// When this replica first knew of it, or of its end.
    pub since: Millis,
}

impl FoldedLeadership {
    /// Whom to ask: the leader, or the successor that it has named; `None` if there is neither.
    pub fn leads(&self) -> Option<NodeId> {
        let leader = self.leader.map(|(node, _)| node);
        self.stepped_down.map_or(leader, |step_down| step_down.to)
    }

    /// As `fold` tells, which is read now for the first time.
    pub(crate) fn of(fold: &FoldState, now: Millis) -> FoldedLeadership {
        FoldedLeadership {
            generation: fold.generation(),
            leader: fold.claimant.as_ref().map(|claimant| (claimant.node, claimant.incarnation)),
            stepped_down: fold.stepped_down,
            replicas: fold.replicas.clone(),
            since: now,
        }
    }
}
