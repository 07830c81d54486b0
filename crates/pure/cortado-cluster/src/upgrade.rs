//! When a cluster may use a newer feature level: the gate.
//!
//! A record of a level that a node cannot read makes that node's replica stand still, so no such
//! record is written before every node of the cluster has declared that it reads it.
//! Start reading at [`Gate::of`]. Source: docs/protocols/replication.md, "Feature levels".

use alloc::vec::Vec;
use cortado_model::NodeId;

/// How a cluster stands to the level that its newest nodes could use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// No node reads more than what is in force.
    Open,
    /// Some nodes do, and these do not, whether they run or not.
    Held {
        /// The level that the newest nodes read.
        level: u32,
        /// In ascending order; at least one.
        by: Vec<NodeId>,
    },
    /// Every node reads this level: it may be opened.
    Ready {
        /// Which.
        level: u32,
    },
}

impl Gate {
    /// * `current`: the level that is in force.
    /// * `declared`: what each registered node that is not removed has declared for its newest
    ///   life, whether it runs or not: it may come back.
    pub fn of(current: u32, declared: &[(NodeId, u32)]) -> Gate {
        let level = declared.iter().map(|(_, level)| *level).max().unwrap_or(current);
        if level <= current {
            return Gate::Open;
        }
        let mut by: Vec<NodeId> =
            declared.iter().filter(|(_, own)| *own < level).map(|(node, _)| *node).collect();
        by.sort_unstable();
        if by.is_empty() { Gate::Ready { level } } else { Gate::Held { level, by } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[track_caller]
    fn check(current: u32, levels: &[u32], want: Gate) {
        let nodes = (1..).map(NodeId).zip(levels.iter().copied());
        assert_eq!(Gate::of(current, &nodes.collect::<Vec<_>>()), want);
    }

    #[test]
    fn the_gate_waits_for_the_last_node() {
        check(1, &[], Gate::Open);
        check(1, &[1, 1, 1], Gate::Open);
        check(1, &[2, 1, 1], Gate::Held { level: 2, by: [2, 3].map(NodeId).into() });
        check(1, &[2, 2, 1], Gate::Held { level: 2, by: [NodeId(3)].into() });
        check(1, &[2, 2, 2], Gate::Ready { level: 2 });
        check(2, &[2, 2, 2], Gate::Open);
        // The newest builds of several: what is opened is what the last one can read.
        check(1, &[3, 2, 3], Gate::Held { level: 3, by: [NodeId(2)].into() });
    }

    proptest! {
        #[test]
        fn no_level_is_opened_that_a_node_cannot_read(
            current in 1_u32..4,
            levels in vec(1_u32..5, 0..6),
        ) {
            let nodes: Vec<_> = (1..).map(NodeId).zip(levels.iter().copied()).collect();
            if let Gate::Ready { level } = Gate::of(current, &nodes) {
                prop_assert!(level > current);
                prop_assert!(levels.iter().all(|own| *own >= level));
            }
        }
    }
}
