//! What comes next for a partition, for all of them, and what must hold whatever happens meanwhile.

use super::*;
use crate::placement::{Capacity, Placed, Placement, PlacementNode, plan};
use cortado_model::{DatabaseId, Generation, NodeId, PartitionId, Scn, Sequence};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn n(number: u32) -> NodeId {
    NodeId(number)
}

fn p(number: u32) -> PartitionId {
    PartitionId { database: DatabaseId(1), number }
}

fn on(nodes: &[u32]) -> Placement {
    Placement::new(nodes.iter().copied().map(n).collect()).expect("different nodes")
}

fn scn(sequence: u64) -> Scn {
    Scn::new(Generation(1), Sequence(sequence))
}

fn change() -> PlannedChange {
    PlannedChange {
        id: ChangeId(1),
        kind: PlannedKind::Expand,
        state: ChangeState::Running,
        limits: MoveLimits::default(),
        replicas: 1,
        bytes: 1_000,
    }
}

fn state(lag_records: u64) -> ReplicaState {
    ReplicaState { cluster_scn: scn(5), readable: true, lag_records, copied_bytes: 1_000 }
}

/// n1 leads a partition of three replicas, all of them well; n1's replica goes to n4.
fn partition() -> MovingPartition {
    let (nodes, generation) = ([1, 2, 3].map(n), Generation(7));
    MovingPartition {
        partition: p(0),
        placement: on(&[1, 2, 3]),
        target: on(&[4, 2, 3]),
        moving: None,
        declared_at: scn(5),
        replication: 3,
        leader: Some(ServingLeader { node: n(1), generation, replica_set: nodes.into() }),
        replicas: nodes.into_iter().map(|node| (node, state(0))).collect(),
        away: BTreeSet::new(),
        bytes: 1_000,
    }
}

fn moving(stage: MoveStage) -> ReplicaMove {
    ReplicaMove { change: ChangeId(1), add: Some(n(4)), remove: Some(n(1)), stage }
}

impl MovingPartition {
    fn at(self, stage: MoveStage, leader: u32, set: &[u32]) -> MovingPartition {
        let replica_set = set.iter().copied().map(n).collect();
        let generation = Generation(7);
        let leader = Some(ServingLeader { node: n(leader), generation, replica_set });
        MovingPartition { moving: Some(moving(stage)), leader, ..self }
    }

    fn with(mut self, node: u32, lag_records: u64) -> MovingPartition {
        self.replicas.insert(n(node), state(lag_records));
        self
    }

    /// Nothing has been heard of the replica lately.
    fn without(mut self, node: u32) -> MovingPartition {
        self.replicas.remove(&n(node));
        self
    }

    /// Nor for long.
    fn lost(mut self, node: u32) -> MovingPartition {
        self.away.insert(n(node));
        self.without(node)
    }

    #[track_caller]
    fn check(&self, state: ChangeState, want: &str) {
        let step = next_step(&PlannedChange { state, ..change() }, self);
        let got = match step {
            MoveStep::ChangeReplicas { leader, from, to, .. } => {
                let spell = |set: Vec<NodeId>| set.iter().map(|node| node.0).collect::<Vec<_>>();
                format!("{}: {:?} to {:?}", leader.0, spell(from), spell(to))
            }
            MoveStep::Begin(moving) => format!("begin {:?}", moving.stage),
            MoveStep::Leave(moving) => format!("leave {:?}", moving.stage),
            MoveStep::Finish(placement) => {
                let nodes = placement.nodes().iter();
                format!("finish {:?}", nodes.map(|node| node.0).collect::<Vec<_>>())
            }
            MoveStep::Wait(wait) => format!("wait: {wait}"),
            MoveStep::Done => "done".to_owned(),
            MoveStep::Abandon => "abandon".to_owned(),
        };
        assert_eq!(got, want);
    }

    #[track_caller]
    fn runs(&self, want: &str) {
        self.check(ChangeState::Running, want);
    }
}

#[test]
fn a_replica_moves_step_by_step() {
    use MoveStage::{Copying, Leaving};
    partition().runs("begin Copying");
    let copies = partition().at(Copying, 1, &[1, 2, 3]);
    copies.runs("wait: n4 does not say how its replica is");
    copies.clone().with(4, 101).runs("wait: the replica on n4 is 101 records behind");
    copies.with(4, 100).runs("1: [1, 2, 3] to [1, 2, 3, 4]");
    let joined = partition().with(4, 0);
    joined.clone().at(Copying, 1, &[1, 2, 3, 4]).runs("leave Leaving");
    joined.clone().at(Leaving, 1, &[1, 2, 3, 4]).runs("wait: n1 leads, and hands over");
    joined.clone().at(Leaving, 2, &[1, 2, 3, 4]).runs("2: [1, 2, 3, 4] to [2, 3, 4]");
    joined.clone().at(Leaving, 2, &[2, 3, 4]).runs("finish [4, 2, 3]");
    let there = joined.at(Leaving, 2, &[2, 3, 4]);
    let there = MovingPartition { placement: on(&[4, 2, 3]), moving: None, ..there };
    there.runs("done");
}

#[test]
fn what_a_node_is_about_to_delete_does_not_join() {
    // It has slept through its removal and through its return: it will learn of both.
    let mut returns = partition().with(4, 0).at(MoveStage::Copying, 1, &[1, 2, 3]);
    let stale = ReplicaState { cluster_scn: scn(4), ..state(0) };
    returns.replicas.insert(n(4), stale);
    returns.runs("wait: n4 has not folded yet that it should hold a replica");
}

#[test]
fn no_step_leaves_too_few_caught_up_replicas() {
    use MoveStage::Leaving;
    let joined = partition().with(4, 0);
    let at = |partition: MovingPartition| partition.at(Leaving, 2, &[1, 2, 3, 4]);
    // Who joined is behind again, or dead: it takes no place.
    at(joined.clone().with(4, 500)).runs("wait: 2 caught-up replicas would be left of 3");
    at(joined.clone().without(4)).runs("wait: 2 caught-up replicas would be left of 3");
    at(joined.clone().lost(3).lost(4)).runs("wait: 1 caught-up replicas would be left of 2");
    // Nor is data deleted then.
    let left = joined.clone().without(4).at(Leaving, 2, &[2, 3, 4]);
    left.runs("wait: 2 caught-up replicas would be left of 3");
    // One that is behind itself, or has been dead for long, is no loss.
    at(joined.clone().with(1, 500).lost(3)).runs("2: [1, 2, 3, 4] to [2, 3, 4]");
    at(joined.clone().lost(1).lost(3)).runs("2: [1, 2, 3, 4] to [2, 3, 4]");
    // Nor is one that died a moment ago, when all others are well.
    at(joined.clone().without(1)).runs("2: [1, 2, 3, 4] to [2, 3, 4]");
    // Without a leader nothing is known.
    let unled = MovingPartition { leader: None, ..at(joined) };
    unled.runs("wait: no node leads the partition");
}

#[test]
fn silence_for_a_moment_is_no_loss() {
    use MoveStage::Leaving;
    let joined = partition().with(4, 0);
    let at = |partition: MovingPartition| partition.at(Leaving, 2, &[1, 2, 3, 4]);
    let left = |partition: MovingPartition| partition.at(Leaving, 2, &[2, 3, 4]);
    // n3 is silent: it counts, and n1 is needed until it is back.
    let silent = joined.clone().without(3);
    at(silent.clone()).runs("wait: 2 caught-up replicas would be left of 3");
    left(silent).runs("wait: 2 caught-up replicas would be left of 3");
    // All but the leader are: what n1 has may soon be one of two.
    let alone = joined.clone().without(1).without(3).without(4);
    at(alone.clone()).runs("wait: 1 caught-up replicas would be left of 3");
    left(alone).runs("wait: 1 caught-up replicas would be left of 3");
    at(joined.without(1).lost(3).without(4)).runs("wait: 1 caught-up replicas would be left of 2");
}

#[test]
fn a_replica_that_does_not_move_and_is_lost_holds_up_no_move() {
    use MoveStage::Leaving;
    // n3 was behind, or lost, before: as many are left as there would be without the move.
    for third in [partition().with(4, 0).with(3, 500), partition().with(4, 0).lost(3)] {
        third.clone().at(Leaving, 2, &[1, 2, 3, 4]).runs("2: [1, 2, 3, 4] to [2, 3, 4]");
        third.at(Leaving, 2, &[2, 3, 4]).runs("finish [4, 2, 3]");
    }
    // Where there are fewer to be, none that lives goes as long as one of the others does not.
    let fewer = |partition: MovingPartition| {
        let moved = ReplicaMove { add: None, ..moving(Leaving) };
        let partition = partition.at(Leaving, 2, &[1, 2, 3]);
        MovingPartition { replication: 2, moving: Some(moved), target: on(&[2, 3]), ..partition }
    };
    fewer(partition()).runs("2: [1, 2, 3] to [2, 3]");
    fewer(partition().without(3)).runs("wait: 1 caught-up replicas would be left of 2");
    fewer(partition().lost(3)).runs("wait: 1 caught-up replicas would be left of 2");
}

#[test]
fn a_pause_stops_everything_where_it_is() {
    use MoveStage::{Copying, Leaving};
    let paused = "wait: the change is paused";
    partition().check(ChangeState::Paused, paused);
    partition().at(Copying, 1, &[1, 2, 3]).check(ChangeState::Paused, paused);
    partition().at(Leaving, 2, &[2, 3, 4]).check(ChangeState::Paused, paused);
}

#[test]
fn what_is_cancelled_ends_where_that_is_nearest() {
    use MoveStage::{Copying, Leaving};
    let check = |partition: MovingPartition, want: &str| {
        partition.check(ChangeState::Cancelled, want);
    };
    check(partition(), "done");
    check(partition().at(Copying, 1, &[1, 2, 3]), "abandon");
    check(partition().with(4, 0).at(Copying, 1, &[1, 2, 3]), "abandon");
    // It has joined, and is well: forward.
    check(partition().with(4, 0).at(Copying, 1, &[1, 2, 3, 4]), "leave Leaving");
    // It has joined, and has died since: back.
    check(partition().at(Copying, 1, &[1, 2, 3, 4]), "1: [1, 2, 3, 4] to [1, 2, 3]");
    check(partition().at(Leaving, 2, &[1, 2, 3]), "abandon");
    // The old one has left: forward, as soon as that is safe.
    check(partition().with(4, 0).at(Leaving, 2, &[2, 3, 4]), "finish [4, 2, 3]");
}

#[test]
fn an_order_that_comes_late_is_made_good() {
    let set = |leader: u32, set: &[u32]| {
        let moved = partition().at(MoveStage::Copying, leader, set);
        MovingPartition { moving: None, target: on(&[1, 2, 3]), ..moved }
    };
    set(1, &[1, 2, 3]).runs("done");
    // One that was given up joins all the same; it holds nothing.
    set(1, &[1, 2, 3, 4]).runs("1: [1, 2, 3, 4] to [1, 2, 3]");
    // One leaves that was to stay.
    set(1, &[1, 3]).runs("1: [1, 3] to [1, 2, 3]");
    set(1, &[1, 3]).with(2, 500).runs("wait: the replica on n2 is 500 records behind");
    set(1, &[]).runs("done");
}

#[test]
fn replicas_are_added_and_removed_one_at_a_time() {
    let from = on(&[1, 2, 3]);
    let step = |from: &Placement, to: &Placement| {
        let next = ReplicaMove::next(ChangeId(1), from, to)?;
        Some((next.add.map(|node| node.0), next.remove.map(|node| node.0), next.after(from, to)))
    };
    let target = on(&[4, 5, 3]);
    assert_eq!(step(&from, &target), Some((Some(4), Some(1), on(&[4, 2, 3]))));
    assert_eq!(step(&on(&[4, 2, 3]), &target), Some((Some(5), Some(2), target.clone())));
    assert_eq!(step(&on(&[3, 4, 5]), &target), None);
    // The succession is the target's once the nodes are.
    assert_eq!(step(&from, &on(&[3, 2, 4])), Some((Some(4), Some(1), on(&[3, 2, 4]))));
    assert_eq!(step(&from, &on(&[4, 1, 2, 3])), Some((Some(4), None, on(&[4, 1, 2, 3]))));
    assert_eq!(step(&from, &on(&[3, 1])), Some((None, Some(2), on(&[3, 1]))));
}

#[test]
fn who_joins_comes_last_and_who_leaves_behind_it() {
    let placement = on(&[1, 2, 3]);
    let copying = moving(MoveStage::Copying).succession(&placement);
    assert_eq!(copying, on(&[1, 2, 3, 4]));
    let leaving = moving(MoveStage::Leaving).succession(&placement);
    assert_eq!(leaving.nodes(), [2, 3, 4, 1].map(n));
    assert!(leaving.is_leaving(n(1)));
}

fn members() -> BTreeSet<NodeId> {
    (1..=9).map(n).collect()
}

#[test]
fn so_many_copies_at_a_time_and_the_most_urgent_first() {
    let to = |number: u32, to: u32| MovingPartition {
        partition: p(number),
        target: on(&[to, 2, 3]),
        ..partition()
    };
    let limits = MoveLimits { copies_per_node: 2, copies_per_cluster: 3, bytes_per_second: 300 };
    let change = PlannedChange { limits, ..change() };
    let urgent = to(4, 4).without(1).without(3);
    let partitions = [to(0, 4), to(1, 4), to(2, 4), to(3, 5), urgent, to(5, 5)];
    let decisions = next_steps(&change, &partitions, &members(), &members());
    let begun = decisions.iter().filter(|each| matches!(each.step, MoveStep::Begin(_)));
    let begun: Vec<_> = begun.map(|each| each.partition.number).collect();
    assert_eq!(begun, [4, 0, 3]);
    let waits: Vec<_> = waiting(&decisions)
        .into_iter()
        .map(|(wait, first, all)| (wait, first.number, all))
        .collect();
    assert_eq!(waits, [(MoveWait::NodeIsBusy(n(4)), 1, 2), (MoveWait::ClusterIsBusy, 5, 1)]);
    assert_eq!(limits.bytes_per_second_of_one(3), Some(100));
    // What is being copied already counts.
    let copies = partition().at(MoveStage::Copying, 1, &[1, 2, 3]);
    let busy = [copies.clone(), MovingPartition { partition: p(1), ..copies }, to(2, 4)];
    let decisions = next_steps(&change, &busy, &members(), &members());
    assert_eq!(decisions[2].step, MoveStep::Wait(MoveWait::NodeIsBusy(n(4))));
    assert_eq!(
        decisions[2].evidence[..3],
        [
            "replicas are spread evenly over all nodes",
            "as many replicas as may be are being copied to n4",
            "n1 leads generation 7, who may claim: n1, n2, n3",
        ]
    );
    // Of all that wait for the same, the one that is furthest behind is told.
    let copies = |number, lag| MovingPartition {
        partition: p(number),
        ..partition().with(4, lag).at(MoveStage::Copying, 1, &[1, 2, 3])
    };
    let three = [copies(0, 500), copies(1, 2_000), copies(2, 700)];
    let furthest = MoveWait::Copying { node: n(4), lag_records: 2_000 };
    let decisions = next_steps(&change, &three, &members(), &members());
    assert_eq!(waiting(&decisions), [(furthest, p(1), 3)]);
}

#[test]
fn nothing_goes_to_a_node_that_is_away_or_no_member() {
    let away: BTreeSet<_> = members().into_iter().filter(|node| *node != n(4)).collect();
    let steps = |partition: MovingPartition, members: &BTreeSet<NodeId>| {
        next_steps(&change(), &[partition], members, &away).remove(0).step
    };
    let wait = MoveStep::Wait(MoveWait::NodeIsAway(n(4)));
    assert_eq!(steps(partition(), &members()), wait);
    let copies = partition().at(MoveStage::Copying, 1, &[1, 2, 3]);
    assert_eq!(steps(copies.clone(), &members()), wait);
    assert_eq!(steps(copies, &away), MoveStep::Abandon);
}

#[test]
fn progress_counts_replicas_that_have_joined_and_bytes_that_have_come() {
    let copying = partition().at(MoveStage::Copying, 1, &[1, 2, 3]);
    let mut half = MovingPartition { partition: p(1), ..copying };
    let copied = ReplicaState { copied_bytes: 400, ..state(900) };
    half.replicas.insert(n(4), copied);
    let joined = partition().with(4, 0).at(MoveStage::Copying, 1, &[1, 2, 3, 4]);
    let change = PlannedChange { replicas: 3, bytes: 3_000, ..change() };
    let progress = progress_of(&change, &[partition(), half, joined], Some(100));
    let want = MoveProgress {
        replicas_done: 1,
        replicas: 3,
        bytes_done: 1_400,
        bytes: 3_000,
        copying: 1,
        eta_ms: Some(16_000),
    };
    assert_eq!(progress, want);
    let paused = PlannedChange { state: ChangeState::Paused, ..change };
    assert_eq!(progress_of(&paused, &[partition()], Some(100)).eta_ms, None);
}

fn located(placements: &[Placement], replication: u32) -> Vec<Located> {
    let each = (0..).zip(placements).map(|(number, placement)| Located {
        partition: p(number),
        placed: Placed { placement: placement.clone(), replication },
    });
    each.collect()
}

fn nodes(numbers: impl Iterator<Item = u32>) -> Vec<PlacementNode> {
    numbers.map(n).map(PlacementNode::plain).collect()
}

#[test]
fn changes_are_planned_from_what_is() {
    let placements = plan(&(1..=4).map(n).collect::<Vec<_>>(), 16, 3, &BTreeMap::new());
    let current = located(&placements, 3);
    let plan = |kind, members: Vec<PlacementNode>| plan_moves(kind, &current, &members);
    let moved = |targets: &[MoveTarget], node: NodeId| {
        targets.iter().filter(|target| target.placement.contains(node)).count()
    };
    let added = plan(PlannedKind::AddNode(n(5)), nodes(1..=5)).expect("it is a member");
    assert!((9..=10).contains(&moved(&added, n(5))), "{added:?}");
    let removed = plan(PlannedKind::RemoveNode(n(4)), nodes(1..=4)).expect("three are left");
    // Some others only get another leader.
    assert!((12..=16).contains(&removed.len()) && moved(&removed, n(4)) == 0, "{removed:?}");
    let replace = PlannedKind::ReplaceNode { from: n(4), to: n(5) };
    let replaced = plan(replace, nodes([1, 2, 3, 5].into_iter())).expect("it is a member");
    assert_eq!((replaced.len(), moved(&replaced, n(5))), (12, 12));
    assert_eq!(plan(PlannedKind::Expand, nodes(1..=4)), Ok(Vec::new()));
    let first = placements[0].nodes();
    let other = (1..=4).map(n).find(|node| !first.contains(node)).expect("a fourth node");
    let manual = |from, to| PlannedKind::Manual { partition: p(0), from, to };
    let by_hand = plan(manual(first[0], other), nodes(1..=4)).expect("it has none there");
    assert_eq!((by_hand.len(), by_hand[0].placement.preferred()), (1, other));
    let refused = |kind, members: Vec<PlacementNode>| {
        plan_moves(kind, &current, &members).expect_err("it cannot be").to_string()
    };
    assert!(refused(manual(first[0], first[1]), nodes(1..=4)).contains("already"));
    assert!(refused(manual(first[0], first[0]), nodes(1..=4)).contains("already"));
    assert!(refused(manual(other, first[1]), nodes(1..=4)).contains("has no replica"));
    assert!(refused(manual(first[0], n(9)), nodes(1..=4)).contains("start it first"));
    assert!(refused(PlannedKind::RemoveNode(n(3)), nodes(1..=3)).contains("add a node"));
    assert!(refused(PlannedKind::RemoveNode(n(3)), nodes(3..=3)).contains("last node"));
    assert_eq!(Capacity::DEFAULT.get(), 100);
}

/// A partition and its controller, as a log and `_cluster` would keep them.
#[derive(Clone, Debug)]
struct World {
    partition: MovingPartition,
    change: PlannedChange,
    alive: BTreeSet<NodeId>,
    /// Those of the others that have been dead for long.
    away: BTreeSet<NodeId>,
    /// Replicas that are there, and whether they have caught up.
    held: BTreeMap<NodeId, bool>,
    set: Vec<NodeId>,
    generation: Generation,
    leader: Option<NodeId>,
    /// Orders on their way to a leader.
    orders: Vec<MoveStep>,
}

/// What may happen between two looks of a controller.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Dies(u32),
    StaysDead(u32),
    Lives(u32),
    CatchesUp(u32),
    Fails,
    Claims(u32),
    Arrives(usize),
    Looks,
    Pauses,
    Resumes,
    Cancels,
}

impl World {
    fn new(from: &[u32], to: &[u32]) -> World {
        let partition = MovingPartition {
            placement: on(from),
            target: on(to),
            leader: None,
            replicas: BTreeMap::new(),
            replication: from.len().min(to.len()) as u32,
            ..partition()
        };
        World {
            partition,
            change: change(),
            alive: members(),
            away: BTreeSet::new(),
            held: from.iter().map(|node| (n(*node), true)).collect(),
            set: from.iter().copied().map(n).collect::<BTreeSet<_>>().into_iter().collect(),
            generation: Generation(1),
            leader: Some(n(from[0])),
            orders: Vec::new(),
        }
    }

    /// What a controller sees now; any controller.
    fn seen(&self) -> MovingPartition {
        let leader = self.leader.filter(|node| self.alive.contains(node));
        let shown = |(node, caught_up): (&NodeId, &bool)| {
            let lag_records = if *caught_up { 0 } else { 1_000 };
            self.alive.contains(node).then(|| (*node, state(lag_records)))
        };
        MovingPartition {
            leader: leader.map(|node| ServingLeader {
                node,
                generation: self.generation,
                replica_set: self.set.clone(),
            }),
            replicas: self.held.iter().filter_map(shown).collect(),
            away: self.away.clone(),
            ..self.partition.clone()
        }
    }

    fn caught_up(&self) -> usize {
        self.held.keys().filter(|node| self.is_well(**node)).count()
    }

    /// How many replicas have caught up and are not lost: their nodes live, or may live again.
    fn kept(&self, mut of: impl FnMut(&NodeId) -> bool) -> usize {
        let kept = |(node, caught_up): &(&NodeId, &bool)| **caught_up && !self.away.contains(node);
        self.held.iter().filter(kept).filter(|(node, _)| of(node)).count()
    }

    fn is_well(&self, node: NodeId) -> bool {
        self.alive.contains(&node) && self.held.get(&node) == Some(&true)
    }

    fn happen(&mut self, happening: Happening) -> Result<(), TestCaseError> {
        match happening {
            Happening::Dies(node) => {
                self.alive.remove(&n(node));
            }
            Happening::StaysDead(node) if !self.alive.contains(&n(node)) => {
                self.away.insert(n(node));
            }
            Happening::StaysDead(_) => {}
            Happening::Lives(node) => {
                self.alive.insert(n(node));
                self.away.remove(&n(node));
            }
            Happening::CatchesUp(node) => {
                self.held.entry(n(node)).and_modify(|caught_up| *caught_up = true);
            }
            // Its leader is gone for the moment.
            Happening::Fails => self.leader = None,
            Happening::Claims(node) => {
                let node = n(node);
                let may = self.set.contains(&node) && self.held.get(&node) == Some(&true);
                if may && self.alive.contains(&node) && self.leader != Some(node) {
                    (self.leader, self.generation) = (Some(node), self.generation.next());
                }
            }
            Happening::Arrives(which) if !self.orders.is_empty() => {
                let order = self.orders.remove(which % self.orders.len());
                self.take(order);
            }
            Happening::Arrives(_) => {}
            Happening::Looks => return self.look(),
            Happening::Pauses => self.set_state(ChangeState::Paused),
            Happening::Resumes => self.set_state(ChangeState::Running),
            Happening::Cancels => self.change.state = ChangeState::Cancelled,
        }
        Ok(())
    }

    fn set_state(&mut self, state: ChangeState) {
        if self.change.state != ChangeState::Cancelled {
            self.change.state = state;
        }
    }

    /// An order reaches its leader, perhaps late, as the core takes it.
    fn take(&mut self, order: MoveStep) {
        let MoveStep::ChangeReplicas { leader, generation, from, to, .. } = order else { return };
        let leads = self.leader == Some(leader) && self.generation == generation;
        if leads && self.alive.contains(&leader) && self.set == from && to.contains(&leader) {
            self.set = to;
        }
    }

    /// Some controller looks, and does what comes next.
    fn look(&mut self) -> Result<(), TestCaseError> {
        let seen = self.seen();
        let decided = next_steps(&self.change, &[seen], &members(), &self.alive).remove(0).step;
        // Without the move there would be no more.
        let before = self.kept(|node| self.partition.placement.contains(*node));
        match decided {
            MoveStep::Done | MoveStep::Wait(_) => {}
            MoveStep::Begin(moving) | MoveStep::Leave(moving) => {
                let add = moving.add.filter(|node| !self.held.contains_key(node));
                self.held.extend(add.map(|node| (node, false)));
                self.partition.moving = Some(moving);
            }
            MoveStep::ChangeReplicas { .. } => self.orders.push(decided),
            MoveStep::Finish(placement) => {
                self.partition.moving = None;
                self.partition.placement = placement;
                self.withdraw();
                let wanted = before.min(self.partition.replication as usize);
                prop_assert!(self.kept(|_| true) >= wanted, "{before} without it: {self:?}");
                prop_assert!(self.caught_up() > 0);
            }
            MoveStep::Abandon => {
                let placed = self.partition.placement.clone();
                let of_set = |world: &World| {
                    let counts = |node: &&NodeId| placed.contains(**node);
                    world.set.iter().filter(counts).filter(|node| world.is_well(**node)).count()
                };
                let joined = of_set(self);
                self.partition.moving = None;
                self.withdraw();
                prop_assert_eq!(of_set(self), joined, "nothing that is placed is lost");
            }
        }
        let held = self.set.iter().any(|node| self.held.contains_key(node));
        prop_assert!(held, "some node that may claim holds a replica: {self:?}");
        Ok(())
    }

    /// Nodes that are not named delete what they have.
    fn withdraw(&mut self) {
        let placement = &self.partition.placement;
        self.held.retain(|node, _| placement.contains(*node));
    }

    /// All is well from now on, but for a node that has nothing to do with the move and stays
    /// dead: the move ends.
    fn ends(&mut self, dead: Option<NodeId>) -> Result<(), TestCaseError> {
        self.alive = members();
        self.alive.retain(|node| Some(*node) != dead);
        self.away = dead.into_iter().collect();
        if self.leader.is_some_and(|leader| Some(leader) == dead) {
            self.leader = None;
        }
        if self.change.state == ChangeState::Paused {
            self.change.state = ChangeState::Running;
        }
        for _ in 0..30 {
            for node in 1..=9 {
                self.happen(Happening::CatchesUp(node))?;
            }
            self.look()?;
            while !self.orders.is_empty() {
                self.happen(Happening::Arrives(0))?;
            }
            // Who leaves hands over; where no node leads, one claims.
            let held =
                self.partition.moving.map(|moving| moving.succession(&self.partition.placement));
            let leaves = held.and_then(|held| self.leader.filter(|node| held.is_leaving(*node)));
            if leaves.is_some() || self.leader.is_none() {
                let may = |node: &&NodeId| Some(**node) != leaves && Some(**node) != dead;
                let next = self.set.iter().find(may).copied();
                next.map_or(Ok(()), |next| self.happen(Happening::Claims(next.0)))?;
            }
        }
        prop_assert_eq!(self.partition.moving, None, "{:?}", self);
        let mut placed = self.partition.placement.nodes().to_vec();
        placed.sort_unstable();
        prop_assert_eq!(&self.set, &placed);
        if self.change.state == ChangeState::Running {
            prop_assert_eq!(&self.partition.placement, &self.partition.target);
        }
        let wanted = self.partition.replication as usize - usize::from(dead.is_some());
        prop_assert!(self.caught_up() >= wanted);
        Ok(())
    }
}

fn happening() -> impl Strategy<Value = Happening> {
    let node = || 1..=6_u32;
    prop_oneof![
        2 => node().prop_map(Happening::Dies),
        1 => node().prop_map(Happening::StaysDead),
        2 => node().prop_map(Happening::Lives),
        6 => node().prop_map(Happening::CatchesUp),
        1 => Just(Happening::Fails),
        4 => node().prop_map(Happening::Claims),
        4 => (0..5_usize).prop_map(Happening::Arrives),
        8 => Just(Happening::Looks),
        1 => Just(Happening::Pauses),
        2 => Just(Happening::Resumes),
        1 => Just(Happening::Cancels),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Whatever dies, comes late, is paused or cancelled, and whichever controller looks: no step
    /// costs a replica that is needed, and when all is well the move ends.
    #[test]
    fn no_history_costs_a_replica_and_every_move_ends(
        from in 0..3_usize, to in 0..4_usize,
        happenings in prop::collection::vec(happening(), 0..80)
    ) {
        let froms: [&[u32]; 3] = [&[1, 2, 3], &[3, 1], &[2]];
        let tos: [&[u32]; 4] = [&[4, 5, 3], &[2, 6], &[4], &[3, 2, 1, 5]];
        let mut world = World::new(froms[from], tos[to]);
        for happening in happenings {
            world.happen(happening)?;
        }
        world.ends(None)?;
    }

    /// The same, where a replica that does not move stays dead.
    #[test]
    fn a_move_ends_whatever_replica_stays_dead_that_does_not_move(
        happenings in prop::collection::vec(happening(), 0..40)
    ) {
        let mut world = World::new(&[1, 2, 3], &[4, 2, 3]);
        for happening in happenings {
            world.happen(happening)?;
        }
        world.ends(Some(n(3)))?;
    }
}
