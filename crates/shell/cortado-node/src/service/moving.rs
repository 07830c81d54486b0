//! What this node does for whoever moves replicas: says what it holds, and changes replica sets.
//!
//! Source: docs/protocols/moves.md, "The replica set".

use super::{NoLeader, NodeService};
use crate::asker::Input;
use crate::replica_handle::{NotTaken, ReplicaHandle};
use crate::replica_host::{Duty, ReplicaHost};
use cortado_driver::ReplicaRole;
use cortado_model::{PartitionId, Scn};
use cortado_peer::{ChangeReplicas, ChangeReplicasAnswer, Holding, Holdings, KnownLeader};
use std::sync::Arc;
use tokio::sync::oneshot;
use tracing::{debug, info};

impl NodeService {
    /// Gives the order to the own replica, if that leads and nothing newer is declared.
    pub(crate) async fn answer_change_replicas(
        &self,
        order: ChangeReplicas,
    ) -> ChangeReplicasAnswer {
        let ChangeReplicas { partition, generation, from, to, declared_at, deadline } = order;
        let route = self.host.routes.route(partition);
        let leader = match self.leader(&route, deadline).await {
            Ok(leader) => leader,
            Err(NoLeader::Elsewhere(leader)) => return ChangeReplicasAnswer::WrongNode(leader),
            Err(NoLeader::NoRoom | NoLeader::Dropped) => {
                return ChangeReplicasAnswer::WrongNode(KnownLeader::default());
            }
        };
        // Last, so that as little as possible comes between the look and the order.
        if !self.is_declared(partition, declared_at) {
            debug!(%partition, "order to change the replica set passed over: it is outdated");
            return ChangeReplicasAnswer::Outdated;
        }
        info!(%partition, ?from, ?to, "changing who may claim");
        let (from, to) = (from.into_iter().collect(), to.into_iter().collect());
        match leader.offer(Input::ChangeReplicas { generation, from, to }) {
            Ok(()) => ChangeReplicasAnswer::Taken,
            Err(NotTaken::Full) => ChangeReplicasAnswer::Overloaded,
            Err(NotTaken::Gone) => ChangeReplicasAnswer::WrongNode(route.leader()),
        }
    }

    /// Whether what `_cluster` says of a partition is what stood there at `declared_at`, as far as
    /// this node has folded it.
    fn is_declared(&self, partition: PartitionId, declared_at: Scn) -> bool {
        let catalog = self.host.cluster.catalog.newest();
        catalog.scn() < declared_at || catalog.declared_at(partition) == Some(declared_at)
    }

    /// Tells what this node holds of some partitions, or of all.
    pub(crate) fn answer_holdings(&self, partitions: Option<Vec<PartitionId>>) -> Holdings {
        // Before the replicas: what they show may be newer, never older.
        let cluster_scn = self.host.cluster.catalog.newest().scn();
        let mut replicas: Vec<Arc<ReplicaHandle>> = match (self.host.duty, partitions) {
            // None of a router's counts.
            (Duty::Router, _) => Vec::new(),
            (Duty::Member, None) => self.host.routes.replicas(),
            (Duty::Member, Some(partitions)) => {
                let replica = |partition| self.host.routes.route(partition).replica();
                partitions.into_iter().filter_map(replica).collect()
            }
        };
        replicas.sort_by_key(|replica| replica.partition);
        self.measure(&replicas);
        let holding = |replica: Arc<ReplicaHandle>| Holding {
            progress: replica.progress(),
            end: replica.known_end(),
            replica_set: replica.leadership().replicas.nodes().to_vec(),
            bytes: self.host.effort.state_bytes_of(replica.partition),
            copied_bytes: self.host.copies.of(replica.partition),
        };
        let away = self.host.health.away();
        Holdings { cluster_scn, away, replicas: replicas.into_iter().map(holding).collect() }
    }

    /// Finds out how large the replicas are that lead and have not been looked at, beside the
    /// tasks, one after the other; who asks again is told.
    fn measure(&self, replicas: &[Arc<ReplicaHandle>]) {
        let is_unknown = |replica: &&Arc<ReplicaHandle>| {
            let known = self.host.effort.state_bytes_of(replica.partition);
            known.is_none() && replica.role() == ReplicaRole::Leader
        };
        let unknown: Vec<_> = replicas.iter().filter(is_unknown).cloned().collect();
        if unknown.is_empty() || !self.host.effort.begin_measuring() {
            return;
        }
        let host = Arc::clone(&self.host);
        self.host.tasks.spawn(async move {
            for replica in unknown {
                let (tell, measured) = oneshot::channel();
                let measuring = Arc::clone(&host);
                host.tasks.spawn_in_turn(&host.tasks.turns.hashing, move || {
                    measure_one(&measuring, replica.partition);
                    // Nobody waits when the node is ending.
                    let _ = tell.send(());
                });
                if measured.await.is_err() {
                    break;
                }
            }
            host.effort.end_measuring();
        });
    }
}

/// Finds out how much a replica holds. What cannot be read is told by whoever needs it.
fn measure_one(host: &ReplicaHost, partition: PartitionId) {
    let Ok(view) = host.store.view(partition) else { return };
    let entries = view.entries(None).take_while(|_| !host.tasks.is_ending());
    let bytes =
        entries.map(|entry| entry.map(|entry| (entry.key.len() + entry.value.len()) as u64));
    if let Ok(bytes) = bytes.sum() {
        host.effort.set_state_bytes(partition, bytes);
    }
}
