//! All partitions of a change together: what is done now, and what waits for its turn.
//!
//! Start reading at [`next_steps`].

use super::change::{ChangeState, PlannedChange};
use super::step::{MoveStep, MoveWait, MovingPartition, next_step};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use cortado_model::{NodeId, PartitionId};

/// What is decided about one partition, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveDecision {
    /// Which.
    pub partition: PartitionId,
    /// What comes next.
    pub step: MoveStep,
    /// What that rests on, one fact in each line: what the change is for, then what is known.
    pub evidence: Vec<String>,
}

/// What comes next for every partition of `change`, those with fewest caught-up replicas first.
///
/// * `members`: the nodes of the cluster, registered and not removed.
/// * `alive`: those of them that are thought to live.
pub fn next_steps(
    change: &PlannedChange,
    partitions: &[MovingPartition],
    members: &BTreeSet<NodeId>,
    alive: &BTreeSet<NodeId>,
) -> Vec<MoveDecision> {
    let mut copies = Copies::of(partitions);
    let mut urgent: Vec<&MovingPartition> = partitions.iter().collect();
    urgent.sort_by_key(|partition| (partition.caught_up(), partition.partition));
    let decided = urgent.into_iter().map(|partition| {
        let step = next_step(change, partition);
        let step = checked(change, partition, step, members, alive);
        let step = copies.pace(change, step);
        let evidence = evidence(change, partition, &step);
        MoveDecision { partition: partition.partition, step, evidence }
    });
    decided.collect()
}

/// What waits, by what it waits for, with the partition that is furthest behind for all: a thousand
/// that wait for the same are one line.
pub fn waiting(decisions: &[MoveDecision]) -> Vec<(MoveWait, PartitionId, usize)> {
    let mut groups: BTreeMap<MoveWait, (MoveWait, PartitionId, usize)> = BTreeMap::new();
    for MoveDecision { partition, step, .. } in decisions {
        if let MoveStep::Wait(wait) = *step {
            let group = groups.entry(wait.without_numbers()).or_insert((wait, *partition, 0));
            if wait > group.0 {
                (group.0, group.1) = (wait, *partition);
            }
            group.2 += 1;
        }
    }
    groups.into_values().collect()
}

/// What has to be known of nodes beside partitions: nothing is begun towards one that is not there,
/// and what was begun towards one that is no member any more comes to nothing.
fn checked(
    change: &PlannedChange,
    partition: &MovingPartition,
    step: MoveStep,
    members: &BTreeSet<NodeId>,
    alive: &BTreeSet<NodeId>,
) -> MoveStep {
    let gone = partition.is_copying_to().filter(|node| !members.contains(node));
    if gone.is_some() && partition.leader.is_some() && change.state != ChangeState::Paused {
        return MoveStep::Abandon;
    }
    match step {
        MoveStep::Begin(moving) => match moving.add.filter(|node| !alive.contains(node)) {
            Some(node) => MoveStep::Wait(MoveWait::NodeIsAway(node)),
            None => MoveStep::Begin(moving),
        },
        step => step,
    }
}

/// Replicas that are being copied.
#[derive(Default)]
struct Copies {
    by_node: BTreeMap<NodeId, u32>,
    all: u32,
}

impl Copies {
    fn of(partitions: &[MovingPartition]) -> Copies {
        let mut copies = Copies::default();
        partitions.iter().filter_map(MovingPartition::is_copying_to).for_each(|node| {
            copies.add(node);
        });
        copies
    }

    fn add(&mut self, node: NodeId) {
        *self.by_node.entry(node).or_default() += 1;
        self.all += 1;
    }

    /// The step, or a wait if one more copy would be too many.
    fn pace(&mut self, change: &PlannedChange, step: MoveStep) -> MoveStep {
        let MoveStep::Begin(moving) = step else { return step };
        let Some(node) = moving.add else { return step };
        let of_node = self.by_node.get(&node).copied().unwrap_or_default();
        if self.all >= change.limits.copies_per_cluster.max(1) {
            return MoveStep::Wait(MoveWait::ClusterIsBusy);
        }
        if of_node >= change.limits.copies_per_node.max(1) {
            return MoveStep::Wait(MoveWait::NodeIsBusy(node));
        }
        self.add(node);
        step
    }
}

fn evidence(change: &PlannedChange, partition: &MovingPartition, step: &MoveStep) -> Vec<String> {
    let mut evidence = Vec::from([change.kind.to_string()]);
    if let MoveStep::Wait(wait) = step {
        evidence.push(wait.to_string());
    }
    if let Some(leader) = &partition.leader {
        let set: Vec<String> = leader.replica_set.iter().map(ToString::to_string).collect();
        let (node, generation) = (leader.node, leader.generation);
        let set = set.join(", ");
        evidence.push(format!("{node} leads generation {generation}, who may claim: {set}"));
    }
    for (node, state) in &partition.replicas {
        let lag = state.lag_records;
        evidence.push(match state.readable {
            true => format!("the replica on {node} is {lag} records behind"),
            false => format!("the replica on {node} cannot be read"),
        });
    }
    evidence
}

impl MoveWait {
    /// The same for all that wait for one thing.
    fn without_numbers(self) -> MoveWait {
        match self {
            MoveWait::Copying { node, .. } => MoveWait::Copying { node, lag_records: 0 },
            MoveWait::TooFewCaughtUp { wanted, .. } => MoveWait::TooFewCaughtUp { left: 0, wanted },
            MoveWait::Paused
            | MoveWait::NodeIsBusy(_)
            | MoveWait::ClusterIsBusy
            | MoveWait::NoLeader
            | MoveWait::NodeIsAway(_)
            | MoveWait::NodeIsBehind(_)
            | MoveWait::HandsOver(_) => self,
        }
    }
}
