//! Making the journal, once for each cluster.
//!
//! The leader of `_cluster` creates it like any database; what it leaves unfinished, the next
//! leader finishes. Start reading at [`Gateway::found_journal`].

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
/// Between two tries.
const RETRY: Duration = Duration::from_millis(500);

impl Gateway {
    /// Makes the journal whenever this node leads `_cluster`, until there is one.
    ///
    /// Waits for every node that is about to register: replicas are placed once and for all.
    ///
    /// * `leads`: whether this node leads `_cluster` now.
    pub async fn found_journal(self, leads: impl Fn() -> bool + Send) {
        let founded = |catalog: &Catalog| catalog.journal().is_some();
        while !self.cluster().catalog.wait_for(Instant::now() + LOOK, founded).await {
            if leads()
                && is_complete(self.cluster())
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

/// Whether every node that is about to register has done so.
fn is_complete(cluster: &KnownCluster) -> bool {
    let catalog = cluster.catalog.newest();
    cluster.founders().all(|node| catalog.nodes.contains_key(&node))
}
