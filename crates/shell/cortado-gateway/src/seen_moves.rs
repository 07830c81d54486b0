//! Partitions whose replicas move, as their nodes say that they are.
//!
//! Decides nothing. Start reading at [`Told::partition`].

use crate::catalog::Catalog;
use crate::gateway::Gateway;
use cortado_cluster::{
    ChangeId, ChangeState, MovingPartition, Placement, PlannedChange, ReplicaState, ServingLeader,
};
use cortado_driver::ReplicaRole;
use cortado_model::{DatabaseId, NodeId, PartitionId, Scn};
use cortado_peer::{CallError, Holding, Holdings};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// How long a node may take to say what it holds. One that takes longer counts as away.
const HOLDINGS_TIMEOUT: Duration = Duration::from_secs(2);

/// What the nodes have said of the replicas that they hold.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// How far each node that has answered has folded `_cluster`.
    nodes: BTreeMap<NodeId, Scn>,
    /// Which nodes each of them trims logs without.
    away: BTreeMap<NodeId, BTreeSet<NodeId>>,
    holdings: HashMap<PartitionId, Vec<(NodeId, Holding)>>,
}

impl Gateway {
    /// Asks all members what they hold of some partitions, or of all.
    pub(crate) async fn told_of(
        &self,
        catalog: &Catalog,
        partitions: Option<&BTreeSet<PartitionId>>,
    ) -> Told {
        let deadline = Instant::now() + HOLDINGS_TIMEOUT;
        let mut asked = JoinSet::new();
        for node in catalog.members() {
            let Some(target) = self.target(node) else { continue };
            let wanted = partitions.map(|partitions| partitions.iter().copied().collect());
            asked.spawn(async move {
                let holdings = timeout_at(deadline, target.holdings(wanted, deadline)).await;
                (node, holdings.unwrap_or(Err(CallError::Late)))
            });
        }
        let mut told = Told::default();
        for (node, holdings) in asked.join_all().await {
            if let Ok(holdings) = holdings {
                told.hear(node, holdings);
            }
        }
        told
    }
}

impl Told {
    fn hear(&mut self, node: NodeId, Holdings { cluster_scn, away, replicas }: Holdings) {
        self.nodes.insert(node, cluster_scn);
        self.away.insert(node, away.into_iter().collect());
        for replica in replicas {
            let partition = replica.progress.partition;
            self.holdings.entry(partition).or_default().push((node, replica));
        }
    }

    /// The nodes that have answered.
    pub(crate) fn alive(&self) -> BTreeSet<NodeId> {
        self.nodes.keys().copied().collect()
    }

    /// What a replica of `partition` holds, in bytes, if its leader knows.
    pub(crate) fn bytes_of(&self, partition: PartitionId) -> Option<u64> {
        self.holdings.get(&partition)?.iter().filter_map(|(_, holding)| holding.bytes).max()
    }

    /// Whether a leader of `partition` has answered.
    pub(crate) fn is_led(&self, partition: PartitionId) -> bool {
        self.leader_of(partition).is_some()
    }

    fn leader_of(&self, partition: PartitionId) -> Option<ServingLeader> {
        let holdings = self.holdings.get(&partition)?.iter();
        let leads =
            |(_, holding): &&(NodeId, Holding)| holding.progress.role == ReplicaRole::Leader;
        let newest = |(_, holding): &&(NodeId, Holding)| holding.progress.leader.generation;
        holdings.filter(leads).max_by_key(newest).map(|(node, holding)| ServingLeader {
            node: *node,
            generation: holding.progress.leader.generation,
            replica_set: holding.replica_set.clone(),
        })
    }

    fn replicas_of(&self, partition: PartitionId) -> BTreeMap<NodeId, ReplicaState> {
        let holdings = self.holdings.get(&partition).map_or(&[][..], Vec::as_slice);
        let end = self.end_of(partition);
        let state = |(node, holding): &(NodeId, Holding)| {
            let Holding { progress, bytes, copied_bytes, .. } = holding;
            let state = ReplicaState {
                cluster_scn: self.nodes.get(node).copied().unwrap_or_default(),
                readable: progress.role.is_readable(),
                lag_records: end.saturating_sub(progress.folded.0),
                copied_bytes: copied_bytes.or(*bytes).unwrap_or_default(),
            };
            (*node, state)
        };
        holdings.iter().map(state).collect()
    }

    /// What has become of the replicas on `nodes`, and of those that are elsewhere.
    ///
    /// A node that has folded where its replica is placed, has answered, and has named none has
    /// none: it is not silent, and not to be waited for as if it were.
    fn replicas_on(
        &self,
        partition: PartitionId,
        nodes: &[NodeId],
        declared_at: Scn,
    ) -> BTreeMap<NodeId, ReplicaState> {
        let mut replicas = self.replicas_of(partition);
        for node in nodes {
            let folded = self.nodes.get(node).filter(|folded| **folded >= declared_at);
            let Some(cluster_scn) = folded.copied() else { continue };
            let missing = ReplicaState {
                cluster_scn,
                readable: false,
                lag_records: self.end_of(partition),
                copied_bytes: 0,
            };
            replicas.entry(*node).or_insert(missing);
        }
        replicas
    }

    /// How far the furthest replica has folded.
    fn end_of(&self, partition: PartitionId) -> u64 {
        let holdings = self.holdings.get(&partition).map_or(&[][..], Vec::as_slice);
        holdings.iter().map(|(_, holding)| holding.progress.folded.0).max().unwrap_or_default()
    }

    /// A partition as it was told of; `None` if there is none of that number.
    pub(crate) fn partition(
        &self,
        catalog: &Catalog,
        partition: PartitionId,
    ) -> Option<MovingPartition> {
        let database = catalog.database_by_id(partition.database)?;
        let placement = Placement::new(database.placement(partition.number).to_vec())?;
        let target =
            catalog.target(partition).and_then(|(_, nodes)| Placement::new(nodes.to_vec()));
        let leader = self.leader_of(partition);
        let away = leader.as_ref().and_then(|leader| self.away.get(&leader.node));
        let moving = catalog.moving(partition).map(|(moving, _)| moving);
        let declared_at = catalog.declared_at(partition)?;
        let mut nodes = placement.nodes().to_vec();
        nodes.extend(moving.and_then(|moving| moving.add));
        // A change that was given up leaves the journal's replicas where they are.
        let running = catalog.changes().filter(|change| change.state != ChangeState::Cancelled);
        let leaving = running.filter_map(|change| change.kind.leaving()).next();
        Some(MovingPartition {
            partition,
            target: target.unwrap_or_else(|| placement.clone()),
            placement,
            moving,
            declared_at,
            replication: catalog.replication_without(database, leaving),
            replicas: self.replicas_on(partition, &nodes, declared_at),
            away: away.cloned().unwrap_or_default(),
            leader,
            bytes: self.bytes_of(partition).unwrap_or_default(),
        })
    }

    /// All partitions of a change.
    pub(crate) fn partitions(
        &self,
        catalog: &Catalog,
        change: &PlannedChange,
    ) -> Vec<MovingPartition> {
        let concerned = concerned(catalog, change.id);
        concerned.into_iter().filter_map(|partition| self.partition(catalog, partition)).collect()
    }
}

/// The partitions that a change is to move, or has begun to.
pub(crate) fn concerned(catalog: &Catalog, change: ChangeId) -> BTreeSet<PartitionId> {
    let targets = catalog.targets.iter().filter(|(_, (of, _))| *of == change);
    let moves = catalog.moves.iter().filter(|(_, (moving, _))| moving.change == change);
    targets.map(|(partition, _)| *partition).chain(moves.map(|(partition, _)| *partition)).collect()
}

/// Every partition that can be moved: all but `_cluster`, which every node holds.
pub(crate) fn movable(catalog: &Catalog) -> BTreeSet<PartitionId> {
    let is_begun =
        |id: DatabaseId| catalog.database_by_id(id).is_some_and(|database| database.log.is_some());
    let partitions = catalog.placements().map(|(partition, _)| partition);
    partitions.filter(|partition| is_begun(partition.database)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::{Generation, LogOffset, Sequence};
    use cortado_peer::{KnownLeader, ReplicaProgress};

    fn scn(sequence: u64) -> Scn {
        Scn::new(Generation(1), Sequence(sequence))
    }

    fn holding(partition: PartitionId) -> Holding {
        let progress = ReplicaProgress {
            partition,
            role: ReplicaRole::Follower,
            leader: KnownLeader::default(),
            applied: scn(9),
            folded: LogOffset(40),
            has_room: true,
        };
        let (end, replica_set) = (LogOffset(40), Vec::new());
        Holding { progress, end, replica_set, bytes: Some(7), copied_bytes: None }
    }

    #[test]
    fn who_answers_and_has_no_replica_is_there_without_one() {
        let partition = PartitionId { database: DatabaseId(1), number: 0 };
        let nodes = [1, 2, 3, 4].map(NodeId);
        let mut told = Told::default();
        let mut hear = |node, folded: u64, replicas: &[Holding]| {
            let (cluster_scn, replicas) = (scn(folded), replicas.to_vec());
            told.hear(NodeId(node), Holdings { cluster_scn, away: Vec::new(), replicas });
        };
        hear(1, 5, &[holding(partition)]);
        hear(2, 5, &[]);
        // It may not know yet that it should have one.
        hear(3, 4, &[]);
        let replicas = told.replicas_on(partition, &nodes, scn(5));
        assert!(replicas[&NodeId(1)].is_caught_up());
        let missing = replicas[&NodeId(2)];
        assert!(!missing.is_caught_up() && !missing.readable, "{missing:?}");
        assert_eq!((missing.lag_records, missing.copied_bytes), (40, 0));
        // Silent, as who has not answered at all.
        assert!(!replicas.contains_key(&NodeId(3)) && !replicas.contains_key(&NodeId(4)));
    }
}
