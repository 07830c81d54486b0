//! Replicas that move: what operators plan, what controllers decide by `cortado-cluster` from what
//! they see, and how nodes follow `_cluster`.
//!
//! Any node that runs is the controller for a look, so that one goes on where another one stopped,
//! and an order of the last one comes when the next has decided otherwise. Start reading at
//! [`World::control`]. Source: docs/protocols/moves.md.

use super::shared_log::partition_id;
use super::{Address, Due, Phase, World};
use crate::database::asker::Asker;
use crate::database::catalog::{Catalog, Declaration, WrittenDown};
use crate::database::coverage::CoveragePoint;
use crate::database::invariants::moves;
use crate::database::mutant::Mutant;
use crate::database::store::Store;
use crate::kernel::time::{MILLI, Moment};
use cortado_cluster::{
    ChangeId, ChangeState, Located, MoveStage, MoveStep, MovingPartition, Placed, PlacementNode,
    PlannedChange, PlannedKind, ReplicaState, ServingLeader, WatchEvent, next_steps, plan_moves,
    repair,
};
use cortado_driver::{Event, ReplicaRole};
use cortado_model::{Generation, LogOffset, NodeId, Scn, Sequence};
use std::collections::BTreeSet;
use std::rc::Rc;

/// Between two looks of a controller.
const CONTROL_US: u64 = 40 * MILLI;
/// The longest time until a node has folded a new version of `_cluster`.
const FOLDED_US_MAX: u64 = 300 * MILLI;
/// The longest time by which an order of a controller comes late: its deadline.
const ORDER_US_MAX: u64 = 2_000 * MILLI;

impl World {
    /// Puts the first plan in line, where replicas move.
    pub(super) fn begin_to_move(&mut self) {
        if let Some(mean_us) = self.plan.moves_us {
            let first_us = self.kernel.random.around(mean_us);
            self.put(first_us, Due::Operate);
            self.put(CONTROL_US, Due::Control);
        }
    }

    /// What `_cluster` says.
    pub(super) fn catalog(&self) -> Rc<Catalog> {
        Rc::clone(self.catalogs.last().expect("the first version is there from the start"))
    }

    /// What a node has folded of it.
    pub(super) fn catalog_of(&self, node: usize) -> Rc<Catalog> {
        Rc::clone(&self.catalogs[self.nodes[node].known])
    }

    /// Whether a node holds a replica of `partition`, or should.
    pub(super) fn holds(&self, partition: usize, node: NodeId) -> bool {
        self.catalog().held(partition).contains(node)
    }

    /// The same, as `knower` has folded it.
    pub(super) fn holds_as_known(&self, knower: usize, partition: usize, node: NodeId) -> bool {
        self.catalog_of(knower).held(partition).contains(node)
    }

    /// Whether a leader names a node as its successor. Where replicas move, it asks first.
    pub(super) fn could_lead(&self, leader: usize, partition: usize, to: NodeId) -> bool {
        let fold = self.nodes[leader].hosted(partition).and_then(|hosted| hosted.driver.fold());
        self.plan.moves_us.is_none() || fold.is_some_and(|fold| fold.replicas.may_claim(to))
    }

    /// An operator plans a change, or pauses, resumes or cancels the one that is under way.
    pub(super) fn operate(&mut self) {
        let Some(mean_us) = self.plan.moves_us.filter(|_| self.has_faults()) else { return };
        let again_us = self.kernel.random.around(mean_us);
        self.put(again_us, Due::Operate);
        let mut next = Catalog::clone(&self.catalog());
        match &mut next.change {
            Some((change, _)) => {
                let drawn = self.kernel.random.below(6);
                change.state = match (change.state, drawn) {
                    (ChangeState::Running, 0) => ChangeState::Paused,
                    (ChangeState::Running | ChangeState::Paused, 1) => ChangeState::Cancelled,
                    (ChangeState::Paused, _) => ChangeState::Running,
                    (state, _) => state,
                };
                if change.state == ChangeState::Cancelled {
                    self.coverage.reach(CoveragePoint::ChangeCancelled);
                }
                self.write_catalog(next);
            }
            None => self.plan_change(next),
        }
    }

    fn plan_change(&mut self, mut next: Catalog) {
        let Some(kind) = self.draw_change(&next) else { return };
        if let PlannedKind::AddNode(node) | PlannedKind::ReplaceNode { to: node, .. } = kind {
            next.members.insert(node);
        }
        let nodes: Vec<PlacementNode> =
            next.members.iter().copied().map(PlacementNode::plain).collect();
        let replication = self.plan.replication.unwrap_or(self.nodes.len()) as u32;
        let located = next.placements.iter().enumerate().map(|(number, placement)| Located {
            partition: partition_id(number),
            placed: Placed { placement: placement.clone(), replication },
        });
        let located: Vec<Located> = located.collect();
        let Ok(targets) = plan_moves(kind, &located, &nodes) else { return };
        if targets.is_empty() {
            return;
        }
        if let PlannedKind::RemoveNode(node) | PlannedKind::ReplaceNode { from: node, .. } = kind {
            self.lose_machine(node.0 as usize - 1);
        }
        let targets = targets.into_iter();
        let targets = targets.map(|target| (target.partition.number as usize, target.placement));
        let (id, state) = (ChangeId(self.next_number()), ChangeState::Running);
        let limits = self.plan.move_limits;
        let change = PlannedChange { id, kind, state, limits, replicas: 0, bytes: 0 };
        next.change = Some((change, targets.collect()));
        self.coverage.reach(CoveragePoint::ChangePlanned);
        self.write_catalog(next);
    }

    fn draw_change(&mut self, catalog: &Catalog) -> Option<PlannedKind> {
        let random = &mut self.kernel.random;
        let all = self.nodes.iter().map(|node| node.id);
        let spares: Vec<NodeId> = all.filter(|id| !catalog.members.contains(id)).collect();
        let members: Vec<NodeId> = catalog.members.iter().copied().collect();
        let spare = (!spares.is_empty()).then(|| random.one_of(&spares));
        let member = random.one_of(&members);
        let partition = random.index(catalog.placements.len());
        let from = random.one_of(catalog.placements[partition].nodes());
        Some(match random.below(5) {
            0 => PlannedKind::AddNode(spare?),
            1 => PlannedKind::RemoveNode(member),
            2 => PlannedKind::ReplaceNode { from: member, to: spare? },
            3 => PlannedKind::Expand,
            _ => PlannedKind::Manual { partition: partition_id(partition), from, to: member },
        })
    }

    /// A node that is to leave may be gone for good, unless it alone has something.
    fn lose_machine(&mut self, node: usize) {
        let held = |partition: usize| {
            let holds = self.holds(partition, self.nodes[node].id);
            !holds || self.others_hold(node, partition)
        };
        let is_needed = !(0..self.plan.partitions).all(held);
        if is_needed || self.kernel.random.coin() {
            return;
        }
        self.coverage.reach(CoveragePoint::MachineLost);
        self.lost.insert(node);
        self.crash(node);
    }

    /// Some node that runs is the controller, and does what comes next.
    pub(super) fn control(&mut self) {
        if matches!(self.phase, Phase::Quiet { .. } | Phase::Over) {
            return;
        }
        self.put(CONTROL_US, Due::Control);
        let controller = self.kernel.random.index(self.nodes.len());
        if !self.nodes[controller].is_running() {
            return;
        }
        let based_on = self.nodes[controller].known;
        let catalog = self.catalog_of(controller);
        let seen: Vec<MovingPartition> =
            (0..self.plan.partitions).map(|p| self.seen_by(controller, &catalog, p)).collect();
        let steps: Vec<(usize, MoveStep)> = match &catalog.change {
            Some((change, _)) => {
                let alive = self.nodes.iter().filter(|node| node.process.is_some());
                let alive: BTreeSet<NodeId> = alive.map(|node| node.id).collect();
                let believed: Vec<_> =
                    seen.iter().map(|partition| self.believed(partition.clone())).collect();
                let decisions = next_steps(change, &believed, &catalog.members, &alive);
                let step = |each: cortado_cluster::MoveDecision| {
                    (each.partition.number as usize, each.step)
                };
                decisions.into_iter().map(step).collect()
            }
            None if self.is(Mutant::TrustsReplicaSets) => Vec::new(),
            None => {
                let each = seen.iter().enumerate();
                each.filter_map(|(number, partition)| Some((number, repair(partition)?))).collect()
            }
        };
        let over = steps.iter().all(|(_, step)| matches!(step, MoveStep::Done));
        if over && catalog.change.is_some() {
            let written = WrittenDown::Over;
            self.write_down(Declaration { based_on, partition: 0, written });
        }
        for (number, step) in steps {
            self.check_step(&seen[number], &step);
            self.take_step(based_on, number, step);
        }
    }

    fn take_step(&mut self, based_on: usize, partition: usize, step: MoveStep) {
        let written = match step {
            MoveStep::Done | MoveStep::Wait(_) => return,
            MoveStep::Begin(moving) | MoveStep::Leave(moving) => WrittenDown::Moving(moving),
            MoveStep::Finish(placement) => WrittenDown::Moved(placement),
            MoveStep::Abandon => WrittenDown::GivenUp,
            MoveStep::ChangeReplicas { leader, generation, from, to, declared_at } => {
                let (from, to) = (from.into_iter().collect(), to.into_iter().collect());
                let change = Event::ChangeReplicas { generation, from, to };
                let leader = leader.0 as usize - 1;
                return self.give_order(leader, partition, declared_at, change);
            }
        };
        self.write_down(Declaration { based_on, partition, written });
    }

    /// An order is on its way to a leader, and may come when others have been given.
    fn give_order(
        &mut self,
        leader: usize,
        partition: usize,
        declared_at: Scn,
        change: Event<Asker>,
    ) {
        let Some(to) = self.address(leader, partition) else { return };
        let mut delay_us = self.delay();
        if self.has_faults() && self.kernel.random.below(4) == 0 {
            delay_us += self.kernel.random.between(1, ORDER_US_MAX);
        }
        self.orders_until = self.orders_until.max(self.kernel.now.plus(delay_us));
        self.put(delay_us, Due::Ordered { to, declared_at, change: Box::new(change) });
    }

    /// An order reaches a leader, whose node passes over what rests on less than it has folded.
    pub(super) fn ordered(&mut self, to: Address, declared_at: Scn, change: Event<Asker>) {
        if declared_at < scn_of(self.catalog_of(to.node).declared[to.partition]) {
            return self.coverage.reach(CoveragePoint::OrderOutdated);
        }
        let newest = scn_of(self.catalog().declared[to.partition]);
        if let Event::ChangeReplicas { to: wanted, .. } = &change
            && declared_at == newest
        {
            // Who is wanted now has not left.
            let left = &mut self.partitions[to.partition].left;
            left.retain(|node| !wanted.may_claim(*node));
        }
        self.tell(to, change);
    }

    fn write_down(&mut self, declaration: Declaration) {
        let delay_us = self.delay();
        self.put(delay_us, Due::Declare(Box::new(declaration)));
    }

    /// What a controller writes reaches `_cluster`, which takes it if it rests on what is there.
    pub(super) fn declare(&mut self, declaration: Declaration) {
        let base = Rc::clone(&self.catalogs[declaration.based_on]);
        let version = self.catalogs.len();
        let Some(mut next) = self.catalog().take(&base, &declaration, version) else {
            return self.coverage.reach(CoveragePoint::DeclarationRefused);
        };
        match (&declaration.written, &base.change) {
            (WrittenDown::Over, Some((change, _))) => {
                if let PlannedKind::RemoveNode(node) | PlannedKind::ReplaceNode { from: node, .. } =
                    change.kind
                    && change.state != ChangeState::Cancelled
                {
                    next.members.remove(&node);
                }
                self.coverage.reach(CoveragePoint::ChangeOver);
                self.find_machines();
            }
            (WrittenDown::Moving(_), _) => self.coverage.reach(CoveragePoint::MoveBegun),
            (WrittenDown::Moved(_), _) => self.coverage.reach(CoveragePoint::MoveDone),
            (WrittenDown::GivenUp, _) => self.coverage.reach(CoveragePoint::MoveGivenUp),
            (WrittenDown::Over, None) => {}
        }
        self.write_catalog(next);
    }

    /// Machines that were lost come back, with whatever their disks hold.
    pub(super) fn find_machines(&mut self) {
        for node in std::mem::take(&mut self.lost) {
            let in_us = self.kernel.random.between(1, 500) * MILLI;
            self.put(in_us, Due::Start { node });
        }
    }

    fn write_catalog(&mut self, next: Catalog) {
        self.catalogs.push(Rc::new(next));
        for node in 0..self.nodes.len() {
            self.hear_catalog_soon(node);
        }
    }

    /// A node will fold what `_cluster` says now.
    pub(super) fn hear_catalog_soon(&mut self, node: usize) {
        let version = self.catalogs.len() - 1;
        if self.plan.moves_us.is_some() && self.nodes[node].known < version {
            let in_us = self.kernel.random.between(1, FOLDED_US_MAX);
            self.put(in_us, Due::HearCatalog { node, version });
        }
    }

    /// A node follows `_cluster`: begins to hold what it should hold, and deletes what it should
    /// not.
    pub(super) fn hear_catalog(&mut self, node: usize, version: usize) {
        let Some(process) = &self.nodes[node].process else { return };
        if process.paused.is_some() {
            return self.put(20 * MILLI, Due::HearCatalog { node, version });
        }
        if version <= self.nodes[node].known {
            return;
        }
        let (id, before) = (self.nodes[node].id, self.catalog_of(node));
        self.nodes[node].known = version;
        let after = self.catalog_of(node);
        for partition in 0..self.plan.partitions {
            let (was, is) = (before.held(partition), after.held(partition));
            let leaves = self.is(Mutant::DeletesEarly) && is.is_leaving(id);
            match (was.contains(id), is.contains(id) && !leaves) {
                (false, false) => {}
                (true, false) => self.remove_replica(node, partition),
                (held, true) => {
                    if !held {
                        self.add_replica(node, partition);
                    }
                    let placement = self.succession(node, partition, is);
                    let partition = partition_id(partition);
                    self.tell_watch(node, WatchEvent::Placed { partition, placement });
                }
            }
        }
    }

    fn add_replica(&mut self, node: usize, partition: usize) {
        let number = self.next_number();
        let Some(process) = &self.nodes[node].process else { return };
        let incarnation = process.incarnation;
        let hosted = self.new_hosted((node, partition), number, incarnation);
        if let Some(process) = &mut self.nodes[node].process {
            process.hosted[partition] = Some(hosted);
        }
        let id = self.nodes[node].id;
        self.nodes[node].added[partition] = true;
        self.partitions[partition].left.remove(&id);
        self.introduce(Address { node, partition, process: number });
        self.run_driver(node, partition);
    }

    /// A node gives a replica up, and what it holds of it.
    fn remove_replica(&mut self, node: usize, partition: usize) {
        self.tell_watch(node, WatchEvent::Withdrawn { partition: partition_id(partition) });
        let now = self.nodes[node].clock.read(self.kernel.now).clock;
        let Some(process) = &mut self.nodes[node].process else { return };
        if let Some(mut hosted) = process.hosted[partition].take() {
            for _ in hosted.producer.sent.iter().filter(|sent| sent.outcomes.is_none()) {
                process.observer.appends.give_up(now);
            }
            if hosted.applying.is_some() {
                process.observer.store.give_up(now);
            }
            self.nodes[node].lives_before[partition] = hosted.driver.incarnation().life + 1;
            self.hang_up(partition, hosted.take_clients());
        }
        self.delete(node, partition);
    }

    /// What a node's disk holds of partitions that it should not hold goes before it starts.
    pub(super) fn clean_up(&mut self, node: usize) {
        if self.plan.moves_us.is_none() {
            return;
        }
        let id = self.nodes[node].id;
        for partition in 0..self.plan.partitions {
            let holds = self.holds_as_known(node, partition, id);
            if !holds && self.nodes[node].disk[partition].image().checkpoint.is_some() {
                self.delete(node, partition);
            }
        }
    }

    fn delete(&mut self, node: usize, partition: usize) {
        let first = self.log.first(partition);
        let mut others = self.nodes.iter().enumerate().filter(|(other, _)| *other != node);
        let held = others.any(|(_, other)| {
            let spoiled = other
                .hosted(partition)
                .is_some_and(|hosted| hosted.driver.role() == ReplicaRole::Restoring);
            let holds = self.holds(partition, other.id) && !spoiled;
            holds && other.disk[partition].durable().offset >= first
        });
        let id = self.nodes[node].id;
        let may_claim = self.partitions[partition].truth.may_claim(id);
        // One that never joined was never counted on; and if it has left, and an order that comes
        // late lets it claim, that is made good.
        let given_up = !self.holds(partition, id) || self.partitions[partition].left.contains(&id);
        let who = format!("n{}.p{partition}", node + 1);
        self.check(moves::check_deleted(who, held, may_claim && !given_up));
        self.nodes[node].disk[partition] = Store::default();
        self.nodes[node].verified[partition] = LogOffset::ZERO;
        self.nodes[node].added[partition] = true;
        self.coverage.reach(CoveragePoint::ReplicaDeleted);
    }

    /// What a controller sees of a partition: what nodes say that it can talk to.
    fn seen_by(&self, controller: usize, catalog: &Catalog, partition: usize) -> MovingPartition {
        let reached = |node: &usize| {
            let there_and_back =
                self.can_talk(controller, *node) && self.can_talk(*node, controller);
            there_and_back && self.nodes[*node].is_running()
        };
        let reached: Vec<usize> = (0..self.nodes.len()).filter(reached).collect();
        let hosted = reached.iter().filter_map(|node| {
            let hosted = self.nodes[*node].hosted(partition)?;
            Some((*node, hosted, hosted.driver.fold()))
        });
        let hosted: Vec<_> = hosted.collect();
        let folds = hosted.iter().filter_map(|(_, _, fold)| *fold);
        let newest = folds.map(|fold| fold.position.offset.0).max().unwrap_or_default();
        let leaders = hosted.iter().filter(|(_, hosted, _)| hosted.leads());
        let leaders = leaders.filter_map(|(node, _, fold)| Some((*node, (*fold)?)));
        let leader = leaders.max_by_key(|(_, fold)| fold.generation());
        let leader = leader.map(|(node, fold)| ServingLeader {
            node: self.nodes[node].id,
            generation: fold.generation(),
            replica_set: fold.replicas.nodes().to_vec(),
        });
        let replicas = hosted.iter().map(|(node, hosted, fold)| {
            let state = ReplicaState {
                cluster_scn: scn_of(self.nodes[*node].known),
                readable: hosted.driver.role().is_readable(),
                lag_records: newest - fold.map_or(0, |fold| fold.position.offset.0),
                copied_bytes: 0,
            };
            (self.nodes[*node].id, state)
        });
        let away = self.nodes.iter().filter(|node| self.is_away(node)).map(|node| node.id);
        let placement = catalog.placements[partition].clone();
        let target = catalog.change.as_ref().and_then(|(_, targets)| targets.get(&partition));
        MovingPartition {
            partition: partition_id(partition),
            target: target.cloned().unwrap_or_else(|| placement.clone()),
            placement,
            moving: catalog.moves[partition],
            declared_at: scn_of(catalog.declared[partition]),
            replication: self.plan.replication.unwrap_or(self.nodes.len()) as u32,
            leader,
            replicas: replicas.collect(),
            away: away.collect(),
            bytes: 0,
        }
    }

    /// The same, as a careless controller takes it.
    fn believed(&self, mut partition: MovingPartition) -> MovingPartition {
        if self.is(Mutant::TakesAllForCaughtUp) {
            let cluster_scn = partition.declared_at;
            let well =
                ReplicaState { cluster_scn, readable: true, lag_records: 0, copied_bytes: 0 };
            let add = partition.moving.and_then(|moving| moving.add);
            let nodes = partition.placement.nodes().iter().copied().chain(add);
            partition.replicas = nodes.map(|node| (node, well)).collect();
        }
        if self.is(Mutant::TrustsReplicaSets)
            && partition.moving.is_none()
            && let Some(leader) = &mut partition.leader
        {
            leader.replica_set = partition.placement.nodes().to_vec();
            leader.replica_set.sort_unstable();
        }
        if self.is(Mutant::ForgetsMoves) {
            partition.moving = None;
        }
        partition
    }

    /// A step that gives a replica up leaves enough of them.
    fn check_step(&mut self, seen: &MovingPartition, step: &MoveStep) {
        let (Some(leader), Some(moving)) = (&seen.leader, seen.moving) else { return };
        let Some(remove) = moving.remove.filter(|_| moving.stage == MoveStage::Leaving) else {
            return;
        };
        let gives_up = match step {
            MoveStep::ChangeReplicas { from, to, .. } => {
                from.contains(&remove) && !to.contains(&remove)
            }
            MoveStep::Finish(_) => true,
            MoveStep::Done
            | MoveStep::Begin(_)
            | MoveStep::Leave(_)
            | MoveStep::Abandon
            | MoveStep::Wait(_) => false,
        };
        if !gives_up {
            return;
        }
        let well = |node: &NodeId| {
            let state = seen.replicas.get(node);
            *node == leader.node || state.is_some_and(ReplicaState::is_caught_up)
        };
        // One that has not been gone for long comes back with what it has.
        let counts = |node: &NodeId| {
            let of_node = self.nodes.iter().find(|each| each.id == *node);
            let is_away = of_node.is_some_and(|node| self.is_away(node));
            well(node) || !seen.replicas.contains_key(node) && !is_away
        };
        let others = leader.replica_set.iter().filter(|node| **node != remove);
        let left = others.filter(|node| well(node)).count();
        // Without the move there would be no more: one that stays and is dead costs it nothing.
        let placed = seen.placement.nodes().iter().filter(|node| counts(node)).count();
        let without = placed.min(seen.replication as usize);
        let wanted = if counts(&remove) { without } else { 1 };
        let partition = seen.partition.number as usize;
        self.check(moves::check_given_up(partition, remove, left, wanted));
    }

    /// Whether no move is under way any more.
    pub(super) fn moves_are_over(&mut self, healed: Moment) -> bool {
        let catalog = self.catalog();
        let mut under_way: Vec<String> =
            catalog.change.iter().map(|(change, _)| format!("{change:?}")).collect();
        let newest = self.catalogs.len() - 1;
        let behind = self.nodes.iter().filter(|node| node.known < newest);
        under_way.extend(behind.map(|node| format!("{} has not folded _cluster", node.id)));
        for partition in 0..self.plan.partitions {
            let (set, placed) =
                (&self.partitions[partition].truth.replicas, catalog.held(partition));
            if moves::check_set(partition, set, placed.nodes()).is_err() {
                under_way.push(format!("p{partition} is on {placed:?}, {set:?} may claim"));
            }
        }
        if self.orders_until >= self.kernel.now {
            under_way.push("orders are on their way".to_owned());
        }
        let over = self.plan.moves_us.is_none() || under_way.is_empty();
        if !over {
            self.check(moves::check_over(&under_way, healed, self.kernel.now));
        }
        over
    }

    /// Everything is at rest: who holds a replica may claim, and no one else.
    pub(super) fn check_moved(&mut self) {
        let catalog = self.catalog();
        for partition in 0..self.plan.partitions {
            let placed = catalog.held(partition);
            let set = &self.partitions[partition].truth.replicas;
            let result = moves::check_set(partition, set, placed.nodes());
            if self.plan.moves_us.is_some() {
                self.check(result);
            }
        }
    }

    /// Changes that were paused go on.
    pub(super) fn resume_changes(&mut self) {
        let mut next = Catalog::clone(&self.catalog());
        if let Some((change, _)) = &mut next.change
            && change.state == ChangeState::Paused
        {
            change.state = ChangeState::Running;
            self.write_catalog(next);
        }
        self.find_machines();
    }
}

/// A version of `_cluster`, as its record would be numbered.
fn scn_of(version: usize) -> Scn {
    Scn::new(Generation(1), Sequence(version as u64))
}
