//! A node's eye on the settings of its logs.
//!
//! A setting may be changed behind the node's back, so that what is acknowledged can be lost: until
//! it is mended, the database is read-only here. Start reading at [`watch_logs`].
//! Source: docs/operations/kafka.md, "What happens when".

use crate::replica_host::ReplicaHost;
use cortado_gateway::{Catalog, ExpectedLog};
use cortado_log::{LogSpec, Verified};
use cortado_model::DatabaseId;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// While something differs it is looked at so often: who mends it waits for it.
const AGAIN: Duration = Duration::from_secs(1);

/// Looks at the logs of all databases of the node, and at what keeps the beats, until it ends.
pub(crate) async fn watch_logs(host: Arc<ReplicaHost>) {
    loop {
        // Databases are looked at by their replicas, too, when those begin.
        if let Ok(drift) = host.beats.drift().await {
            host.health.drifts.note_beats(drift);
        }
        let every = host.settings.log_look;
        sleep(if host.health.drifts.is_empty() { every } else { every.min(AGAIN) }).await;
        let databases = databases(&host);
        host.health.drifts.keep(&databases);
        for spec in databases {
            // What cannot be looked at says nothing of its settings.
            if let Ok(Verified { drift, .. }) = host.log.verify(&spec).await {
                host.health.drifts.note(&spec, &drift);
            }
        }
    }
}

/// Those of which the node has a replica.
fn databases(host: &ReplicaHost) -> Vec<LogSpec> {
    let catalog = host.cluster.catalog.newest();
    let of = |database: DatabaseId| -> Option<LogSpec> { spec_of(database, &catalog) };
    let mut own: Vec<DatabaseId> =
        host.routes.replicas().iter().map(|replica| replica.partition.database).collect();
    own.sort_unstable();
    own.dedup();
    own.into_iter().filter_map(of).collect()
}

fn spec_of(database: DatabaseId, catalog: &Catalog) -> Option<LogSpec> {
    if database == DatabaseId::CLUSTER {
        return Some(ExpectedLog::of_cluster(catalog.cluster()).spec);
    }
    Some(ExpectedLog::of(catalog.database_by_id(database)?, 0, catalog)?.spec)
}
