//! The duties of the node that leads `_cluster`: sweeping up behind declarations.
//!
//! Needed for no failover, and every duty can be taken up by the next controller where this one
//! left it. Start reading at [`Gateway::control`].

use crate::catalog::{Catalog, Database, Dropped, Table};
use crate::cluster_log::{
    DROPPED, TABLES, TableDocument, dropped_key, key, read, table_key, write,
};
use crate::conditions::if_still;
use crate::database_log::spec_of_dropped;
use crate::gateway::{
    Consistency, Gateway, Obstacle, ReadOptions, WriteError, WriteRequest, whole_table,
};
use cortado_document::{Condition, DocumentAction, Operation};
use cortado_model::{
    DatabaseId, DocumentKey, EntryRange, NodeId, PartitionId, TableId, with_causes,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

/// How often the controller looks for something to do.
const LOOK: Duration = Duration::from_secs(1);
/// What one duty may take in a look.
const DUTY_TIMEOUT: Duration = Duration::from_secs(10);
/// Documents of a dropped table, or tables of a dropped database, that are removed by one
/// transaction.
const REMOVALS_PER_WRITE: usize = 200;

impl Gateway {
    /// Sweeps while this node leads `_cluster`, until it ends.
    ///
    /// * `leads`: whether it does now.
    pub async fn control(self, leads: impl Fn() -> bool + Send) {
        let mut awaited = BTreeSet::new();
        loop {
            sleep(LOOK).await;
            if leads() {
                sweep(&self, &self.catalog(), &mut awaited).await;
            }
        }
    }
}

/// Does what is to be done, each as far as it can be done now.
///
/// * `awaited`: nodes without whose answer no log is removed, as they were last told of.
async fn sweep(gateway: &Gateway, catalog: &Catalog, awaited: &mut BTreeSet<NodeId>) {
    if !catalog.dropped.is_empty()
        && let Err(error) = remove_logs(gateway, catalog, awaited).await
    {
        warn!(error = with_causes(&error), "logs of dropped databases not removed; retrying");
    }
    for database in catalog.databases() {
        if database.log.is_none() {
            finish_creation(gateway, database).await;
        }
        for table in database.tables_by_id.values() {
            if table.dropped
                && !table.emptied
                && let Err(error) = empty_table(gateway, database, table).await
            {
                let (database, table) = (&database.name, &table.name);
                let error = with_causes(&error);
                warn!(database, table, error, "dropped table not emptied; retrying");
            }
        }
    }
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
) -> Result<(), Obstacle> {
    let reports = gateway.reports(None).await;
    for node in reports.silent.difference(awaited) {
        warn!(%node, "node does not answer; logs of dropped databases are kept until it does");
    }
    awaited.clone_from(&reports.silent);
    // A node that is there and does not answer may have replicas of them.
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

async fn remove_log(gateway: &Gateway, id: DatabaseId, dropped: &Dropped) -> Result<(), Obstacle> {
    // Before what tells of the database is gone.
    forget_tables(gateway, id).await?;
    if gateway.remove_log(&spec_of_dropped(id, dropped)).await {
        let done = operation(DROPPED, dropped_key(id), DocumentAction::Delete);
        publish(gateway, PartitionId::CLUSTER, vec![done]).await?;
    }
    Ok(())
}

/// Removes the tables of a dropped database that its drop had no room for.
async fn forget_tables(gateway: &Gateway, id: DatabaseId) -> Result<(), Obstacle> {
    let prefix = key(&[id.0.to_string()]);
    loop {
        let range = EntryRange::documents(TABLES, prefix.as_bytes());
        let page = gateway.page(PartitionId::CLUSTER, range, REMOVALS_PER_WRITE, &strong()).await?;
        let keys = page.value.documents.into_iter().map(|(key, _)| key);
        let removals = keys.map(|key| operation(TABLES, key, DocumentAction::Delete));
        let removals: Vec<_> = removals.collect();
        if removals.is_empty() {
            return Ok(());
        }
        publish(gateway, PartitionId::CLUSTER, removals).await?;
    }
}

/// Removes the documents of a dropped table, as its partitions' leaders would for a client.
async fn empty_table(
    gateway: &Gateway,
    database: &Database,
    table: &Table,
) -> Result<(), Obstacle> {
    for number in 0..database.partitions {
        let partition = database.partition_id(number);
        loop {
            let range = whole_table(table.id, None);
            let page = gateway.page(partition, range, REMOVALS_PER_WRITE, &strong()).await?;
            let keys = page.value.documents.into_iter().map(|(key, _)| key);
            let removals = keys.map(|key| operation(table.id, key, DocumentAction::Delete));
            let removals: Vec<_> = removals.collect();
            if removals.is_empty() {
                break;
            }
            publish(gateway, partition, removals).await?;
        }
    }
    set_emptied(gateway, database, table).await
}

/// Notes that a dropped table has no documents any more, unless its database was dropped meanwhile.
async fn set_emptied(
    gateway: &Gateway,
    database: &Database,
    table: &Table,
) -> Result<(), Obstacle> {
    let place = table_key(database.id, table.id);
    let found = gateway.get_in(PartitionId::CLUSTER, TABLES, &place, &strong()).await?;
    let Some(found) = found.value else { return Ok(()) };
    let emptied = TableDocument { emptied: true, ..read(&found.json())? };
    let (action, condition) =
        (DocumentAction::Put { value: write(&emptied) }, if_still(found.head.etag));
    let put = Operation { table: TABLES, key: place, action, condition };
    match publish(gateway, PartitionId::CLUSTER, vec![put]).await {
        Ok(()) => {
            let (database, table) = (&database.name, &table.name);
            info!(database, table, "documents of a dropped table removed");
            Ok(())
        }
        // A concurrent write was faster: a drop, or another controller's.
        Err(WriteError::Refused { .. }) => Ok(()),
        Err(error) => Err(error.into()),
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

fn operation(table: TableId, key: DocumentKey, action: DocumentAction) -> Operation {
    Operation { table, key, action, condition: Condition::default() }
}

fn strong() -> ReadOptions {
    let deadline = Instant::now() + DUTY_TIMEOUT;
    ReadOptions { consistency: Consistency::Strong, at_least: None, deadline }
}

#[cfg(test)]
mod tests;
