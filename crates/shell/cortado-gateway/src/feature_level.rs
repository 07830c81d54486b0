//! The feature level that the cluster uses, as `_cluster` keeps it.
//!
//! Every member is described in docs/formats/cluster.md. Decides nothing. Start reading at
//! [`FeatureLevelDocument`].

use crate::catalog::{Catalog, FIRST_LEVEL, NodeFacts};
use crate::cluster_log::{VERSION, key};
use cortado_cluster::Gate;
use cortado_model::{ClusterUuid, DocumentKey, NodeId, TableId};
use serde::{Deserialize, Serialize};

/// The one document about feature levels.
pub(crate) const FEATURE_LEVELS: TableId = TableId(14);

/// What every node must be able to read. Written anew, too, whenever a node comes that may read
/// less than those that were there: who raises the level has seen all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeatureLevelDocument {
    pub(crate) version: u32,
    pub(crate) level: u32,
}

impl FeatureLevelDocument {
    pub(crate) fn new(level: u32) -> FeatureLevelDocument {
        FeatureLevelDocument { version: VERSION, level }
    }
}

pub(crate) fn feature_level_key() -> DocumentKey {
    key(&["cluster"])
}

impl NodeFacts {
    /// The highest feature level that it has declared to read.
    pub fn reads_level(&self) -> u32 {
        self.description.feature_level.max(FIRST_LEVEL)
    }
}

impl Catalog {
    /// The feature level that leaders may use.
    pub fn feature_level(&self) -> u32 {
        self.feature_level
    }

    /// What a partition's genesis says of the cluster that begins it.
    pub(crate) fn founding(&self) -> (ClusterUuid, u32) {
        (self.cluster, self.feature_level)
    }

    /// How the cluster stands to the level that its newest nodes could use.
    pub(crate) fn gate(&self) -> Gate {
        let members = self.nodes.values().filter(|facts| !facts.removed);
        let declared: Vec<(NodeId, u32)> =
            members.map(|facts| (facts.node, facts.reads_level())).collect();
        Gate::of(self.feature_level, &declared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster_log::write;

    #[test]
    fn the_stored_form_never_changes() {
        let stored = write(&FeatureLevelDocument::new(2));
        assert_eq!(stored.as_bytes(), &br#"{"version":2,"level":2}"#[..]);
    }
}
