//! Where the replicas of a database live, and in which order they lead.
//!
//! Three things are even, to within one: replicas over nodes, leaderships over nodes, and, for each
//! node, the second choices of the partitions that it leads. The last one matters at 3 am: when a
//! node dies, its leaderships go to all survivors alike, not to one neighbour.
//! Start reading at [`plan`].

mod balance;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use balance::Board;
use cortado_model::NodeId;

/// The nodes of one partition's replicas, in order of succession; at least one, all different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    nodes: Vec<NodeId>,
    /// An operator has put the first one there.
    pinned: bool,
    /// So many at the end are drained; never all.
    drained: usize,
}

impl Placement {
    /// Takes nodes in order of succession; `None` if there are none, or one is named twice.
    pub fn new(nodes: Vec<NodeId>) -> Option<Placement> {
        let mut sorted = nodes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let is_valid = !nodes.is_empty() && sorted.len() == nodes.len();
        is_valid.then_some(Placement { nodes, pinned: false, drained: 0 })
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
        Placement { pinned: nodes.first().copied() == pin, nodes, drained }
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
        let (_, drained) = self.nodes.split_at(self.nodes.len() - self.drained);
        drained.contains(&node)
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

/// Places a new database.
///
/// * `nodes`: in any order; the answer depends on the set only.
/// * `replication`: replicas of each partition; at most as many as there are nodes.
/// * `load`: of other databases. It decides who gets one more where numbers do not divide.
///
/// Answers one placement for each partition; none at all if there are no nodes. Replicas,
/// leaderships, and each node's second choices differ by at most one.
pub fn plan(
    nodes: &[NodeId],
    partitions: u32,
    replication: u32,
    load: &BTreeMap<NodeId, Load>,
) -> Vec<Placement> {
    let mut nodes = distinct(nodes);
    nodes.sort_by_key(|node| (load.get(node).copied().unwrap_or_default(), *node));
    if nodes.is_empty() {
        return Vec::new();
    }
    let mut board = Board::new(nodes.len());
    for _ in 0..partitions {
        board.place_next(replication_of(replication, nodes.len()));
    }
    board.even_out_replicas_keeping_choices();
    placements(&board, &nodes)
}

/// Places an existing database anew after nodes have joined or left.
///
/// * `current`: the placement of each partition.
/// * `nodes`: the nodes that there are now.
///
/// A replica moves only if its node is gone, a partition has too few or too many replicas, or its
/// node has more than its share; the tests allow one copy more than the numbers alone demand.
/// Replicas and leaderships differ by at most one afterwards. Second choices are spread as evenly
/// as the replicas allow, perfectly if every node has every partition; no replica moves for them.
pub fn replan(current: &[Placement], nodes: &[NodeId], replication: u32) -> Vec<Placement> {
    let nodes = distinct(nodes);
    if nodes.is_empty() {
        return Vec::new();
    }
    let index = |node: &NodeId| nodes.binary_search(node).ok();
    let mut board = Board::new(nodes.len());
    for placement in current {
        board.add(placement.nodes().iter().filter_map(index).collect());
    }
    board.resize(replication_of(replication, nodes.len()));
    board.even_out_replicas();
    board.even_out_leaders();
    board.even_out_second_choices();
    placements(&board, &nodes)
}

fn distinct(nodes: &[NodeId]) -> Vec<NodeId> {
    let mut nodes = nodes.to_vec();
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

fn replication_of(wanted: u32, nodes: usize) -> usize {
    usize::try_from(wanted).unwrap_or(nodes).clamp(1, nodes)
}

fn placements(board: &Board, nodes: &[NodeId]) -> Vec<Placement> {
    let named = |replicas: &Vec<usize>| Placement {
        nodes: replicas.iter().map(|i| nodes[*i]).collect(),
        pinned: false,
        drained: 0,
    };
    board.partitions().iter().map(named).collect()
}
