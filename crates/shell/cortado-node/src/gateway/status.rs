//! The picture of the cluster for operators.
//!
//! Start reading at [`Gateway::status`].

use super::Gateway;
use crate::catalog::{Catalog, NodeFacts};
use crate::replica_handle::ReplicaHandle;
use crate::status::{DatabaseStatus, NodeStatus, PartitionStatus, ReplicaStatus, Status};
use cortado_driver::ReplicaRole;
use cortado_model::{NodeId, NodeIncarnation, PartitionId, Scn};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Gateway {
    /// The cluster as this process sees it now.
    pub fn status(&self) -> Status {
        let catalog = self.catalog();
        let members: Vec<NodeId> = catalog.members().collect();
        let mut databases = vec![DatabaseStatus {
            name: "_cluster".to_owned(),
            partitions: vec![self.partition_status(PartitionId::CLUSTER, &members)],
        }];
        for database in catalog.databases() {
            let numbers = 0..database.partitions;
            let partitions = numbers.map(|number| {
                self.partition_status(database.partition_id(number), database.placement(number))
            });
            let (name, partitions) = (database.name.clone(), partitions.collect());
            databases.push(DatabaseStatus { name, partitions });
        }
        // Those of this process that the cluster refuses are shown, too: with the reason.
        let all: BTreeSet<NodeId> =
            members.into_iter().chain(self.process.settings.nodes()).collect();
        let nodes = all.iter().map(|node| self.node_status(*node, &catalog, &databases));
        Status { nodes: nodes.collect(), databases }
    }

    fn node_status(
        &self,
        node: NodeId,
        catalog: &Catalog,
        databases: &[DatabaseStatus],
    ) -> NodeStatus {
        let partitions = || databases.iter().flat_map(|database| &database.partitions);
        let running = self.process.running(node);
        let facts = catalog.nodes.get(&node);
        let known = facts.map_or(NodeIncarnation(0), |facts: &NodeFacts| facts.incarnation);
        NodeStatus {
            node,
            alive: running.is_some(),
            incarnation: running.as_ref().map_or(known, |context| context.me.incarnation),
            address: match (&running, facts) {
                (None, Some(facts)) => facts.address.clone(),
                (Some(_), _) | (None, None) => self.process.settings.address.clone(),
            },
            leaderships: partitions().filter(|p| p.leader == Some(node)).count(),
            replicas: partitions()
                .flat_map(|partition| &partition.replicas)
                .filter(|replica| replica.node == node && replica.role.is_readable())
                .count(),
            sick: match running {
                Some(context) => context.sickness(),
                None => self.process.refused(node),
            },
        }
    }

    fn partition_status(&self, partition: PartitionId, placement: &[NodeId]) -> PartitionStatus {
        let route = self.process.routes.route(partition);
        let running = route.replicas();
        let known = running.iter().map(|replica| replica.known_end()).max();
        let end = self.process.log.local_end(partition).or(known).unwrap_or_default();
        let now = self.process.clock.steady();
        let status_of = |node: &NodeId| {
            let replica = running.iter().find(|replica| replica.node == *node);
            let read = |f: &dyn Fn(&Arc<ReplicaHandle>) -> u64| replica.map_or(0, f);
            ReplicaStatus {
                node: *node,
                role: replica.map_or(ReplicaRole::Offline, |replica| replica.role()),
                applied: replica.map_or(Scn::ZERO, |replica| replica.applied()),
                lag_records: read(&|replica| end.0.saturating_sub(replica.folded().0)),
                lag_ms: read(&|replica| replica.behind_ms(now)),
            }
        };
        let generations = running.iter().map(|replica| replica.leadership().generation);
        PartitionStatus {
            number: partition.number,
            leader: route.serving().map(|leader| leader.node),
            preferred: placement.first().copied(),
            generation: generations.max().unwrap_or_default(),
            end,
            replicas: placement.iter().map(status_of).collect(),
        }
    }
}
