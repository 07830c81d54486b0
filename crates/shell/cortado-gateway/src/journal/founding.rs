//! Making the journal, once for each cluster.
//!
//! The leader of `_cluster` creates it like any database; what it leaves unfinished, the next
//! leader finishes. Start reading at [`Gateway::found_journal`].

use super::NODES_WANTED;
use crate::catalog::{Catalog, JOURNAL};
use crate::gateway::{AdminError, DatabaseSpec, Gateway};
use crate::known_cluster::KnownCluster;
use cortado_document::TableDefinition;
use cortado_model::with_causes;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::field::display;
use tracing::warn;

/// How many partitions the journal has. The death of a node with hundreds of leaderships makes as
/// many entries within a second: they go through several logs at once, and no leader is the only
/// one. More would cost every small cluster replicas that idle.
const PARTITIONS: u32 = 4;
/// Leaderships change without a change of the catalog: it is looked now and then.
const LOOK: Duration = Duration::from_millis(250);
/// What one try may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the leader of a cluster whose nodes are not known beforehand waits for so many.
const NODES_AWAITED: Duration = Duration::from_secs(30);
/// Between two tries.
const RETRY: Duration = Duration::from_millis(500);

impl Gateway {
    /// Makes the journal whenever this node leads `_cluster`, until there is one.
    ///
    /// Waits for every node that is about to register, or, where those are not known, a while for
    /// as many as it wants. Replicas on nodes that come later are added then.
    ///
    /// * `leads`: whether this node leads `_cluster` now.
    pub async fn found_journal(self, leads: impl Fn() -> bool + Send) {
        let founded = |catalog: &Catalog| catalog.journal().is_some();
        let mut leads_since = None;
        while !self.cluster().catalog.wait_for(Instant::now() + LOOK, founded).await {
            leads_since = if leads() { leads_since.or(Some(Instant::now())) } else { None };
            if let Some(since) = leads_since
                && is_complete(self.cluster(), since.elapsed())
                && let Err(error) = self.create_journal().await
            {
                let node = self.own().map(display);
                warn!(node, error = with_causes(&error), "journal not created; retrying");
                sleep(RETRY).await;
            }
        }
    }

    async fn create_journal(&self) -> Result<(), AdminError> {
        let key = ["stream", "number"].map(str::to_owned).to_vec();
        let entries = TableDefinition::new(key, None).expect("two different names are a key");
        let spec = DatabaseSpec {
            partitions: Some(PARTITIONS),
            tables: BTreeMap::from([("entries".to_owned(), entries)]),
            ..DatabaseSpec::default()
        };
        self.create_named(JOURNAL, spec, Instant::now() + TIMEOUT).await.map(drop)
    }
}

/// Whether every node that is about to register has done so; where those are not known, whether
/// there are enough, or none has come in a while.
fn is_complete(cluster: &KnownCluster, waited: Duration) -> bool {
    let catalog = cluster.catalog.newest();
    if cluster.founders().next().is_some() {
        return cluster.founders().all(|node| catalog.nodes.contains_key(&node));
    }
    match catalog.members().count() {
        0 => false,
        members => members >= NODES_WANTED || waited >= NODES_AWAITED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::ClusterUuid;

    #[test]
    fn a_cluster_whose_nodes_are_not_known_waits_for_some_but_not_for_none() {
        let cluster = KnownCluster::new(ClusterUuid(1), std::collections::BTreeSet::new(), None);
        assert!(!is_complete(&cluster, Duration::ZERO));
        assert!(!is_complete(&cluster, NODES_AWAITED), "no node can hold it yet");
    }
}
