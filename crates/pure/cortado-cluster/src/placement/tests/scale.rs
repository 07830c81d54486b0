//! Placement at the size of a large cluster, in zones, and on nodes that can carry more or less.

use super::*;

/// A large cluster's partitions.
const PARTITIONS: u32 = 4_096;
const REPLICATION: u32 = 3;
/// Looks at a candidate that planning may take: a few hundred million would be seconds.
const LOOKED_MAX: u64 = 20_000_000;

/// `count` nodes in so many zones, with these capacities in turn.
fn zoned(count: u32, zones: u32, capacities: &[u32]) -> Vec<PlacementNode> {
    let nodes = (1..=count).zip(capacities.iter().cycle());
    let node = |(number, capacity): (u32, &u32)| PlacementNode {
        node: node(number),
        zone: (zones > 0).then(|| Zone::new(&format!("z{}", number % zones)).expect("a name")),
        capacity: Capacity::new(*capacity).expect("a capacity"),
    };
    nodes.map(node).collect()
}

fn plain_nodes(count: u32) -> Vec<PlacementNode> {
    zoned(count, 0, &[100])
}

fn placed(placements: &[Placement], replication: u32) -> Vec<Placed> {
    let placed = |placement: &Placement| Placed { placement: placement.clone(), replication };
    placements.iter().map(placed).collect()
}

fn plan_alone(nodes: &[PlacementNode], partitions: u32, replication: u32) -> Vec<Placement> {
    plan_on(nodes, partitions, replication, &no_load())
}

fn replan_alone(
    placements: &[Placement],
    nodes: &[PlacementNode],
    replication: u32,
) -> Vec<Placement> {
    replan_on(&placed(placements, replication), nodes, &no_load())
}

/// How often each node is counted.
fn count(counted: impl Iterator<Item = NodeId>) -> BTreeMap<NodeId, u32> {
    let mut counts = BTreeMap::new();
    counted.for_each(|node| *counts.entry(node).or_default() += 1);
    counts
}

/// Checks that each node has its share of replicas and of leaderships, within `percent`.
#[track_caller]
fn check_shares(placements: &[Placement], nodes: &[PlacementNode], percent: f64, what: &str) {
    let capacity: f64 = nodes.iter().map(|node| f64::from(node.capacity.get())).sum();
    let replicas = count(placements.iter().flat_map(|placed| placed.nodes().iter().copied()));
    let leaders = count(placements.iter().map(Placement::preferred));
    for (counts, kind) in [(replicas, "replicas"), (leaders, "leaders")] {
        let total: u32 = counts.values().sum();
        for PlacementNode { node, capacity: own, .. } in nodes {
            let share = f64::from(total) * f64::from(own.get()) / capacity;
            let count = f64::from(counts.get(node).copied().unwrap_or(0));
            let off = (count - share).abs() - 1.0;
            assert!(off <= share * percent / 100.0, "{node}: {count} {kind} of {share}: {what}");
        }
    }
}

/// Checks that after any node's death no survivor leads much more than is right for it.
#[track_caller]
fn check_deaths(placements: &[Placement], nodes: &[PlacementNode], what: &str) {
    let of: BTreeMap<NodeId, u32> =
        nodes.iter().map(|node| (node.node, node.capacity.get())).collect();
    for dead in nodes.iter().map(|node| node.node) {
        let leaders = placements.iter().map(|placement| {
            let mut nodes = placement.nodes().iter().copied().filter(|node| *node != dead);
            nodes.next().expect("another replica")
        });
        let leads = count(leaders);
        let capacity: u32 = of.iter().filter(|(node, _)| **node != dead).map(|(_, own)| own).sum();
        for (node, count) in leads {
            let share = placements.len() as f64 * f64::from(of[&node]) / f64::from(capacity);
            let ratio = f64::from(count) / share;
            assert!(ratio <= 1.2, "{node} leads {count} of {share} without {dead}: {what}");
        }
    }
}

/// Checks that no zone holds more replicas of a partition than it must.
#[track_caller]
fn check_zones(placements: &[Placement], nodes: &[PlacementNode], what: &str) {
    let zone_of: BTreeMap<NodeId, &Option<Zone>> =
        nodes.iter().map(|node| (node.node, &node.zone)).collect();
    let mut sizes: BTreeMap<&Option<Zone>, usize> = BTreeMap::new();
    nodes.iter().for_each(|node| *sizes.entry(&node.zone).or_default() += 1);
    let sizes: Vec<usize> = sizes.into_values().collect();
    for placement in placements {
        let mut held: BTreeMap<&Option<Zone>, usize> = BTreeMap::new();
        placement.nodes().iter().for_each(|node| *held.entry(zone_of[node]).or_default() += 1);
        let bounds = super::super::shares::zone_bounds(&sizes, placement.nodes().len());
        let most = bounds.iter().map(|bounds| bounds.most).max().expect("a zone");
        let fewest = bounds.iter().filter(|bounds| bounds.least > 0).count();
        assert!(held.values().all(|held| *held <= most), "{placement:?}: {what}");
        assert!(held.len() >= fewest, "{placement:?}: {what}");
    }
}

fn percent_copied(before: &[Placement], after: &[Placement]) -> f64 {
    let all: usize = before.iter().map(|placement| placement.nodes().len()).sum();
    100.0 * copied(before, after) as f64 / all as f64
}

#[test]
fn a_large_cluster_grows_by_moving_little_more_than_the_new_share() {
    let twenty = plan_alone(&plain_nodes(20), PARTITIONS, REPLICATION);
    check_shares(&twenty, &plain_nodes(20), 5.0, "20 nodes");
    check_deaths(&twenty, &plain_nodes(20), "20 nodes");
    let twenty_five = replan_alone(&twenty, &plain_nodes(25), REPLICATION);
    check_shares(&twenty_five, &plain_nodes(25), 5.0, "25 nodes");
    check_deaths(&twenty_five, &plain_nodes(25), "25 nodes");
    let thirty = replan_alone(&twenty_five, &plain_nodes(30), REPLICATION);
    check_shares(&thirty, &plain_nodes(30), 5.0, "30 nodes");
    check_deaths(&thirty, &plain_nodes(30), "30 nodes");
    let grown = [percent_copied(&twenty, &twenty_five), percent_copied(&twenty_five, &thirty)];
    assert!(grown[0] <= 20.1 && grown[1] <= 16.8, "{grown:?}");
}

/// A small cluster is as even as a large one, from its first database to its growth.
#[test]
fn the_leaderships_of_a_dead_node_are_spread_over_all_survivors() {
    for (partitions, count) in [(64, 5), (64, 4), (128, 7)] {
        let nodes = plain_nodes(count);
        let placements = plan_alone(&nodes, partitions, REPLICATION);
        check_deaths(&placements, &nodes, "a new database");
        let grown = replan_alone(&placements, &plain_nodes(count + 1), REPLICATION);
        check_deaths(&grown, &plain_nodes(count + 1), "one node more");
    }
}

#[test]
fn a_large_cluster_grows_by_whole_racks_too() {
    let (small, large) = (zoned(20, 5, &[100]), zoned(30, 5, &[100]));
    let before = plan_alone(&small, PARTITIONS, REPLICATION);
    check_zones(&before, &small, "20 nodes in 5 zones");
    check_shares(&before, &small, 5.0, "20 nodes in 5 zones");
    let after = replan_alone(&before, &large, REPLICATION);
    check_zones(&after, &large, "30 nodes in 5 zones");
    check_shares(&after, &large, 5.0, "30 nodes in 5 zones");
    check_deaths(&after, &large, "30 nodes in 5 zones");
    assert!(percent_copied(&before, &after) <= 34.0, "{}", percent_copied(&before, &after));
}

#[test]
fn nodes_carry_what_they_can() {
    let nodes = zoned(24, 4, &[100, 100, 200, 50, 300]);
    let placements = plan_alone(&nodes, PARTITIONS, REPLICATION);
    check_zones(&placements, &nodes, "unequal nodes");
    let alike = zoned(24, 0, &[100, 100, 200, 50, 300]);
    let placements = plan_alone(&alike, PARTITIONS, REPLICATION);
    check_shares(&placements, &alike, 5.0, "unequal nodes without zones");
    check_deaths(&placements, &alike, "unequal nodes without zones");
    let again = replan_alone(&placements, &alike, REPLICATION);
    assert_eq!(copied(&placements, &again), 0);
}

#[test]
fn a_node_that_leaves_takes_only_its_replicas_along() {
    let nodes = zoned(25, 5, &[100]);
    let before = plan_alone(&nodes, PARTITIONS, REPLICATION);
    let gone = node(7);
    let rest: Vec<_> = nodes.into_iter().filter(|node| node.node != gone).collect();
    let after = replan_alone(&before, &rest, REPLICATION);
    let held = before.iter().filter(|placement| placement.contains(gone)).count();
    let copied = copied(&before, &after);
    assert!((held..=held + held / 20).contains(&copied), "{copied} copied, {held} were held");
    check_shares(&after, &rest, 5.0, "without n7");
    check_zones(&after, &rest, "without n7");
}

#[test]
fn a_node_that_replaces_another_copies_only_what_that_held() {
    let nodes = plain_nodes(25);
    let before = plan_alone(&nodes, PARTITIONS, REPLICATION);
    let (gone, new) = (node(7), node(99));
    let named = replaced(&before, gone, new).expect("it holds nothing yet");
    let held = before.iter().filter(|placement| placement.contains(gone)).count();
    assert_eq!(copied(&before, &named), held);
    assert!(named.iter().all(|placement| !placement.contains(gone)));
    let leads = |placements: &[Placement], node| {
        placements.iter().filter(|placement| placement.preferred() == node).count()
    };
    assert_eq!(leads(&before, gone), leads(&named, new));
    assert_eq!(replaced(&before, gone, node(8)), None);
    // Planned anew it comes to the same.
    let others = nodes.into_iter().filter(|node| node.node != gone);
    let others: Vec<_> = others.chain([PlacementNode::plain(new)]).collect();
    let planned = replan_alone(&before, &others, REPLICATION);
    assert_eq!(copied(&before, &planned), held);
    check_shares(&planned, &others, 5.0, "n99 for n7");
}

#[test]
fn planning_a_large_cluster_is_bounded_work() {
    let looked = |begin: &dyn Fn(&mut Board), nodes: &[PlacementNode]| {
        let roster = roster_of(nodes, &no_load());
        let mut board = Board::new(roster, (0..PARTITIONS).map(|_| REPLICATION));
        begin(&mut board);
        board.looked
    };
    let nodes = zoned(30, 3, &[100, 150]);
    let planned = looked(&fill, &nodes);
    assert!(planned <= LOOKED_MAX, "{planned}");
    let twenty_five = plan_alone(&plain_nodes(25), PARTITIONS, REPLICATION);
    let replanned = looked(
        &|board| {
            for (partition, placement) in twenty_five.iter().enumerate() {
                let held = placement.nodes().iter().filter_map(|node| board.roster.index(*node));
                let held = held.collect();
                board.begin(partition, held);
            }
            refill(board);
        },
        &nodes,
    );
    assert!(replanned <= LOOKED_MAX, "{replanned}");
}

#[test]
fn names_of_zones_and_capacities_are_checked() {
    assert!(Zone::new("eu-west-1a").is_some());
    for bad in ["", "a b", "über", "a/b", &"z".repeat(65)] {
        assert_eq!(Zone::new(bad), None, "{bad}");
    }
    assert_eq!(Capacity::new(0), None);
    assert_eq!(Capacity::new(Capacity::MAX + 1), None);
    assert_eq!(Capacity::new(100), Some(Capacity::DEFAULT));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// However nodes, zones and capacities change: every partition has what it should, where it
    /// should, and planning anew once more changes nothing.
    #[test]
    fn any_history_of_zones_and_capacities_is_placed_well(
        partitions in 1..60_u32, replication in 1..5_u32,
        history in prop::collection::vec(
            prop::collection::btree_map(0..9_u32, (0..4_u32, 1..5_u32), 1..9), 1..6)
    ) {
        let mut placements: Vec<Placement> = Vec::new();
        for nodes in history {
            let nodes: Vec<_> = nodes.into_iter().map(|(id, (zone, capacity))| PlacementNode {
                node: node(id),
                zone: (zone > 0).then(|| Zone::new(&format!("z{zone}")).expect("a name")),
                capacity: Capacity::new(100 * capacity).expect("a capacity"),
            }).collect();
            placements = if placements.is_empty() {
                plan_alone(&nodes, partitions, replication)
            } else {
                replan_alone(&placements, &nodes, replication)
            };
            for placement in &placements {
                prop_assert_eq!(placement.nodes().len(), nodes.len().min(replication as usize));
            }
            let apart: Vec<_> = nodes.iter().cloned().map(|node| PlacementNode {
                zone: node.zone.or_else(|| Zone::new(&format!("alone-{}", node.node))),
                ..node
            }).collect();
            check_zones(&placements, &apart, "history");
            let again = replan_alone(&placements, &nodes, replication);
            prop_assert_eq!(copied(&placements, &again), 0);
        }
    }
}
