//! What this node's replicas show, in the watch's words.
//!
//! Reads handles and decides nothing. Start reading at [`Views`].

use crate::local_routes::LocalRoute;
use crate::replica_handle::ReplicaHandle;
use crate::replica_host::ReplicaHost;
use cortado_cluster::{Duty, Leadership, PartitionView, Placement, ReplicaViews};
use cortado_driver::{FoldedLeadership as Shown, ReplicaRole};
use cortado_model::{LogOffset, Millis, NodeId, PartitionId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The replicas that this node should have.
pub(super) struct Views {
    host: Arc<ReplicaHost>,
    placed: BTreeMap<PartitionId, PlacedReplica>,
    /// Partitions that are left to a newer life of this node, and until when.
    giving_way: BTreeMap<PartitionId, Millis>,
}

/// Where to find a replica that this node should have.
pub(super) struct PlacedReplica {
    pub(super) placement: Placement,
    pub(super) route: Arc<LocalRoute>,
}

impl Views {
    pub(super) fn new(host: Arc<ReplicaHost>) -> Views {
        Views { host, placed: BTreeMap::new(), giving_way: BTreeMap::new() }
    }

    /// Every partition of which there should be a replica.
    pub(super) fn partitions(&self) -> impl Iterator<Item = PartitionId> {
        self.placed.keys().copied()
    }

    /// Partitions that were left to a newer life, and are not any longer: what they show has
    /// changed without a driver saying so.
    pub(super) fn take_given_way(&mut self, now: Millis) -> Vec<PartitionId> {
        let over = self.giving_way.extract_if(.., |_, until| now >= *until);
        over.map(|(partition, _)| partition).collect()
    }

    pub(super) fn place(&mut self, partition: PartitionId, placed: PlacedReplica) {
        self.placed.insert(partition, placed);
    }

    /// Everything that was placed; nothing is placed any more.
    pub(super) fn take(&mut self) -> BTreeMap<PartitionId, PlacedReplica> {
        std::mem::take(&mut self.placed)
    }

    /// The replica of `partition`, if it runs.
    pub(super) fn replica(&self, partition: PartitionId) -> Option<Arc<ReplicaHandle>> {
        self.placed.get(&partition)?.route.replica()
    }
}

impl ReplicaViews for Views {
    fn view(&mut self, partition: PartitionId) -> Option<PartitionView> {
        // A log that has not begun takes no claims yet.
        let replica = self.replica(partition)?;
        let replica = Some(replica).filter(|replica| replica.folded() > LogOffset::ZERO)?;
        let (shown, role) = (replica.leadership(), replica.role());
        if let Some(until) = self.host.gives_way_until(&shown) {
            self.giving_way.insert(partition, until);
        }
        Some(PartitionView {
            incarnation: replica.replica_incarnation(),
            generation: shown.generation,
            leadership: leadership(&shown),
            claimants: shown.replicas.nodes().to_vec(),
            duty: duty(role),
            restoring: !role.is_readable() || !self.host.may_claim(partition, &shown),
            lag_records: lag_records(&replica, replica.known_end()),
        })
    }

    fn follower_lags(&mut self, partition: PartitionId) -> BTreeMap<NodeId, u64> {
        let Some(leader) = self.replica(partition) else { return BTreeMap::new() };
        let (end, replicas) = (leader.known_end(), leader.leadership().replicas);
        let told = self.host.progress.of(partition, self.host.clock.steady());
        let none_has_room = self.host.none_has_room(&told);
        let could = told.into_iter().filter(|(node, told)| {
            let is_fit = self.host.progress.is_fit(*node);
            told.could_lead(is_fit, none_has_room) && replicas.may_claim(*node)
        });
        could.map(|(node, told)| (node, end.0.saturating_sub(told.folded.0))).collect()
    }
}

fn lag_records(replica: &ReplicaHandle, end: LogOffset) -> u64 {
    end.0.saturating_sub(replica.folded().0)
}

/// Who leads, as a replica has folded it.
fn leadership(shown: &Shown) -> Option<Leadership> {
    let ((node, incarnation), at) = (shown.leader?, shown.since);
    Some(match shown.stepped_down {
        Some(step_down) => Leadership::SteppedDown { by: node, to: step_down.to, at },
        None => Leadership::Claimed { node, incarnation, at },
    })
}

fn duty(role: ReplicaRole) -> Duty {
    match role {
        ReplicaRole::Follower => Duty::Follow,
        ReplicaRole::Leader => Duty::Lead,
        ReplicaRole::Offline
        | ReplicaRole::Restoring
        | ReplicaRole::Candidate
        | ReplicaRole::Opening
        | ReplicaRole::SteppingDown
        | ReplicaRole::Diverged
        | ReplicaRole::Disputed
        | ReplicaRole::NeedsUpgrade
        | ReplicaRole::Full => Duty::Neither,
    }
}
