//! What is not well in a cluster, in groups: for one reason, so many partitions.
//!
//! Hundreds of partitions are a few lines then, the worst first. Start reading at [`troubles`].

mod ranges;

use cortado_wire::{ClusterAnswer, NodeAnswer, PartitionAnswer, ReplicaAnswer};
pub(crate) use ranges::Ranges;
use std::collections::BTreeMap;

/// How bad it is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// Clients are refused, or histories differ.
    Bad,
    /// One failure more, and clients may be refused.
    Weak,
    /// It works, and is not where it should be.
    Odd,
}

/// One reason, and what it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) severity: Severity,
    pub(crate) what: String,
    /// None, if it is about a node as such.
    pub(crate) partitions: Ranges,
}

/// A replica whose newest state is older than this is not well.
const LAG_MS_MAX: u64 = 1_000;

/// All that is not well: the worst first, then what concerns the most partitions.
pub(crate) fn troubles(answer: &ClusterAnswer) -> Vec<Trouble> {
    let mut found: BTreeMap<(Severity, String), Ranges> = BTreeMap::new();
    for node in &answer.nodes {
        if let Some(found_of_node) = trouble_of_node(node) {
            found.insert(found_of_node, Ranges::default());
        }
    }
    for database in &answer.databases {
        for partition in &database.partitions {
            for reason in reasons(partition, &answer.nodes) {
                found.entry(reason).or_default().add(&database.name, partition.partition);
            }
        }
    }
    let trouble = |((severity, what), partitions)| Trouble { severity, what, partitions };
    let mut troubles: Vec<Trouble> = found.into_iter().map(trouble).collect();
    troubles.sort_by_key(|trouble| {
        let count = trouble.partitions.count();
        // What is said of a node explains what follows.
        (trouble.severity, count > 0, std::cmp::Reverse(count))
    });
    troubles
}

fn trouble_of_node(node: &NodeAnswer) -> Option<(Severity, String)> {
    let name = &node.node;
    match (node.alive, &node.sick) {
        (false, Some(why)) => Some((Severity::Bad, format!("node {name} is down: {why}"))),
        (false, None) => Some((Severity::Bad, format!("node {name} is dead"))),
        (true, Some(why)) => Some((Severity::Weak, format!("node {name} is sick: {why}"))),
        (true, None) => None,
    }
}

/// Whether a partition is led where it should be, and all of its replicas keep up.
pub(crate) fn is_well(partition: &PartitionAnswer, nodes: &[NodeAnswer]) -> bool {
    reasons(partition, nodes).is_empty()
}

/// What is not well about one partition.
fn reasons(partition: &PartitionAnswer, nodes: &[NodeAnswer]) -> Vec<(Severity, String)> {
    let mut reasons = Vec::new();
    if partition.leader.is_none() {
        reasons.push((Severity::Bad, "no leader".to_owned()));
    }
    let several = partition.replicas.len() > 1;
    let replicas = partition.replicas.iter();
    reasons.extend(replicas.filter_map(|replica| trouble_of_replica(replica, several, nodes)));
    reasons.extend(misplaced(partition, nodes).map(|what| (Severity::Odd, what)));
    reasons
}

fn trouble_of_replica(
    replica: &ReplicaAnswer,
    several: bool,
    nodes: &[NodeAnswer],
) -> Option<(Severity, String)> {
    let ReplicaAnswer { node, role, unverified, lag_ms, .. } = replica;
    let is_dead = nodes.iter().any(|found| found.node == *node && !found.alive);
    let weak = |what: String| Some((Severity::Weak, what));
    match (role.as_str(), *lag_ms) {
        _ if is_dead => weak(format!("a replica on {node}, which does not run")),
        ("disputed" | "diverged", _) => {
            Some((Severity::Bad, format!("a replica on {node} with another history ({role})")))
        }
        ("full", _) => Some((Severity::Bad, format!("a replica on {node} without room"))),
        ("follower" | "leader", Some(lag_ms)) if lag_ms > LAG_MS_MAX => {
            weak(format!("a replica on {node} that is behind"))
        }
        ("follower" | "leader", None) => {
            weak(format!("a replica on {node} that does not tell how far it is"))
        }
        ("leader", Some(_)) if *unverified && several => {
            weak(format!("led by {node}, unverified: no replica could compare with it"))
        }
        ("follower" | "leader", Some(_)) => None,
        (role, _) => weak(format!("a replica on {node} that is {role}")),
    }
}

/// Where it is led instead, if it is led where it should not be.
fn misplaced(partition: &PartitionAnswer, nodes: &[NodeAnswer]) -> Option<String> {
    let is_drained = |name: &String| nodes.iter().any(|node| node.node == *name && node.drained);
    let leader = partition.leader.as_ref()?;
    let wanted = partition.pinned.as_ref().or(partition.preferred.as_ref());
    if is_drained(leader) {
        let moves = could_move(partition, leader, nodes);
        return moves.then(|| format!("led by {leader}, which is drained"));
    }
    match wanted {
        Some(wanted) if wanted == leader || is_drained(wanted) => None,
        Some(wanted) if partition.pinned.is_some() => {
            Some(format!("led by {leader}, pinned to {wanted}"))
        }
        Some(wanted) => Some(format!("led by {leader}, should be {wanted}")),
        None => Some(format!("led by {leader}, which holds no placed replica")),
    }
}

/// Whether another node than `leader` could lead: it runs, is neither sick nor drained, and has a
/// replica that can be read.
pub(crate) fn could_move(partition: &PartitionAnswer, leader: &str, nodes: &[NodeAnswer]) -> bool {
    let is_fit = |name: &str| {
        let mut found = nodes.iter().filter(|node| node.node == name);
        found.any(|node| node.alive && !node.drained && node.sick.is_none())
    };
    let others = partition.replicas.iter().filter(|replica| replica.node != leader);
    let mut able = others.filter(|replica| replica.role == "follower");
    able.any(|replica| is_fit(&replica.node))
}
