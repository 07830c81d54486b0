//! What operators order side by side.

use super::*;
use crate::catalog::{NodeDescription, NodeFacts};
use crate::cluster_log::{NODES, NodeDocument};
use crate::gateway::DatabaseSpec;
use crate::gateway::admin_error::Uncertainty;
use crate::scripted::{ScriptedCluster, soon};
use cortado_model::{DirectoryUuid, NodeIncarnation};
use cortado_peer::CallError;
use cortado_peer::conformance::Question;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);

#[test]
fn a_pin_is_taken_back_only_from_where_it_was_put() {
    let back = |before| PinChange::TakeBack { from: N2, before };
    assert_eq!(back(Some(N1)).applied_to(Some(N2)), Some(N1));
    assert_eq!(back(None).applied_to(Some(N2)), None);
    // Another operator has moved it, or forgotten it, meanwhile.
    assert_eq!(back(Some(N1)).applied_to(Some(N3)), Some(N3));
    assert_eq!(back(Some(N1)).applied_to(None), None);
    assert_eq!(PinChange::Place(N2).applied_to(Some(N3)), Some(N2));
}

#[tokio::test(start_paused = true)]
async fn what_is_pinned_while_a_pin_is_taken_back_stays() {
    let cluster = ScriptedCluster::new();
    let spec = DatabaseSpec { partitions: Some(1), ..DatabaseSpec::default() };
    cluster.gateway.create_database("music", spec, soon()).await.unwrap();
    let gateway = &cluster.gateway;
    let music = Arc::clone(gateway.catalog().database("music").unwrap());
    let partition = music.partition_id(0);
    gateway.set_pin(&music, partition, PinChange::Place(N2), soon()).await.unwrap();
    // Just before it is written, another command pins it elsewhere.
    let (node, id, mut others) = (Arc::clone(&cluster.node), music.id, 0);
    cluster.between(move |question| {
        if matches!(question, Question::Write(_)) && others == 0 {
            others += 1;
            let pins = write(&PinsDocument::of(&[(0, N3)].into()));
            let value = Some(pins.as_bytes().to_vec());
            node.apply(PartitionId::CLUSTER, vec![(PINS, pins_key(id), value)]);
        }
        None
    });
    let back = PinChange::TakeBack { from: N2, before: None };
    gateway.set_pin(&music, partition, back, soon()).await.unwrap();
    assert_eq!(gateway.catalog().pin(partition), Some(N3));
}

/// n2, which is registered and runs as n1 does.
fn with_second_node(cluster: &ScriptedCluster) {
    let facts = NodeDocument::of(&NodeFacts {
        node: N2,
        incarnation: NodeIncarnation(1),
        directory: DirectoryUuid(2),
        nonce: 2,
        replaced: false,
        removed: false,
        address: String::new(),
        description: NodeDescription::default(),
    });
    let value = Some(write(&facts).as_bytes().to_vec());
    cluster.node.apply(PartitionId::CLUSTER, vec![(NODES, node_key(N2), value)]);
}

#[tokio::test(start_paused = true)]
async fn two_drains_side_by_side_leave_a_node_that_leads() {
    let cluster = ScriptedCluster::new();
    with_second_node(&cluster);
    // Just before the drain of n2 is written, n1 is drained.
    let (node, mut others) = (Arc::clone(&cluster.node), 0);
    cluster.between(move |question| {
        if matches!(question, Question::Write(_)) && others == 0 {
            others += 1;
            let value = Some(write(&DrainDocument::new()).as_bytes().to_vec());
            node.apply(PartitionId::CLUSTER, vec![(DRAINS, node_key(N1), value)]);
        }
        None
    });
    let drained = cluster.gateway.drain_node(N2, soon()).await;
    assert!(matches!(drained, Err(AdminError::LastNode)), "{drained:?}");
    assert!(!cluster.gateway.catalog().is_drained(N2));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_run_is_not_left_to_lead() {
    let cluster = ScriptedCluster::new();
    with_second_node(&cluster);
    // n2 cannot be reached.
    let drained = cluster.gateway.drain_node(N1, soon()).await;
    assert!(matches!(drained, Err(AdminError::LastNode)), "{drained:?}");
    cluster.gateway.drain_node(N2, soon()).await.unwrap();
}

/// Pins of `count` databases, as many operators have placed them.
fn with_pins(cluster: &ScriptedCluster, count: u32) {
    let value = write(&PinsDocument::of(&[(0, N1)].into())).as_bytes().to_vec();
    let pinned = |id| (PINS, pins_key(DatabaseId(id)), Some(value.clone()));
    cluster.node.apply(PartitionId::CLUSTER, (1..=count).map(pinned).collect());
}

#[tokio::test(start_paused = true)]
async fn however_many_databases_are_pinned_all_pins_are_forgotten() {
    for (pinned, want) in [(1_000, 1), (2_500, 3)] {
        let cluster = ScriptedCluster::new();
        with_pins(&cluster, pinned);
        let writes = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&writes);
        cluster.between(move |question| {
            counted.fetch_add(u32::from(matches!(question, Question::Write(_))), Relaxed);
            None
        });
        cluster.gateway.rebalance(None, soon()).await.unwrap();
        assert!(cluster.gateway.catalog().pins.is_empty());
        assert_eq!(writes.load(Relaxed), want);
    }
}

#[tokio::test(start_paused = true)]
async fn pins_of_which_some_are_forgotten_are_not_called_untouched() {
    let cluster = ScriptedCluster::new();
    with_pins(&cluster, 1_001);
    let mut written = false;
    cluster.between(move |question| {
        let silent = written;
        written |= matches!(question, Question::Write(_));
        silent.then_some(Err(CallError::Unreachable))
    });
    let open = cluster.gateway.rebalance(None, soon()).await;
    assert!(matches!(open, Err(AdminError::Unknown(Uncertainty::Unfinished(_)))), "{open:?}");
    assert_eq!(cluster.gateway.catalog().pins.len(), 1);
    // Repeated, it goes on where it was.
    cluster.between(|_| None);
    cluster.gateway.rebalance(None, soon()).await.unwrap();
    assert!(cluster.gateway.catalog().pins.is_empty());
}
