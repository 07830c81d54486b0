//! The duties of the node that leads `_cluster`: sweeping up behind declarations.
//!
//! Needed for no failover, and every duty can be taken up by the next controller where this one
//! left it. Start reading at [`Gateway::control`].

use crate::catalog::{Catalog, Database, Dropped, Table};
use crate::cluster_log::{DROPPED, TABLES, TableDocument, dropped_key, table_key, write};
use crate::database_log::spec_of_dropped;
use crate::gateway::{Consistency, Gateway, ReadOptions, WriteError, WriteRequest, whole_table};
use cortado_document::{Action, Condition, Operation};
use cortado_model::{DatabaseId, DocumentKey, NodeId, PartitionId, TableId, with_causes};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::field::display;
use tracing::{info, warn};

/// How often the controller looks for something to do.
const LOOK: Duration = Duration::from_secs(1);
/// What one duty may take in a look.
const DUTY_TIMEOUT: Duration = Duration::from_secs(10);
/// Documents of a dropped table that are removed by one transaction.
const REMOVALS_PER_WRITE: usize = 200;

impl Gateway {
    /// Sweeps while this node leads `_cluster`, until it ends.
    ///
    /// * `leads`: whether it does now.
    pub async fn control(self, leads: impl Fn() -> bool + Send) {
        let mut awaited = BTreeSet::new();
        loop {
            sleep(LOOK).await;
            if leads()
                && let Err(error) = sweep(&self, &self.catalog(), &mut awaited).await
            {
                let node = self.own().map(display);
                warn!(node, %error, "controller could not sweep up; retrying");
            }
        }
    }
}

/// * `awaited`: nodes without whose answer no log is removed, as they were last told of.
async fn sweep(
    gateway: &Gateway,
    catalog: &Catalog,
    awaited: &mut BTreeSet<NodeId>,
) -> Result<(), WriteError> {
    if !catalog.dropped.is_empty() {
        remove_logs(gateway, catalog, awaited).await?;
    }
    for database in catalog.databases() {
        if database.log.is_none() {
            finish_creation(gateway, database).await;
        }
        for table in database.tables_by_id.values() {
            if table.dropped && !table.emptied {
                empty_table(gateway, database, table).await?;
            }
        }
    }
    Ok(())
}

/// Makes the log of a database whose creator has not finished.
async fn finish_creation(gateway: &Gateway, database: &Arc<Database>) {
    let deadline = Instant::now() + DUTY_TIMEOUT;
    match gateway.with_log(Arc::clone(database), deadline).await {
        Ok(_) => {
            info!(database = database.name, "database log created for an interrupted creation")
        }
        Err(error) => warn!(
            database = database.name,
            error = with_causes(&error),
            "database log not created; retrying"
        ),
    }
}

/// Removes the logs of dropped databases, once every node says that no replica uses them.
async fn remove_logs(
    gateway: &Gateway,
    catalog: &Catalog,
    awaited: &mut BTreeSet<NodeId>,
) -> Result<(), WriteError> {
    let reports = gateway.reports(None).await;
    for node in reports.silent.difference(awaited) {
        warn!(%node, "node does not answer; logs of dropped databases are kept until it does");
    }
    awaited.clone_from(&reports.silent);
    // Who is there and does not say may have some.
    if !awaited.is_empty() {
        return Ok(());
    }
    for (id, dropped) in &catalog.dropped {
        if !reports.tell_of(*id) {
            remove_log(gateway, *id, dropped).await?;
        }
    }
    Ok(())
}

async fn remove_log(
    gateway: &Gateway,
    id: DatabaseId,
    dropped: &Dropped,
) -> Result<(), WriteError> {
    let partitions = dropped.partitions;
    if let Err(error) = gateway.parts().log.remove(&spec_of_dropped(id, dropped)).await {
        warn!(
            database_id = id.0,
            error = with_causes(&error),
            "log of a dropped database not removed"
        );
        return Ok(());
    }
    info!(database_id = id.0, partitions, "log of a dropped database removed");
    let done = operation(DROPPED, dropped_key(id), Action::Delete);
    publish(gateway, PartitionId::CLUSTER, vec![done]).await
}

/// Removes the documents of a dropped table, as its partitions' leaders would for a client.
async fn empty_table(
    gateway: &Gateway,
    database: &Arc<Database>,
    table: &Table,
) -> Result<(), WriteError> {
    for number in 0..database.partitions {
        let partition = database.partition_id(number);
        loop {
            let keys = some_keys(gateway, partition, table.id).await;
            if keys.is_empty() {
                break;
            }
            let removals = keys.into_iter().map(|key| operation(table.id, key, Action::Delete));
            publish(gateway, partition, removals.collect()).await?;
        }
    }
    let version = table.schema_version;
    let mut document = TableDocument::new(table.id, &table.name, &table.definition, version);
    (document.dropped, document.emptied) = (true, true);
    let value = write(&document);
    let emptied = operation(TABLES, table_key(database.id, table.id), Action::Put { value });
    info!(database = database.name, table = table.name, "documents of a dropped table removed");
    publish(gateway, PartitionId::CLUSTER, vec![emptied]).await
}

async fn some_keys(gateway: &Gateway, partition: PartitionId, table: TableId) -> Vec<DocumentKey> {
    let (range, read) = (whole_table(table, None), strong());
    match gateway.page(partition, range, REMOVALS_PER_WRITE, &read).await {
        Ok(page) => page.value.documents.into_iter().map(|(key, _)| key).collect(),
        Err(error) => {
            warn!(%partition, %error, "dropped table not read; retrying");
            Vec::new()
        }
    }
}

async fn publish(
    gateway: &Gateway,
    partition: PartitionId,
    operations: Vec<Operation>,
) -> Result<(), WriteError> {
    let deadline = Instant::now() + DUTY_TIMEOUT;
    let request = WriteRequest { operations, idempotency: None, deadline };
    gateway.publish(partition, request).await.map(|_| ())
}

fn operation(table: TableId, key: DocumentKey, action: Action) -> Operation {
    Operation { table, key, action, condition: Condition::default() }
}

fn strong() -> ReadOptions {
    let deadline = Instant::now() + DUTY_TIMEOUT;
    ReadOptions { consistency: Consistency::Strong, at_least: None, deadline }
}
