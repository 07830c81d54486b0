//! Placement: every small size, and random histories of joining and leaving.

mod scale;

use super::*;
use proptest::prelude::*;

fn node(number: u32) -> NodeId {
    NodeId(number)
}

fn nodes(count: u32) -> Vec<NodeId> {
    (1..=count).map(node).collect()
}

fn no_load() -> BTreeMap<NodeId, Load> {
    BTreeMap::new()
}

/// How much the largest of some counts differs from the smallest, over all of `nodes`.
fn spread(nodes: &[NodeId], counted: impl Iterator<Item = NodeId>) -> u32 {
    let mut counts: BTreeMap<NodeId, u32> = nodes.iter().map(|node| (*node, 0)).collect();
    for node in counted {
        *counts.get_mut(&node).expect("a known node") += 1;
    }
    let (most, least) = (counts.values().max(), counts.values().min());
    most.zip(least).map_or(0, |(most, least)| most - least)
}

/// Checks that every partition has the right number of different known nodes, and that replicas
/// and leaderships are even.
#[track_caller]
fn check_even(placements: &[Placement], nodes: &[NodeId], replication: usize, what: &str) {
    for placement in placements {
        assert_eq!(placement.nodes().len(), replication.min(nodes.len()), "{what}");
        assert_eq!(Placement::new(placement.nodes().to_vec()).as_ref(), Some(placement), "{what}");
        assert!(placement.nodes().iter().all(|node| nodes.contains(node)), "{what}");
    }
    let replicas = placements.iter().flat_map(|placement| placement.nodes().iter().copied());
    assert!(spread(nodes, replicas) <= 1, "replicas: {what}");
    assert!(spread(nodes, placements.iter().map(Placement::preferred)) <= 1, "leaders: {what}");
}

/// Checks that the leaderships of each node spread evenly over all others when it dies.
#[track_caller]
fn check_succession(placements: &[Placement], nodes: &[NodeId], what: &str) {
    for dead in nodes {
        let survivors: Vec<_> = nodes.iter().copied().filter(|node| node != dead).collect();
        let led = placements.iter().filter(|placement| placement.preferred() == *dead);
        let successors = led.filter_map(|placement| placement.nodes().get(1).copied());
        assert!(spread(&survivors, successors) <= 1, "death of {dead}: {what}");
    }
}

#[test]
fn every_small_database_is_placed_evenly() {
    for count in 1..=7 {
        let nodes = nodes(count);
        for replication in 1..=count + 1 {
            for partitions in (0..=40).chain([64, 100, 128]) {
                let what = format!("{partitions} partitions x {replication} on {count} nodes");
                let placements = plan(&nodes, partitions, replication, &no_load());
                assert_eq!(placements.len() as u32, partitions, "{what}");
                check_even(&placements, &nodes, replication as usize, &what);
                check_succession(&placements, &nodes, &what);
            }
        }
    }
}

#[test]
fn the_default_database_on_three_nodes() {
    let placements = plan(&nodes(3), 16, 3, &no_load());
    let text = |placement: &Placement| {
        placement.nodes().iter().map(NodeId::to_string).collect::<Vec<_>>().join(">")
    };
    let lines: Vec<_> = placements.iter().map(text).collect();
    assert_eq!(lines[..4], ["n1>n2>n3", "n2>n3>n1", "n3>n1>n2", "n1>n3>n2"]);
}

#[test]
fn other_databases_decide_who_gets_one_more() {
    let load = BTreeMap::from([
        (node(1), Load { leaders: 5, replicas: 9 }),
        (node(2), Load { leaders: 5, replicas: 8 }),
        (node(3), Load { leaders: 0, replicas: 9 }),
    ]);
    let leaders = |partitions| -> Vec<NodeId> {
        plan(&nodes(3), partitions, 2, &load).iter().map(Placement::preferred).collect()
    };
    assert_eq!(leaders(1), [node(3)]);
    assert_eq!(leaders(2), [node(3), node(2)]);
    assert_eq!(leaders(4), [node(3), node(2), node(1), node(3)]);
}

#[test]
fn nodes_are_a_set() {
    let shuffled = [node(3), node(1), node(2), node(1)];
    assert_eq!(plan(&shuffled, 10, 2, &no_load()), plan(&nodes(3), 10, 2, &no_load()));
    assert_eq!(plan(&[], 10, 2, &no_load()), []);
    assert_eq!(replan(&plan(&nodes(3), 10, 2, &no_load()), &[], 2), []);
}

#[test]
fn a_placement_names_each_node_once() {
    assert_eq!(Placement::new(vec![]), None);
    assert_eq!(Placement::new(vec![node(1), node(2), node(1)]), None);
    assert!(Placement::new(vec![node(2), node(1)]).is_some());
}

/// Replicas that have to be copied to get from one placement to the other.
fn copied(before: &[Placement], after: &[Placement]) -> usize {
    let new = |(before, after): (&Placement, &Placement)| {
        after.nodes().iter().filter(|node| !before.contains(**node)).count()
    };
    before.iter().zip(after).map(new).sum()
}

/// The fewest copies with which replicas can be even: what each node must give up or lacks.
fn copies_needed(before: &[Placement], nodes: &[NodeId], replication: usize) -> usize {
    let total = before.len() * replication.min(nodes.len());
    let held = |node: &NodeId| before.iter().filter(|placement| placement.contains(*node)).count();
    let mut held: Vec<_> = nodes.iter().map(held).collect();
    held.sort_unstable_by(|a, b| b.cmp(a));
    let (share, rest) = (total / nodes.len(), total % nodes.len());
    // Those that hold most keep one more than the share.
    let lacks = |(i, held): (usize, &usize)| (share + usize::from(i < rest)).saturating_sub(*held);
    held.iter().enumerate().map(lacks).sum()
}

#[test]
fn a_node_that_joins_or_leaves_moves_as_little_as_possible() {
    for count in 1..=6 {
        for replication in 1..=count {
            for partitions in [1, 2, 5, 16, 23, 64] {
                let placements = plan(&nodes(count), partitions, replication, &no_load());
                let same = replan(&placements, &nodes(count), replication);
                assert_eq!(copied(&placements, &same), 0);
                let mut changes = vec![nodes(count + 1)];
                for gone in nodes(count).into_iter().filter(|_| count > 1) {
                    changes.push(nodes(count).into_iter().filter(|node| *node != gone).collect());
                }
                for after in changes {
                    let what = format!("{partitions} x {replication}, {count} to {after:?}");
                    let moved = replan(&placements, &after, replication);
                    check_even(&moved, &after, replication as usize, &what);
                    let needed = copies_needed(&placements, &after, replication as usize);
                    // The numbers alone say `needed`; that a node cannot hold a partition twice
                    // costs at most one copy more.
                    let copied = copied(&placements, &moved);
                    assert!((needed..=needed + 1).contains(&copied), "{copied}: {what}");
                }
            }
        }
    }
}

#[test]
fn leaderships_that_are_even_already_stay() {
    let placements = plan(&nodes(5), 32, 3, &no_load());
    let again = replan(&placements, &nodes(5), 3);
    assert_eq!(again, placements);
}

proptest! {
    #[test]
    fn placements_of_any_size_are_even(
        ids in prop::collection::btree_set(0..1_000_u32, 1..12), partitions in 0..200_u32,
        replication in 1..6_u32, load in prop::collection::vec((0..9_u32, 0..9_u32), 12)
    ) {
        let nodes: Vec<_> = ids.into_iter().map(NodeId).collect();
        let load = load.into_iter().map(|(leaders, replicas)| Load { leaders, replicas });
        let load = nodes.iter().copied().zip(load).collect();
        let placements = plan(&nodes, partitions, replication, &load);
        check_even(&placements, &nodes, replication as usize, "any size");
        check_succession(&placements, &nodes, "any size");
        prop_assert_eq!(plan(&nodes, partitions, replication, &load), placements);
    }

    /// However nodes come and go, replicas and leaderships stay even; and with every partition on
    /// every node, so does the succession.
    #[test]
    fn any_history_of_joins_and_deaths_stays_even(
        partitions in 1..80_u32, replication in 1..5_u32,
        history in prop::collection::vec(prop::collection::btree_set(0..9_u32, 1..9), 1..8)
    ) {
        let mut placements = Vec::new();
        for ids in history {
            let nodes: Vec<_> = ids.into_iter().map(NodeId).collect();
            placements = if placements.is_empty() {
                plan(&nodes, partitions, replication, &no_load())
            } else {
                replan(&placements, &nodes, replication)
            };
            check_even(&placements, &nodes, replication as usize, "history");
            if replication as usize >= nodes.len() {
                check_succession(&placements, &nodes, "history");
            }
        }
    }
}

#[test]
fn partitions_that_have_too_few_replicas_get_more_and_keep_what_they_have() {
    let one = |number| Placement::new(vec![node(number)]).expect("one node");
    let placed = |placement| Placed { placement, replication: 3 };
    let current: Vec<Placed> = [1, 1, 1, 2].map(one).map(placed).into();
    let four = plain(&nodes(4));
    let grown = completed(&current, &four, &no_load());
    for (before, after) in current.iter().zip(&grown) {
        assert_eq!(after.nodes().len(), 3, "{grown:?}");
        assert_eq!(after.preferred(), before.placement.preferred());
    }
    let held = |node| grown.iter().filter(|placement| placement.contains(node)).count();
    assert!(nodes(4).into_iter().all(|node| held(node) == 3), "{grown:?}");
    // There is nothing to add any more.
    let again: Vec<Placed> = grown.iter().cloned().map(placed).collect();
    assert_eq!(completed(&again, &four, &no_load()), grown);
}
