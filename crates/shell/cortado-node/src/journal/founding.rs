//! Making the journal, once for each cluster.
//!
//! Whoever leads `_cluster` does it as anybody creates a database; what it leaves unfinished the
//! next one finishes. Start reading at [`Gateway::found_journal`].

use crate::catalog::{Catalog, JOURNAL};
use crate::gateway::{AdminError, DatabaseSpec, Gateway};
use crate::node_context::NodeContext;
use cortado_document::TableDefinition;
use cortado_driver::ReplicaRole;
use cortado_model::{PartitionId, with_causes};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

/// How many partitions the journal has. The death of a node with hundreds of leaderships makes as
/// many entries within a second: they go through several logs at once, and no leader is the only
/// one. More would cost every small cluster replicas that idle.
const PARTITIONS: u32 = 4;
/// Leaderships change without a change of the catalog: look now and then.
const LOOK: Duration = Duration::from_millis(250);
/// What one try may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Between two tries.
const RETRY: Duration = Duration::from_millis(500);

impl Gateway {
    /// Makes the journal whenever this node leads `_cluster`, until there is one.
    ///
    /// Waits for every node that is about to register: replicas are placed once and for all.
    pub(crate) async fn found_journal(self, context: Arc<NodeContext>) {
        let mut catalogs = context.catalog.subscribe();
        loop {
            let catalog = Arc::clone(&catalogs.borrow_and_update());
            if catalog.journal().is_some() {
                return;
            }
            if leads_cluster(&context)
                && is_complete(&context, &catalog)
                && let Err(error) = self.create_journal().await
            {
                warn!(node = %context.node(), error = with_causes(&error), "journal not made");
                sleep(RETRY).await;
                continue;
            }
            // Either of the two: both mean to look.
            let _ = timeout(LOOK, catalogs.changed()).await;
        }
    }

    async fn create_journal(&self) -> Result<(), AdminError> {
        let key = ["stream", "number"].map(str::to_owned).to_vec();
        let entries = TableDefinition::new(key, None);
        let entries = entries.map_err(|error| AdminError::Invalid { why: error.to_string() })?;
        let spec = DatabaseSpec {
            partitions: Some(PARTITIONS),
            tables: BTreeMap::from([("entries".to_owned(), entries)]),
            ..DatabaseSpec::default()
        };
        self.create_named(JOURNAL, spec, Instant::now() + TIMEOUT).await.map(drop)
    }
}

fn leads_cluster(context: &NodeContext) -> bool {
    let replica = context.routes.route(PartitionId::CLUSTER).replica(context.node());
    replica.is_some_and(|replica| replica.role() == ReplicaRole::Leader)
}

/// Whether every node of this process has registered.
fn is_complete(context: &NodeContext, catalog: &Catalog) -> bool {
    context.settings.nodes().all(|node| catalog.nodes.contains_key(&node))
}
