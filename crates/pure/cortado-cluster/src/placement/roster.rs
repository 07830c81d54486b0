//! Nodes as a placement sees them: what they share, and how much they can carry.
//!
//! Decides nothing. Start reading at [`PlacementNode`].

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;
use cortado_model::NodeId;

/// A node that replicas can be placed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementNode {
    /// Which.
    pub node: NodeId,
    /// Where it stands; a node without a zone shares none with any other.
    pub zone: Option<Zone>,
    /// How much it can carry.
    pub capacity: Capacity,
}

impl PlacementNode {
    /// A node of default capacity that shares nothing with others.
    pub fn plain(node: NodeId) -> PlacementNode {
        PlacementNode { node, zone: None, capacity: Capacity::DEFAULT }
    }
}

/// What fails together: a rack, a room, an availability zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Zone(String);

/// Longer names are sentences.
const ZONE_BYTES_MAX: usize = 64;

impl Zone {
    /// Takes a name of 1 to 64 bytes of `a-z`, `A-Z`, `0-9`, `.`, `_` and `-`.
    pub fn new(name: &str) -> Option<Zone> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let is_valid = (1..=ZONE_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_plain);
        is_valid.then(|| Zone(name.to_string()))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How much a node can carry beside others: twice the number, twice the replicas and leaderships.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capacity(NonZeroU32);

impl Default for Capacity {
    fn default() -> Capacity {
        Capacity::DEFAULT
    }
}

impl Capacity {
    /// Of a node for which nothing was set.
    pub const DEFAULT: Capacity = Capacity(NonZeroU32::new(100).expect("100 is not 0"));
    /// Far above what machines differ by.
    pub const MAX: u32 = 1_000_000;

    /// Takes 1 to [`MAX`](Self::MAX).
    pub fn new(number: u32) -> Option<Capacity> {
        NonZeroU32::new(number).filter(|number| number.get() <= Self::MAX).map(Capacity)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

/// The nodes of one planning, by index.
#[derive(Clone, Debug)]
pub(super) struct Roster {
    pub(super) nodes: Vec<NodeId>,
    pub(super) capacities: Vec<u64>,
    /// The zone of each node, by index.
    pub(super) zone_of: Vec<usize>,
    /// How many nodes each zone has.
    pub(super) zone_sizes: Vec<usize>,
}

impl Roster {
    /// Takes nodes in the order in which they get one more where numbers do not divide. Of a node
    /// that is named twice the first counts.
    pub(super) fn of<'a>(nodes: impl Iterator<Item = &'a PlacementNode>) -> Roster {
        let mut roster = Roster {
            nodes: Vec::new(),
            capacities: Vec::new(),
            zone_of: Vec::new(),
            zone_sizes: Vec::new(),
        };
        let mut names: Vec<Option<&Zone>> = Vec::new();
        for PlacementNode { node, zone, capacity } in nodes {
            if roster.nodes.contains(node) {
                continue;
            }
            let known = names.iter().position(|name| zone.is_some() && *name == zone.as_ref());
            let index = known.unwrap_or(names.len());
            if known.is_none() {
                names.push(zone.as_ref());
                roster.zone_sizes.push(0);
            }
            roster.zone_sizes[index] += 1;
            roster.zone_of.push(index);
            roster.nodes.push(*node);
            roster.capacities.push(u64::from(capacity.get()));
        }
        roster
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The index of `node`.
    pub(super) fn index(&self, node: NodeId) -> Option<usize> {
        self.nodes.iter().position(|known| *known == node)
    }

    /// What all nodes can carry together.
    pub(super) fn capacity(&self) -> u64 {
        self.capacities.iter().sum()
    }
}
