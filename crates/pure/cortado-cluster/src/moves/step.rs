//! What comes next for one partition that is to be placed otherwise.
//!
//! Safe at each step, whatever fails in between: no step leaves fewer caught-up replicas than there
//! should be, and none removes the last one. Start reading at [`next_step`].
//! Source: docs/protocols/moves.md, "One partition".

use super::change::{ChangeState, PlannedChange};
use super::replica_move::{MoveStage, ReplicaMove};
use crate::placement::Placement;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;
use cortado_model::{Generation, NodeId, PartitionId, Scn};

/// What is known of a partition that is to be placed otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovingPartition {
    /// Which.
    pub partition: PartitionId,
    /// Where its replicas are, as `_cluster` says; without one that is on its way.
    pub placement: Placement,
    /// Where they should be.
    pub target: Placement,
    /// What is on its way, as `_cluster` says.
    pub moving: Option<ReplicaMove>,
    /// Where `_cluster` says so: the newer of what names the placement and of what names the move.
    pub declared_at: Scn,
    /// How many caught-up replicas there should be.
    pub replication: u32,
    /// Who serves as leader, as it says itself; `None` if no node does, or none has said so lately.
    pub leader: Option<ServingLeader>,
    /// How each replica is, as its leader or its node has said lately; of those that live.
    pub replicas: BTreeMap<NodeId, ReplicaState>,
    /// Nodes that have been silent for so long that logs are trimmed without them, as the leader's
    /// node says.
    pub away: BTreeSet<NodeId>,
    /// What a replica of it holds, in bytes.
    pub bytes: u64,
}

/// A leader, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServingLeader {
    /// Which node.
    pub node: NodeId,
    /// Which leadership.
    pub generation: Generation,
    /// Who may claim, as it has folded the log, in ascending order.
    pub replica_set: Vec<NodeId>,
}

/// How a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaState {
    /// How far its node had folded `_cluster`. What a node has that does not know yet that it
    /// should hold a replica is what it had before, and what it is about to delete.
    pub cluster_scn: Scn,
    /// It shows a prefix of the history, and could lead.
    pub readable: bool,
    /// How far it is behind its leader, in records.
    pub lag_records: u64,
    /// What it has copied of a snapshot, in bytes; all of it if it copies none.
    pub copied_bytes: u64,
}

/// A replica that is closer than this has caught up: what is missing takes a moment, and it goes on
/// while a leader takes writes.
const CAUGHT_UP_RECORDS_MAX: u64 = 100;

/// What comes next for a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoveStep {
    /// Nothing: it is where it should be.
    Done,
    /// Write down that this move begins, if the placement has not changed: from then on its node
    /// holds a replica.
    Begin(ReplicaMove),
    /// Let the leader change the replica set, from what it is to this one.
    ChangeReplicas {
        /// The leader.
        leader: NodeId,
        /// Its leadership: in a later one the order must change nothing.
        generation: Generation,
        /// Who may claim now.
        from: Vec<NodeId>,
        /// Who may then.
        to: Vec<NodeId>,
        /// Where `_cluster` says what this rests on: a leader whose node has folded a newer
        /// declaration about the partition passes the order over.
        declared_at: Scn,
    },
    /// Write down that the move has come to its second stage: who leaves leads no longer.
    Leave(ReplicaMove),
    /// Write down where the replicas are, and that no move is under way: a node that is not named
    /// any more deletes what it has.
    Finish(Placement),
    /// Write down that no move is under way, and nothing else.
    Abandon,
    /// Nothing can be done now.
    Wait(MoveWait),
}

/// What a partition waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MoveWait {
    /// The change is paused.
    Paused,
    /// As many copies as may be are under way, to that node.
    NodeIsBusy(NodeId),
    /// Or in the cluster.
    ClusterIsBusy,
    /// No node leads.
    NoLeader,
    /// The node is not there, or has not said how its replica is.
    NodeIsAway(NodeId),
    /// The node does not know yet that it should hold a replica.
    NodeIsBehind(NodeId),
    /// The new replica has not caught up.
    Copying {
        /// Where it is.
        node: NodeId,
        /// How far it is behind.
        lag_records: u64,
    },
    /// Who leaves leads, and will hand over.
    HandsOver(NodeId),
    /// Too few replicas would be left that have caught up.
    TooFewCaughtUp {
        /// How many would be.
        left: u32,
        /// How many there should be.
        wanted: u32,
    },
}

/// What comes next for `partition`, for the sake of `change`. Total, and without memory.
pub fn next_step(change: &PlannedChange, partition: &MovingPartition) -> MoveStep {
    match partition.moving {
        Some(_) if change.state == ChangeState::Paused => MoveStep::Wait(MoveWait::Paused),
        Some(moving) => go_on(change, partition, moving),
        None => begin(change, partition),
    }
}

/// What brings the replica set back to the placement, where no move is under way and they differ:
/// an order that was on its way when its move was given up may have come late. Who is missing joins
/// before who is one too many leaves.
pub fn repair(partition: &MovingPartition) -> Option<MoveStep> {
    let leader = partition.leader.as_ref().filter(|_| partition.moving.is_none())?;
    if leader.replica_set.is_empty() {
        // Every node may claim, as in `_cluster`.
        return None;
    }
    let missing = |node: &&NodeId| !leader.replica_set.contains(node);
    let stray = |node: &&NodeId| !partition.placement.contains(**node);
    if let Some(add) = partition.placement.nodes().iter().find(missing) {
        return Some(join(partition, leader, *add));
    }
    let remove = leader.replica_set.iter().copied().find(|node| stray(&node))?;
    Some(match leader.node == remove {
        true => MoveStep::Wait(MoveWait::HandsOver(remove)),
        false => change_replicas(partition, leader, |set| set.retain(|node| *node != remove)),
    })
}

fn begin(change: &PlannedChange, partition: &MovingPartition) -> MoveStep {
    let MovingPartition { placement, target, .. } = partition;
    if let Some(step) = repair(partition) {
        return step;
    }
    if change.state == ChangeState::Cancelled || placement.nodes() == target.nodes() {
        return MoveStep::Done;
    }
    match ReplicaMove::next(change.id, placement, target) {
        _ if change.state == ChangeState::Paused => MoveStep::Wait(MoveWait::Paused),
        Some(moving) => MoveStep::Begin(moving),
        // Only the order is another one.
        None => MoveStep::Finish(target.clone()),
    }
}

fn go_on(change: &PlannedChange, partition: &MovingPartition, moving: ReplicaMove) -> MoveStep {
    let Some(leader) = &partition.leader else { return MoveStep::Wait(MoveWait::NoLeader) };
    let holds = |node: NodeId| leader.replica_set.contains(&node);
    if change.state == ChangeState::Cancelled {
        let undecided = moving.remove.is_none_or(holds);
        match moving.add {
            Some(add) if !holds(add) => return MoveStep::Abandon,
            Some(add) if undecided && !partition.is_caught_up(add) => {
                return take_back(partition, leader, add);
            }
            None if undecided => return MoveStep::Abandon,
            // What has joined and is well, or has left, has cost what it costs: the move goes on.
            Some(_) | None => {}
        }
    }
    if let Some(add) = moving.add.filter(|add| !holds(*add)) {
        return join(partition, leader, add);
    }
    match (moving.stage, moving.remove) {
        (MoveStage::Copying, Some(_)) => MoveStep::Leave(moving.leaving()),
        (MoveStage::Leaving, Some(remove)) if holds(remove) => leave(partition, leader, remove),
        (MoveStage::Leaving, Some(remove)) => {
            match partition.barred_from_removing(leader, remove) {
                Some(wait) => MoveStep::Wait(wait),
                None => MoveStep::Finish(moving.after(&partition.placement, &partition.target)),
            }
        }
        (MoveStage::Copying | MoveStage::Leaving, None) => {
            MoveStep::Finish(moving.after(&partition.placement, &partition.target))
        }
    }
}

fn join(partition: &MovingPartition, leader: &ServingLeader, add: NodeId) -> MoveStep {
    match partition.replicas.get(&add) {
        Some(state) if state.cluster_scn < partition.declared_at => {
            MoveStep::Wait(MoveWait::NodeIsBehind(add))
        }
        Some(state) if state.is_caught_up() => {
            change_replicas(partition, leader, |set| set.push(add))
        }
        Some(ReplicaState { lag_records, .. }) => {
            MoveStep::Wait(MoveWait::Copying { node: add, lag_records: *lag_records })
        }
        None => MoveStep::Wait(MoveWait::NodeIsAway(add)),
    }
}

fn leave(partition: &MovingPartition, leader: &ServingLeader, remove: NodeId) -> MoveStep {
    if leader.node == remove {
        return MoveStep::Wait(MoveWait::HandsOver(remove));
    }
    match partition.barred_from_removing(leader, remove) {
        Some(wait) => MoveStep::Wait(wait),
        None => change_replicas(partition, leader, |set| set.retain(|node| *node != remove)),
    }
}

/// A replica that has joined, and is not well: out of the set first, then off its node.
fn take_back(partition: &MovingPartition, leader: &ServingLeader, add: NodeId) -> MoveStep {
    if leader.node == add {
        return MoveStep::Wait(MoveWait::HandsOver(add));
    }
    change_replicas(partition, leader, |set| set.retain(|node| *node != add))
}

fn change_replicas(
    partition: &MovingPartition,
    leader: &ServingLeader,
    change: impl FnOnce(&mut Vec<NodeId>),
) -> MoveStep {
    let ServingLeader { node, generation, replica_set } = leader;
    let mut to = replica_set.clone();
    change(&mut to);
    to.sort_unstable();
    MoveStep::ChangeReplicas {
        leader: *node,
        generation: *generation,
        from: replica_set.clone(),
        to,
        declared_at: partition.declared_at,
    }
}

impl MovingPartition {
    /// Whether the replica on `node` has what its leader has, but for a moment's worth.
    pub(super) fn is_caught_up(&self, node: NodeId) -> bool {
        let leads = self.leader.as_ref().is_some_and(|leader| leader.node == node);
        leads || self.replicas.get(&node).is_some_and(ReplicaState::is_caught_up)
    }

    /// Whether the replica on `node` is to be reckoned with: it has caught up, or nothing has been
    /// heard of it lately. Silence for a moment is no loss: what it has comes back with it.
    fn counts(&self, node: NodeId) -> bool {
        let is_silent = !self.replicas.contains_key(&node) && !self.away.contains(&node);
        is_silent || self.is_caught_up(node)
    }

    /// How many of its replicas have caught up.
    pub(super) fn caught_up(&self) -> usize {
        self.placement.nodes().iter().filter(|node| self.is_caught_up(**node)).count()
    }

    /// Whether a replica is being copied: it is added, and has not joined.
    pub(super) fn is_copying_to(&self) -> Option<NodeId> {
        let joined = |node: &NodeId| {
            self.leader.as_ref().is_some_and(|leader| leader.replica_set.contains(node))
        };
        self.moving.and_then(|moving| moving.add).filter(|node| !joined(node))
    }

    /// What keeps the replica on `remove` from being taken away, if anything does.
    ///
    /// One that counts is missed: as many as there should be must be left that have caught up, or
    /// as many as would count without the move. A third one that has been dead for long was so
    /// before, and holds up nothing. One that does not count is no loss, but some other one must
    /// have what was committed.
    fn barred_from_removing(&self, leader: &ServingLeader, remove: NodeId) -> Option<MoveWait> {
        let others = leader.replica_set.iter().filter(|node| **node != remove);
        let left = others.filter(|node| self.is_caught_up(**node)).count() as u32;
        let counting = self.placement.nodes().iter().filter(|node| self.counts(**node)).count();
        let without_the_move = (counting as u32).clamp(1, self.replication.max(1));
        let wanted = if self.counts(remove) { without_the_move } else { 1 };
        (left < wanted).then_some(MoveWait::TooFewCaughtUp { left, wanted })
    }
}

impl ReplicaState {
    /// Whether it has what its leader has, but for a moment's worth.
    pub fn is_caught_up(&self) -> bool {
        self.readable && self.lag_records <= CAUGHT_UP_RECORDS_MAX
    }
}

impl fmt::Display for MoveWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MoveWait::Paused => f.write_str("the change is paused"),
            MoveWait::NodeIsBusy(node) => {
                write!(f, "as many replicas as may be are being copied to {node}")
            }
            MoveWait::ClusterIsBusy => f.write_str("as many replicas as may be are being copied"),
            MoveWait::NoLeader => f.write_str("no node leads the partition"),
            MoveWait::NodeIsAway(node) => write!(f, "{node} does not say how its replica is"),
            MoveWait::NodeIsBehind(node) => {
                write!(f, "{node} has not folded yet that it should hold a replica")
            }
            MoveWait::Copying { node, lag_records } => {
                write!(f, "the replica on {node} is {lag_records} records behind")
            }
            MoveWait::HandsOver(node) => write!(f, "{node} leads, and hands over"),
            MoveWait::TooFewCaughtUp { left, wanted } => {
                write!(f, "{left} caught-up replicas would be left of {wanted}")
            }
        }
    }
}
