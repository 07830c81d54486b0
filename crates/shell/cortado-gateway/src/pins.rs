//! The leaderships that operators have placed, and the nodes that they have drained, as `_cluster`
//! keeps them.
//!
//! Every member is described in docs/formats/cluster.md. Decides nothing. Start reading at
//! [`PinsDocument`].

use crate::catalog::Pins;
use crate::cluster_log::{VERSION, key};
use cortado_model::{DatabaseId, DocumentKey, NodeId, TableId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Leaderships that operators have placed, by their database's id.
pub(crate) const PINS: TableId = TableId(7);
/// Nodes that are drained, by their id.
pub(crate) const DRAINS: TableId = TableId(8);

/// The pins of a database; at least one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PinsDocument {
    pub(crate) version: u32,
    /// The node of each partition that has a pin.
    pub(crate) pins: BTreeMap<u32, u32>,
}

/// A node that leads nothing if others can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DrainDocument {
    pub(crate) version: u32,
}

impl PinsDocument {
    pub(crate) fn of(pins: &Pins) -> PinsDocument {
        let pins = pins.iter().map(|(partition, node)| (*partition, node.0));
        PinsDocument { version: VERSION, pins: pins.collect() }
    }

    /// What it says.
    pub(crate) fn pins(self) -> Pins {
        self.pins.into_iter().map(|(partition, node)| (partition, NodeId(node))).collect()
    }
}

impl DrainDocument {
    pub(crate) fn new() -> DrainDocument {
        DrainDocument { version: VERSION }
    }
}

pub(crate) fn pins_key(database: DatabaseId) -> DocumentKey {
    key(&[database.0.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster_log::write;

    #[test]
    fn stored_forms_never_change() {
        let pins = Pins::from([(3, NodeId(2)), (11, NodeId(1))]);
        let stored = write(&PinsDocument::of(&pins));
        assert_eq!(stored.as_bytes(), &br#"{"version":2,"pins":{"3":2,"11":1}}"#[..]);
        assert_eq!(write(&DrainDocument::new()).as_bytes(), &br#"{"version":2}"#[..]);
    }
}
