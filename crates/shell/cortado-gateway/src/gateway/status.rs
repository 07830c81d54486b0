//! The picture of the cluster for operators.
//!
//! Start reading at [`Gateway::status`].

use super::Gateway;
use crate::catalog::Catalog;
use crate::status::{DatabaseStatus, NodeStatus, NotReady, PartitionStatus, ReplicaStatus, Status};
use cortado_driver::ReplicaRole;
use cortado_model::{DatabaseId, NodeId, NodeIncarnation, PartitionId, Scn};
use cortado_peer::{CallError, NodeReport, ReplicaReport};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// How long a node may take to say how it is. One that takes longer is shown as one that does not
/// run: the client waits for the answer.
const REPORT_TIMEOUT: Duration = Duration::from_secs(1);

/// What the nodes say of themselves and their replicas.
pub(crate) struct Reports {
    pub(super) told: BTreeMap<NodeId, NodeReport>,
    /// Nodes that were reached and have not answered.
    pub(crate) silent: BTreeSet<NodeId>,
}

impl Reports {
    /// Whether some node says that it has a replica of `database`.
    pub(crate) fn tell_of(&self, database: DatabaseId) -> bool {
        let mut replicas = self.told.values().flat_map(|report| &report.replicas);
        replicas.any(|replica| replica.progress.partition.database == database)
    }
}

impl Gateway {
    /// The cluster as its nodes say that it is.
    pub async fn status(&self) -> Status {
        let catalog = self.catalog();
        let reports = self.reports(None).await;
        let replicas = by_partition(&reports);
        let members: Vec<NodeId> = catalog.members().collect();
        let of = |partition: PartitionId, placement: &[NodeId]| {
            let found = replicas.get(&partition).map_or(&[][..], Vec::as_slice);
            let pinned = catalog.pin(partition);
            PartitionStatus { pinned, ..partition_status(partition.number, placement, found) }
        };
        let mut databases = vec![DatabaseStatus {
            name: "_cluster".to_owned(),
            partitions: vec![of(PartitionId::CLUSTER, &members)],
        }];
        for database in catalog.databases() {
            let numbers = 0..database.partitions;
            let partitions = numbers
                .map(|number| {
                    let partition = database.partition_id(number);
                    of(partition, &catalog.held(partition, database.placement(number)))
                })
                .collect();
            databases.push(DatabaseStatus { name: database.name.clone(), partitions });
        }
        let nodes = self.known_nodes(&catalog).into_iter().map(|node| {
            let status = node_status(node, &catalog, reports.told.get(&node), &databases);
            // Those that cannot run are shown, too: with the reason.
            NodeStatus { sick: status.sick.or_else(|| self.parts().refusals.of(node)), ..status }
        });
        Status { nodes: nodes.collect(), databases }
    }

    /// Whether clients can be served: the cluster has its journal, and every partition is served.
    /// What is wrong with nodes all the same, each with its name: they are sick, or stay down.
    ///
    /// # Errors
    /// See [`NotReady`].
    pub async fn ready(&self) -> Result<Vec<String>, NotReady> {
        if let Some(why) = self.parts().log.failure() {
            return Err(NotReady::LogFailed { why });
        }
        if self.is_ending() {
            return Err(NotReady::Ending);
        }
        let reports = self.reports(None).await;
        let replicas = by_partition(&reports);
        let serving = |partition| {
            let found = replicas.get(&partition).map_or(&[][..], Vec::as_slice);
            leader_of(found).is_some()
        };
        if !serving(PartitionId::CLUSTER) {
            return Err(NotReady::NoClusterLeader);
        }
        let catalog = self.catalog();
        if catalog.journal().is_none() {
            return Err(NotReady::NoJournal);
        }
        match catalog.placements().filter(|(partition, _)| !serving(*partition)).count() {
            0 => {
                let wrong = |node: NodeId| {
                    let told = reports.told.get(&node);
                    let why = told.map(|report| report.sick.clone());
                    let why = why.unwrap_or_else(|| self.parts().refusals.of(node));
                    why.map(|why| format!("{}: {why}", catalog.name_of(node)))
                };
                Ok(self.known_nodes(&catalog).into_iter().filter_map(wrong).collect())
            }
            partitions => Err(NotReady::NoLeader { partitions }),
        }
    }

    /// What the nodes say of themselves.
    ///
    /// * `database`: of the replicas of this one alone.
    pub(crate) async fn reports(&self, database: Option<DatabaseId>) -> Reports {
        let deadline = Instant::now() + REPORT_TIMEOUT;
        let mut asked = JoinSet::new();
        for node in self.known_nodes(&self.catalog()) {
            let Some(target) = self.target(node) else { continue };
            asked.spawn(async move {
                let report = target.report(database, deadline);
                let report = timeout_at(deadline, report).await;
                (node, report.unwrap_or(Err(CallError::Late)))
            });
        }
        let (mut told, mut silent) = (BTreeMap::new(), BTreeSet::new());
        for (node, report) in asked.join_all().await {
            match report {
                Ok(report) => drop(told.insert(node, report)),
                Err(CallError::Unreachable) => {}
                Err(CallError::Lost | CallError::Late) => drop(silent.insert(node)),
            }
        }
        Reports { told, silent }
    }

    /// The members, and those that are about to become some.
    fn known_nodes(&self, catalog: &Catalog) -> Vec<NodeId> {
        let is_removed = |node: &NodeId| catalog.node(*node).is_some_and(|facts| facts.removed);
        let founders = self.cluster().founders().filter(|node| !is_removed(node));
        let nodes: BTreeSet<_> = catalog.members().chain(founders).collect();
        nodes.into_iter().collect()
    }
}

/// The replicas of each partition, as their nodes report them.
fn by_partition(reports: &Reports) -> HashMap<PartitionId, Vec<(NodeId, ReplicaReport)>> {
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    for (node, report) in &reports.told {
        for replica in &report.replicas {
            found.entry(replica.progress.partition).or_default().push((*node, *replica));
        }
    }
    found
}

/// The replicas of one partition, as their nodes report them.
pub(super) fn replicas_of(
    reports: &Reports,
    partition: PartitionId,
) -> Vec<(NodeId, ReplicaReport)> {
    let told = reports
        .told
        .iter()
        .flat_map(|(node, report)| report.replicas.iter().map(|replica| (*node, *replica)));
    told.filter(|(_, replica)| replica.progress.partition == partition).collect()
}

/// Who serves as leader: of several that say so, the one of the newest leadership.
pub(super) fn leader_of(replicas: &[(NodeId, ReplicaReport)]) -> Option<NodeId> {
    let leads =
        |(_, replica): &&(NodeId, ReplicaReport)| replica.progress.role == ReplicaRole::Leader;
    let newest = |(_, replica): &&(NodeId, ReplicaReport)| replica.progress.leader.generation;
    replicas.iter().filter(leads).max_by_key(newest).map(|(node, _)| *node)
}

fn partition_status(
    number: u32,
    placement: &[NodeId],
    found: &[(NodeId, ReplicaReport)],
) -> PartitionStatus {
    let end = found.iter().map(|(_, replica)| replica.end).max().unwrap_or_default();
    let status_of = |node: &NodeId| {
        let found = found.iter().find(|(of, _)| of == node).map(|(_, replica)| replica);
        let read = |f: &dyn Fn(&ReplicaReport) -> u64| found.map_or(0, f);
        ReplicaStatus {
            node: *node,
            is_told: found.is_some(),
            role: found.map_or(ReplicaRole::Offline, |replica| replica.progress.role),
            unverified: found.is_some_and(|replica| replica.unverified),
            applied: found.map_or(Scn::ZERO, |replica| replica.progress.applied),
            lag_records: read(&|replica| end.0.saturating_sub(replica.progress.folded.0)),
            lag_ms: read(&|replica| replica.behind_ms),
        }
    };
    let generations = found.iter().map(|(_, replica)| replica.progress.leader.generation);
    PartitionStatus {
        number,
        leader: leader_of(found),
        preferred: placement.first().copied(),
        pinned: None,
        generation: generations.max().unwrap_or_default(),
        end,
        replicas: placement.iter().map(status_of).collect(),
    }
}

fn node_status(
    node: NodeId,
    catalog: &Catalog,
    report: Option<&NodeReport>,
    databases: &[DatabaseStatus],
) -> NodeStatus {
    let partitions = || databases.iter().flat_map(|database| &database.partitions);
    let facts = catalog.nodes.get(&node);
    let known = facts.map_or(NodeIncarnation(0), |facts| facts.incarnation);
    let stored = facts.map(|facts| facts.address.clone()).unwrap_or_default();
    NodeStatus {
        node,
        alive: report.is_some(),
        incarnation: report.map_or(known, |report| report.incarnation),
        address: report.map_or(stored, |report| report.address.clone()),
        leaderships: partitions().filter(|partition| partition.leader == Some(node)).count(),
        replicas: partitions()
            .flat_map(|partition| &partition.replicas)
            .filter(|replica| replica.node == node && replica.role.is_readable())
            .count(),
        zone: facts.and_then(|facts| facts.description.zone.clone()),
        capacity: facts.map(|facts| facts.description.capacity),
        drained: catalog.is_drained(node),
        sick: report.and_then(|report| report.sick.clone()),
    }
}
