//! Where the replicas of a database live, and in which order they lead.
//!
//! Three things are in proportion to what nodes can carry, to within one where zones allow it:
//! replicas over nodes, leaderships over nodes, and, for each node, the second choices of the
//! partitions that it leads. The last one matters at 3 am: when a node dies, its leaderships go to
//! all survivors alike, not to one neighbour. The replicas of a partition stand in different zones,
//! as far as there are some. Start reading at [`plan_on`] and [`replan_on`].

mod balance;
mod board;
mod filling;
mod roster;
mod shares;
#[cfg(test)]
mod tests;

pub use roster::{Capacity, PlacementNode, Zone};

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use board::Board;
use cortado_model::NodeId;
use roster::Roster;

/// The nodes of one partition's replicas, in order of succession; at least one, all different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    nodes: Vec<NodeId>,
    /// An operator has put the first one there.
    pinned: bool,
    /// So many at the end are drained; never all. The one that leaves comes behind them.
    drained: usize,
    /// Its replica is about to be removed; never the only one.
    leaving: Option<NodeId>,
}

impl Placement {
    /// Takes nodes in order of succession; `None` if there are none, or one is named twice.
    pub fn new(nodes: Vec<NodeId>) -> Option<Placement> {
        let mut sorted = nodes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let is_valid = !nodes.is_empty() && sorted.len() == nodes.len();
        is_valid.then_some(Placement { nodes, pinned: false, drained: 0, leaving: None })
    }

    /// The same nodes in the order that operators want: `pin` first, drained nodes last.
    ///
    /// A drain outweighs a pin. Where all nodes are drained, the drains count for nothing; nor does
    /// a pin to a node that holds no replica.
    ///
    /// Source: docs/protocols/failover.md, "Pins and drains".
    pub fn ordered(self, pin: Option<NodeId>, is_drained: impl Fn(NodeId) -> bool) -> Placement {
        let mut nodes = self.nodes;
        // Stable: the rest keeps its order.
        nodes.sort_by_key(|node| Some(*node) != pin);
        let drained = nodes.iter().filter(|node| is_drained(**node)).count() % nodes.len();
        if drained > 0 {
            nodes.sort_by_key(|node| is_drained(*node));
        }
        Placement { pinned: nodes.first().copied() == pin, nodes, drained, leaving: None }
    }

    /// The same nodes, `node` the last of them: its replica is about to be removed. The only
    /// replica never is.
    ///
    /// Source: docs/protocols/moves.md, "Leaving".
    pub fn without_leader_on(self, node: NodeId) -> Placement {
        let (pinned, mut drained) = (self.pinned, self.drained);
        if !self.contains(node) || self.nodes.len() == 1 {
            return self;
        }
        let (was_drained, was_first) = (self.is_drained(node), self.preferred() == node);
        let mut nodes = self.nodes;
        nodes.sort_by_key(|other| *other == node);
        drained -= usize::from(was_drained);
        // Where all that stay are drained, their drains count for nothing.
        drained %= nodes.len() - 1;
        Placement { pinned: pinned && !was_first, nodes, drained, leaving: Some(node) }
    }

    /// The node that leads when all is well.
    pub fn preferred(&self) -> NodeId {
        self.nodes[0]
    }

    /// All nodes, the preferred leader first.
    pub fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// Whether `node` holds a replica.
    pub fn contains(&self, node: NodeId) -> bool {
        self.nodes.contains(&node)
    }

    /// Whether an operator has chosen the preferred leader.
    pub fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// Whether `node` is drained, and others are there that are not.
    pub fn is_drained(&self, node: NodeId) -> bool {
        let end = self.nodes.len() - usize::from(self.leaving.is_some());
        self.nodes[end - self.drained..end].contains(&node)
    }

    /// Whether the replica on `node` is about to be removed.
    pub fn is_leaving(&self, node: NodeId) -> bool {
        self.leaving == Some(node)
    }
}

/// What a node already carries for other databases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Load {
    /// Partitions whose preferred leader it is.
    pub leaders: u32,
    /// Replicas, leaders included.
    pub replicas: u32,
}

/// A partition that is placed already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Where.
    pub placement: Placement,
    /// How many replicas it should have.
    pub replication: u32,
}

/// Places a new database on nodes that can all carry alike and share no zone; see [`plan_on`].
pub fn plan(
    nodes: &[NodeId],
    partitions: u32,
    replication: u32,
    load: &BTreeMap<NodeId, Load>,
) -> Vec<Placement> {
    plan_on(&plain(nodes), partitions, replication, load)
}

/// Places an existing database anew on nodes that can all carry alike and share no zone; see
/// [`replan_on`].
///
/// * `current`: the placement of each partition.
pub fn replan(current: &[Placement], nodes: &[NodeId], replication: u32) -> Vec<Placement> {
    let placed = |placement: &Placement| Placed { placement: placement.clone(), replication };
    let current: Vec<_> = current.iter().map(placed).collect();
    replan_on(&current, &plain(nodes), &BTreeMap::new())
}

/// Places a new database.
///
/// * `nodes`: in any order; the answer depends on the set only.
/// * `replication`: replicas of each partition; at most as many as there are nodes.
/// * `load`: of other databases. It decides who gets one more where numbers do not divide.
///
/// Answers one placement for each partition; none at all if there are no nodes. Replicas,
/// leaderships, and each node's second choices differ by at most one from what is in proportion to
/// capacities, as far as zones allow.
pub fn plan_on(
    nodes: &[PlacementNode],
    partitions: u32,
    replication: u32,
    load: &BTreeMap<NodeId, Load>,
) -> Vec<Placement> {
    let roster = roster_of(nodes, load);
    if roster.len() == 0 {
        return Vec::new();
    }
    let mut board = Board::new(roster, (0..partitions).map(|_| replication));
    fill(&mut board);
    placements(&board)
}

/// Places existing partitions anew after nodes have joined or left, or can carry more or less.
///
/// * `current`: all partitions that are to be even together, of one database or of many.
/// * `nodes`: the nodes that there are now.
/// * `load`: of partitions that are not among them.
///
/// A replica moves only if its node is gone, a partition has too few or too many replicas or too
/// many in a zone, or its node has more than its share; the tests allow one copy more than the
/// numbers alone demand. Replicas and leaderships are in proportion to capacities afterwards, to
/// within one. Second choices are as evenly spread as the replicas allow; no replica moves for
/// them.
pub fn replan_on(
    current: &[Placed],
    nodes: &[PlacementNode],
    load: &BTreeMap<NodeId, Load>,
) -> Vec<Placement> {
    changed(current, nodes, load, refill)
}

/// Adds replicas to partitions that have too few, behind those that they have; moves none.
///
/// * `current`, `nodes`, `load`: see [`replan_on`]; whatever holds a replica is among the nodes.
pub fn completed(
    current: &[Placed],
    nodes: &[PlacementNode],
    load: &BTreeMap<NodeId, Load>,
) -> Vec<Placement> {
    changed(current, nodes, load, |board| {
        (0..board.partitions()).for_each(|partition| board.complete(partition));
    })
}

/// The placements with `to` in the place of `from`: what another node gets that takes over for one
/// that is gone for good. Nothing else is copied.
///
/// `None` if `to` holds one of those replicas already: then plan anew.
pub fn replaced(current: &[Placement], from: NodeId, to: NodeId) -> Option<Vec<Placement>> {
    let replace = |placement: &Placement| {
        let nodes = placement.nodes().iter();
        Placement::new(nodes.map(|node| if *node == from { to } else { *node }).collect())
    };
    current.iter().map(replace).collect()
}

/// What comes of what is placed already by `change`; nothing if there are no nodes.
fn changed(
    current: &[Placed],
    nodes: &[PlacementNode],
    load: &BTreeMap<NodeId, Load>,
    change: impl FnOnce(&mut Board),
) -> Vec<Placement> {
    let roster = roster_of(nodes, load);
    if roster.len() == 0 {
        return Vec::new();
    }
    let mut board = Board::new(roster, current.iter().map(|placed| placed.replication));
    for (partition, placed) in current.iter().enumerate() {
        let nodes = placed.placement.nodes().iter();
        let held = nodes.filter_map(|node| board.roster.index(*node)).collect();
        board.begin(partition, held);
    }
    change(&mut board);
    placements(&board)
}

fn fill(board: &mut Board) {
    (0..board.partitions()).for_each(|partition| board.place(partition));
    board.even_out_replicas_keeping_choices();
    // Zones, and nodes that can carry more than others, may have left something to be done.
    board.even_out_replicas();
    board.even_out_leaders();
    board.even_out_second_choices();
}

fn refill(board: &mut Board) {
    (0..board.partitions()).for_each(|partition| board.resize(partition));
    board.even_out_replicas();
    board.even_out_leaders();
    board.even_out_second_choices();
}

fn plain(nodes: &[NodeId]) -> Vec<PlacementNode> {
    nodes.iter().copied().map(PlacementNode::plain).collect()
}

/// The nodes, those first that carry least for others.
fn roster_of(nodes: &[PlacementNode], load: &BTreeMap<NodeId, Load>) -> Roster {
    let mut nodes: Vec<&PlacementNode> = nodes.iter().collect();
    nodes.sort_by_key(|PlacementNode { node, .. }| {
        (load.get(node).copied().unwrap_or_default(), *node)
    });
    Roster::of(nodes.into_iter())
}

fn placements(board: &Board) -> Vec<Placement> {
    let named = |partition| Placement {
        nodes: board.nodes(partition).iter().map(|i| board.roster.nodes[*i]).collect(),
        pinned: false,
        drained: 0,
        leaving: None,
    };
    (0..board.partitions()).map(named).collect()
}
