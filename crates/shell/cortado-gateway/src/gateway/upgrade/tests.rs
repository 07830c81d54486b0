//! When the gate opens, and who comes meanwhile.

use super::*;
use crate::catalog::{NodeDescription, NodeFacts};
use crate::cluster_log::NodeDocument;
use crate::scripted::{ScriptedCluster, soon};
use cortado_model::{DirectoryUuid, NodeIncarnation};
use cortado_peer::conformance::Question;
use std::sync::Arc;

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);

/// A life of a node that has declared to read `level`.
fn facts(node: NodeId, incarnation: u64, level: u32) -> NodeFacts {
    NodeFacts {
        node,
        incarnation: NodeIncarnation(incarnation),
        directory: DirectoryUuid(u128::from(node.0)),
        nonce: u128::from(incarnation),
        replaced: false,
        removed: false,
        address: String::new(),
        description: NodeDescription { feature_level: level, ..NodeDescription::default() },
    }
}

/// Registers as a node does that starts.
async fn register(gateway: &Gateway, facts: &NodeFacts) -> bool {
    let before = gateway.registered(facts.node, soon()).await.unwrap();
    let level = gateway.level_in_force(soon()).await.unwrap();
    gateway.register(facts, before.as_ref(), level, None, soon()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_is_finished_when_every_node_reads_what_is_written_then() {
    let cluster = ScriptedCluster::new();
    let gateway = &cluster.gateway;
    let status = gateway.finish_upgrade(soon()).await.unwrap();
    assert_eq!((status.feature_level, status.gate), (1, Gate::Open));
    assert!(register(gateway, &facts(N2, 1, 2)).await);
    let held = gateway.finish_upgrade(soon()).await.unwrap_err();
    assert!(held.to_string().contains("level 2 is not read by n1:"), "{held}");
    assert!(register(gateway, &facts(N1, 2, 2)).await);
    // One goes back.
    assert!(register(gateway, &facts(N2, 2, 1)).await);
    let held = gateway.finish_upgrade(soon()).await.unwrap_err();
    assert!(held.to_string().contains("is not read by n2:"), "{held}");
    assert!(register(gateway, &facts(N2, 3, 2)).await);
    assert_eq!(gateway.upgrade_status().await.gate, Gate::Ready { level: 2 });
    let status = gateway.finish_upgrade(soon()).await.unwrap();
    assert_eq!((status.feature_level, status.gate), (2, Gate::Open));
    assert_eq!(gateway.level_in_force(soon()).await.unwrap().0, 2);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_removed_comes_back_like_a_new_one() {
    let cluster = ScriptedCluster::new();
    let gateway = &cluster.gateway;
    assert!(register(gateway, &facts(N1, 1, 2)).await);
    assert!(register(gateway, &NodeFacts { removed: true, ..facts(N2, 1, 1) }).await);
    // Whoever raises the level has read it now, and takes the node for gone.
    let (_, before) = gateway.level_in_force(soon()).await.unwrap();
    assert!(register(gateway, &facts(N2, 2, 1)).await);
    assert_ne!(gateway.level_in_force(soon()).await.unwrap().1, before);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_of_more_nodes_than_a_write_has_operations_is_upgraded() {
    let cluster = ScriptedCluster::new();
    let gateway = &cluster.gateway;
    let documents = (1..=1_200).map(|number| {
        let facts = facts(NodeId(number), 1, 2);
        let value = write(&NodeDocument::of(&facts)).as_bytes().to_vec();
        (NODES, node_key(facts.node), Some(value))
    });
    cluster.node.apply(PartitionId::CLUSTER, documents.collect());
    let status = gateway.finish_upgrade(soon()).await.unwrap();
    assert_eq!((status.feature_level, status.nodes.len()), (2, 1_200));
}

/// Of two writes that cross, the upgrade's and one that a node's registration makes just before it,
/// the first counts.
async fn crosses(other: NodeFacts) -> String {
    let cluster = ScriptedCluster::new();
    let gateway = &cluster.gateway;
    assert!(register(gateway, &facts(N1, 2, 2)).await);
    let (node, mut others) = (Arc::clone(&cluster.node), 0);
    cluster.between(move |question| {
        if matches!(question, Question::Write(_)) && others == 0 {
            others += 1;
            let value = |document: cortado_document::Document| Some(document.as_bytes().to_vec());
            let registered = value(write(&NodeDocument::of(&other)));
            let level = value(write(&FeatureLevelDocument::new(1)));
            let mut written = vec![(NODES, node_key(other.node), registered)];
            if other.node != N1 {
                written.push((FEATURE_LEVELS, feature_level_key(), level));
            }
            node.apply(PartitionId::CLUSTER, written);
        }
        None
    });
    match gateway.finish_upgrade(soon()).await {
        Ok(status) => format!("level {}", status.feature_level),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_or_goes_back_while_an_upgrade_is_finished_is_not_missed() {
    assert!(crosses(facts(N2, 1, 1)).await.contains("is not read by n2:"));
    assert_eq!(crosses(facts(N2, 1, 2)).await, "level 2");
    // A known node that goes back changes its own document alone, and that is looked at.
    assert_eq!(crosses(facts(N1, 3, 1)).await, "level 1");
    assert_eq!(crosses(facts(N1, 3, 2)).await, "level 2");
}

#[tokio::test(start_paused = true)]
async fn a_registration_rests_on_the_level_that_it_was_checked_against() {
    let cluster = ScriptedCluster::new();
    let gateway = &cluster.gateway;
    assert!(register(gateway, &facts(N1, 2, 2)).await);
    let before = gateway.level_in_force(soon()).await.unwrap();
    gateway.finish_upgrade(soon()).await.unwrap();
    let late = gateway.register(&facts(N2, 1, 1), None, before, None, soon()).await.unwrap();
    assert!(!late, "it looks again, and sees that it is too old");
    let now = gateway.registered(N1, soon()).await.unwrap();
    let back = gateway.register(&facts(N1, 3, 1), now.as_ref(), before, None, soon()).await;
    assert!(!back.unwrap());
}
